"""Diversity of instructions (Zhang, Wang and Charton, 2024, arXiv 2410.04717).

  python -m experiments.only_if_diversity

A rule and a text stand in the prompt: replace the leftmost left side of the
rule by its right side. Trained on few or many rules, on as many lines, a model
is asked to follow rules that it never saw. The paper's text could not be read:
tasks and sizes follow summaries of it and of its predecessors (arXiv
2402.10891, 2405.19787), which have rules of any length, a model of some
millions of weights and a million lines; the settings here are ours, and no
number of theirs is repeated.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, greater, within
from assay.config import between
from assay.report import families, plots
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'Only-IF: Revealing the Decisive Effect of Instruction Diversity on '
    'Generalization', 'Zhang, Wang and Charton', '2024', arxiv='2410.04717',
    family='tiny_lm_tasks',
    idea='A model that is trained to follow few instructions learns these '
         'alone, one that saw hundreds learns to follow. What counts is how '
         'many there are and from how many domains, not how many examples.')

_NUMBERS = (32, 256, 2048)
_RATES = (1e-3, 3e-3, 1e-2)

VARIANTS = papers.variants({
    'rules': ('default: 32 to 2048 rules, as many lines of training', {}),
    'domains': ('256 rules of one kind of left side, or of four kinds', dict(
        arms=('one_domain', 'four_domains'), sweep='', sweep_values=(),
        swept_arms=(), splits=('test', 'seen', 'ends'))),
    'frequencies': ('256 rules, as often as each other or by a power law', dict(
        arms=('any', 'skewed'), sweep='', sweep_values=(), swept_arms=())),
    'control': ('32 rules, three learning rates, two initializations', dict(
        arms=('any', 'gpt2'), sweep='learning_rate', sweep_values=_RATES,
        swept_arms=('any', 'gpt2'), num_rules=32)),
    'smoke': ('seconds: a model of 16 units', dict(
        sweep_values=(8,), num_seeds=2, num_prompts=16, num_layers=1, width=16,
        num_heads=2, batch_size=8, num_steps=16)),
})


def get_config(variant='rules'):
  """The values of one variant, locked."""
  c = papers.new_config('only_if_diversity', VARIANTS, variant)
  c.arms = ('any',)
  c.sweep, c.sweep_values, c.swept_arms = 'num_rules', _NUMBERS, ('any',)
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fresh'  # initialization, lines of training and of testing
  c.scale = 'reduced'
  c.net = networks.tiny_lm(
      'xs', dataset='rules', num_rules=256, num_letters=10, text_length=6,
      absent=0.25, rule_seed=0, batch_size=32, num_steps=1500, max_length=32,
      num_layers=3)  # to find the left side, and then what takes its place
  c.splits = ('test', 'seen')
  c.num_prompts = 500
  c.decode = False
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.TINY_LM | {
    'num_rules': bounds.COUNT, 'num_letters': between(3, 26),
    'text_length': between(6, 10**4), 'absent': bounds.SHARE,
    'rule_seed': between(0, 2**31 - 1)}

PUBLISHED = ()  # see the docstring
METRICS = ('exact_match', 'token_accuracy', 'nll')
COLUMNS = (('exact_match', 'seen'),)

# --- Claims, written before the run -----------------------------------------

_told = functools.partial(claims_of, 'Zhang et al., 2024')
_ours = functools.partial(claims_of, 'ours')


def _of(number, method='any', **fields):
  return {'method': method, 'num_rules': number} | fields


CLAIMS = (
    *_told(('rules',), {'many rules are followed, few are not': (
        'Trained on 2048 rules, answers to rules never seen are right more '
        'often than after 32 rules and as many lines, by more than 50 of 100.',
        greater('exact_match', _of(2048), _of(32), by=0.5))}),
    *_ours(('rules',), {'few rules are learned themselves': (
        'After 32 rules, answers to these are right more often than to rules '
        'never seen, by more than 50 of 100; after 2048, by 5 at most.', all_of(
            greater('exact_match', _of(32, split='seen'),
                    _of(32, split='test'), by=0.5),
            greater('exact_match', _of(2048, split='test'),
                    _of(2048, split='seen'), by=-0.05)))}),
    *_told(('domains',), {'more domains are better': (
        'Of as many rules, those of four domains teach more of rules of any '
        'kind than those of one.', greater(
            'exact_match', 'four_domains', 'one_domain'))}),
    *_told(('frequencies',), {'how often each comes counts little': (
        'With frequencies by a power law, rules never seen are followed less '
        'often by 5 of 100 at most.', greater(
            'exact_match', 'skewed', 'any', by=-0.05))}),
    *_ours(('domains',), {'inside its domain one is enough': (
        'Trained on rules of one domain, new ones of it are followed more '
        'often than rules of any kind, by more than 10 of 100.', greater(
            'exact_match', {'method': 'one_domain', 'split': 'ends'},
            {'method': 'one_domain', 'split': 'test'}, by=0.1))}),
    # Few rules may only look as if more could not be learned from them.
    *_ours(('control',), {'not for want of training': (
        'At each of three learning rates and from both initializations, after '
        '32 rules those never seen are followed in half of all cases at most.',
        all_of(*(within('exact_match', {'method': arm, 'learning_rate': rate},
                        0, 0.5) for arm in ('any', 'gpt2')
                 for rate in _RATES)))}),
)

FIGURES = {
    **{f'{split}_rules': functools.partial(
        plots.sweep, metric='exact_match', over='num_rules', split=split,
        state='last') for split in ('test', 'seen')},
    'domains': functools.partial(plots.comparison, metric='exact_match',
                                 split='test', state='last')}
LEAD = 'rules', 'test_rules'
CURVES = tuple(families.Curve(
    'rules, or actions, trained on', label, 'rules', tuple(
        (number, _of(number, split=split)) for number in _NUMBERS))
    for label, split in (('rules of training', 'seen'),
                         ('rules never seen', 'test')))
