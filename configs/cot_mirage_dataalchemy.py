"""Chain of thought as a mirage (Zhao et al., 2026, arXiv 2508.01191).

  python -m experiments.cot_mirage_dataalchemy

Letters are rotated in the alphabet, shifted, flipped, exchanged, one transform
after another, and the model writes what is between. Settings are those of the
released code where they are followed: three compositions of rotate and shift,
shift twice is held out. Ours: letters are held out too, since the released
split tests what is known on lines of training; each line is new, in place of
all lines ten times; one model of 0.1 M weights for all scenarios.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, equal, greater, less, within
from assay.config import between
from assay.report import families, plots
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'Is Chain-of-Thought Reasoning of LLMs a Mirage? A Data Distribution Lens',
    'Zhao, Tan, Ma, Li, Jiang, Wang, Yang and Liu', '2026', venue='ACL',
    arxiv='2508.01191', family='tiny_lm_tasks',
    idea='A small model is trained to apply two transforms to letters, step by '
         'step, on some pairs of them. Reasoning that is right on known pairs '
         'is asked of new pairs, of a new transform, and of fewer letters.')

# In the order in which training gets them. `ss` is never among them; nor are
# `ef` and `fe`, which give the same answers.
_ALL = ('rr', 'rs', 'sr', 'fr', 'fs', 'sf', 'rf', 'ff', 'er', 'es', 'se', 're',
        'ee')
_RATES = (1e-3, 3e-3, 1e-2)
_SIZES = (5, 15, 45, 150, 450)

VARIANTS = papers.variants({
    'pairs': ('default: three pairs of two transforms, kinds of positions', {}),
    'many_pairs': ('the same, 3, 8 or 13 pairs of four transforms', dict(
        arms=('learned',), sweep='num_pairs', sweep_values=(3, 8, 13),
        swept_arms=('learned',), splits=('test', 'cmp'))),
    'orders': ('a pair of training the other way round: answers equal or not',
               dict(arms=('commuting', 'not_commuting'),
                    splits=('test', 'cmp'))),
    'tuned': ('the same, then tuned on 5 to 450 lines of the pair held out',
              dict(arms=('learned', 'tuned'), sweep='tuning_examples',
                   sweep_values=_SIZES, swept_arms=('tuned',),
                   splits=('test', 'cmp'))),
    'control': ('the same, three learning rates, two initializations', dict(
        arms=('learned', 'gpt2'), sweep='learning_rate', sweep_values=_RATES,
        swept_arms=('learned', 'gpt2'), splits=('test', 'cmp'))),
    'smoke': ('seconds: a model of 16 units', dict(
        arms=('learned', 'tuned'), num_seeds=2, num_prompts=16, num_layers=1,
        width=16, num_heads=2, batch_size=8, num_steps=16, tuning_steps=8,
        splits=('cmp',))),
})


def get_config(variant='pairs'):
  """The values of one variant, locked."""
  c = papers.new_config('cot_mirage_dataalchemy', VARIANTS, variant)
  c.arms = ('learned', 'none', 'relative', 'answer_only')
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fresh'  # initialization, lines of training and of testing
  c.scale = 'reduced'
  c.net = networks.tiny_lm(
      'xs', dataset='transforms', num_letters=4, rotation=13,
      pairs=_ALL, num_pairs=3,  # the first of these are trained on
      cmp=('ss',), pood=('rf', 'sf'), ood=('ff',), max_length=24,
      num_steps=600,
      # Afterwards, on lines of `cmp`; rate and batch as in the released code.
      tuning_examples=45, tuning_steps=300, tuning_rate=5e-3, tuning_batch=32)
  c.splits = ()
  c.num_prompts = 500
  c.decode = True
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.TINY_LM | {
    'num_letters': between(2, 26), 'rotation': between(0, 25),
    'num_pairs': between(1, 13), 'tuning_examples': bounds.COUNT,
    'tuning_steps': bounds.COUNT, 'tuning_rate': bounds.RATE,
    'tuning_batch': bounds.COUNT}

PUBLISHED = papers.published(
    'exact match, in distribution', 'exact_match', {'learned': 1.0},
    of='pairs', tag='recall')
METRICS = ('exact_match', 'edit_similarity', 'chain_right', 'answer_right')
COLUMNS = (('exact_match', 'cmp'), ('chain_right', 'cmp'),
           ('edit_similarity', 'cmp'), ('edit_similarity', 'pood'),
           ('edit_similarity', 'ood'), ('exact_match', 'letters_3'))

# --- Claims, written before the run -----------------------------------------


def _of(split, method='learned', **fields):
  return {'method': method, 'split': split} | fields


_told = functools.partial(claims_of, 'Zhao et al., 2026')
_ours = functools.partial(claims_of, 'ours')

# Margins: 0.05 of a share of answers, 0.02 of an edit similarity, less than a
# sixth of the published gaps.
CLAIMS = (
    *_told(('pairs',), {
        'known pairs are solved': (
            'Chains of known pairs are right on letters never seen, in 99 of '
            '100 or more.', within('exact_match', 'learned', 0.99, 1)),
        'a new pair is not': (
            'Chains of a new pair of known transforms are right in 5 of 100 or '
            'fewer.', within('exact_match', _of('cmp'), 0, 0.05)),
        'the further, the worse': (
            'Texts are nearest to the wanted ones on known pairs, then on a '
            'new pair, then with one new transform, then with two: none of '
            'the later is nearer by 0.02.', all_of(
                greater('edit_similarity', _of('test'), _of('cmp')),
                greater('edit_similarity', _of('cmp'), _of('pood'), by=-0.02),
                greater('edit_similarity', _of('pood'), _of('ood'),
                        by=-0.02))),
        'fewer letters break it': (
            'Of three letters in place of four, chains are right in 5 of 100 '
            'or fewer.', within('exact_match', _of('letters_3'), 0, 0.05))}),
    *_ours(('pairs',), {
        'the first step transfers': (
            'On the new pair the first step is right in 80 of 100 or more, '
            'while the whole is in 5 or fewer.', all_of(
                within('chain_right', _of('cmp'), 0.8, 1),
                within('exact_match', _of('cmp'), 0, 0.05))),
        'positions explain the letters': (
            'With relative positions, chains of three letters are right more '
            'often than with learned ones, by more than 10 of 100.', greater(
                'exact_match', 'relative', 'learned', by=0.1,
                split='letters_3')),
        'the chain is no worse': (
            'On the new pair answers behind a chain are right as often as '
            'those without one, to 5 of 100.', equal(
                'answer_right', 'learned', 'answer_only', 0.05,
                split='cmp'))}),
    *_ours(('many_pairs',), {'more pairs close the gap': (
        'Trained on 13 pairs of four transforms, chains of the new pair are '
        'right more often than after three pairs, by more than 30 of 100.',
        greater('exact_match', _of('cmp', num_pairs=13),
                _of('cmp', num_pairs=3), by=0.3))}),
    *_ours(('orders',), {'right answers by arithmetic': (
        'A pair the other way round has right answers more often where both '
        'orders give the same ones, by more than 20 of 100.',
        greater('answer_right', _of('cmp', 'commuting'),
                _of('cmp', 'not_commuting'), by=0.2))}),
    *_told(('tuned',), {'few lines are enough': (
        'After tuning on 45 lines of the new pair its chains are right in 95 '
        'of 100 or more.', within(
            'exact_match', _of('cmp', 'tuned', tuning_examples=45), 0.95,
            1))}),
    *_ours(('tuned',), {'they make it forget': (
        'After it, chains of the known pairs are right less often than before, '
        'by more than 5 of 100.', less(
            'exact_match', _of('test', 'tuned', tuning_examples=45),
            _of('test'), by=0.05, across=('step',)))}),
    # Of exact matches, which all seeds may have none of, nothing is decided:
    # this was seen on `pairs` before the others were run.
    *_ours(('control',), {'not for want of training': (
        'At each of three learning rates and from both initializations, texts '
        'on the new pair stay away from the wanted ones: their edit similarity '
        'is 0.9 at most.', all_of(*(
            within('edit_similarity', _of('cmp', arm, learning_rate=rate), 0,
                   0.9) for arm in ('learned', 'gpt2') for rate in _RATES)))}),
)

FIGURES = {
    **{f'similarity_{split}': functools.partial(
        plots.comparison, metric='edit_similarity', split=split, state='last')
       for split in ('test', 'cmp', 'pood', 'ood')},
    **{field: functools.partial(plots.sweep, metric='exact_match', over=field,
                                split='cmp', state='last')
       for field in ('num_pairs', 'tuning_examples', 'learning_rate')}}
LEAD = 'pairs', 'similarity_cmp'
CURVES = (
    families.Curve('items asked / most items trained', 'chains of transforms',
                   'pairs', ((1, _of('test')), (0.75, _of('letters_3')),
                             (0.5, _of('letters_2')))),
    *(families.Curve('what is composed', label, 'pairs', (
        ('as in training', _of('test', arm)), ('anew', _of('cmp', arm))))
      for label, arm in (('transforms, chains', 'learned'),
                         ('transforms, answers alone', 'answer_only'),
                         ('transforms, distances', 'relative'))),
    *(families.Curve('lines of a new pair, trained on afterwards', label,
                     'tuned', tuple(
        (number, _of(split, 'tuned', tuning_examples=number))
        for number in _SIZES)) for label, split in (
            ('the new pair', 'cmp'), ('pairs known before', 'test'))))
