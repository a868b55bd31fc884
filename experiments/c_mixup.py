"""C-Mixup: label-aware mixup for regression (Yao et al., NeurIPS 2022).

  python -m experiments.c_mixup --config=configs/c_mixup.py:airfoil

An arm is who is paired with whom, and where the two are mixed: see `ARMS`.
"""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from assay import cli, losses, train
from assay.claims import (
  Claim,
  all_of,
  equal,
  greater,
  less,
  minimum_inside,
  ratio,
  within,
)
from assay.data import synthetic, tabular
from assay.errors import UserError
from assay.methods import mixup
from assay.metrics import regression
from assay.models import mlp
from assay.study import replaced, tune
from assay.train import evaluate
from configs import c_mixup as settings

METRICS = {'rmse': regression.rmse, 'mape': regression.mape,
           'pearson': regression.pearson}

MAX_TABLE = 10_000  # rows; a table of partners grows with their square

# arm: (partners, where they are mixed)
ARMS = {
    'erm': (None, None),
    'mixup': (mixup.uniform, 'input'),
    'manifold_mixup': (mixup.uniform, 'hidden'),
    'k_mixup': (mixup.matched, 'input'),
    'local_mixup': (mixup.uniform, 'input'),
    'c_mixup': (mixup.similar, 'input'),
    'manifold_c_mixup': (mixup.similar, 'hidden'),
}


def make_draw(arm, config):
  """`draw` of an arm: rows of the split, then partners, then their blend."""
  choose, where = ARMS[arm]
  draw = tabular.draw_from('train')
  if choose is None:
    return draw
  if choose is mixup.similar and config.pooled:
    choose = mixup.pooled
  paired = mixup.paired(draw, choose)

  def drawn(shared, own, item, key):
    batch = paired(shared, own, item, key)
    if arm == 'local_mixup':
      batch = mixup.local_weights(batch, own['threshold'])
    return mixup.blend(batch, ('x', 'y') if where == 'input' else ('y',))

  return drawn


