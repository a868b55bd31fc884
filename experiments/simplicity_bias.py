"""Simplicity bias in a network that theory can follow (Nguyen et al., 2024).

  python -m experiments.simplicity_bias --config=configs/simplicity_bias.py:rho

An arm is how gradients are taken and which examples weigh more: see `ARMS`.
"""

import functools
import sys
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

from assay import cli, train
from assay.claims import (
  Claim,
  all_of,
  every_seed,
  less,
  monotone,
  ratio,
  within,
)
from assay.data import patches
from assay.errors import UserError
from assay.methods import milestones, sam, useful
from assay.models import cubic
from assay.study import replaced
from configs import simplicity_bias as settings

# arm: (direction of the perturbation, which examples are upsampled)
ARMS = {
    'gd': (None, None),
    'gd_masked': (None, 'masked'),  # those without the fast feature, if known
    'gd_useful': (None, 'clusters'),  # those that clusters of outputs call slow
    'gd_random': (None, 'random'),  # as many, at random
    'sam': ('gradient', None),
    'sam_masked': ('gradient', 'masked'),
    'sam_useful': ('gradient', 'clusters'),
    'sam_random': ('random', None),  # control: a random perturbation
}

# Metrics of the masked test examples; all others are of all training data.
ON_MASKED = ('masked_accuracy', 'steps_to_accuracy', 'total_steps')


def make_model(config):
  """The network of a config."""
  return cubic.CubicNetwork(config.width, config.init_scale)


def make_apply(config, arm=None):
  """`(params, extra, x [B, P, D]) -> [B]` logits."""
  del arm  # all have the same model
  model = make_model(config)
  return lambda params, extra, x: model.apply({'params': params}, x)


def make_data(config, seed):
  """`own` of one seed: training data, and test data of the same law."""
  law = dict(slow_strength=config.slow_strength,
             fast_strength=config.fast_strength,
             fast_probability=config.fast_probability)
  if not config.noise:
    data = patches.population(**law)
    return data | {f'test_{k}': data[k] for k in ('x', 'y', 'has_fast')}
  n = config.num_examples
  data = jax.device_get(patches.patches(
      jax.random.fold_in(jax.random.key(seed), 1), 2 * n,
      num_patches=config.num_patches, num_dims=config.num_dims,
      noise_scale=config.noise_scale, **law))
  directions = data.pop('directions')
  return {k: v[:n] for k, v in data.items()} | {
      f'test_{k}': v[n:] for k, v in data.items()} | {
          'directions': directions, 'weight': np.ones(n, np.float32)}


def draw(shared, own, item, key):
  """All of a seed's training data, at every step."""
  del shared, item, key
  batch = {k: own[k] for k in ('x', 'y', 'weight')}
  return batch | {'directions': jnp.broadcast_to(  # leading axis B, as all
      own['directions'], own['y'].shape + own['directions'].shape)}


def make_loss(config):
  """Weighted mean of log(1 + exp(-y f(x))); weights have mean 1."""
  apply = make_apply(config)

  def loss_fn(params, extra, batch, key):
    del key
    margin = batch['y'] * apply(params, extra, batch['x'])
    return jnp.mean(batch['weight'] * jax.nn.softplus(-margin)), (extra, {})

  return loss_fn


def alignments(weights, directions):
  """max_j <w_j, v> for the slow and the fast v, [..., 2].

  Args:
    weights: [..., J, d] float.
    directions: [..., 2, d] float.
  """
  return (weights @ directions.swapaxes(-1, -2)).max(axis=-2)


def events(config):
  """(what, level) of which the first step above the level is noted."""
  return [('start', 0.), ('slow', config.slow_level),
          ('fast', config.fast_level),
          *(('fast', level) for level in config.more_fast_levels),
          *(('loss', drop) for drop in config.loss_drops)]


