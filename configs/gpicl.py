"""General-purpose in-context learning (Kirsch et al., 2022, arXiv 2212.04458).

  python -m experiments.gpicl --config=configs/gpicl.py:digits

The default is a reduced task distribution with a repeat curriculum: five
classes, 16 principal components, 24 examples, and in every second training
sequence all examples are from 8 images, so that exact matches occur. It leaves
the loss plateau in a few minutes on a CPU, where a small copy of the paper's
setting does not. `mnist*` and `full` need a GPU or a pod. `# ours` where the
paper's setting is not known or does not apply.
"""

import functools
import itertools
import math

from assay import papers
from assay.claims import (
  all_of,
  any_of,
  claims_of,
  equal,
  greater,
  less,
  monotone,
  ranked_by,
  ratio,
  within,
)
from assay.config import above, between
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'GPICL: general-purpose in-context learning',
    'Kirsch, Harrison, Sohl-Dickstein and Metz', '2022', arxiv='2212.04458',
    family='icl_prompt',
    idea='Each task is a random projection of the images and a random '
         'permutation of the labels. A sequence model reads tokens of an image '
         'and the previous label, predicts each label from what came before, '
         'and so learns to learn.')

REFERENCES = ('nearest_neighbor', 'class_mean', 'online_sgd')
UNLIMITED = math.inf  # tasks

_OTHERS = ('fashion_mnist', 'kmnist', 'notmnist', 'usps', 'cifar10', 'random')
_BY_STATE = ('transformer_16', 'transformer_32', 'transformer', 'lstm_32',
             'lstm', 'lstm_256', 'outer_product_8', 'outer_product_16',
             'linear_attention')
_MNIST = dict(
    dataset='mnist', classes=tuple(range(10)), other_sets=_OTHERS,
    reduce='pixels', num_inputs=14 * 14, random_points=20, length=100,
    batch_tasks=128, bias=0.9, repeat_share=0.0, num_distinct=0, width=256,
    num_layers=4, num_heads=8, dtype='bfloat16', num_steps=20_000,
    learning_rate=3e-4, warmup_steps=500,
    arms=('transformer', 'lstm', *REFERENCES))

_FULL = _MNIST | dict(num_inputs=28 * 28, num_tasks=2.**25)
_NEAR = ('kmnist', 'usps', 'cifar10', 'random')


def _swept(field, values, arms=('transformer',)):
  return dict(arms=arms, swept_arms=arms, sweep=field, sweep_values=values)


# Without fixed labels, or a seen task would be two, with its labels and these.
_TASKS = _swept('num_tasks', (1., 16., 256., 4096., 65_536., UNLIMITED),
                ('transformer', 'mlp')) | dict(bias=0.0)
_BIASES = (0.0, 0.5, 0.9)

VARIANTS = papers.variants({
    'digits': ('default: scikit-learn digits 0 to 4, no download', {}),
    'digits_tasks': ('the same, 1 to unlimited tasks, and an MLP that only '
                     'sees one image', _TASKS),
    'digits_threshold': (
        'the same, 32 to 128 tasks; chosen after a look at digits_tasks',
        _swept('num_tasks', (32., 64., 128.)) | dict(bias=0.0)),
    'digits_bias': ('the same, part of each batch with fixed labels',
                    _swept('bias', _BIASES)),
    'digits_batch': ('the same, 8 to 128 tasks a batch',
                     _swept('batch_tasks', (8, 32, 128))),
    'digits_state': ('the same, models by the state they carry',
                     dict(arms=_BY_STATE)),
    'mnist_small': ('the same on MNIST 0 to 4, and six image sets never '
                    'trained on', dict(dataset='mnist', other_sets=_OTHERS)),
    'mnist': ('MNIST 14 x 14, 100 examples, unlimited tasks (GPU)', _MNIST),
    'mnist_tasks': ('the same, 1 to 2^24 tasks (GPU)', _MNIST | _TASKS | dict(
        sweep_values=tuple(2.**k for k in range(0, 26, 4)) + (UNLIMITED,),
        num_steps=10_000)),
    'mnist_bias': ('the same, part of each batch with fixed labels (GPU)',
                   _MNIST | _swept('bias', _BIASES) | dict(width=128)),
    'mnist_batch': (
        'the same, 32 to 512 tasks a batch (GPU)',
        _MNIST | _swept('batch_tasks', (32, 128, 512)) | dict(width=128)),
    'mnist_state': ('the same, models by the state they carry (GPU)',
                    _MNIST | dict(arms=_BY_STATE)),
    'full': ("MNIST 28 x 28, 2^25 tasks, the table's model (a pod)",
             _FULL | dict(num_steps=100_000, scale='as published')),
    'full_reduced': ('the same, 10,000 steps, fewer arms and sets: minutes on '
                     'a GPU', _FULL | dict(
                         num_steps=10_000, num_seeds=5, other_sets=_NEAR,
                         arms=('transformer', *REFERENCES))),
    'smoke': ('seconds: digits, two models', dict(
        arms=('transformer', 'mlp', 'class_mean'), other_sets=('random',),
        length=6, batch_tasks=4, num_distinct=2, width=8, head_size=4,
        num_layers=1, num_steps=16, eval_every=4, num_seeds=2, num_prompts=64,
        eval_batch_size=32)),
})


