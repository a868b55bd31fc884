"""USEFUL: simplicity bias, SAM and the training distribution, on images.

  python -m experiments.useful --config=configs/useful.py:dominoes

Nguyen et al. (NeurIPS 2024): examples that are learned late get one more copy.
An arm is an optimizer and what is done to the training set: see `ARMS`.
"""

from concurrent import futures
import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np

from assay import cli, losses, results, train
from assay.claims import Claim, all_of, greater, less
from assay.data import augment, images, tabular
from assay.errors import UserError
from assay.methods import forgetting, sam, useful
from assay.metrics import classification, sharpness
from assay.study import replaced, tune
from assay.testbeds import classifiers
from assay.train import evaluate
from configs import useful as settings

# arm: (optimizer, what is changed for which examples)
ARMS = {
    'sgd': ('sgd', None),
    'sam': ('sam', None),
    'asam': ('asam', None),
    'sgd_useful': ('sgd', 'slow'),  # the method
    'sgd_random': ('sgd', 'random'),  # as many copies of any examples
    'sgd_fast': ('sgd', 'fast'),  # as many copies from the fast clusters
    'sgd_oracle': ('sgd', 'masked'),  # a copy of each without the fast half
    'sgd_weighted': ('sgd', 'weighted'),  # twice the loss of slow examples
    'sgd_equal_steps': ('sgd', 'equal_steps'),  # original data, USEFUL's steps
    'sgd_jtt': ('sgd', 'misclassified'),  # Just Train Twice
    'sam_useful': ('sam', 'slow'),
}
NEEDS_CLUSTERS = ('slow', 'random', 'fast', 'weighted', 'equal_steps',
                  'misclassified')


# --- Data --------------------------------------------------------------------


class Data:
  """What all arms and seeds share.

  Attributes:
    shared: x uint8, y, row lists by split, and group where it is known.
    mean, std: by channel, of the training images.
  """

  def __init__(self, config, data_dir=None):
    num_train, num_val, num_test = config.split_sizes
    if config.dataset == 'dominoes':
      fast, slow = (images.load(name, data_dir)
                    for name in (config.fast, config.slow))
      shared = images.dominoes(
          fast, slow, config.fast_classes, config.slow_classes, config.alpha,
          num_train, num_val, num_test, config.data_seed)
    else:
      shared = images.subset(images.load(config.dataset, data_dir), num_train,
                             num_val, config.data_seed)
    if not num_val:
      del shared['val_rows']
    rows = shared['train_rows']
    if config.imbalance > 1:
      rows = shared['train_rows'] = images.long_tail(
          rows, shared['y'], config.imbalance, config.data_seed)
    if config.label_noise:
      shared['y'], noisy = images.noisy_labels(
          shared['y'], rows, config.label_noise, num_classes(config),
          config.data_seed)
      shared['group'] = 1 - noisy.astype(np.int32)
    self.shared = shared
    self.mean, self.std = images.channel_statistics(shared['x'], rows)

  @property
  def num_train(self):
    return len(self.shared['train_rows'])

  def draw_from(self, split):
    return images.draw_from(split, self.mean, self.std)

  def groups(self, config, split='train'):
    """name -> bool [n] of a split, the hard group first; {} if unknown."""
    if 'group' not in self.shared:
      return {}
    easy = self.shared['group'][self.shared[f'{split}_rows']] == 1
    names = ('noisy', 'clean') if config.label_noise else ('masked', 'present')
    return dict(zip(names, (~easy, easy), strict=True))


def num_classes(config):
  if config.dataset == 'dominoes':
    return len(config.slow_classes)
  return images.IMAGES[config.dataset]['num_classes']


def make_draw(config, data, arm):
  """`draw` of an arm: rows, augmentation, and weights where it has them."""
  draw = data.draw_from('train')
  if config.augment:
    # Zero is the mean color of normalized images; the crop's border is black.
    draw = augment.augmented(draw, functools.partial(
        augment.standard, fill=-np.array(data.mean) / np.array(data.std),
        cutout_size=16 if config.augment == 'crop_flip_cutout' else 0))
  return useful.weighted(draw) if ARMS[arm][1] == 'weighted' else draw


