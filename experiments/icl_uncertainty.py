"""In-context uncertainty: a transformer beside the exact Bayes predictor.

  python -m experiments.icl_uncertainty \
    --config=configs/icl_uncertainty.py:small

Liu et al. (2024): a transformer reads pairs (x, y) of a noisy linear function
and predicts the mean and the standard deviation of the next y. The predictor
that is best on average is known exactly, so every claim is a distance to it.

Splits: `test` are prompts as long as in training, `beyond` positions that no
training prompt had, `positions` single positions (field `position`, the number
of pairs before), `noise x 4` and so on prompts of shifted tasks.
"""

import functools
import sys

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy import stats

from assay import cli, keys, losses, train
from assay.claims import Claim, all_of, ratio, within
from assay.data import tasks
from assay.errors import UserError, check_names
from assay.methods import bayes_regression as bayes
from assay.models import transformer
from assay.study import replaced
from configs import icl_uncertainty as settings

# arm: (positions of the model, offset of a training sequence, covariates)
TRAINED = {
    'none': ('none', 'zero', 'standard'),
    'learned': ('learned', 'zero', 'standard'),
    'segments': ('learned', 'segment', 'standard'),  # starts of a few segments
    'offsets': ('learned', 'anywhere', 'standard'),  # that fits in the table
    'meta': ('none', 'zero', 'random'),  # a new covariance for each sequence
}
LEVELS = (50, 80, 95)  # of coverage, %
SHOWN = 24  # positions, at most, that have rows


# --- Data --------------------------------------------------------------------


def noise_law(config):
  """The law of sigma."""
  laws = {'uniform': tasks.uniform_noise,
          'inverse_gamma': tasks.inverse_gamma_noise}
  return laws[config.noise_law](*config.noise)


def noise_nodes(config, factor=1.):
  """The prior of factor * sigma, as nodes."""
  nodes = {'uniform': bayes.uniform_nodes,
           'inverse_gamma': bayes.inverse_gamma_nodes}[config.noise_law](
               *config.noise)
  return nodes._replace(sigma=factor * nodes.sigma)


