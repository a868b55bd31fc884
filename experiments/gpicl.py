"""GPICL: a sequence model that learns to learn from augmented copies of a set.

  python -m experiments.gpicl --config=configs/gpicl.py:digits

Kirsch et al. (2022): each task is a random projection of the images and a
random permutation of the labels. A model reads (image, previous label) tokens
and predicts each label from what came before.

Splits: `test` are tasks never trained on and test images, `seen` tasks of
training and its images, `seen_test` tasks of training and test images; rows of
other data sets (`dataset`) are of split `test`. `accuracy` is that of the last
example, `first_accuracy` of the first, `improvement` the difference. Rows of
split `positions` have the field `position`, examples seen before.
"""

import functools
import math
import sys
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy import stats

from assay import cli, keys, losses, train
from assay.claims import (
  Claim,
  all_of,
  equal,
  greater,
  monotone,
  ratio,
  rules,
  samples,
  within,
)
from assay.data import images, tasks
from assay.errors import UserError, check_names
from assay.methods import in_context
from assay.models import mlp, recurrent, transformer
from assay.study import replaced
from configs import gpicl as settings


def _transformer(config, num_classes, width=None):
  width = width or config.width
  return transformer.Transformer(
      width, config.num_layers, config.num_heads, num_classes,
      head_size=min(config.head_size, width), positions='learned',
      max_length=config.length, dtype=jnp.dtype(config.dtype))


# arm: (config, num_classes) -> model of tokens [B, T, D]
MODELS = {
    'transformer': _transformer,
    'transformer_no_repeats': _transformer,
    'transformer_16': lambda c, k: _transformer(c, k, 16),
    'transformer_32': lambda c, k: _transformer(c, k, 32),
    'lstm': lambda c, k: recurrent.LSTM(c.width, k),
    'lstm_32': lambda c, k: recurrent.LSTM(32, k),
    'lstm_256': lambda c, k: recurrent.LSTM(256, k),
    'outer_product_8': lambda c, k: recurrent.OuterProductLSTM(8, 8, k),
    'outer_product_16': lambda c, k: recurrent.OuterProductLSTM(8, 16, k),
    'linear_attention': lambda c, k: recurrent.LinearAttention(
        c.width, c.num_layers, c.num_heads, k),
    # Reads the image alone: it can memorize, and cannot learn in context.
    'mlp': lambda c, k: mlp.MLP(c.width, k, initialization='lecun_normal'),
}
KEPT = 10  # positions that have rows, at most about


# --- Data --------------------------------------------------------------------


class Data:
  """Images [N, n] float32 and labels [N] int32, by set and part.

  Attributes:
    train: of the set that is trained on.
    tests: name of a set -> its test images; the first is that trained on.
  """

  def __init__(self, config, data_dir=None):
    table = images.load(config.dataset, data_dir)
    parts = [table[f'{part}_{k}'] for part in ('train', 'test') for k in 'xy']
    self.train, test = _prepared(config, config.classes, *parts)
    self.tests = {config.dataset: test}
    others = tuple(k for k in range(10) if k not in config.classes)
    for name in config.other_sets:
      if name == 'other_classes':
        made = _prepared(config, others, *parts)[1]
      elif name in ('clusters', 'random'):
        made = _generated(config, name)
      else:
        made = _held_out(config, name, data_dir)
      self.tests[name] = made

  @property
  def shared(self):
    """What `tasks.draw_classification` reads."""
    return dict(zip(('images', 'labels'), self.train, strict=True))


def _prepared(config, classes, train_x, train_y, test_x, test_y):
  """((images, labels) of training, of testing), of some classes, reduced."""
  found = []
  for x, y in ((train_x, train_y), (test_x, test_y)):
    keep = np.isin(y, classes)
    found.append((x[keep], np.searchsorted(np.sort(classes), y[keep])))
  (x, y), (test, test_labels) = found
  if config.reduce == 'components':
    project = tasks.principal_components(_flat(x), config.num_inputs)
    x, test = project(_flat(x)), project(_flat(test))
  else:
    # Scalars of the set as a whole, as the paper's re-implementations.
    both = tasks.normalized(_small(np.concatenate([x, test]),
                                   config.num_inputs))
    x, test = both[:len(x)], both[len(x):]
  return ((x, y.astype(np.int32)), (test, test_labels.astype(np.int32)))