def make_grad(arm, model):
  """Gradient of the mean squared error of an arm's predictions."""
  if ARMS[arm][1] == 'hidden':
    predict = mixup.manifold(
        functools.partial(model.apply, method='encode'),
        functools.partial(model.apply, method='decode'))
  else:
    predict = lambda variables, batch: model.apply(variables, batch['x'])

  def loss_fn(params, extra, batch, key):
    del key  # nothing random is left after drawing
    error = losses.squared(predict({'params': params}, batch), batch['y'])
    loss = jnp.mean(batch.get('weight', 1.) * error)
    return loss, (extra, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


def make_model(config):
  """The network of a config."""
  return mlp.MLP(config.width, initialization=config.initialization)


def make_apply(config, arm=None):
  """`(params, extra, x [B, D] normalized) -> [B, 1]`, the same object again."""
  del arm  # all have the same model
  return _apply(make_model(config))


@functools.lru_cache
def _apply(model):
  return lambda params, extra, x: model.apply({'params': params, **extra}, x)


def make_source(config, arm, seeds, features, data_dir=None):
  """Data of a block of seeds, as `fit` takes it.

  Args:
    config: the config.
    arm: its name.
    seeds: S integers.
    features: `(x [n, D], y [n, Q], position) -> [n, F]`, by which partners
      are similar.
    data_dir: where to look for files first.
  """
  seeds = list(seeds)
  if config.dataset == 'synthetic':
    shared, own = {}, synthetic_splits(config, seeds)
  else:
    shared = tabular.load(config.dataset, data_dir)
    own = tabular.own_splits(shared, config.split_sizes, seeds, config.dataset,
                             config.normalize)
  num_train = config.split_sizes[0]
  orders = [tabular.epoch_items(num_train, config.batch_size, seed)
            for seed in seeds]
  items = lambda position, start, stop: orders[position](start, stop)
  choose, _ = ARMS[arm]
  if choose is None:
    return train.Source(shared, own, items)

  own['alpha'] = np.full(len(seeds), config.alpha, np.float32)
  scaled = [training_rows(shared, own, i) for i in range(len(seeds))]
  if arm == 'local_mixup':
    own['threshold'] = np.array([mixup.distance_quantile(
        x, config.local_fraction) for x, _ in scaled], np.float32)
  if choose not in (mixup.uniform, mixup.matched):
    pairs = [similarity(config, features(x, y, i), y)
             for i, (x, y) in enumerate(scaled)]
    own['features'] = np.stack([f for f, _ in pairs]).astype(np.float32)
    own['bandwidth'] = np.array([s for _, s in pairs], np.float32)
    if num_train <= MAX_TABLE and not config.pooled:
      own['partner_table'] = np.stack([mixup.partner_table(f, s)
                                       for f, s in pairs])
  if choose is mixup.matched or config.pooled:
    others = [tabular.epoch_items(num_train, config.batch_size, seed,
                                  stream='partners') for seed in seeds]

    def items(position, start, stop):
      first = orders[position](start, stop)
      second = others[position](start, stop)
      if choose is mixup.matched:
        x = scaled[position][0]
        second = np.take_along_axis(
            second, mixup.match(x[first], x[second]), axis=1)
      return np.stack([first, second], axis=1)

  return train.Source(shared, own, items)


def synthetic_splits(config, seeds):
  """`own` with data of its own for each seed; test labels have no noise."""
  own = []
  for seed in seeds:
    table = synthetic.single_index(
        jax.random.fold_in(jax.random.key(seed), 1), sum(config.split_sizes),
        config.num_nuisance)
    rows = tabular.split(len(table['x']), config.split_sizes, seed, 'synthetic')
    y = np.array(table['y'])
    y[rows['test']] = table['clean'][rows['test']]
    dims = table['x'].shape[1]
    own.append({f'{k}_rows': v for k, v in rows.items()}
               | {'x': table['x'], 'y': y, 'low': np.zeros(dims, np.float32),
                  'scale': np.ones(dims, np.float32)})
  return {k: np.stack([one[k] for one in own]) for k in own[0]}


def training_rows(shared, own, position):
  """Normalized x [n, D] and y [n, Q] that a seed is trained on."""
  own = {k: v[position] for k, v in own.items()}
  batch = tabular.draw_from('train')(
      shared, own, np.arange(len(own['train_rows'])), None)
  return np.asarray(batch['x']), np.asarray(batch['y'])


def similarity(config, features, y):
  """Features by which partners are drawn, and the bandwidth for them."""
  if config.similarity == 'label':
    return features, config.bandwidth
  if config.similarity == 'uniform':
    return features, np.inf
  if not config.equal_partners:
    return features, config.bandwidth
  fraction = mixup.effective_partners(y, config.bandwidth)
  return features, mixup.bandwidth_for(features, fraction)


def make_features(config, block, study):
  """`(x, y, position) -> [n, F]` of the config's similarity.

  The hidden representation is that of a network trained without mixing on the
  same seed and split: the first hidden layer, where pairs are mixed.
  """
  kind = config.similarity
  if kind in ('label', 'uniform'):
    return lambda x, y, position: y
  if kind == 'input':
    return lambda x, y, position: x
  if kind == 'joint':  # both standardized, so that neither outweighs the other
    unit = lambda a: (a - a.mean(0)) / a.std(0) / a.shape[1] ** 0.5
    return lambda x, y, position: np.concatenate([unit(x), unit(y)], axis=1)
  if kind == 'hidden':
    fitted = train_block(config, block, 'erm', 'similarity', make_source(
        config, 'erm', block.seeds, None, study.data_dir))
    encode = jax.jit(functools.partial(make_model(config).apply,
                                       method='encode'))
    return lambda x, y, position: np.asarray(encode(
        {'params': jax.tree.map(lambda p: p[position], fitted.best.params)},
        x))
  raise UserError(f'similarity={kind!r}; use label, input, hidden, joint or '
                  'uniform.')


def train_block(config, block, arm, stage, source):
  """Fits one arm on a block of seeds, as the released code does.

  Adam, no schedule, a fixed number of epochs; the parameters with the lowest
  validation error over all epochs are kept.
  """
  model, apply = make_model(config), make_apply(config)
  tx = optax.adam(config.learning_rate)
  width = (source.shared or source.own)['x'].shape[-1]
  steps_per_epoch = config.split_sizes[0] // config.batch_size
  mean = lambda split: evaluate.mean_loss(
      losses.squared, apply, tabular.draw_from(split),
      source.own[f'{split}_rows'].shape[1])
  return train.fit(
      train.make_init(lambda key: model.init(key, jnp.zeros((1, width))), tx),
      train.make_step(make_grad(arm, model), tx), make_draw(arm, config),
      source, seeds=block.seeds, num_steps=config.num_epochs * steps_per_epoch,
      eval_every=steps_per_epoch, select=mean('val'),
      watch={k: mean(k) for k in ('train', 'test')}
      if config.report_epochs else {},
      directory=block.directory(stage, config), settings=block.settings)


@functools.lru_cache  # one compilation for all arms
def _predictor(apply, split):
  return evaluate.predictor(apply, tabular.draw_from(split))


def measure(config, block, arm, fields, study, splits=('test', 'val', 'train')):
  """Trains one arm on a block of seeds and writes its rows."""
  source = make_source(config, arm, block.seeds,
                       make_features(config, block, study), study.data_dir)
  fitted = train_block(config, block, arm, 'fit', source)
  common = {'dataset': config.dataset, 'method': arm} | fields
  rows, saved = [], {'seeds': np.array(block.seeds)}
  why = fitted.why

  def add(i, metric, value, **more):
    rows.append(block.row(block.seeds[i], metric, np.nan if i in why else value,
                          why=why.get(i, 'not finite'), **common | more))

  for state, found in (('best', fitted.best), ('last', fitted.state)):
    for split in splits:
      n = source.own[f'{split}_rows'].shape[1]
      predictions, y = _predictor(make_apply(config), split)(
          found.params, found.extra, source.shared, source.own, n)
      if split == 'test':
        saved |= {state: predictions, 'y': y}
      if state == 'last' and config.report_epochs:
        continue  # the same, by epoch, below
      metrics = config.metrics if split == 'test' else ('rmse',)
      for i in range(len(block.seeds)):
        for metric in metrics:
          add(i, metric, METRICS[metric](predictions[i], y[i]), split=split,
              n=n, step=found.step[i], state=state)

  steps_per_epoch = config.split_sizes[0] // config.batch_size
  for epoch in config.report_epochs:
    for split in ('test', 'train'):
      for i, error in enumerate(fitted.curves[split][epoch - 1]):
        add(i, 'rmse', error ** 0.5, split=split, state='last', epoch=epoch,
            n=source.own[f'{split}_rows'].shape[1],
            step=epoch * steps_per_epoch)

  for i, law in enumerate(partner_laws(arm, source)):
    add(i, 'effective_partners', law, split='train', state='last',
        n=config.split_sizes[0], step=0)
  block.finish(rows, saved, fitted.curves, sum(
      x[0].size for x in jax.tree.leaves(fitted.state.params)))


def partner_laws(arm, source):
  """Effective partners of each seed; none where no formula gives them."""
  num_seeds, num_train = source.own['train_rows'].shape
  choose, _ = ARMS[arm]
  if choose is None:
    return [1 / num_train] * num_seeds
  if choose is mixup.uniform:
    return [1.] * num_seeds
  if choose is mixup.similar:
    return [mixup.effective_partners(f, s) for f, s in zip(
        source.own['features'], source.own['bandwidth'], strict=True)]
  return []


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  for name, arm, fields in study.planned():
    if config.trials:
      fields = tuned_fields(config, study, arm)
    for block in study.blocks(name):
      measure(replaced(config, fields), block, arm, fields, study)
  return study.rows()


def tuned_fields(config, study, arm):
  """The fields of the best of `config.trials` settings, by validation."""
  choose, _ = ARMS[arm]
  has = {'learning_rate', 'width'} | ({'alpha'} if choose else set()) | (
      {'bandwidth'} if choose is mixup.similar else set())
  return tune.tuned(
      study, config, arm, tune.trials(settings.GRID, has, config.trials),
      lambda config, block, fields: measure(config, block, arm, fields, study,
                                            splits=('val',)), 'rmse')


# --- Claims ------------------------------------------------------------------

_PAPER = 'Yao et al., 2022'
# A quarter of the published gaps: C-Mixup to ERM .184, to manifold mixup .346.
_TO_ERM, _TO_MIXUP = .046, .086


def _swept(field, value, arm='manifold_c_mixup'):
  return {'method': arm, field: value}


def _main_claims(config, arm, gated=False):
  """C-Mixup has the lower error than each other arm of a variant."""
  source = f'{_PAPER}, in-distribution table'
  claims = [
      Claim(f'{config}: below ERM', 'C-Mixup has a lower test RMSE than '
            'training without mixing.', source, less('rmse', arm, 'erm'),
            {'config': config}, gated),
      Claim(f'{config}: below mixup', 'C-Mixup has a lower test RMSE than '
            'mixup.', source, less('rmse', arm, 'mixup'), {'config': config},
            gated)]
  others = [a for a in ARMS if not a.endswith('c_mixup')]
  claims.append(Claim(
      f'{config}: best of all', 'C-Mixup has the lowest test RMSE of all arms.',
      source, all_of(*(less('rmse', arm, other) for other in others)),
      {'config': config}, False))
  return claims


CLAIMS = (
    *_main_claims('diabetes', 'c_mixup'),
    *_main_claims('airfoil', 'manifold_c_mixup'),
    *_main_claims('no2', 'c_mixup'),
    *_main_claims('airfoil_tuned', 'manifold_c_mixup'),
    Claim('mixup hurts', 'Mixing inputs with uniform partners costs more than '
          '0.5 dB on Airfoil.', f'{_PAPER}: 3.730 against 2.901',
          greater('rmse', 'mixup', 'erm', by=.5), {'config': 'airfoil'}),
    Claim('hidden is better', 'Mixing hidden representations costs at least '
          '0.4 dB less than mixing inputs.', f'{_PAPER}: 3.063 against 3.730',
          less('rmse', 'manifold_mixup', 'mixup', by=.4),
          {'config': 'airfoil'}),
    Claim('labels help', 'Partners of near label lower the error of mixing '
          'hidden representations.', f'{_PAPER}: 2.717 against 3.063',
          less('rmse', 'manifold_c_mixup', 'manifold_mixup'),
          {'config': 'airfoil'}),
    Claim('labels help, alpha 0.5', "The same with the paper's alpha.",
          f'{_PAPER}, hyper-parameter table',
          less('rmse', 'manifold_c_mixup', 'manifold_mixup'),
          {'config': 'airfoil_paper'}),
    Claim('below ERM, alpha 0.5', "C-Mixup is below ERM with the paper's "
          'alpha.', f'{_PAPER}, in-distribution table',
          less('rmse', 'manifold_c_mixup', 'erm'),
          {'config': 'airfoil_paper'}, False),
    Claim('absolute values', 'Test RMSE of ERM lies in 2.6 to 3.1, of mixup in '
          '3.4 to 4.0, of manifold mixup in 2.9 to 3.3, of C-Mixup in 2.6 to '
          '3.1.', f'{_PAPER}, and a rerun of its code',
          all_of(within('rmse', 'erm', 2.6, 3.1),
                 within('rmse', 'mixup', 3.4, 4.0),
                 within('rmse', 'manifold_mixup', 2.9, 3.3),
                 within('rmse', 'manifold_c_mixup', 2.6, 3.1)),
          {'config': 'airfoil'}),
    Claim('U shape', 'Error over bandwidth has its minimum inside the range.',
          f'{_PAPER}, bandwidth analysis',
          minimum_inside('rmse', 'bandwidth', method='manifold_c_mixup'),
          {'config': 'airfoil_bandwidths'}),
    Claim('small bandwidth', 'A tiny bandwidth gives the error of ERM, to '
          f'{_TO_ERM}.', f'{_PAPER}, method',
          equal('rmse', _swept('bandwidth', 1e-6), 'erm', _TO_ERM),
          {'config': 'airfoil_bandwidths'}),
    Claim('large bandwidth', 'A huge bandwidth gives the error of manifold '
          f'mixup, to {_TO_MIXUP}.', f'{_PAPER}, method',
          equal('rmse', _swept('bandwidth', 1e6), 'manifold_mixup', _TO_MIXUP),
          {'config': 'airfoil_bandwidths'}),
    Claim('robust bandwidth', 'Half or twice the bandwidth changes the error '
          f'by less than {_TO_ERM}, a quarter of the published gain over '
          'ERM.',
          f'{_PAPER}, bandwidth analysis',
          all_of(*(equal('rmse', _swept('bandwidth', s),
                         _swept('bandwidth', 1.75), _TO_ERM)
                   for s in (1.0, 3.5))),
          {'config': 'airfoil_bandwidths'}, False),
    Claim('label is the best similarity', 'At equal effective partners, label '
          'similarity gives a lower error than that of inputs, of hidden '
          'representations, of both input and label, and none.',
          f'{_PAPER}, similarity ablation (on other data sets)',
          all_of(*(less('rmse', _swept('similarity', 'label'),
                        _swept('similarity', other))
                   for other in ('input', 'hidden', 'joint', 'uniform'))),
          {'config': 'airfoil_similarity'}, False),
    Claim('less overfitting', 'After the last epoch C-Mixup has the higher '
          'training error and the lower test error than ERM.',
          f'{_PAPER}, overfitting analysis',
          all_of(greater('rmse', _swept('epoch', 400),
                         _swept('epoch', 400, 'erm'), split='train',
                         state='last'),
                 less('rmse', _swept('epoch', 400),
                      _swept('epoch', 400, 'erm'), state='last')),
          {'config': 'airfoil_overfitting'}, False),
    Claim('pool is enough', 'Partners from a pool of two batches change the '
          f'error by less than {_TO_MIXUP}, a quarter of the published gain '
          'over manifold mixup.',
          f'{_PAPER}, batch sampling',
          equal('rmse', _swept('pooled', True), _swept('pooled', False),
                _TO_MIXUP), {'config': 'airfoil_pooled'}, False),
    Claim('tuned ERM', "Tuned as the other arms are, ERM is below C-Mixup's "
          'published 2.717.', 'later papers re-tune; ours',
          within('rmse', 'erm', 0, 2.717), {'config': 'airfoil_tuned'}, False),
    Claim('theory: label beats uniform', 'In the single-index model C-Mixup '
          "has at most 0.9 of mixup's error.", f'{_PAPER}, theory',
          ratio('rmse', _swept('similarity', 'label', 'c_mixup'), 'mixup', 0,
                .9),
          {'config': 'synthetic'}),
    Claim('theory: label beats input', 'In the single-index model label '
          'similarity has at most 0.9 of the error of input similarity.',
          f'{_PAPER}, theory',
          ratio('rmse', _swept('similarity', 'label', 'c_mixup'),
                _swept('similarity', 'input', 'c_mixup'), 0, .9),
          {'config': 'synthetic'}),
)


def figures(rows):
  """{file name: Figure} of one variant's rows."""
  from assay.report import plots

  config = settings.get_config(rows[0]['config'])
  if config.report_epochs:
    return {f'{split}_by_epoch': plots.sweep(
        rows, 'rmse', 'epoch', split=split, state='last')
            for split in ('train', 'test')}
  if config.sweep == 'bandwidth':
    return {'bandwidths': plots.sweep(
        rows, 'rmse', 'bandwidth', baselines=('erm', 'manifold_mixup'))}
  # An arm that is swept goes by the value alone, in the config's order.
  others = [r for r in rows if config.sweep not in r]
  swept = [{k: v for k, v in r.items() if k != config.sweep}
           | {'method': f'{config.sweep} {value}'}
           for value in config.sweep_values for r in rows
           if r.get(config.sweep) == value]
  return {'rmse': plots.comparison(others + swept, 'rmse', settings.REPORTED)}


if __name__ == '__main__':
  sys.exit(cli.main('c_mixup'))