def get_config(variant='digits'):
  """The settings of one variant, locked."""
  c = papers.new_config('gpicl', VARIANTS, variant)
  # What is compared.
  c.arms = ('transformer', 'transformer_no_repeats', 'lstm', *REFERENCES)
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fixed_split'  # tasks, sequences, initialization; not images
  c.scale = 'reduced'
  c.net = networks.in_context_images()
  # What is measured.
  c.other_sets = ('other_classes', 'clusters', 'random')  # evaluated on only
  c.random_points = 8  # of set `random`  # ours: twenty, and 100 examples
  c.num_prompts = 2048  # sequences of each split
  c.eval_batch_size = 256
  c.eval_seed = 0  # of the sequences, the same for all models
  c.plateau_level = 0.9  # of log C: a smoothed loss below it has left it
  c.sgd_learning_rates = (0.01, 0.03, 0.1, 0.3)  # of online SGD, tuned
  return papers.config_of(c, VARIANTS, variant)


def _published(dataset, sequences, **means):
  """Of a data set; `sequences` of each arm, as its rows' fractions tell."""
  return papers.published(
      'cross-dataset table', 'accuracy',
      {arm: (mean, round((mean * (1 - mean) / sequences[arm])**.5, 4))
       for arm, mean in means.items()},
      of=('mnist', 'full'),  # five classes or 24 examples are another problem
      dataset=dataset, spread='binomial error of its sequences')


BOUNDS = bounds.IN_CONTEXT_IMAGES | {
    'eval_batch_size': bounds.COUNT, 'eval_seed': between(0, 2**31 - 1),
    'plateau_level': above(0, 1), 'random_points': bounds.COUNT,
    'sgd_learning_rates': above(0, length=(1, 100))}

# Accuracy on the 100th example after 99 are seen, meta-trained on MNIST. SVHN
# is left out: it is not evaluated here.
_SEQUENCES = dict(online_sgd=512, maml=512, vsml=768, lstm=768, transformer=768)
PUBLISHED = (
    *_published('mnist', _SEQUENCES, online_sgd=.7031, maml=.5371, vsml=.7904,
                lstm=.2539, transformer=.7370),
    *_published('fashion_mnist', _SEQUENCES, online_sgd=.5078, maml=.4844,
                vsml=.6849, lstm=.2812, transformer=.6224),
    *_published('kmnist', _SEQUENCES, online_sgd=.3789, maml=.3633, vsml=.5469,
                lstm=.1810, transformer=.5339),
    *_published('random', _SEQUENCES, online_sgd=1.0, maml=.9980, vsml=1.0,
                lstm=.5872, transformer=1.0),
    *_published('cifar10', _SEQUENCES, online_sgd=.1484, maml=.1738, vsml=.2409,
                lstm=.1211, transformer=.1940))

METRICS = ('first_accuracy', 'accuracy', 'improvement')
# (metric, split) that the table shows beside those of unseen tasks.
CHANCE = {'improvement': (-0.03, 0.03)}

COLUMNS = (('first_accuracy', 'seen'), ('accuracy', 'seen'),
           ('plateau_steps', 'train'), ('state_size', 'train'))

# --- Claims ------------------------------------------------------------------

_PAPER = 'Kirsch et al., 2022'


def _of(dataset, method='transformer', **fields):
  return {'method': method, 'dataset': dataset} | fields


def _at_chance(arm, chance, **where):
  return within('accuracy', arm, chance - .03, chance + .03, **where)