def _held_out(config, name, data_dir):
  """Test images of a set that is never trained on.

  Half of them, at random, make its principal components; the others are
  evaluated on.
  """
  x, y = images.load_test(name, data_dir)
  rows = np.random.default_rng((0, zlib.crc32(name.encode()))).permutation(
      len(y))
  first, second = np.split(rows, [len(rows) // 2])
  first = first[:4000]  # enough for a few components of a few numbers
  return _prepared(config, config.classes, x[first], y[first], x[second],
                   y[second])[1]


def _generated(config, name):
  """Sets without a file, the same for all seeds."""
  key = jax.random.key(zlib.crc32(name.encode()))
  if name == 'random':
    made = tasks.random_20(key, config.num_inputs, config.random_points,
                           len(config.classes))
  else:
    made = tasks.gaussian_clusters(key, 2000, config.num_inputs,
                                   len(config.classes))
    made = tasks.normalized(made[0]), made[1]
  return tuple(map(np.asarray, made))


def _flat(x):
  return x.reshape(len(x), -1).astype(np.float64)


def _small(x, num_inputs):
  """Gray images of a square of pixels, [N, side, side] float32."""
  side = math.isqrt(num_inputs)
  gray = x.astype(np.float32).mean(axis=-1)
  if gray.shape[1:] == (side, side):
    return gray
  return np.asarray(jax.image.resize(gray, (len(x), side, side), 'linear'))


# --- Training ----------------------------------------------------------------


def make_model(config, arm):
  """The sequence model of an arm."""
  return MODELS[arm](config, len(config.classes))


def make_apply(config, arm):
  """`(params, extra, tokens [B, T, n + C]) -> logits [B, T, C]`."""
  return _apply(make_model(config, arm), config.num_inputs)


@functools.lru_cache
def _apply(model, num_inputs):
  inputs = slice(num_inputs) if isinstance(model, mlp.MLP) else slice(None)

  def apply(params, extra, tokens):
    del extra
    return model.apply({'params': params}, tokens[..., inputs])

  return apply


def make_grad(config, arm):
  """Gradient of the cross entropy, its mean over positions and sequences."""
  apply, num_classes = make_apply(config, arm), len(config.classes)

  def loss_fn(params, extra, batch, key):
    del key
    tokens = tasks.classification_tokens(batch['x'], batch['y'], num_classes)
    logits = apply(params, extra, tokens)
    loss = losses.cross_entropy(logits.reshape(-1, num_classes),
                                batch['y'].reshape(-1))
    return jnp.mean(loss), (extra, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


def make_optimizer(config):
  """Adam with clipped gradients and a linear rise of the learning rate."""
  return optax.chain(
      optax.clip_by_global_norm(config.clip_norm),
      optax.adam(optax.linear_schedule(0., config.learning_rate,
                                       config.warmup_steps),
                 eps=config.adam_eps))


def number_of(num_tasks):
  """`num_tasks` of a config as `assay.data.tasks` has it: 0 for unlimited."""
  return 0 if num_tasks == settings.UNLIMITED else int(num_tasks)


def fit(config, data, block, arm):
  """Trains an arm on a block of seeds."""
  if arm == 'transformer_no_repeats':
    config = replaced(config, {'repeat_share': 0.0, 'num_distinct': 0})
  model, tx = make_model(config, arm), make_optimizer(config)
  draw = tasks.draw_classification(
      config.batch_tasks, config.length, len(config.classes), config.bias,
      config.num_distinct, config.repeat_share)
  seeds = np.array(block.seeds, np.int32)
  source = train.Source(
      data.shared, {'num_tasks': np.full_like(seeds, number_of(
          config.num_tasks)), 'task_seed': seeds},
      lambda position, start, stop: np.arange(start, stop, dtype=np.int32))
  inputs = config.num_inputs + len(config.classes) * (arm != 'mlp')
  tokens = jnp.zeros((1, config.length, inputs))
  return train.fit(
      train.make_init(lambda key: model.init(key, tokens), tx),
      train.make_step(make_grad(config, arm), tx), draw, source,
      seeds=block.seeds, num_steps=config.num_steps,
      eval_every=config.eval_every, directory=block.directory('fit', config),
      rules=transformer.placement_rules(), settings=block.settings)


# --- Rows --------------------------------------------------------------------


def evaluation_sets(config, data, arm):
  """{(dataset, split): (images, labels, whether tasks are unseen)}."""
  sets = {(name, 'test'): (*test, True) for name, test in data.tests.items()}
  if arm not in settings.REFERENCES:
    base = config.dataset
    sets |= {(base, 'seen'): (*data.train, False),
             (base, 'seen_test'): (*data.tests[base], False)}
  return sets


def prompts(config, seed, name, found):
  """Batches of sequences, {x, y}, that do not depend on the key of training.

  Args:
    config: the config.
    seed: whose tasks.
    name: (dataset, split).
    found: a value of `evaluation_sets`.
  """
  x, y, unseen = found
  key = keys.named(config.eval_seed, '/'.join(name))
  num_tasks = jnp.int32(number_of(config.num_tasks))
  for i in range(config.num_prompts // config.eval_batch_size):
    yield _prompts(jax.random.fold_in(key, i), seed, x, y, num_tasks, unseen,
                   config.eval_batch_size, config.length, len(config.classes))


@functools.partial(jax.jit, static_argnums=(5, 6, 7, 8))
def _prompts(key, seed, x, y, num_tasks, unseen, num_prompts, length,
             num_classes):
  return tasks.classification_prompts(
      key, tasks.task_key(seed), x, y, num_prompts=num_prompts, length=length,
      num_classes=num_classes, num_tasks=num_tasks, unseen=unseen)


@functools.lru_cache
def _correct(apply, num_classes):
  """[T] share of sequences that a model gets right, by position."""

  def correct(params, x, y):
    # Bits of a task are the same on all devices; so are its products.
    with jax.default_matmul_precision('float32'):
      tokens = tasks.classification_tokens(x, y, num_classes)
      guess = jnp.argmax(apply(params, {}, tokens), axis=-1)
    return jnp.mean((guess == y).astype(jnp.float32), axis=0)

  return jax.jit(correct)


@functools.lru_cache
def _reference(arm, num_classes):
  """As `_correct`, of what learns from the sequence alone."""

  def guesses(key, x, y, learning_rate):
    if arm == 'nearest_neighbor':
      return in_context.nearest_neighbor(x, y)
    if arm == 'class_mean':
      return in_context.class_mean(x, y, num_classes)
    return in_context.online_sgd(key, x, y, num_classes, learning_rate)

  def correct(x, y, learning_rate):
    each = jax.random.split(jax.random.key(0), len(x))
    guess = jax.vmap(guesses, in_axes=(0, 0, 0, None))(each, x, y,
                                                       learning_rate)
    return jnp.mean((guess == y).astype(jnp.float32), axis=0)

  return jax.jit(correct)


def accuracies(config, seed, name, found, correct):
  """[T] float64 accuracy by position, over all sequences of a set."""
  return np.mean([np.asarray(correct(batch['x'], batch['y']), np.float64)
                  for batch in prompts(config, seed, name, found)], axis=0)


def tuned_rate(config, data):
  """The rate of online SGD that is best on training images, unseen tasks."""
  correct = _reference('online_sgd', len(config.classes))
  return max(config.sgd_learning_rates, key=lambda rate: accuracies(
      config, 0, ('tuning', 'test'), (*data.train, True),
      lambda x, y: correct(x, y, rate))[-1])


def plateau_steps(config, curve, steps):
  """First step at which the smoothed loss is below the level; NaN if never.

  Smoothed by a running mean of five points of the curve, those up to a step.
  """
  window = min(5, len(curve))
  smooth = np.convolve(curve, np.ones(window) / window, mode='valid')
  below = np.flatnonzero(
      smooth < config.plateau_level * math.log(len(config.classes)))
  return float(steps[below[0] + window - 1]) if len(below) else np.nan


def measure(config, data, block, arm, fields):
  """Trains or computes an arm on a block of seeds and writes its rows."""
  rows, why, num_params, curves = [], {}, 0, {}
  steps = np.zeros(len(block.seeds), int)
  trained, correct = arm not in settings.REFERENCES, None
  if trained:
    fitted = fit(config, data, block, arm)
    why, curves, steps = fitted.why, fitted.curves, np.asarray(
        fitted.state.step)
    params = jax.device_get(fitted.state.params)
    num_params = sum(x[0].size for x in jax.tree.leaves(params))
  else:
    rate = tuned_rate(config, data) if arm == 'online_sgd' else 0.
    if rate:
      fields = fields | {'sgd_learning_rate': rate}
    each = _reference(arm, len(config.classes))
    correct = lambda x, y: each(x, y, rate)
  by_position = []
  for i, seed in enumerate(block.seeds):

    def add(metric, value, dataset=config.dataset, split='train', i=i,
            seed=seed, reason='not finite', **more):
      rows.append(block.row(
          seed, metric, np.nan if i in why else value, dataset=dataset,
          method=arm, split=split, n=config.num_prompts, step=steps[i],
          state='last', why=why.get(i, reason), **more | fields))

    if trained:
      mine = jax.tree.map(lambda x, i=i: x[i], params)
      model = _correct(make_apply(config, arm), len(config.classes))
      correct = functools.partial(model, mine)
      add('plateau_steps', plateau_steps(config, curves['loss'][:, i],
                                         curves['step']),
          reason=f'not left in {config.num_steps} steps')
      size = getattr(make_model(config, arm), 'state_size', lambda length: 0)
      add('state_size', size(config.length))
      add('num_params', num_params)
    found = {}
    for name, where in evaluation_sets(config, data, arm).items():
      found[name] = values = accuracies(config, seed, name, where, correct)
      dataset, split = name
      add('accuracy', values[-1], dataset, split)
      add('first_accuracy', values[0], dataset, split)
      add('improvement', values[-1] - values[0], dataset, split)
      if split == 'test':
        for k in range(0, config.length, -(-config.length // KEPT)):
          add('accuracy', values[k], dataset, 'positions', position=k)
    by_position.append(np.stack(list(found.values())))
  block.finish(rows, {
      'seeds': np.array(block.seeds), 'accuracy': np.stack(by_position),
      'sets': np.array([['/'.join(name) for name in found]] * len(
          block.seeds))}, curves, num_params)


# --- The study ---------------------------------------------------------------


def check(config):
  """Raises a UserError that names a value which cannot be meant."""
  check_names('arms', config.arms, sorted([*MODELS, *settings.REFERENCES]),
              'arm')
  if config.reduce not in ('components', 'pixels'):
    raise UserError(f"reduce={config.reduce!r}; use 'components' or 'pixels'.")
  if config.reduce == 'pixels' and math.isqrt(
      config.num_inputs) ** 2 != config.num_inputs:
    raise UserError(f'num_inputs={config.num_inputs} is no square of pixels; '
                    'use a square.')
  for size in (config.num_tasks, *(config.sweep_values if config.sweep ==
                                   'num_tasks' else ())):
    if not (size == settings.UNLIMITED or 1 <= size < 2**31):
      raise UserError(f'num_tasks={size}; use 1 to 2^31 - 1, or inf.')
  if config.num_prompts % config.eval_batch_size:
    raise UserError(f'num_prompts={config.num_prompts} must be a multiple of '
                    f'eval_batch_size={config.eval_batch_size}.')
  chosen = {*config.classes}
  if not 2 <= len(chosen) == len(config.classes) or not chosen <= {*range(10)}:
    raise UserError(f'classes={config.classes} must be two or more of 0 to 9, '
                    'each once.')
  if 'other_classes' in config.other_sets and len(chosen) > 8:
    raise UserError(f'classes={config.classes} leave fewer than two for '
                    'other_sets=other_classes; leave that out.')


def run(config, study):
  """Trains or computes every arm on every seed; returns the rows."""
  check(config)
  data = Data(config, study.data_dir)
  for name, arm, fields in study.planned():
    for block in study.blocks(name):
      measure(replaced(config, fields), data, block, arm, fields)
  return study.rows()


# --- Claims ------------------------------------------------------------------

_PAPER = 'Kirsch et al., 2022'


def _of(method, config, **fields):
  return {'method': method,
          'dataset': settings.get_config(config).dataset} | fields


def _claim(config, name, sentence, check, source=_PAPER, gated=True):
  return Claim(f'{config}: {name}', sentence, source, check,
               {'config': config}, gated)


def _learns(config):
  """Claims on one model and data sets that it was never trained on."""
  c = settings.get_config(config)
  chance = 1 / len(c.classes)
  on = dict(split='test', state='last')
  ours = _of('transformer', config)
  yield _claim(
      config, 'learns in context', 'On tasks never seen the accuracy rises by '
      '0.3 or more within a sequence, from chance within 0.03.', all_of(
          within('improvement', ours, 0.3, 1, **on),
          within('first_accuracy', ours, chance - .03, chance + .03, **on)))
  for name in c.other_sets:
    check = within('improvement', ours | {'dataset': name}, 0.1, 1, **on)
    sentence = f'On {name}, never trained on, it rises by 0.1 or more.'
    if name == 'random':
      check = within('accuracy', ours | {'dataset': name}, 0.9, 1, **on)
      sentence = ('On a few random points with random labels it ends at 0.9 '
                  'or more.')
    yield _claim(config, f'transfers to {name}', sentence, check)
  if 'lstm' in c.arms:
    yield _claim(
        config, 'more than an LSTM', 'The transformer ends with a higher '
        'accuracy on unseen tasks than an LSTM of its width.',
        greater('accuracy', ours, _of('lstm', config), **on))
  if 'transformer_no_repeats' in c.arms:
    yield _claim(
        config, 'repeats end the plateau', 'Without repeats in training the '
        'accuracy stays within 0.03 of chance for as many steps.',
        within('accuracy', _of('transformer_no_repeats', config),
               chance - .03, chance + .03, **on), 'ours', False)


def _regimes(config, small, large):
  """Claims on the number of tasks."""
  c = settings.get_config(config)
  chance = 1 / len(c.classes)
  last = dict(state='last')
  at = lambda size, split: _of('transformer', config, num_tasks=size,
                               split=split)
  yield _claim(
      config, 'few tasks are memorized', f'Trained on {small:g} tasks the '
      'model knows them: on seen ones it starts at 0.8 or more and rises by '
      'at most 0.1; on unseen ones it stays at chance, within 0.03.', all_of(
          within('first_accuracy', at(small, 'seen'), 0.8, 1, **last),
          within('improvement', at(small, 'seen'), -0.1, 0.1, **last),
          within('accuracy', at(small, 'test'), chance - .03, chance + .03,
                 **last)))
  yield _claim(
      config, 'many tasks are learned from', f'Trained on {large:g} tasks, '
      'seen and unseen ones end at the same accuracy, within 0.05.',
      equal('accuracy', at(large, 'seen'), at(large, 'test'), 0.05, **last))
  yield _claim(
      config, 'an MLP only memorizes', 'The accuracy of a model that reads '
      'single images falls with the number of tasks.',
      monotone('accuracy', 'num_tasks', 0.03, increasing=False,
               method=_of('mlp', config), split='seen', **last))
  yield _claim(
      config, 'an MLP does not learn', 'On unseen tasks it is at chance, '
      'within 0.03, for every number of tasks.', all_of(*(
          within('accuracy', _of('mlp', config, num_tasks=size,
                                 split='test'), chance - .03, chance + .03,
                 **last) for size in c.sweep_values)))


def _between(config, sizes):
  """The claim on the regime between memorizing and learning."""
  at = lambda size, split: _of('transformer', config, num_tasks=size,
                               split=split)
  parts = [(f'{size:g} tasks', all_of(
      within('improvement', at(size, 'seen'), 0.05, 1, state='last'),
      within('improvement', at(size, 'test'), -1, 0.02, state='last')))
           for size in sizes]
  yield _claim(
      config, 'a regime between', 'At some number of tasks between, the '
      'accuracy on seen tasks rises by 0.05 or more within a sequence and on '
      'unseen ones by 0.02 at most.', _some(parts))


def _some(parts):
  """At least one of (name, check) holds; fails if all fail.

  That one of k holds by chance is likelier than for one alone: p is k times.
  """

  def check(rows):
    found = rules.combine([(name, part(rows)) for name, part in parts],
                          order=('holds', 'undecided', 'fails'))
    if found.state == 'holds' and found.p is not None:
      found = found._replace(p=min(1., len(parts) * found.p))
    return found

  return check


def _plateau(config, field, values):
  """The plateau ends sooner with `field`."""
  at = lambda value: _of('transformer', config, **{field: value})
  on = dict(split='train', state='last')
  if field == 'bias':
    yield _claim(
        config, 'bias shortens the plateau', 'With fixed labels in nine '
        'sequences of ten the plateau is half as long as with none, or '
        'shorter.', ratio('plateau_steps', at(values[-1]), at(values[0]), 0,
                          0.5, **on))
    yield _claim(
        config, 'bias costs no accuracy', 'On unseen tasks the accuracy is '
        'not lower by more than 0.03.',
        greater('accuracy', at(values[-1]), at(values[0]), by=-0.03,
                split='test', state='last'))
  else:
    yield _claim(
        config, 'batches shorten the plateau', 'The plateau, in steps, is '
        'shorter with more tasks a batch.', all_of(*(
            ratio('plateau_steps', at(b), at(a), 0, 1, **on)
            for a, b in zip(values, values[1:], strict=False))))


def _state(config):
  """The accuracy follows the state that a model carries."""
  c = settings.get_config(config)

  def check(rows):
    columns = {}
    for metric, split in (('accuracy', 'test'), ('state_size', 'train'),
                          ('num_params', 'train')):
      columns[metric] = {arm: samples.by_seed(rows, _of(
          arm, config, metric=metric, split=split, state='last', group=''))
                         for arm in c.arms}
    seeds = sorted(set.intersection(*(
        set(column) for arms in columns.values() for column in arms.values())))
    value = lambda metric, seed: [columns[metric][arm][seed]['value']
                                  for arm in c.arms]
    spearman = lambda seed, metric: stats.spearmanr(
        value('accuracy', seed), value(metric, seed)).statistic
    values = np.array([spearman(seed, 'state_size')
                       - spearman(seed, 'num_params') for seed in seeds
                       if None not in value('accuracy', seed)])
    used = [columns['accuracy'][arm][seed] for arm in c.arms for seed in seeds]
    lost = len(seeds) - len(values)
    return rules.mean_verdict(samples.Sample(
        values, 0, 't over training runs on one test set',
        f'{lost} of {len(seeds)} seeds diverged' if lost else '', [],
        samples.where_tested(used)), None, (0, np.inf))

  yield _claim(
      config, 'state, not parameters', 'Over models, the accuracy on unseen '
      "tasks has a higher rank correlation (Spearman's) with the state that "
      'the next prediction reads than with the number of parameters.', check)


def _published(config):
  """Claims at the paper's scale, on its table."""
  on = dict(split='test', state='last')
  yield _claim(
      config, 'MNIST as published', 'After 99 examples of MNIST the accuracy '
      'is 0.70 to 0.78.', within('accuracy', _of('transformer', config), .70,
                                 .78, **on))
  yield _claim(
      config, 'Fashion-MNIST as published', 'After 99 examples of '
      'Fashion-MNIST, meta-trained on MNIST, it is 0.58 to 0.68.',
      within('accuracy', {'method': 'transformer',
                          'dataset': 'fashion_mnist'}, .58, .68, **on))


CLAIMS = (
    *_learns('digits'),
    *_regimes('digits_tasks', 16., settings.UNLIMITED),
    *_between('digits_threshold', (32., 64., 128.)),
    *_plateau('digits_bias', 'bias', (0.0, 0.5, 0.9)),
    *_plateau('digits_batch', 'batch_tasks', (8, 32, 128)),
    *_state('digits_state'),
    *_learns('mnist_small'),
    *_learns('mnist'),
    *_regimes('mnist_tasks', 16., settings.UNLIMITED),
    *_between('mnist_tasks', (2.**8, 2.**12)),
    *_plateau('mnist_bias', 'bias', (0.0, 0.5, 0.9)),
    *_plateau('mnist_batch', 'batch_tasks', (32, 128, 512)),
    *_state('mnist_state'),
    *_learns('full'),
    *_published('full'),
)


# --- Figures -----------------------------------------------------------------


def figures(rows):
  """{file name: Figure} of one variant's rows."""
  from assay.report import plots

  config = settings.get_config(rows[0]['config'])
  base = [row for row in rows if row['dataset'] == config.dataset]
  if config.sweep:
    made = {f'{metric}_{split}': plots.sweep(
        base, metric, config.sweep, split=split, state='last')
            for metric, split in (('accuracy', 'test'), ('accuracy', 'seen'),
                                  ('improvement', 'test'),
                                  ('improvement', 'seen'))}
    if config.sweep != 'num_tasks':
      made['plateau'] = plots.sweep(base, 'plateau_steps', config.sweep,
                                    split='train', state='last')
    else:
      made['accuracy'] = plots.heat_map(
          base, 'accuracy', 'method', 'num_tasks',
          {'seen tasks': {'split': 'seen'}, 'unseen tasks': {'split': 'test'}})
    return made
  if config.arms[0] == 'transformer_16':
    of = {'split': 'train', 'state': 'last'}
    return {'accessible_state': plots.against(
        base, {'metric': 'accuracy', 'split': 'test', 'state': 'last'},
        [of | {'metric': 'state_size'}, of | {'metric': 'num_params'}])}
  curves = [row for row in rows if row['split'] == 'positions']
  return {'learning_curves': plots.sweep(
      [row for row in curves if row['dataset'] == config.dataset],
      'accuracy', 'position', split='positions', state='last')} | {
          'transfer': plots.sweep(
              [row | {'method': row['dataset'], 'dataset': 'test sets'}
               for row in curves if row['method'] == 'transformer'],
              'accuracy', 'position', split='positions', state='last')}


if __name__ == '__main__':
  sys.exit(cli.main('gpicl'))
