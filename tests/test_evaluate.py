"""assay.train.evaluate: whole splits, each example once."""
import functools

import chex
import jax
import numpy as np
import pytest

from assay import losses
from assay.data import tabular
from assay.models import mlp
from assay.train import evaluate

NUM_SEEDS, NUM_VAL = 3, 10
DRAW = tabular.draw_from('val')


def apply(params, extra, x):
  """[B, 2] predictions that tell rows and seeds apart."""
  return x @ params['kernel'] + extra['offset'] + params['bias']


def case():
  """(params, extra, shared, own) and host (predictions, y), all seeds."""
  rng = np.random.default_rng(0)
  draw = lambda *shape: rng.normal(size=shape).astype(np.float32)
  shared = {'x': draw(30, 4), 'y': draw(30, 2)}
  own = tabular.own_splits(shared, (15, NUM_VAL, 5), range(NUM_SEEDS), 'x')
  # The last example has by far the largest loss: padding repeats it.
  for rows in own['val_rows']:
    shared['y'][rows[-1]] += 100
  params = {'kernel': draw(NUM_SEEDS, 4, 2), 'bias': draw(NUM_SEEDS, 2)}
  extra = {'offset': draw(NUM_SEEDS, 2)}
  x = (shared['x'][own['val_rows']] - own['low'][:, None]
       ) * own['scale'][:, None]
  offset = extra['offset'] + params['bias']
  predictions = x @ params['kernel'] + offset[:, None]
  return (params, extra, shared, own), (predictions,
                                        shared['y'][own['val_rows']])


@pytest.mark.parametrize('batch_size', [1, 3, 4, NUM_VAL, 4096])
def test_predictor_takes_each_example_once(batch_size):
  args, (predictions, y) = case()
  predict = evaluate.predictor(apply, DRAW, batch_size)
  got, got_y = predict(*args, NUM_VAL)
  assert isinstance(got, np.ndarray) and isinstance(got_y, np.ndarray)
  assert got.shape == got_y.shape == (NUM_SEEDS, NUM_VAL, 2)
  np.testing.assert_array_equal(got_y, y)
  np.testing.assert_allclose(got, predictions, rtol=1e-4, atol=1e-5)


def test_predictor_counts_rows_of_its_split():
  # Fewer rows than the split has: the first of them.
  args, (predictions, y) = case()
  got, got_y = evaluate.predictor(apply, DRAW, 4)(*args, 7)
  np.testing.assert_array_equal(got_y, y[:, :7])
  np.testing.assert_allclose(got, predictions[:, :7], rtol=1e-4, atol=1e-5)


def test_seeds_together_equal_seeds_one_by_one():
  (params, extra, shared, own), _ = case()
  predict = evaluate.predictor(apply, DRAW, 4)
  together = predict(params, extra, shared, own, NUM_VAL)
  for seed in range(NUM_SEEDS):
    one = lambda tree, seed=seed: jax.tree.map(
        lambda a: a[seed:seed + 1], tree)
    alone = predict(one(params), one(extra), shared, one(own), NUM_VAL)
    for a, b in zip(alone, together, strict=True):
      np.testing.assert_array_equal(a[0], b[seed])
  assert np.abs(together[0][0] - together[0][1]).max() > 0.1


@pytest.mark.usefixtures('optimized')
@pytest.mark.parametrize('size', [4, 8, 12])
def test_a_split_in_pieces_is_the_split(size):
  """Bit for bit, and no more than a piece is read at a time."""
  (params, extra, shared, own), _ = case()
  x, rows = shared['x'], own['val_rows'][0]
  own = {k: v for k, v in own.items() if k in ('low', 'scale')}
  predict = evaluate.predictor(
      apply, lambda shared, own, item, key: {
          'x': (shared['x'][item] - own['low']) * own['scale'],
          'y': shared['y'][item]}, 4)
  asked = []

  def read(start, stop):
    asked.append(stop - start)
    mine = rows[start:stop]
    return {'x': x[mine], 'y': shared['y'][mine]}

  whole = predict(params, extra, read(0, NUM_VAL), own, NUM_VAL)
  asked.clear()
  got = predict(params, extra, evaluate.Pieces(read, size), own, NUM_VAL)
  assert sum(asked) == NUM_VAL and max(asked) == min(size, NUM_VAL)
  for a, b in zip(got, whole, strict=True):
    np.testing.assert_array_equal(a, b)