def make_source(config, data, arm, seeds, found=None):
  """Data of a block of seeds, as `fit` takes it.

  Args:
    config: the config.
    data: a `Data`.
    arm: its name.
    seeds: S integers.
    found: what `find_slow` saved: slow, wrong bool [S, num_train].
  """
  change, n = ARMS[arm][1], data.num_train
  own = {'train_rows': np.tile(data.shared['train_rows'], (len(seeds), 1))}
  copies = [copied(change, config, data, found, i, seed)
            for i, seed in enumerate(seeds)]
  size, epochs = config.batch_size, config.num_epochs
  own = useful.upsample(own, copies, size, epochs)
  lengths = own.pop('num_train').tolist()
  if change == 'equal_steps':
    enlarged = n + config.copies * found['slow'].sum(axis=1)
    own['num_steps'] = (enlarged // size * epochs).astype(np.int32)
  if change == 'weighted':
    own['weight'] = np.ones((len(seeds), len(data.shared['y'])), np.float32)
    own['weight'][:, data.shared['train_rows']] = [
        useful.weights(slow, 1 + config.copies) for slow in found['slow']]
  orders = [tabular.epoch_items(length, size, seed)
            for length, seed in zip(lengths, seeds, strict=True)]
  return train.Source(data.shared, own,
                      lambda position, start, stop: orders[position](
                          start, stop))


def copied(change, config, data, found, i, seed):
  """Positions of the training examples that the seed at i has more of."""
  if change == 'masked':
    groups = data.groups(config)
    if 'masked' not in groups:
      raise UserError(f'sgd_oracle needs dominoes, not {config.dataset!r}; '
                      'leave the arm out.')
    return np.repeat(np.flatnonzero(groups['masked']), config.copies)
  if change == 'misclassified':
    return np.repeat(np.flatnonzero(found['wrong'][i]), config.jtt_copies)
  if change not in ('slow', 'random', 'fast'):
    return np.zeros(0, int)
  slow = found['slow'][i]
  if change == 'slow':
    return np.repeat(np.flatnonzero(slow), config.copies)
  return useful.same_number(
      ~slow if change == 'fast' else np.ones_like(slow),
      config.copies * slow.sum(), np.random.default_rng((seed, 1)))


# --- Training ----------------------------------------------------------------


def make_model(config):
  """The network of a config."""
  return classifiers.make_model(config, num_classes(config))


def make_apply(config, arm=None):
  """`(params, extra, x [B, H, W, C] normalized) -> logits [B, K]`."""
  del arm  # all have the same model
  return classifiers.make_apply(make_model(config))


def make_grad(config, optimizer):
  """Gradient of the cross entropy, at the point that the optimizer asks for."""
  model = make_model(config)

  def loss_fn(params, extra, batch, key):
    logits, extra = classifiers.in_training(model, params, extra, batch, key)
    loss = losses.cross_entropy(logits, batch['y'])
    correct = jnp.argmax(logits, axis=-1) == batch['y']
    return jnp.mean(batch.get('weight', 1.) * loss), (
        extra, {'correct': correct})

  gradient = jax.value_and_grad(loss_fn, has_aux=True)
  if config.decay_in_perturbation:
    gradient = sam.decayed(gradient, config.weight_decay)
  if optimizer == 'sam':
    gradient = sam.sam(gradient, config.rho)
  if optimizer == 'asam':
    gradient = sam.sam(gradient, config.asam_rho,
                       weights=sam.asam(config.asam_eta))
  if config.group_size and optimizer != 'sgd':
    gradient = sam.in_groups(gradient, config.group_size)
  return forgetting.counted(gradient)


def make_optimizer(config):
  """SGD, whose decay SAM may have to see: it is then part of the gradient."""
  return classifiers.sgd(
      config, weight_decay=0. if config.decay_in_perturbation else None)


def train_block(config, data, block, arm, stage, source):
  """Fits one arm on a block of seeds."""
  model, tx = make_model(config), make_optimizer(config)
  shape = (1, *data.shared['x'].shape[1:])

  def variables(key):
    return {**model.init(key, jnp.zeros(shape)),
            'learning': forgetting.start(len(data.shared['y']))}

  return train.fit(
      train.make_init(variables, tx),
      train.make_step(make_grad(config, ARMS[arm][0]), tx),
      make_draw(config, data, arm), source, seeds=block.seeds,
      num_steps=int(source.own['num_steps'].max()),
      eval_every=data.num_train // config.batch_size,  # an epoch
      directory=block.directory(stage, config), settings=block.settings)


def find_slow(config, data, block, arm, fields):
  """Trains to the separating epoch, splits classes, saves who is slow."""
  steps_per_epoch = data.num_train // config.batch_size
  whole = make_source(config, data, arm, block.seeds)
  shortened = lambda epochs: whole._replace(own=whole.own | {
      'num_steps': np.array(epochs, np.int32) * steps_per_epoch,
      'schedule_steps': whole.own['num_steps']})
  epochs, curves = [config.separating_epoch] * len(block.seeds), {}
  if not config.separating_epoch:
    fitted = train_block(config, data, block, arm, 'elbow', shortened(
        [config.elbow_epochs] * len(block.seeds)))
    curves = fitted.curves
    epochs = [useful.elbow(errors) for errors in curves['error'].T]
  fitted = train_block(config, data, block, arm, 'separate', shortened(epochs))
  if fitted.broken:
    raise UserError(f'{block.name}: {"; ".join(fitted.why.values())}; nothing '
                    'to separate by. Lower the learning rate.')
  logits, y = predictions(config, data, fitted.state, 'train')
  rows, slow = [], []
  hard = next(iter(data.groups(config).values()), None)
  for i, seed in enumerate(block.seeds):
    outputs = (jax.nn.softmax(logits[i]) if config.cluster_on == 'probabilities'
               else logits[i])
    found = useful.separate(outputs, y[i],
                            classification.losses(logits[i], y[i]))
    slow.append(found.slow)
    values = {'separating_epoch': epochs[i], 'slow_share': found.slow.mean()}
    if hard is not None:
      values |= {'cluster_recall': found.slow[hard].mean(),
                 'cluster_precision': hard[found.slow].mean()}
    for metric, value in values.items():
      rows.append(block.row(
          seed, metric, value, dataset=config.dataset, method=arm,
          split='train', n=data.num_train, step=fitted.state.step[i],
          state='last', **fields))
  block.finish(rows, {
      'seeds': np.array(block.seeds), 'slow': np.stack(slow),
      'digest': np.array([useful.digest(each) for each in slow]),
      'wrong': np.argmax(logits, axis=-1) != y}, curves, 0)


# --- Rows --------------------------------------------------------------------


@functools.lru_cache  # one compilation for all arms
def _predictor(apply, split, mean, std, batch_size):
  return evaluate.predictor(apply, images.draw_from(split, mean, std),
                            batch_size)


def predictions(config, data, state, split):
  """Logits [S, n, K] and labels [S, n] of a split, in evaluation mode."""
  rows = data.shared[f'{split}_rows']
  return _predictor(make_apply(config), split, data.mean, data.std,
                    config.eval_batch_size)(
      state.params, state.extra, data.shared, {}, len(rows))


def measure(config, data, block, arm, fields, found=None, slow=None,
            splits=()):
  """Trains one arm on a block of seeds and writes its rows.

  Args:
    config, data, block, arm: which; `fields` go into its rows.
    fields: tuned and swept fields of the config.
    found: what its copies are made of, see `separated`.
    slow: bool [S, num_train], the slow clusters that rows are grouped by.
    splits: those to evaluate; by default all, and how examples were learned.
  """
  fitted = train_block(config, data, block, arm, 'fit', make_source(
      config, data, arm, block.seeds, found))
  state, rows, saved = fitted.state, [], {'seeds': np.array(block.seeds)}
  why = fitted.why

  def add(i, metric, value, split='train', n=data.num_train, **more):
    rows.append(block.row(
        block.seeds[i], metric, np.nan if i in why else value, split=split, n=n,
        dataset=config.dataset, method=arm, step=state.step[i], state='last',
        why=why.get(i, 'not finite'), **more | fields))

  for split in splits or [k[:-5] for k in data.shared if k.endswith('_rows')]:
    logits, y = predictions(config, data, state, split)
    groups = data.groups(config, split) if split == 'test' else {}
    if split == 'test':
      saved |= {'last': logits, 'y': y}
    for i in range(len(block.seeds)):
      wrong = classification.wrong(logits[i], y[i])
      packed = {'wrong': results.pack(wrong)} if split in (
          'test', 'masked') else {}
      add(i, 'error', wrong.mean(), split, len(wrong), **packed)
      add(i, 'nll', classification.nll(logits[i], y[i]), split, len(wrong))
      if all(members.any() for members in groups.values()):
        for name, members in groups.items():
          add(i, 'error', wrong[members].mean(), split, members.sum(),
              group=name)
  if not splits:
    for i in range(len(block.seeds)):
      for metric, value, more in learning(config, data, state, slow, i):
        add(i, metric, value, **more)
    for i, values in enumerate(sharpness_of(config, data, state, why)):
      for metric, value in values.items():
        add(i, metric, value, n=config.sharpness_examples)
  block.finish(rows, saved, fitted.curves, sum(
      x[0].size for x in jax.tree.leaves(state.params)))


def learning(config, data, state, slow, i):
  """(metric, value, row fields) of how one seed learned, and its weights."""
  counts = {k: np.asarray(v[i]) for k, v in state.extra['learning'].items()}
  step, at = counts['step'], data.shared['train_rows']
  values = {
      'forgetting': counts['forgotten'][at],
      'first_learned': forgetting.epochs(
          counts['first'][at], step, data.num_train // config.batch_size)}
  groups = data.groups(config)
  if slow is not None:
    groups |= {'slow': slow[i], 'fast': ~slow[i]}
  for metric, each in values.items():
    yield metric, each.mean(), {}
    for name, members in groups.items():
      if members.any():
        yield metric, each[members].mean(), {'group': name,
                                             'n': int(members.sum())}
  names = [k for k in ('masked', 'slow') if k in groups]
  if names and groups[names[0]].any():
    hard = groups[names[0]]
    first = values['first_learned']
    yield 'learning_gap', first[hard].mean() - first[~hard].mean(), {}
  params = [np.asarray(x[i]) for x in jax.tree.leaves(state.params)]
  yield 'weight_l1', sum(np.abs(p).sum(dtype=float) for p in params), {}
  yield 'weight_l2', sum(np.square(p).sum(dtype=float) for p in params)**.5, {}


@functools.lru_cache
def _mean_loss(apply):

  def loss(params, batch, extra):
    return jnp.mean(losses.cross_entropy(
        apply(params, extra, batch['x']), batch['y']))

  return loss


def sharpness_of(config, data, state, why):
  """[{metric: value}] by seed: eigenvalues of the Hessian of the loss.

  On the first `sharpness_examples` training examples, without augmentation,
  batch statistics frozen, weight decay left out.
  """
  count, size = config.sharpness_examples, config.sharpness_batch_size
  if not count:
    return []
  if count % size:
    raise UserError(f'sharpness_examples={count} must be a multiple of '
                    f'sharpness_batch_size={size}.')
  # In float32, whatever the computation of training is.
  loss = _mean_loss(make_apply(replaced(config, {'dtype': 'float32'})))
  draw, devices = data.draw_from('train'), jax.local_devices()

  def of_seed(i):
    if i in why:
      return {'lambda_max': np.nan, 'lambda_ratio': np.nan}
    params, extra = jax.device_put(jax.tree.map(
        lambda x: np.asarray(x[i]), (state.params, state.extra)),
                                   devices[i % len(devices)])
    extra.pop('learning')
    with jax.default_device(devices[i % len(devices)]):
      batches = [draw(data.shared, {}, np.arange(start, start + size), None)
                 for start in range(0, count, size)]
      return sharpness.sharpness(
          jax.tree_util.Partial(loss, extra=extra), params,
          [{k: batch[k] for k in 'xy'} for batch in batches],
          tolerance=config.sharpness_tolerance)

  with futures.ThreadPoolExecutor(len(devices)) as pool:
    return list(pool.map(of_seed, range(len(state.step))))


# --- The study ---------------------------------------------------------------


def check(config):
  """Raises a UserError that names a value which cannot be meant."""
  classifiers.check(
      config, augment=('', 'crop_flip', 'crop_flip_cutout'),
      cluster_on=('logits', 'probabilities'),
      separate_with=('same', 'sgd', 'sam', 'asam'))
  for name, low, high in (
      ('batch_size', 1, config.split_sizes[0]), ('num_epochs', 1, np.inf),
      ('separating_epoch', 0, config.num_epochs),
      ('elbow_epochs', 2, np.inf), ('copies', 0, np.inf)):
    if not low <= config[name] <= high:
      raise UserError(f'{name}={config[name]} must be from {low} to {high}.')


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  check(config)
  data = Data(config, study.data_dir)
  clusters = any(ARMS[arm][1] in NEEDS_CLUSTERS for arm in config.arms)
  for name, arm, fields in study.planned():
    optimizer, change = ARMS[arm]
    for block in study.blocks(name):
      mine = tuned_fields(config, data, study, optimizer) | fields
      found = separated(config, data, study, optimizer, fields, block.seeds
                        ) if change in NEEDS_CLUSTERS else None
      # Arms are compared on the examples that are slow under plain SGD.
      slow = separated(config, data, study, 'sgd', fields, block.seeds
                       )['slow'] if clusters else None
      measure(replaced(config, mine), data, block, arm, mine, found, slow)
  return study.rows()


def separated(config, data, study, optimizer, fields, seeds):
  """What `find_slow` saved: {slow, wrong: bool [S, num_train], ...}.

  All arms of an optimizer share it.
  """
  if config.separate_with != 'same':
    optimizer = config.separate_with
  mine = tuned_fields(config, data, study, optimizer) | fields
  name = ','.join([f'separate_{optimizer}',
                   *(f'{k}={v}' for k, v in fields.items())])
  for block in study.blocks(name):
    find_slow(replaced(config, mine), data, block, optimizer, mine)
  return study.predictions_of(name, seeds)


def tuned_fields(config, data, study, optimizer):
  """The fields of the best of `config.trials` settings, by validation."""
  if not config.trials:
    return {}
  own = {'sgd': (), 'sam': ('rho',), 'asam': ('asam_rho',)}[optimizer]
  trials = tune.trials(settings.GRID, ('learning_rate', *own), config.trials)
  return tune.tuned(
      study, config, optimizer, trials,
      lambda config, block, fields: measure(
          config, data, block, optimizer, fields, splits=('val',)),
      'nll', 'last')


# --- Claims ------------------------------------------------------------------

_PAPER = 'Nguyen et al., 2024'
_SAM = 'Foret et al., 2021'


def _claims(config, hard='', gated=True, source=_PAPER):
  """The claims on errors that a variant can speak about.

  Args:
    config: variant.
    hard: split without the fast half, where there is one.
    gated: False where the paper did not test the setting.
    source: of the claims on USEFUL.
  """
  arms = settings.get_config(config).arms
  pairs = (
      ('sam', 'sgd', 'SAM has a lower test error than SGD.', _SAM),
      ('sgd_useful', 'sgd', 'USEFUL lowers the test error of SGD.', source),
      ('sgd_useful', 'sgd_random', 'USEFUL beats as many random copies.',
       source),
      ('sgd_useful', 'sgd_equal_steps', 'USEFUL beats as many steps on the '
       'original data.', f'{source}; control ours'),
      ('sgd_useful', 'sgd_fast', 'Copies of slow examples beat copies of fast '
       'ones.', f'{source}; control ours'),
      ('sgd_useful', 'sgd_weighted', 'Copies beat a doubled loss weight.',
       source),
      ('sgd_useful', 'sgd_jtt', 'USEFUL beats JTT.', source),
      ('sam_useful', 'sam', 'USEFUL lowers the test error of SAM.', source))
  for a, b, sentence, where in pairs:
    if {a, b} <= set(arms):
      for split in ('test', hard) if hard else ('test',):
        on = ', fast half missing' if split == hard else ''
        yield Claim(
            f'{config}: {a} below {b}{on}',
            sentence if not on else f'{sentence[:-1]}, fast half missing.',
            where, less('error', a, b, split=split, state='last'),
            {'config': config}, gated)


def _diagnostics(config, gated=True):
  """What the paper says about who is slow, sharpness and weights."""
  of = dict(split='train', state='last')
  arm = lambda group: {'method': 'sgd', 'group': group}
  where = {'config': config}
  yield Claim(f'{config}: slow examples are forgotten more', 'Under SGD slow '
              'clusters have more events of forgetting than fast ones.',
              f'{_PAPER}, forgetting scores',
              greater('forgetting', arm('slow'), arm('fast'), **of), where,
              gated)
  yield Claim(f'{config}: slow examples are learned later', 'Under SGD slow '
              'clusters are first right in a later epoch than fast ones.',
              f'{_PAPER}, first-learned epochs',
              greater('first_learned', arm('slow'), arm('fast'), **of), where,
              gated)
  yield Claim(f'{config}: fewer events of forgetting', 'SAM and SGD with '
              'USEFUL forget less than SGD.', f'{_PAPER}, forgetting scores',
              all_of(less('forgetting', 'sam', 'sgd', **of),
                     less('forgetting', 'sgd_useful', 'sgd', **of)), where,
              False)
  yield Claim(f'{config}: order of sharpness', 'The largest eigenvalue of the '
              'Hessian: SAM below SGD with USEFUL below SGD.',
              f'{_PAPER}, sharpness on CIFAR-10',
              all_of(less('lambda_max', 'sam', 'sgd_useful', **of),
                     less('lambda_max', 'sgd_useful', 'sgd', **of)), where,
              gated)
  yield Claim(f'{config}: smaller weights', 'SAM and SGD with USEFUL have a '
              'smaller L1 norm of weights than SGD.', f'{_PAPER}, L1 norms',
              all_of(less('weight_l1', 'sam', 'sgd', **of),
                     less('weight_l1', 'sgd_useful', 'sgd', **of)), where,
              False)


def _copies(count):
  return {'method': 'sgd_useful', 'copies': count}


CLAIMS = (
    *_claims('digits', 'masked', gated=False),
    *_claims('dominoes', 'masked'),
    *_diagnostics('dominoes'),
    Claim('dominoes: the oracle is best', 'Copies of exactly the examples '
          'without the fast half do not do worse than USEFUL, fast half '
          'missing.', 'ours', less('error', 'sgd_oracle', 'sgd_useful',
                                   split='masked', state='last'),
          {'config': 'dominoes'}, False),
    Claim('dominoes: SAM learns more uniformly', 'Between examples with and '
          'without the fast half, the gap of first-learned epochs is smaller '
          'for SAM than for SGD.', f'{_PAPER}, theory',
          less('learning_gap', 'sam', 'sgd', split='train', state='last'),
          {'config': 'dominoes'}),
    *_claims('dominoes_norm', 'masked'),
    Claim('dominoes: twice is enough', 'One more copy does not do worse than '
          'two or four more, fast half missing.',
          f'{_PAPER}, upsampling factor; weak',
          all_of(*(less('error', _copies(1), _copies(k), split='masked',
                        state='last') for k in (2, 4))),
          {'config': 'dominoes_copies'}, False),
    *_claims('fashion_mnist'),
    *_diagnostics('fashion_mnist'),
    *_claims('cifar10_resnet18'),
    *_diagnostics('cifar10_resnet18'),
    Claim('cifar10_wrn: sam below sgd', 'SAM has a lower test error than SGD.',
          f'{_SAM}: 2.3 against 2.6 % with cutout',
          less('error', 'sam', 'sgd', state='last'), {'config': 'cifar10_wrn'}),
    *_claims('cifar10_noise', gated=False),
    *_claims('cifar10_long_tail'),
)


def figures(rows):
  """{file name: Figure} of one variant's rows."""
  from assay.report import plots

  config = settings.get_config(rows[0]['config'])
  splits = ('test', 'masked') if config.dataset == 'dominoes' else ('test',)
  made = {}
  if config.sweep:
    for split in splits:
      made[f'error_{split}'] = plots.sweep(
          rows, 'error', config.sweep, baselines=('sgd',), split=split,
          state='last')
    return made
  for split in splits:
    made[f'error_{split}'] = plots.comparison(rows, 'error', split=split,
                                              state='last')
  if config.sharpness_examples:
    of = {'split': 'train', 'state': 'last'}
    made['sharpness_and_uniformity'] = plots.against(
        rows, {'metric': 'error', 'split': splits[-1], 'state': 'last'},
        [of | {'metric': 'lambda_max'}, of | {'metric': 'learning_gap'}])
  return made


if __name__ == '__main__':
  sys.exit(cli.main('useful'))