def _learns(variants, dataset, chance, others, arms=('lstm',)):
  """Claims on one model and data sets that it was never trained on."""
  ours = _of(dataset)
  lstm = _of(dataset, 'lstm') if 'lstm' in arms else None
  return claims_of(_PAPER, variants, {
      'learns in context': (
          'On tasks never seen the accuracy rises by 0.3 or more within a '
          'sequence, from chance within 0.03.', all_of(
              within('improvement', ours, 0.3, 1),
              within('first_accuracy', ours, chance - .03, chance + .03))),
      **{f'transfers to {name}': (
          f'On {name}, never trained on, it rises by 0.1 or more.',
          within('improvement', _of(name), 0.1, 1))
         for name in others if name != 'random'},
      'transfers to random': (
          'On a few random points with random labels it ends at 0.9 or more.',
          within('accuracy', _of('random'), 0.9, 1)),
      **({} if lstm is None else {'more than an LSTM': (
          'The transformer ends with a higher accuracy on unseen tasks than an '
          'LSTM of its width.', greater('accuracy', ours, lstm))})
  }) + (claims_of('ours', variants, {
      'repeats end the plateau': (
          'Without repeats in training the accuracy stays within 0.03 of '
          'chance for as many steps.',
          _at_chance(_of(dataset, 'transformer_no_repeats'), chance)),
  }, gated=False) if chance == 1 / 5 else ())


def _by_tasks(dataset, chance, between, sizes):
  """Claims on the number of tasks, and on `sizes` of them in a variant."""
  at = lambda size, split='test', arm='transformer': _of(
      dataset, arm, num_tasks=size, split=split)
  values = get_config(f'{dataset}_tasks').sweep_values
  return claims_of(_PAPER, (f'{dataset}_tasks',), {
      'few tasks are memorized': (
          'Trained on 16 tasks the model knows them: on seen ones it starts at '
          '0.8 or more and rises by at most 0.1; on unseen ones it stays at '
          'chance, within 0.03.', all_of(
              within('first_accuracy', at(16., 'seen'), 0.8, 1),
              within('improvement', at(16., 'seen'), -0.1, 0.1),
              _at_chance(at(16.), chance))),
      'many tasks are learned from': (
          'Trained on inf tasks the accuracy rises by 0.3 or more within a '
          'sequence of an unseen one, and ends as on seen ones, within 0.05.',
          all_of(within('improvement', at(UNLIMITED), 0.3, 1),
                 equal('accuracy', at(UNLIMITED, 'seen'), at(UNLIMITED),
                       0.05))),
      'an MLP only memorizes': (
          'The accuracy on seen tasks of a model that reads single images '
          'falls by half of the way from 1 to chance or more, from the fewest '
          'tasks to the most, and rises by 0.03 or more in no step between.',
          all_of(
              less('accuracy', at(values[-1], 'seen', 'mlp'),
                   at(values[0], 'seen', 'mlp'), by=(1 - chance) / 2),
              monotone('accuracy', 'num_tasks', 0.03, increasing=False,
                       method=_of(dataset, 'mlp'), split='seen'))),
      'an MLP does not learn': (
          'On unseen tasks it is at chance, within 0.03, for every number of '
          'tasks.', all_of(*(_at_chance(at(size, arm='mlp'), chance)
                             for size in values))),
  }) + claims_of(_PAPER, (between,), {
      'a regime between': (
          'At some number of tasks between, the accuracy on seen tasks rises '
          'by 0.05 or more within a sequence and on unseen ones by 0.02 at '
          'most.', any_of(*(all_of(
              within('improvement', at(size, 'seen'), 0.05, 1),
              within('improvement', at(size), -1, 0.02)) for size in sizes)))})


def _of_plateaus(dataset, batches):
  """The plateau ends sooner with fixed labels, or with more tasks a batch."""
  plain, biased = (_of(dataset, bias=_BIASES[i]) for i in (0, -1))
  sizes = [_of(dataset, batch_tasks=size) for size in batches]
  return claims_of(_PAPER, (f'{dataset}_bias',), {
      'bias shortens the plateau': (
          'With fixed labels in nine sequences of ten the plateau is half as '
          'long as with none, or shorter.', ratio(
              'plateau_steps', biased, plain, 0, 0.5, split='train')),
      'bias costs no accuracy': (
          'On unseen tasks the accuracy is not lower by more than 0.03.',
          greater('accuracy', biased, plain, by=-0.03)),
  }) + claims_of(_PAPER, (f'{dataset}_batch',), {
      'batches shorten the plateau': (
          'The plateau ends in fewer steps with four times as many tasks a '
          'batch, and again with four times as many.',
          all_of(*(less('plateau_steps', more, few, split='train')
                   for few, more in itertools.pairwise(sizes))))})