def make_grad(arm, config):
  """Gradient of an arm, with milestones."""
  grad_fn = jax.value_and_grad(make_loss(config), has_aux=True)
  along, _ = ARMS[arm]
  if along is not None:
    grad_fn = sam.sam(grad_fn, config.rho,
                      direction=sam.random if along == 'random' else None)

  def reached(params, loss, batch):
    slow, fast = alignments(params['weights'], batch['directions'][0])
    now = {'start': jnp.inf, 'slow': slow, 'fast': fast,
           'loss': 1 - loss / np.log(2)}
    return jnp.stack([now[what] > level for what, level in events(config)])

  return milestones.noted(grad_fn, reached)


def make_watch(config):
  """What the curves show."""
  apply = make_apply(config)
  align = lambda params, own: alignments(params['weights'], own['directions'])

  def masked_accuracy(params, extra, shared, own):
    right = own['test_y'] * apply(params, extra, own['test_x']) > 0
    return jnp.mean(right, where=~own['test_has_fast'])

  watch = {
      'slow_alignment': lambda params, *data: align(params, data[-1])[0],
      'alignment_gap': lambda params, *data: jnp.diff(
          align(params, data[-1]))[0],
      'masked_accuracy': masked_accuracy}
  return {name: watch[name] for name in config.curves}


def train_block(config, block, arm, stage, own):
  """Full-batch descent of one arm on a block of seeds."""
  model, loss_fn = make_model(config), make_loss(config)
  tx = optax.sgd(config.learning_rate)

  def init_variables(key):
    variables = model.init(key, own['x'][0])
    return variables | {'milestones': milestones.start(
        variables['params'], len(events(config)))}

  select = lambda params, extra, shared, own: loss_fn(
      params, extra, draw(shared, own, None, None), None)[0]
  items = lambda position, start, stop: np.arange(start, stop)
  return train.fit(
      train.make_init(init_variables, tx),
      train.make_step(make_grad(arm, config), tx), draw,
      train.Source({}, own, items), seeds=block.seeds,
      num_steps=config.num_steps, eval_every=config.eval_every, select=select,
      watch=make_watch(config), directory=block.directory(stage, config),
      settings=block.settings)


def first_times(config, fitted):
  """(what, level) -> step [S], NaN if not reached, and weights [S, J, d]."""
  notes = jax.device_get(fitted.state.extra['milestones'])
  return {event: (np.where(notes['step'][:, j] < 0, np.nan,
                           notes['step'][:, j]),
                  notes['params']['weights'][:, j])
          for j, event in enumerate(events(config))}


def slow_examples(weights, own, i):
  """Which training examples of seed i clusters of their outputs call slow."""
  outputs = np.sum((own['x'][i].astype(float) @ weights.T) ** 3, axis=(1, 2))
  losses = np.logaddexp(0, -own['y'][i] * outputs)
  return useful.separate(outputs[:, None], own['y'][i], losses).slow


def upsampled(config, block, arm, own):
  """`own` with the arm's weights, and the steps that choosing them took."""
  along, who = ARMS[arm]
  if who is None:
    return own, 0
  chosen, steps = ~own['has_fast'], 0
  if who != 'masked':
    proxy = replaced(config, {'num_steps': config.proxy_steps,
                              'loss_drops': (config.cluster_drop,)})
    fitted = train_block(proxy, block, 'sam' if along else 'gd', 'proxy', own)
    steps, weights = first_times(proxy, fitted)['loss', config.cluster_drop]
    late = np.isnan(steps)  # clustered at the end
    last = jax.device_get(fitted.state.params['weights'])
    weights = np.where(late[:, None, None], last, weights)
    steps = np.where(late, config.proxy_steps, steps)
    chosen = [slow_examples(w, own, i) for i, w in enumerate(weights)]
  if who == 'random':
    rng = lambda seed: np.random.default_rng((seed, zlib.crc32(b'random')))
    chosen = [rng(seed).permutation(c)
              for seed, c in zip(block.seeds, chosen, strict=True)]
  weight = own['weight'] * [useful.weights(c, config.upsampling)
                            for c in chosen]
  weight /= weight.mean(axis=1, keepdims=True)
  return own | {'weight': weight.astype(np.float32)}, steps


