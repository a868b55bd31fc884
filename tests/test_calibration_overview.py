"""Overview of calibration: losses of the arms, history of ranking."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import losses, papers
from assay.methods import correctness_ranking

ARMS = papers.load('calibration_overview').arms(
    papers.configs('calibration_overview').get_config('smoke'))
RNG = np.random.default_rng(0)
Z = jnp.asarray(RNG.normal(size=(6, 10)), jnp.float32)
Y = jnp.asarray(RNG.integers(0, 10, 6))
BATCH = {'y': Y, 'index': jnp.array([3, 1, 4, 1, 5, 9])}


def loss_of(arm, extra=None):
  loss, extra, metrics = ARMS[arm].loss(Z, BATCH, extra or {})
  assert loss.shape == () and metrics == {}
  return float(loss), extra


def test_losses_of_the_arms_are_cross_entropy_and_what_is_added():
  plain = float(jnp.mean(losses.cross_entropy(Z, Y)))
  p = jnp.exp(-losses.cross_entropy(Z, Y))
  want = {
      'cross_entropy': plain,
      'label_smoothing': float(jnp.mean(
          .95 * losses.cross_entropy(Z, Y)
          - .05 * jnp.mean(jax.nn.log_softmax(Z), axis=1))),
      'brier': float(jnp.mean(jnp.sum(jnp.square(
          jax.nn.softmax(Z) - jax.nn.one_hot(Y, 10)), axis=1))),
      'focal': float(jnp.mean(-(1 - p) ** 3 * jnp.log(p))),
      'mmce': plain + 2 * float(losses.mmce(Z, Y)),
      'mdca': plain + float(losses.mdca(Z, Y)),
      'margin': plain + .1 * float(jnp.mean(losses.margin_penalty(Z, 10.)))}
  for arm, value in want.items():
    assert loss_of(arm)[0] == pytest.approx(value, rel=1e-5), arm
  assert {*want, 'correctness_ranking'} == ARMS.keys()


def test_ranking_reads_the_history_before_it_counts_the_batch():
  first, new = loss_of('correctness_ranking',
                       ARMS['correctness_ranking'].memory(10))
  # No draw yet: all shares are equal, and a ranking of equals costs nothing.
  assert first == pytest.approx(loss_of('cross_entropy')[0], rel=1e-6)
  assert new['history']['drawn'].tolist() == [0, 2, 0, 1, 1, 1, 0, 0, 0, 1]
  assert new['history']['right'].sum() == (jnp.argmax(Z, axis=1) == Y).sum()
  assert correctness_ranking.start(10).keys() == new['history'].keys()
  second, _ = loss_of('correctness_ranking', {'history': {
      'drawn': jnp.full(10, 4), 'right': jnp.arange(10) % 5}})
  shares = np.array([3, 1, 4, 1, 0, 4]) / 4
  k = np.asarray(jax.nn.softmax(Z).max(axis=1))
  gap, lead = shares - np.roll(shares, -1), k - np.roll(k, -1)
  penalty = np.maximum(0, np.abs(gap) - np.sign(gap) * lead).mean()
  assert second - first == pytest.approx(penalty, rel=1e-4)