def covariates_of(config, kind):
  """The law of x, by name."""
  d, standard = config.dimension, tasks.standard_covariates(config.dimension)
  return {'standard': lambda: standard,
          'random': lambda: tasks.random_covariance(d, *config.covariance),
          'doubled': lambda: tasks.scaled_covariates(standard, 2.),
          'halved': lambda: tasks.scaled_covariates(standard, 0.5),
          'shifted': lambda: tasks.shifted_covariates(standard, 1.),
          'low_rank': lambda: tasks.low_rank_covariates(d, max(1, d // 2)),
          }[kind]()


def make_task(config, noise=1., weights=1.):
  """The law of (w, sigma), scaled."""
  return tasks.scaled(tasks.regression_task(
      tasks.gaussian_weights(config.dimension), noise_law(config)), noise,
                      weights)


def with_offset(draw, kind, config):
  """A draw whose batch has `offset` int32 [B], of the first token's position.

  Both tokens of a pair move together, by a number of pairs that is the same
  for a whole sequence.
  """
  starts = {'zero': (0,), 'segment': config.segment_starts,
            'anywhere': range(config.test_pairs - config.num_pairs + 1)}[kind]

  def drawn(shared, own, item, key):
    draw_key, offset_key = jax.random.split(key)
    batch = draw(shared, own, item, draw_key)
    chosen = jax.random.choice(offset_key, jnp.array(starts, jnp.int32),
                               (config.batch_size,))
    return batch | {'offset': 2 * chosen}

  return drawn


class Reference:
  """Test prompts of each seed, and what predictors without training say.

  Prompts depend on the seed and on the split, not on the key of training.
  Computed once, as all arms are compared on the same prompts.
  """

  def __init__(self, config):
    self.config = config
    self._known = {}

  def prompts(self, seed, split):
    """x [B, T, d] and y [B, T] float32 of a split of `splits`."""
    config, fields = self.config, splits(self.config)[split]

    def make():
      law = make_task(config, fields['noise'], fields['weights'])
      if 'pool' in fields:
        law = tasks.pooled(law, tasks.pool_key(seed), fields['pool'])
      batch = tasks.regression_prompts(
          keys.named(seed, split), law,
          covariates_of(config, fields['covariates']), config.num_prompts,
          fields['num_pairs'])
      return np.asarray(batch['x']), np.asarray(batch['y'])

    return self._once((seed, split), make)

  def predict(self, name, seed, split):
    """mean and log_std (or None) [B, T] float64 of a predictor."""
    config, fields = self.config, splits(self.config)[split]

    def make():
      x, y = self.prompts(seed, split)
      if name == 'ridge':
        return bayes.ridge(x, y), None
      if name == 'nearest_neighbors':
        return bayes.nearest_neighbors(x, y), None
      if name == 'least_squares':
        found = bayes.least_squares(x, y)
      elif name == 'pool':
        found = bayes.predict_pool(x, y, *map(np.asarray, tasks.pool(
            make_task(config), tasks.pool_key(seed), fields['pool'])))
      elif name == 'oracle':  # knows the shift
        found = bayes.predict(x, y, noise_nodes(config, fields['noise']),
                              fields['weights'])
      else:
        found = bayes.predict(x, y, noise_nodes(config))
      with np.errstate(divide='ignore', invalid='ignore'):
        return found.mean, found.log_std

    return self._once((name, seed, split), make)

  def _once(self, key, make):
    if key not in self._known:
      self._known[key] = make()
    return self._known[key]


def splits(config):
  """{split: how its prompts are made}; `long` has `test` and `beyond`."""
  plain = {'noise': 1., 'weights': 1., 'covariates': 'standard',
           'num_pairs': config.num_pairs}
  made = {'long': plain | {'num_pairs': config.test_pairs}}
  for by in config.noise_shifts:
    made[f'noise x {by:.3g}'] = plain | {'noise': by}
  for by in config.weight_shifts:
    made[f'weights x {by:.3g}'] = plain | {'weights': by}
  for kind in config.covariate_shifts:
    made[kind] = plain | {'covariates': kind}
  if config.sweep == 'num_tasks':
    for size in filter(None, config.sweep_values):
      made[f'pool {size}'] = plain | {'pool': size}
  return made


# --- Training ----------------------------------------------------------------


def make_model(config, positions):
  """Two tokens a pair in; mean and log standard deviation out.

  The read-out starts as the best constant: mean 0 and the standard deviation
  that y has before anything is known, about sqrt(1 + d). Large gradients of an
  exp(-2 log_std) that falls first would else come before the mean is learned.
  """
  return transformer.Transformer(
      config.width, config.num_layers, config.num_heads, num_outputs=2,
      positions=positions, max_length=2 * config.test_pairs,
      read_out_init=nn.initializers.zeros,
      read_out_bias_init=_constant(config.dimension))


@functools.lru_cache  # the same object again, so that equal models are equal
def _constant(dimension):
  """The initializer of the read-out's bias."""
  start = (0., 0.5 * float(np.log1p(dimension)))
  return lambda key, shape, dtype=jnp.float32: jnp.array(start, dtype)


def make_apply(config, arm):
  """`(params, extra, tokens [B, 2 T, d + 2]) -> (mean, log_std)` [B, T]."""
  return _apply(make_model(config, TRAINED[arm][0]), config.largest_log_std)


@functools.lru_cache
def _apply(model, largest):

  def apply(params, extra, tokens, offset=None):
    del extra
    out = model.apply({'params': params}, tokens, offset)[:, ::2]
    return out[..., 0], largest * jnp.tanh(out[..., 1] / largest)

  return apply


def make_grad(config, arm):
  """Gradient of the bi-objective loss, its mean over positions and prompts."""
  apply = make_apply(config, arm)
  offset_matters = TRAINED[arm][1] != 'zero'

  def loss_fn(params, extra, batch, key):
    del key
    tokens = tasks.regression_tokens(batch['x'], batch['y'])
    mean, log_std = apply(params, extra, tokens,
                          batch['offset'] if offset_matters else None)
    loss = losses.gaussian(mean, log_std, batch['y'])
    return jnp.mean(loss), (extra, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


def make_optimizer(config):
  """Adam with clipped gradients; a linear rise, then a cosine to 0."""
  rise = config.warmup

  def schedule(progress):
    fall = 0.5 * (1 + jnp.cos(jnp.pi * (progress - rise) / (1 - rise)))
    return jnp.where(progress < rise, progress / rise, fall)

  return optax.chain(
      optax.clip_by_global_norm(config.clip_norm), optax.scale_by_adam(),
      train.scale_by_progress(schedule), optax.scale(-config.learning_rate))


def fit(config, block, arm):
  """Trains an arm on a block of seeds."""
  positions, offset, covariates = TRAINED[arm]
  model, tx = make_model(config, positions), make_optimizer(config)
  draw = tasks.draw_regression(
      make_task(config), covariates_of(config, covariates), config.batch_size,
      config.num_pairs)
  seeds = np.array(block.seeds, np.int32)
  source = train.Source(
      {}, {'num_tasks': np.full_like(seeds, config.num_tasks),
           'pool_seed': seeds},
      lambda position, start, stop: np.arange(start, stop, dtype=np.int32))
  tokens = jnp.zeros((1, 1, config.dimension + 2))
  return train.fit(
      train.make_init(lambda key: model.init(key, tokens), tx),
      train.make_step(make_grad(config, arm), tx),
      with_offset(draw, offset, config), source, seeds=block.seeds,
      num_steps=config.num_steps,
      eval_every=max(1, config.num_steps // 40),
      directory=block.directory('fit', config), settings=block.settings)


def predict(config, arm, params, x, y, size=256):
  """mean, log_std [B, T] float64 of one trained model."""
  apply = _compiled(make_apply(config, arm))
  parts = [apply(params, x[i:i + size], y[i:i + size])
           for i in range(0, len(x), size)]
  return tuple(np.concatenate(part).astype(np.float64)
               for part in zip(*parts, strict=True))


@functools.lru_cache
def _compiled(apply):
  # Full precision, whatever the device would take: the last bits of log_std
  # are what is measured.
  def one(params, x, y):
    with jax.default_matmul_precision('float32'):
      return apply(params, {}, tasks.regression_tokens(x, y))

  return jax.jit(one)


# --- Rows --------------------------------------------------------------------


def measured(config, reference, seed, found, name, fields):
  """(split, metric, value, row fields) of a predictor on a seed's prompts.

  Args:
    config, reference, seed: whose prompts.
    found: split -> (mean, log_std or None), [B, T] each.
    name: of the arm.
    fields: swept fields of the arm.
  """
  inside, d = slice(0, config.num_pairs), config.dimension
  y = reference.prompts(seed, 'long')[1]
  mean, log_std = found['long']
  best, best_log_std = reference.predict('bayes', seed, 'long')
  best_nll = bayes.gaussian_nll(best, best_log_std, y)
  parts = {'test': inside, 'beyond': slice(*_beyond(config))}
  for split, part in parts.items():
    error = (mean - y)[:, part]
    yield split, 'rmse', np.sqrt(np.mean(error**2)), {}
    yield split, 'rms_mean', np.sqrt(np.mean((mean - best)[:, part]**2)), {}
  for k in shown(config):
    yield ('positions', 'rmse', np.sqrt(np.mean((mean - y)[:, k]**2)),
           {'position': k})
  if log_std is None:
    return
  with np.errstate(over='ignore', invalid='ignore'):
    nll = bayes.gaussian_nll(mean, log_std, y)
  gap = nll - best_nll
  if name != 'least_squares':  # not defined before d + 1 pairs
    for split, part in parts.items():
      yield split, 'nll', nll[:, part].mean(), {}
      yield split, 'nll_gap', gap[:, part].mean(), {}
      yield split, 'log_std', log_std[:, part].mean(), {}
    each = gap[:, inside].mean(axis=1)
    # Far below 0 it would be a mistake: nothing beats the exact predictor.
    yield 'test', 'nll_gap_in_standard_errors', each.mean() / max(
        each.std(ddof=1) / len(each)**.5, 1e-30), {}
    later = (log_std - best_log_std)[:, 2:config.num_pairs]
    yield 'test', 'rms_log_std', np.sqrt(np.mean(later**2)), {}
    z = np.abs(mean - y)[:, inside] * np.exp(-log_std[:, inside])
    for level in LEVELS:
      yield ('test', f'coverage_{level}',
             np.mean(z <= stats.norm.ppf(0.5 + level / 200)), {})
  # Near k = d + 1 the plug-in variance has no mean; a few pairs on it has.
  few = slice(d + 3, 3 * d + 1)
  if d > 1:
    yield 'test', 'nll_gap', gap[:, few].mean(), {'group': 'few pairs'}
  for k in shown(config):
    if np.isfinite(log_std[:, k]).all() and k not in (d + 1, d + 2) or (
        name != 'least_squares'):
      yield 'positions', 'nll_gap', gap[:, k].mean(), {'position': k}
      yield 'positions', 'log_std', log_std[:, k].mean(), {'position': k}
  yield from _shifted(config, reference, seed, found, name, fields)


def _shifted(config, reference, seed, found, name, fields):
  """Rows of shifted prompts, at positions after two pairs."""
  if name == 'least_squares':
    return
  later = slice(2, config.num_pairs)
  test_gap = (found['long'][1] - reference.predict('bayes', seed, 'long')[1])
  yield 'test', 'log_std_gap', abs(test_gap[:, later].mean()), {}
  gaps = []
  for split, how in splits(config).items():
    if split == 'long':
      continue
    if 'pool' in how and fields.get('num_tasks', 0) not in (0, how['pool']):
      continue
    mean, log_std = found[split]
    y = reference.prompts(seed, split)[1]
    best, best_log_std = reference.predict('bayes', seed, split)
    nll_gap = (bayes.gaussian_nll(mean, log_std, y)
               - bayes.gaussian_nll(best, best_log_std, y)).mean()
    yield split, 'nll_gap', nll_gap, {}
    yield split, 'log_std', log_std[:, later].mean(), {}
    yield split, 'log_std_gap', abs(
        (log_std - best_log_std)[:, later].mean()), {}
    if 'pool' in how:
      known, known_log_std = reference.predict('pool', seed, split)
      apart = lambda a, b, c, d: np.sqrt(np.mean((a - b)**2 + (c - d)**2))
      yield split, 'pool_excess', (
          apart(mean, known, log_std, known_log_std)
          - apart(mean, best, log_std, best_log_std)), {}
    if split in config.covariate_shifts:
      gaps.append(nll_gap)
  if gaps:
    yield 'covariates', 'nll_gap', np.mean(gaps), {}


def _beyond(config):
  """First and last position, in pairs, of `beyond`: 60 to 99 of 44 and 100."""
  return round(config.num_pairs * 60 / 44), config.test_pairs


def shown(config):
  """Positions that have rows, at most some `SHOWN`, evenly apart."""
  return range(0, config.test_pairs, -(-config.test_pairs // SHOWN))


def measure(config, reference, block, arm, fields):
  """Trains or computes an arm on a block of seeds and writes its rows."""
  trained = arm in TRAINED
  rows, saved, why, steps = [], {'seeds': np.array(block.seeds)}, {}, None
  if trained:
    fitted = fit(config, block, arm)
    why, steps = fitted.why, np.asarray(fitted.state.step)
    params = jax.device_get(fitted.state.params)
  kept = []
  for i, seed in enumerate(block.seeds):
    found = {}
    for split in splits(config):
      if not trained:
        found[split] = reference.predict(arm, seed, split)
      elif i in why:
        found[split] = reference.predict('bayes', seed, split)  # shapes only
      else:
        found[split] = predict(
            config, arm, jax.tree.map(lambda x, i=i: x[i], params),
            *reference.prompts(seed, split))
    kept.append(np.stack([v if v is not None else np.full_like(
        found['long'][0], np.nan) for v in found['long']]).astype(np.float32))
    for split, metric, value, more in measured(
        config, reference, seed, found, arm, fields):
      rows.append(block.row(
          seed, metric, np.nan if i in why else value, dataset='regression',
          method=arm, split=split, n=config.num_prompts, state='last',
          step=steps[i] if trained else 0, why=why.get(i, 'not finite'),
          **more | fields))
  block.finish(rows, saved | {'predictions': np.stack(kept)},
               fitted.curves if trained else {},
               sum(x[0].size for x in jax.tree.leaves(params))
               if trained else 0)


# --- The study ---------------------------------------------------------------


def check(config):
  """Raises a UserError that names a value which cannot be meant."""
  check_names('arms', config.arms, [*TRAINED, *settings.REFERENCES], 'arm')
  if config.noise_law not in ('uniform', 'inverse_gamma'):
    raise UserError(f"noise_law={config.noise_law!r}; use 'uniform' or "
                    "'inverse_gamma'.")
  lowest = 3 * config.dimension + 1
  if not lowest <= config.num_pairs <= config.test_pairs * 44 / 60:
    raise UserError(
        f'num_pairs={config.num_pairs} must be from 3 dimension + 1 = {lowest} '
        f'to 44/60 of test_pairs={config.test_pairs}.')
  last = max(config.segment_starts) + config.num_pairs
  if last > config.test_pairs:
    raise UserError(f'segment_starts={config.segment_starts}: the last segment '
                    f'ends at pair {last}, past test_pairs='
                    f'{config.test_pairs}; start it earlier.')


def run(config, study):
  """Trains or computes every arm on every seed; returns the rows."""
  check(config)
  reference = Reference(config)
  for name, arm, fields in study.planned():
    for block in study.blocks(name):
      measure(replaced(config, fields), reference, block, arm, fields)
  return study.rows()


# --- Claims ------------------------------------------------------------------

_PAPER = 'Liu et al., 2024'


def _claims(config, gap, spread, arms=('learned', 'none')):
  on = lambda split: dict(split=split, state='last')
  claim = lambda name, sentence, check, source=_PAPER, gated=True: Claim(
      f'{config}: {name}', sentence, source, check, {'config': config}, gated)
  for arm in arms:  # the paper's model has learned positions
    mark = ', no positions' if len(arms) > 1 and arm == 'none' else ''
    yield claim(
        f'near Bayes{mark}', 'In distribution the loss is that of the Bayes '
        f'predictor, within {gap} nats and never below it.', all_of(
            within('nll_gap', arm, 0, gap, **on('test')),
            within('nll_gap_in_standard_errors', arm, -3, np.inf,
                   **on('test'))))
    yield claim(
        f'instance by instance{mark}', 'The predicted standard deviation is '
        'that of the Bayes predictor, prompt by prompt, within '
        f'{spread} nats (root mean square).',
        within('rms_log_std', arm, 0, spread, **on('test')))
    yield claim(
        f'the prior is used{mark}', 'With few pairs the loss of least squares, '
        'which has no prior, exceeds that of the Bayes predictor by three '
        'times as much as that of the transformer, or more.',
        ratio('nll_gap', 'least_squares', arm, 3, np.inf, group='few pairs',
              **on('test')))
    for by, what in ((4., 'noisier'), (.25, 'less noisy')):
      yield claim(
          f'not Bayes where {what}{mark}', f'On tasks four times {what} than '
          'in training, the predicted standard deviation departs from that of '
          'the Bayes predictor (training prior) three times as far as in '
          'distribution, or more.',
          ratio('log_std_gap', {'method': arm, 'split': f'noise x {by:g}'},
                {'method': arm, 'split': 'test'}, 3, np.inf, state='last'))
  if 'learned' in arms:
    yield claim(
        'learned positions break', 'With learned positions the loss at '
        'positions that no training prompt had exceeds that of the Bayes '
        'predictor by three times as much as within, or more.',
        ratio('nll_gap', {'method': 'learned', 'split': 'beyond'},
              {'method': 'learned', 'split': 'test'}, 3, np.inf, state='last'))
    yield claim(
        'none go on', 'Without positions it does so by a third of what it '
        'does with learned ones, or less.',
        ratio('nll_gap', 'none', 'learned', 0, 1 / 3, **on('beyond')))
    for arm, what in (('segments', 'one of three segments'),
                      ('offsets', 'anywhere in the table')):
      yield claim(
          f'{arm} recover', f'Learned positions that start {what} in training '
          'lose a third of what plain ones do at unseen lengths, or less.',
          ratio('nll_gap', arm, 'learned', 0, 1 / 3, **on('beyond')))


def _covariate_claims(config):
  yield Claim(
      f'{config}: drawn covariances help', 'Over four shifts of the covariates '
      'the loss exceeds that of the Bayes predictor by half as much, or less, '
      'if each training sequence had its own covariance.', _PAPER,
      ratio('nll_gap', 'meta', 'none', 0, 0.5, split='covariates',
            state='last'), {'config': config})


def _pool_claims(config, large):
  of = lambda size: {'method': 'none', 'num_tasks': size,
                     'split': 'pool 64'}
  yield Claim(
      f'{config}: a small pool is known', 'Trained on 64 tasks, on these the '
      'model is nearer to the Bayes predictor of the pool than to that of the '
      'continuous prior.', _PAPER,
      within('pool_excess', of(64), -np.inf, 0, state='last'),
      {'config': config})
  yield Claim(
      f'{config}: a large pool is not', 'Trained on '
      + ('65,536 tasks' if large else 'unlimited tasks')
      + ', it is nearer to that of the continuous prior.', _PAPER,
      within('pool_excess', {'method': 'none', 'num_tasks': large,
                             'split': f'pool {large or 64}'}, 0, np.inf,
             state='last'), {'config': config})


CLAIMS = (
    *_claims('small', 0.10, 0.25),
    *_covariate_claims('small_covariates'),
    *_pool_claims('small_pools', 0),
    *_claims('full', 0.05, 0.15),
    *_covariate_claims('covariates'),
    *_pool_claims('pools', 65_536),
    *_claims('full_support', 0.05, 0.15, arms=('none',)),
)


def figures(rows):
  """{file name: Figure} of one variant's rows."""
  from assay.report import plots

  config = settings.get_config(rows[0]['config'])
  # Least squares has no variance at first, and then one without a mean.
  models = [row for row in rows if row['method'] != 'least_squares']
  made = {}
  for metric, chosen in (('rmse', rows), ('log_std', rows),
                         ('nll_gap', [r for r in models
                                      if r['method'] not in ('bayes',
                                                             'oracle')])):
    made[f'{metric}_by_position'] = plots.sweep(
        chosen, metric, 'position', split='positions', state='last')
  if config.noise_shifts:
    moved = [row | {'noise': float(row['split'].split()[-1])}
             for row in models if row['split'].startswith('noise x')]
    made['log_std_by_noise'] = plots.sweep(
        [row | {'split': 'noise times a factor'} for row in moved], 'log_std',
        'noise', split='noise times a factor', state='last')
  return made


if __name__ == '__main__':
  sys.exit(cli.main('icl_uncertainty'))
