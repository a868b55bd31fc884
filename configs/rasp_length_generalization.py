"""Length generalization and RASP-L (Zhou et al., 2024, arXiv 2310.16028).

  python -m experiments.rasp_length_generalization

A transformer is conjectured to go on to longer inputs of a task just where a
short program in RASP-L solves it at all lengths. Trained on up to six items,
models are asked for nine and for twelve. The paper's text could not be read:
tasks follow its released interpreter and summaries, sizes are ours and far
below its, and no number of it is repeated. Rows begin at a random place of the
table of positions, so that all of it is trained.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, greater, less, within
from assay.config import between
from assay.report import families, plots
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'What Algorithms can Transformers Learn? A Study in Length Generalization',
    'Zhou, Bradley, Littwin, Razin, Saremi, Susskind, Bengio and Nakkiran',
    '2024', venue='ICLR', arxiv='2310.16028', family='tiny_lm_tasks',
    idea='A transformer goes on to inputs longer than those of its training '
         'where a short program of what attention can do solves all lengths. '
         'Counting and copying numbers that differ have one, parity has not.')

# With a short program, see `data.texts.programs`, and without.
WITH = ('counting', 'copy_unique', 'sort', 'mode')
WITHOUT = ('copy_repeat', 'parity')
_SUMS = ('addition', 'hinted')
_RATES = (2e-3, 6e-3, 2e-2)

VARIANTS = papers.variants({
    'tasks': ('default: six tasks, lengths of up to twice those of training',
              {}),
    'counting': ('counting among 64 numbers in place of 16', dict(
        arms=('counting',), num_numbers=64)),
    'sums': ('sums of 3 digits asked of 5, with and without index hints', dict(
        arms=_SUMS, splits=('test', 'length_4', 'length_5'), num_steps=1500,
        starts=1)),
    'positions': ('unique copies by kind of positions, trained or not', dict(
        arms=('copy_unique', 'untrained', 'none', 'rotary'))),
    'control': ('repeated copies, three learning rates, two initializations',
                dict(arms=('copy_repeat', 'gpt2'), sweep='learning_rate',
                     sweep_values=_RATES, swept_arms=('copy_repeat', 'gpt2'))),
    'smoke': ('seconds: a model of 16 units', dict(
        arms=('copy_repeat',), num_seeds=2, num_prompts=16, num_layers=1,
        width=16, num_heads=2, batch_size=8, num_steps=16,
        splits=('test', 'length_9'))),
})


def get_config(variant='tasks'):
  """The values of one variant, locked."""
  c = papers.new_config('rasp_length_generalization', VARIANTS, variant)
  c.arms = (*WITH, *WITHOUT)
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fresh'  # initialization, lines of training and of testing
  c.scale = 'reduced'
  c.net = networks.tiny_lm(
      'xs', dataset='sequences', num_items=6, longest=12, num_numbers=16,
      num_digits=3, most_digits=5, batch_size=32, num_steps=800,
      learning_rate=6e-3, max_length=48,
      starts=13)  # a line has 15 tokens at most in training, 27 later
  c.splits = ('test', 'length_9', 'length_12')
  c.num_prompts = 500
  c.decode = False
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.TINY_LM | {
    'num_items': bounds.COUNT, 'longest': bounds.COUNT,
    'num_numbers': bounds.COUNT, 'num_digits': between(1, 9),
    'most_digits': between(1, 9)}

PUBLISHED = ()  # see the docstring
METRICS = ('exact_match', 'token_accuracy', 'nll')

# --- Claims, written before the run -----------------------------------------


def _at(method, length, **fields):
  return {'method': method, 'split': 'lengths', 'length': length} | fields


_told = functools.partial(claims_of, 'Zhou et al., 2024')
_ours = functools.partial(claims_of, 'ours')
CLAIMS = (
    *_told(('tasks',), {
        **{f'{task} goes on': (
            f'At twice the length of training, answers of {task} are right in '
            '80 of 100 or more.', within('exact_match', _at(task, 12), 0.8, 1))
           for task in ('counting', 'copy_unique')},
        'parity does not': (
            'At one and a half times the length, parities are right in 60 of '
            '100 or fewer, where guessing has 50.', within(
                'exact_match', _at('parity', 9), 0, 0.6)),
        'nor do copies of repeated numbers': (
            'At one and a half times the length, copies of two numbers in any '
            'order are right in 20 of 100 or fewer.', within(
                'exact_match', _at('copy_repeat', 9), 0, 0.2))}),
    *_ours(('tasks',), {
        'it is not that they were not learned': (
            'At lengths of training, all tasks are right in 90 of 100 or more.',
            all_of(*(within('exact_match', task, 0.9, 1)
                     for task in (*WITH, *WITHOUT)))),
        'a program parts them': (
            'At one and a half times the length, each task with a short '
            'program is right more often than copies of repeated numbers.',
            all_of(*(greater('exact_match', _at(task, 9),
                             _at('copy_repeat', 9)) for task in WITH)))}),
    # Of 16 numbers there are few pairs, which `tasks` learned by heart: seen
    # there before this was run.
    *_told(('counting',), {'counting goes on among more numbers': (
        'At twice the length of training, answers of counting among 64 numbers '
        'are right in 80 of 100 or more.', within(
            'exact_match', _at('counting', 12), 0.8, 1))}),
    *_ours(('counting',), {'counting is learned among more numbers': (
        'At lengths of training they are right in 90 of 100 or more.', within(
            'exact_match', 'counting', 0.9, 1))}),
    *_told(('sums',), {
        'hints help sums': (
            'With index hints, sums of five digits are right more often than '
            'without, by more than 30 of 100.', greater(
                'exact_match', _at('hinted', 5), _at('addition', 5), by=0.3)),
        'without them sums fail': (
            'Without, sums of five digits are right in 20 of 100 or fewer.',
            within('exact_match', _at('addition', 5), 0, 0.2))}),
    *_ours(('positions',), {'places that were never trained': (
        'Without random starts, unique copies of nine numbers are right less '
        'often than with them, by more than 30 of 100.', less(
            'exact_match', _at('untrained', 9), _at('copy_unique', 9),
            by=0.3))}),
    # Of exact matches, which all seeds may have none of, nothing is decided.
    *_ours(('control',), {'not for want of training': (
        'At each of three learning rates and from both initializations, of '
        'copies of nine repeated numbers 95 of 100 tokens are right at most.',
        all_of(*(within('token_accuracy', _at(arm, 9, learning_rate=rate), 0,
                        0.95) for arm in ('copy_repeat', 'gpt2')
                 for rate in _RATES)))}),
)

FIGURES = {
    'lengths': functools.partial(plots.sweep, metric='exact_match',
                                 over='length', split='lengths', state='last'),
    'test': functools.partial(plots.comparison, metric='exact_match',
                              state='last')}
LEAD = 'tasks', 'lengths'
CURVES = tuple(families.Curve(
    'items asked / most items trained', label, variant, (
        (1, {'method': task, 'split': 'test'}),
        *((length / 6, _at(task, length)) for length in (9, 12))))
    for label, variant, task in (
        *((task, 'tasks', task) for task in (*WITH, *WITHOUT)),
        ('counting, 64 numbers', 'counting', 'counting')))
