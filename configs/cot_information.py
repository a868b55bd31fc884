"""CoT information (Altabaa et al., 2025, arXiv 2505.15927).

  python -m experiments.cot_information

All automata of three states on two letters, and all linear maps of four bits
applied three times, are hypotheses. With all inputs equally likely, what a
chain tells against the hardest wrong hypothesis, and how many examples every
consistent learner needs, are counted. The settings are ours: the paper's
experiments could not be read, and no number of it is repeated.
"""

import functools

from assay import papers
from assay.claims import claims_of, greater, ratio, within
from assay.config import above, between
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'CoT Information: Improved Sample Complexity under Chain-of-Thought '
    'Supervision', 'Altabaa, Montasser and Lafferty', '2025', venue='NeurIPS',
    arxiv='2505.15927', family='calibration_theory',
    idea='An example with its chain of thought tells more against a wrong '
         'hypothesis than its answer alone. How much more is a number, the CoT '
         'information, which should say how many examples are saved.')

VARIANTS = papers.variants({
    'families': ('default: two families counted, transformers on 30 words', {}),
    'smoke': ('seconds: two targets, models of 16 units', dict(
        arms=('automata', 'chain', 'majority'), num_targets=3, num_repeats=4,
        num_seeds=2, num_prompts=16, num_layers=1, width=16, num_heads=2,
        batch_size=8, num_steps=16)),
})


def get_config(variant='families'):
  """The values of one variant, locked."""
  c = papers.new_config('cot_information', VARIANTS, variant)
  c.arms = ('automata', 'linear_maps', 'chain', 'answer', 'majority')
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fresh'  # targets and their examples; words, initialization
  c.scale = 'recast'  # families of hypotheses of our own
  c.error = 0.1  # share of wrong answers that matters
  c.num_targets = 20
  c.num_repeats = 60  # sequences of examples of each target
  c.net = networks.tiny_lm(
      'xs', dataset='machines', machine_seed=1, num_examples=30, num_steps=300,
      batch_size=32, max_length=20)
  c.splits = ('test',)
  c.num_prompts = 300
  c.decode = True
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.TINY_LM | {
    'error': above(0, 1), 'num_targets': between(3, 10**6),
    'num_repeats': bounds.COUNT, 'machine_seed': between(0, 2**31 - 1)}

PUBLISHED = ()  # see the docstring
METRICS = ('examples_needed', 'information', 'information_slope',
           'rank_correlation', 'answer_right', 'exact_match')

# --- Claims, written before the run -----------------------------------------


def _by(family, supervision):
  return {'method': family, 'supervision': supervision}


_FAMILIES = ('automata', 'linear_maps')
_told = functools.partial(claims_of, 'Altabaa et al., 2025', ('families',))
CLAIMS = (
    *_told({
        **{f'the information says how many, {family}': (
            f'Over targets of {family}, the log of the examples needed with '
            'chains rises with the log of 1 / information by a slope of 0.8 to '
            '1.2.', within('information_slope', _by(family, 'chain'), 0.8, 1.2))
           for family in _FAMILIES},
        **{f'and how many are saved, {family}': (
            f'Over targets of {family}, the share of examples that chains save '
            'is ranked as the information is, with a correlation of 0.7 or '
            'more.', within('rank_correlation', family, 0.7, 1))
           for family in _FAMILIES}}),
    *claims_of('ours', ('families',), {
        'chains halve the examples, linear maps': (
            'Of linear maps, half as many examples are needed with chains, or '
            'fewer.', ratio('examples_needed', _by('linear_maps', 'chain'),
                            _by('linear_maps', 'answer'), 0, 0.5)),
        'chains help a transformer': (
            'Trained on 30 words of one automaton, answers behind chains are '
            'right more often than answers alone, by more than 5 of 100.',
            greater('answer_right', 'chain', 'answer', by=0.05))}),
)
