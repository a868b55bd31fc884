"""Overview of calibration: losses of the arms, history of ranking, claims."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import claims, losses, papers
from assay.errors import UserError
from assay.methods import correctness_ranking
from assay.study import Study, replaced
from assay.testbeds import classifiers

experiment = papers.load('calibration_overview')
settings = papers.configs('calibration_overview')


def small(**fields):
  return replaced(settings.get_config('smoke'), fields)


@pytest.fixture(scope='module')
def case():
  """(config, model, params, batch) of a tiny network."""
  config = small()
  model = classifiers.make_model(config, 10)
  rng = np.random.default_rng(0)
  batch = {'x': jnp.asarray(rng.normal(size=(6, 8, 8, 1)), jnp.float32),
           'y': jnp.asarray(rng.integers(0, 10, 6)),
           'index': jnp.array([3, 1, 4, 1, 5, 9])}
  params = model.init(jax.random.key(0), batch['x'])['params']
  return config, model, params, batch


def loss_of(case, arm, extra=None):
  config, model, params, batch = case
  (loss, (extra, _)), _ = experiment.make_grad(config, model, arm)(
      params, extra or {}, batch, jax.random.key(1))
  return float(loss), extra


def test_losses_of_the_arms_are_cross_entropy_and_what_is_added(case):
  config, model, params, batch = case
  z, y = model.apply({'params': params}, batch['x']), batch['y']
  plain = float(jnp.mean(losses.cross_entropy(z, y)))
  want = {
      'cross_entropy': plain,
      'label_smoothing': float(jnp.mean(
          .95 * losses.cross_entropy(z, y)
          - .05 * jnp.mean(jax.nn.log_softmax(z), axis=1))),
      'brier': float(jnp.mean(jnp.sum(jnp.square(
          jax.nn.softmax(z) - jax.nn.one_hot(y, 10)), axis=1))),
      'mmce': plain + 2 * float(losses.mmce(z, y)),
      'mdca': plain + float(losses.mdca(z, y)),
      'margin': plain + .1 * float(jnp.mean(losses.margin_penalty(z, 10.)))}
  for arm, value in want.items():
    assert loss_of(case, arm)[0] == pytest.approx(value, rel=1e-5), arm
  p = jnp.exp(-losses.cross_entropy(z, y))
  assert loss_of(case, 'focal')[0] == pytest.approx(float(jnp.mean(
      -(1 - p) ** 3 * jnp.log(p))), rel=1e-5)


def test_ranking_reads_the_history_before_it_counts_the_batch(case):
  _, model, params, batch = case
  empty = {'history': correctness_ranking.start(10)}
  first, extra = loss_of(case, 'correctness_ranking', empty)
  # No draw yet: all shares are equal, and a ranking of equals costs nothing.
  assert first == pytest.approx(loss_of(case, 'cross_entropy')[0], rel=1e-6)
  drawn = np.asarray(extra['history']['drawn'])
  assert drawn.tolist() == [0, 2, 0, 1, 1, 1, 0, 0, 0, 1]
  z = model.apply({'params': params}, batch['x'])
  right = np.asarray(jnp.argmax(z, axis=1) == batch['y'])
  assert extra['history']['right'].sum() == right.sum()
  history = {'drawn': jnp.full(10, 4), 'right': jnp.arange(10) % 5}
  second, _ = loss_of(case, 'correctness_ranking', {'history': history})
  shares = np.array([3, 1, 4, 1, 0, 4]) / 4
  k = np.asarray(jax.nn.softmax(z).max(axis=1))
  gap, lead = shares - np.roll(shares, -1), k - np.roll(k, -1)
  penalty = np.maximum(0, np.abs(gap) - np.sign(gap) * lead).mean()
  assert second - first == pytest.approx(penalty, rel=1e-4)


@pytest.mark.parametrize('field, message', [
    ('arms', "arms: 'nll' is unknown; use some of cross_entropy"),
    ('calibrators', "calibrators: 'nll' is unknown; use some of uncal")])
def test_names_that_are_unknown_are_refused(field, message):
  config = small(**{field: ('nll',)})
  with pytest.raises(UserError, match=message):
    experiment.run(config, Study('calibration_overview', 'smoke', config))


# --- Claims ------------------------------------------------------------------

ECE = {('cross_entropy', 'uncalibrated'): .08,
       ('cross_entropy', 'temperature'): .02,
       ('focal', 'uncalibrated'): .015, ('focal', 'temperature'): .014,
       ('label_smoothing', 'temperature'): .04, ('brier', 'uncalibrated'): .01,
       ('mmce', 'uncalibrated'): .01, ('mdca', 'uncalibrated'): .01,
       ('margin', 'uncalibrated'): .01}
NLL = {('label_smoothing', 'temperature'): .5,
       ('cross_entropy', 'temperature'): .4, ('cross_entropy', 'matrix'): .401}
AUROC = {('cross_entropy', 'temperature'): .901,
         ('cross_entropy', 'uncalibrated'): .9,
         ('label_smoothing', 'uncalibrated'): .85,
         ('correctness_ranking', 'uncalibrated'): .95}
SHIFTED = {('cross_entropy', 'temperature'): .2, ('focal', 'uncalibrated'): .1}


def states(turn=lambda value: value, more=()):
  cells = {('ece', 'test', *arm): v for arm, v in ECE.items()}
  cells |= {('nll', 'test', *arm): v for arm, v in NLL.items()}
  cells |= {('auroc', 'test', *arm): v for arm, v in AUROC.items()}
  cells |= {('ece', 'shifted', *arm): v for arm, v in SHIFTED.items()}
  cells = {key: turn(value) for key, value in cells.items()} | dict(more)
  rows = [dict(paper='calibration_overview', config='fashion_mnist',
               run='0' * 8, dataset='fashion_mnist', method=method, seed=seed,
               split=split, group='', metric=metric, value=value + .0001 * (
                   seed * (seed + len(calibrator)) % 5), n=5000, step=1,
               state='last', calibrator=calibrator,
               seed_varies='fixed_split', planned_seeds=5, scale='reduced')
          for (metric, split, method, calibrator), value in cells.items()
          for seed in range(5)]
  return {judged.claim.name.partition(': ')[2]: judged.verdict.state
          for judged in claims.judge(
              claims.about(settings.CLAIMS, rows), rows)}


def test_claims_hold_and_fail_on_made_up_rows():
  good = states()
  assert len(good) == 13 and set(good.values()) == {'holds'}
  # Equalities do not turn around with the sign: they are broken apart.
  apart = {('ece', 'test', 'focal', 'temperature'): .5,
           ('auroc', 'test', 'cross_entropy', 'temperature'): .5,
           ('nll', 'test', 'cross_entropy', 'matrix'): 2.}
  assert set(states(lambda value: -value, apart).values()) == {'fails'}