def test_a_split_is_cut_where_it_takes_too_much_of_a_device(monkeypatch):
  read = lambda start, stop: (start, stop)
  assert evaluate.pieces(read, 100, 8, 16) == (0, 100)
  monkeypatch.setattr(evaluate, 'room', lambda: 8 * 50)
  assert evaluate.pieces(read, 50, 8, 16) == (0, 50)
  assert evaluate.pieces(read, 51, 8, 16) == evaluate.Pieces(read, 48)
  assert evaluate.pieces(read, 100, 8, 64).size == 64  # a batch at least


def test_predictor_reads_a_table_of_the_seed():
  (params, extra, shared, own), (predictions, y) = case()
  own = own | {k: np.stack([v] * NUM_SEEDS) for k, v in shared.items()}
  own['y'] = own['y'] + np.arange(NUM_SEEDS, dtype=np.float32)[:, None, None]
  got, got_y = evaluate.predictor(apply, DRAW, 4)(
      params, extra, {}, own, NUM_VAL)
  np.testing.assert_allclose(got, predictions, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(
      got_y, y + np.arange(NUM_SEEDS)[:, None, None], rtol=1e-6)


@pytest.mark.parametrize('batch_size', [1, 7, NUM_VAL, 4096])
def test_mean_loss_is_the_mean_on_the_host(batch_size):
  args, (predictions, y) = case()
  select = evaluate.mean_loss(losses.squared, apply, DRAW, NUM_VAL, batch_size)
  got = jax.jit(jax.vmap(select, in_axes=(0, 0, None, 0)))(*args)
  assert got.shape == (NUM_SEEDS,)
  want = np.square(predictions - y).mean(axis=(1, 2))
  np.testing.assert_allclose(got, want, rtol=1e-4)


def test_mean_loss_of_one_seed_is_a_scalar():
  (params, extra, shared, own), (predictions, y) = case()
  first = lambda tree: jax.tree.map(lambda a: a[0], tree)
  for num_rows in (1, 2, 9):
    select = evaluate.mean_loss(losses.squared, apply, DRAW, num_rows, 4)
    got = jax.jit(select)(first(params), first(extra), shared, first(own))
    assert got.shape == ()
    want = np.square(predictions[0, :num_rows] - y[0, :num_rows]).mean()
    np.testing.assert_allclose(got, want, rtol=1e-4)


def test_functions_made_anew_with_the_same_values_are_the_same():
  model, other = mlp.MLP(8), mlp.MLP(9)
  array = np.zeros(3)

  def made(model, scale, more=array):
    again = lambda x: again(x) * scale  # closes over itself
    return lambda params, extra, x: (model.apply(params, x), again, more)

  same = evaluate.Same
  assert same(made(model, 2)) == same(made(mlp.MLP(8), 2))
  assert hash(same(made(model, 2))) == hash(same(made(mlp.MLP(8), 2)))
  for changed in (made(other, 2), made(model, 3), made(model, 2.),
                  made(model, 2, array.copy()), lambda params, extra, x: x):
    assert same(made(model, 2)) != same(changed)
  part = lambda **more: same(functools.partial(apply, **more))
  assert part(extra=1) == part(extra=1) != part(extra=2)
  assert same(model.apply) == same(mlp.MLP(8).apply) != same(other.apply)


def test_a_predictor_that_is_asked_for_again_is_not_compiled_again():
  args, _ = case()
  shift = 1.5
  traced = chex.assert_max_traces(
      lambda params, extra, x: apply(params, extra, x) + shift, n=1)
  for _ in range(3):
    evaluate.predictor(lambda *args: traced(*args), tabular.draw_from('val'),
                       4)(*args, NUM_VAL)