def results_of(config, times, own, curves, proxy_steps):
  """{metric: [S]} of all that may be in `config.metrics`."""
  aligned = lambda event: np.where(
      np.isnan(times[event][0]), np.nan,
      alignments(times[event][1], own['directions']).T)
  first_slow, first_fast = aligned(('start', 0.))
  learned = 'fast', config.fast_level
  time_slow, time_fast = times['slow', config.slow_level][0], times[learned][0]
  found = {
      'time_fast': time_fast, 'time_slow': time_slow,
      'time_ratio': time_slow / time_fast,
      'slow_alignment': aligned(learned)[0],  # when the fast one is learned
      'slow_growth': aligned(learned)[0] / first_slow,
      'initial_alignment': first_fast}
  if 'masked_accuracy' in curves:
    # For good: before the fast feature is learned it may be there for a while.
    good = curves['masked_accuracy'][::-1] >= config.masked_accuracy
    since = np.where(good.all(axis=0), len(good), (~good).argmax(axis=0))
    steps = np.where(since > 0, curves['step'][-since], np.nan)
    found |= {'steps_to_accuracy': steps, 'total_steps': steps + proxy_steps}
  return {metric: found[metric] for metric in config.metrics}


def measure(config, block, arm, fields):
  """Trains one arm on a block of seeds and writes its rows.

  Rows of split `test` are results; those along the way are of split `train`, or
  `masked` where they are of the test examples without the fast feature.
  """
  own = [make_data(config, seed) for seed in block.seeds]
  own = {k: np.stack([one[k] for one in own]) for k in own[0]}
  own, proxy_steps = upsampled(config, block, arm, own)
  fitted = train_block(config, block, arm, 'fit', own)
  times, rows = first_times(config, fitted), []

  def add(metric, values, split='test', step=config.num_steps, **more):
    steps = np.nan_to_num(step, nan=config.num_steps) * np.ones(len(values))
    for i, seed in enumerate(block.seeds):
      broken = i in fitted.broken
      why = fitted.why.get(i, f'not reached in {config.num_steps} steps')
      masked = np.sum(~own['test_has_fast'][i])
      rows.append(block.row(
          seed, metric, np.nan if broken else values[i], why=why, split=split,
          dataset=config.dataset, method=arm, state='last', step=steps[i],
          n=masked if metric in ON_MASKED else own['y'].shape[1],
          **fields | more))

  for metric, values in results_of(config, times, own, fitted.curves,
                                   proxy_steps).items():
    add(metric, values)
  for (what, level), (step, weights) in times.items():
    slow, fast = np.where(np.isnan(step), np.nan,
                          alignments(weights, own['directions']).T)
    if what == 'fast' and config.more_fast_levels:
      add('slow_alignment', slow, 'train', step, fast_reached=level)
    if what == 'loss':
      right = [np.mean(slow_examples(w, own, i) != own['has_fast'][i])
               for i, w in enumerate(weights)]
      add('cluster_accuracy', np.where(np.isnan(step), np.nan, right), 'train',
          step, loss_drop=level)
      add('fast_alignment', fast, 'train', step, loss_drop=level)
  for step in config.report_steps:
    for metric in config.curves:
      add(metric, fitted.curves[metric][step // config.eval_every - 1],
          'masked' if metric in ON_MASKED else 'train', step, iteration=step)
  saved = {'seeds': np.array(block.seeds)} | {
      f'weights_at_{what}_{level:g}': w for (what, level), (_, w)
      in times.items()}
  block.finish(rows, saved, fitted.curves, config.width * own['x'].shape[-1])


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  for name in ('width', 'num_examples', 'init_scale', 'learning_rate',
               'upsampling'):
    if not config[name] > 0:
      raise UserError(f'{name}={config[name]} must be above 0.')
  for name, arm, fields in study.planned():
    for block in study.blocks(name):
      measure(replaced(config, fields), block, arm, fields)
  return study.rows()


# --- Claims ------------------------------------------------------------------

_PAPER = 'Nguyen et al., 2024'
_AT = dict(split='test', state='last')
_RADII = (0.0, 0.005, 0.01, 0.02)


def _rho(value):
  return {'method': 'sam', 'rho': value}


def _k(value, arm='gd_masked'):
  return {'method': arm, 'upsampling': value}


def _uniform_claims(config, feature):
  """SAM learns both features at more equal times, and what that is made of."""
  where, source = {'config': config}, f'{_PAPER}, theory of SAM'
  return (
      Claim(f'{config}: more uniform in time', 'The larger the radius of SAM, '
            'the smaller the time to the slow feature over that to the fast.',
            source, monotone('time_ratio', 'rho', 0, method='sam',
                             increasing=False, **_AT), where),
      Claim(f'{config}: in most seeds', 'The same, from each radius to the '
            'next, in most seeds.', source, all_of(*(
                every_seed(less('time_ratio', _rho(b), _rho(a), **_AT), .5)
                for a, b in zip(_RADII[:-1], _RADII[1:], strict=True))), where),
      Claim(f'{config}: more uniform at equal progress', 'The larger the '
            'radius, the larger the slow alignment when the fast feature is '
            'learned.', source, monotone('slow_alignment', 'rho', 0,
                                         method='sam', **_AT), where),
      Claim(f'{config}: fast feature later', 'SAM learns the fast feature '
            'later, by at least a half.', 'ours', ratio(
                'time_fast', _rho(.02), _rho(0.), 1.5, np.inf, **_AT), where,
            False),
      Claim(f'{config}: slow feature sooner', 'SAM learns the slow feature in '
            f'fewer steps, where that is {feature}.', 'ours: a stronger '
            'reading of the theory', less('time_slow', _rho(.02), _rho(0.),
                                          **_AT), where, False))


CLAIMS = (
    Claim('fast feature first', 'When gradient descent has learned the fast '
          'feature, the slow alignment is at most 1.5 times its initial value, '
          'in the mean and in most seeds.',
          f'{_PAPER}, theory of gradient descent',
          all_of(within('slow_growth', 'gd', 1, 1.5, **_AT), every_seed(
              within('slow_growth', 'gd', 1, 1.5, **_AT), .5)),
          {'config': 'early'}),
    *_uniform_claims('rho', 'weak'),
    *_uniform_claims('rho_strong', 'strong'),
    *(Claim(f'{config}: random direction', 'A perturbation of the same size in '
            'a random direction changes the ratio of times by at most 3 %.',
            'ours: control', ratio('time_ratio', 'sam_random', _rho(0.), .97,
                                   1.03, **_AT), {'config': config})
      for config in ('rho', 'rho_strong')),
    Claim('radius of image models', 'With the radius 0.05 SAM takes more than '
          '5 times as long to the fast feature.',
          'ours, the factor after a first look: a radius means nothing '
          'without the size of the weights',
          ratio('time_fast', _rho(.05), _rho(0.), 5, np.inf, **_AT),
          {'config': 'radii'}, False),
    *(Claim(f'upsampling by {k:g}', f'Masked examples {k:g} times: the slow '
            'feature takes (alpha + k (1 - alpha)) / k of the time, to 5 %.',
            'ours: follows from the gradient of the theory', ratio(
                'time_slow', _k(k), _k(1.), .95 * (.9 + k * .1) / k,
                1.05 * (.9 + k * .1) / k, **_AT), {'config': 'upsampling'})
      for k in (2., 3., 5.)),
    Claim('upsampling and SAM add', 'SAM on masked examples twice has a '
          'smaller ratio of times than either alone.', 'ours',
          all_of(less('time_ratio', _k(2., 'sam_masked'), _k(2.), **_AT),
                 less('time_ratio', _k(2., 'sam_masked'), _k(1., 'sam_masked'),
                      **_AT)), {'config': 'upsampling'}, False),
    Claim('smaller gap at equal iteration', 'After 100 steps slow alignment '
          'lags less behind fast alignment under SAM.',
          f'{_PAPER}, theory of SAM; nearly empty, as SAM is simply later; '
          'the step was chosen after a first look',
          less('alignment_gap', {'method': 'sam', 'iteration': 100},
               {'method': 'gd', 'iteration': 100}, split='train', state='last'),
          {'config': 'trajectories'}, False),
    *(Claim(f'separable early: {arm}', 'When the loss has lost 0.1 % of ln 2, '
            'clusters of the outputs within each class tell masked examples '
            'with an accuracy of at least 0.99.', f'{_PAPER}, early '
            'separability', within(
                'cluster_accuracy', {'method': arm, 'loss_drop': .001}, .99, 1,
                split='train', state='last'), {'config': 'separability'},
            arm == 'gd') for arm in ('gd', 'sam')),
    *(Claim(f'USEFUL: {name}', f'Training reaches 95 % accuracy on masked test '
            f'inputs in fewer steps {text}.', f'{_PAPER}, method',
            less(metric, a, b, **_AT), {'config': 'useful'}, gated)
      for name, text, metric, a, b, gated in (
          ('below GD', 'with USEFUL', 'steps_to_accuracy', 'gd_useful', 'gd',
           True),
          ('below random', 'with USEFUL than with as many random examples '
           'upsampled', 'steps_to_accuracy', 'gd_useful', 'gd_random', True),
          ('with all steps', 'with USEFUL, also if those before clustering '
           'count', 'total_steps', 'gd_useful', 'gd', False),
          ('with SAM', 'with SAM and USEFUL than with SAM',
           'steps_to_accuracy', 'sam_useful', 'sam', False),
          ('SAM alone', 'with SAM, without USEFUL', 'steps_to_accuracy', 'sam',
           'gd', False))),
)


def figures(rows):
  """{file name: Figure} of one variant's rows."""
  from assay.report import plots

  config = settings.get_config(rows[0]['config'])
  sweep = functools.partial(plots.sweep, state='last')
  if config.sweep == 'rho':
    rows, over = _by_relative_rho(rows), 'rho / initial alignment'
    others = [arm for arm in config.arms if arm not in config.swept_arms]
    return {m: sweep(rows, m, over, others) for m in config.metrics
            if m != 'initial_alignment'} | {
                'over_descent': sweep(_over_descent(rows, over),
                                      'value over that of GD', over)}
  if config.sweep == 'upsampling':
    return {'time_slow': sweep(rows + _closed_form(rows, config), 'time_slow',
                               'upsampling'),
            'time_ratio': sweep(rows, 'time_ratio', 'upsampling')}
  found = {m: plots.comparison(rows, m, state='last') for m in config.metrics}
  for over in ('fast_reached', 'loss_drop', 'iteration'):
    for metric, split in dict.fromkeys(
        (r['metric'], r['split']) for r in rows if over in r):
      found[f'{metric}_by_{over}'] = sweep(rows, metric, over, split=split)
  return found


def _by_relative_rho(rows):
  """The radius over the mean initial alignment, which gives it a meaning."""
  initial = np.mean([r['value'] for r in rows
                     if r['metric'] == 'initial_alignment'])
  relative = lambda row: {'rho / initial alignment': float(
      round(row['rho'] / initial, 2))} if 'rho' in row else {}
  return [{k: v for k, v in r.items() if k != 'rho'} | relative(r)
          for r in rows]


def _over_descent(rows, over):
  """Each metric of SAM over that of radius 0, seed by seed."""
  found = [r for r in rows if over in r and r['value']
           and r['metric'] != 'initial_alignment']
  base = {(r['metric'], r['seed']): r['value'] for r in found if not r[over]}
  return [r | {'method': r['metric'], 'metric': 'value over that of GD',
               'value': r['value'] / base[r['metric'], r['seed']]}
          for r in found if (r['metric'], r['seed']) in base]


def _closed_form(rows, config):
  """Times to the slow feature as upsampling should change them."""
  alpha = config.fast_probability
  return [r | {'method': 'closed form', 'upsampling': k,
               'value': r['value'] * (alpha + k * (1 - alpha)) / k}
          for r in rows for k in config.sweep_values
          if (r['method'], r['metric'], r['upsampling']) == (
              'gd_masked', 'time_slow', 1.) and r['value']]


if __name__ == '__main__':
  sys.exit(cli.main('simplicity_bias'))
