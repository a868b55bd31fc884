"""Data factors of composition (Zhou, Jiang and Bansal, 2023, arXiv 2311.04420).

  python -m experiments.data_factors_compositional

Commands of SCAN, of at most 16 actions. `jump` is trained alone and asked in
commands, beside 3, 24 or 192 actions that are trained in commands; or `around
right` is held out, and training has short or long commands. The released code
has an encoder and a decoder of 3 layers, 256 wide, 50,000 steps, and chooses by
a validation set of the test's law; here one decoder of 0.1 M weights is trained
for 2000 steps and measured at its end. The tables could not be read, so no
number of the paper is repeated.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, greater, monotone, within
from assay.config import between
from assay.report import families, plots
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'Data Factors for Better Compositional Generalization',
    'Zhou, Jiang and Bansal', '2023', venue='EMNLP', arxiv='2311.04420',
    family='tiny_lm_tasks',
    idea='Whether a model composes what it knows depends on what it is trained '
         'on. More actions to compose, fewer repetitions and shorter examples '
         'should help it to use a word as it has never seen it used.')

_FACTORS = (1, 8, 64)
_RATES = (1e-3, 3e-3, 1e-2)
_HALVES = ('all', 'short', 'long')

VARIANTS = papers.variants({
    'factors': ('default: jump beside 3 to 192 actions in commands', {}),
    'halves': ('around right, trained on short or on long commands', dict(
        arms=_HALVES, sweep='', sweep_values=(), swept_arms=(),
        num_examples=4000, num_steps=1000)),
    'repeats': ('jump beside 192, as many commands more or less often', dict(
        sweep='num_steps', sweep_values=(1000, 2000), factor=64,
        num_examples=4000)),
    'control': ('jump beside 3, three learning rates, two initializations',
                dict(arms=('jump', 'gpt2'), sweep='learning_rate',
                     sweep_values=_RATES, swept_arms=('jump', 'gpt2'),
                     num_steps=1000)),
    'smoke': ('seconds: a model of 16 units', dict(
        sweep='', sweep_values=(), swept_arms=(), num_seeds=2, num_prompts=16,
        num_layers=1, width=16, num_heads=2, batch_size=8, num_steps=16,
        splits=('composed',))),
})


def get_config(variant='factors'):
  """The values of one variant, locked."""
  c = papers.new_config('data_factors_compositional', VARIANTS, variant)
  c.arms = ('jump',)
  c.sweep, c.sweep_values, c.swept_arms = 'factor', _FACTORS, ('jump',)
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fresh'  # initialization, commands of training and testing
  c.scale = 'reduced'
  c.net = networks.tiny_lm(
      'xs', dataset='scan', factor=1, most_actions=16, alone=0.1,
      # As many commands for each factor: all else would be more of them, too.
      num_examples=20_000, batch_size=32, num_steps=2000,
      positions='relative', max_distance=20)
  c.splits = ('test', 'composed')
  c.num_prompts = 500
  c.decode = False
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.TINY_LM | {
    'factor': between(1, 1000), 'most_actions': between(13, 48),
    'alone': bounds.SHARE}

PUBLISHED = ()  # see the docstring
METRICS = ('exact_match', 'token_accuracy', 'nll')
COLUMNS = (('exact_match', 'composed'),)

# --- Claims, written before the run -----------------------------------------
# Of single trials it was known that jump is hardly ever composed beside 24
# actions, and in a fifth of its commands beside 192, after 3000 steps.

_told = functools.partial(claims_of, 'Zhou et al., 2023')
_ours = functools.partial(claims_of, 'ours')


def _new(method='jump', **fields):
  return {'method': method, 'split': 'composed'} | fields


CLAIMS = (
    *_told(('factors',), {
        'more actions teach to compose': (
            'Beside 192 actions that are composed in training, commands with '
            'jump are right more often than beside 3, by more than 5 of 100.',
            greater('exact_match', _new(factor=64), _new(factor=1), by=0.05)),
        'each time': (
            'From 3 to 24 to 192 actions, commands with jump are right more '
            'often each time, up to 2 of 100.', monotone(
                'exact_match', 'factor', 0.02, method='jump',
                split='composed'))}),
    *_ours(('factors',), {'commands are learned': (
        'Commands without jump that are held out are right in 85 of 100 or '
        'more, for each number of actions.', all_of(*(within(
            'exact_match', {'method': 'jump', 'factor': factor}, 0.85, 1)
            for factor in _FACTORS)))}),
    *_told(('repeats',), {'repeating harms': (
        'Of the same 4000 commands, seen 8 times each, commands with jump are '
        'right more often than of those seen 16 times.', greater(
            'exact_match', _new(num_steps=1000), _new(num_steps=2000),
            across=('step',)))}),
    *_ours(('repeats',), {'but not what is trained': (
        'Held-out commands without jump are right more often after 16 times '
        'than after 8.', greater(
            'exact_match', {'method': 'jump', 'num_steps': 2000},
            {'method': 'jump', 'num_steps': 1000}, across=('step',)))}),
    *_told(('halves',), {'short commands teach more': (
        'Of as many commands, the shorter half teaches around right better '
        'than the longer half.', greater(
            'exact_match', _new('short'), _new('long')))}),
    *_ours(('halves',), {'also of its own kind': (
        'Also commands without around right that are held out, short and long, '
        'are right more often after the shorter half.', greater(
            'exact_match', 'short', 'long'))}),
    # What cannot be composed may only lack another rate.
    *_ours(('control',), {'not for want of training': (
        'At each of three learning rates and from both initializations, beside '
        '3 actions commands with jump are right in 20 of 100 at most.',
        all_of(*(within('exact_match', _new(arm, learning_rate=rate), 0, 0.2)
                 for arm in ('jump', 'gpt2') for rate in _RATES)))}),
)

FIGURES = {
    **{f'{split}_{over}': functools.partial(
        plots.sweep, metric='exact_match', over=over, split=split,
        state='last') for over in ('factor', 'num_steps')
       for split in ('composed', 'test')},
    'halves': functools.partial(plots.comparison, metric='exact_match',
                                split='composed', state='last')}
LEAD = 'factors', 'composed_factor'
CURVES = (
    *(families.Curve('what is composed', label, 'halves', (
        ('as in training', {'method': arm, 'split': 'test'}),
        ('anew', _new(arm)))) for label, arm in (
            ('SCAN, short lines', 'short'), ('SCAN, long lines', 'long'))),
    *(families.Curve('rules, or actions, trained on', label, 'factors', tuple(
        (3 * factor, {'method': 'jump', 'split': split, 'factor': factor})
        for factor in _FACTORS)) for label, split in (
            ('SCAN, as in training', 'test'), ('SCAN, jump anew', 'composed'))))