def _of_states(dataset):
  return claims_of(_PAPER, (f'{dataset}_state',), {
      'state, not parameters': (
          'Over models, the accuracy on unseen tasks has a higher rank '
          "correlation (Spearman's) with the state that the next prediction "
          'reads than with the number of parameters.',
          ranked_by('accuracy', 'state_size', 'num_params',
                    [_of(dataset, arm) for arm in _BY_STATE]))})


CLAIMS = (
    *_learns(('digits',), 'digits', 1 / 5, ('other_classes', 'clusters')),
    *_by_tasks('digits', 1 / 5, 'digits_threshold', (32., 64., 128.)),
    *_of_plateaus('digits', (8, 32, 128)), *_of_states('digits'),
    *_learns(('mnist_small',), 'mnist', 1 / 5, _OTHERS),
    *_learns(('mnist', 'full'), 'mnist', 1 / 10, _OTHERS),
    *_learns(('full_reduced',), 'mnist', 1 / 10, _NEAR, arms=()),
    *_by_tasks('mnist', 1 / 10, 'mnist_tasks', (2.**8, 2.**12)),
    *_of_plateaus('mnist', (32, 128, 512)), *_of_states('mnist'),
    *claims_of(_PAPER, ('full',), {  # at the paper's scale, on its table
        'MNIST as published': (
            'After 99 examples of MNIST the accuracy is 0.70 to 0.78.',
            within('accuracy', _of('mnist'), .70, .78)),
        'Fashion-MNIST as published': (
            'After 99 examples of Fashion-MNIST, meta-trained on MNIST, it is '
            '0.58 to 0.68.',
            within('accuracy', _of('fashion_mnist'), .58, .68))}),
)

# --- Figures -----------------------------------------------------------------


def _figure(rows, kinds, draw):
  """Draws if the variant is of a kind, rows of the set of training first.

  Args:
    rows: of one variant.
    kinds: fields that it may sweep, '' for none, or 'state'.
    draw: `(plots, rows, over, all rows) -> ` figure.
  """
  from assay.report import plots

  config = get_config(rows[0]['config'])
  if ('state' if config.arms == _BY_STATE else config.sweep) not in kinds:
    return None
  # Which may be another than the variant's.
  trained = next((row['dataset'] for row in rows if row['split'] == 'seen'),
                 config.net.dataset)
  mine = [row for row in rows if row['dataset'] == trained]
  return draw(plots, mine, config.sweep or 'position', rows) if mine else None


def _over(metric, split, kinds):
  return functools.partial(
      _figure, kinds=kinds, draw=lambda plots, rows, over, _: plots.sweep(
          rows, metric, over, split=split, state='last'))


def _transfer(plots, _, over, rows):
  """Learning curves of the transformer on all data sets."""
  return plots.sweep(
      [row | {'method': row['dataset'], 'dataset': 'test sets'} for row in rows
       if row['method'] == 'transformer'], 'accuracy', over, split='positions',
      state='last')


def _last_accuracies(plots, rows, *_):
  return plots.comparison(rows, 'accuracy', state='last')


def _map_of_tasks(plots, rows, over, _):
  return plots.heat_map(rows, 'accuracy', 'method', over, {
      'seen tasks': {'split': 'seen'}, 'unseen tasks': {'split': 'test'}})


def _accessible_state(plots, rows, *_):
  of = lambda metric, split='train': {
      'metric': metric, 'split': split, 'state': 'last'}
  return plots.against(rows, of('accuracy', 'test'),
                       [of('state_size'), of('num_params')])


FIGURES = {
    'learning_curves': _over('accuracy', 'positions', ('',)),
    'transfer': functools.partial(_figure, kinds=('',), draw=_transfer),
    'comparison': functools.partial(
        _figure, kinds=('',), draw=_last_accuracies),
    'accuracy': functools.partial(
        _figure, kinds=('num_tasks',), draw=_map_of_tasks),
    'plateau': _over('plateau_steps', 'train', ('bias', 'batch_tasks')),
    'accessible_state': functools.partial(
        _figure, kinds=('state',), draw=_accessible_state),
    **{f'{metric}_{split}': _over(
        metric, split, ('num_tasks', 'bias', 'batch_tasks'))
       for metric in ('accuracy', 'improvement') for split in ('test', 'seen')},
}

LEAD = ('digits_tasks', 'accuracy_test')
