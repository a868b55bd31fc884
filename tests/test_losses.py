"""assay.losses: one value per example, or a statistic of the batch."""
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from assay import losses
from assay.methods import correctness_ranking


def test_squared_by_hand():
  predictions = jnp.array([[1., 2.], [0., 0.], [5., -1.]])
  targets = jnp.array([[1., 4.], [3., 1.], [5., -1.]])
  got = losses.squared(predictions, targets)
  np.testing.assert_array_equal(got, [2, 5, 0])  # (0 + 4) / 2, (9 + 1) / 2
  np.testing.assert_array_equal(losses.squared(targets, predictions), got)


def test_squared_gradient_by_hand():
  # d/dp of (p - t)^2 / Q is 2 (p - t) / Q.
  gradient = jax.grad(lambda p: losses.squared(p, jnp.zeros((1, 2))).sum())(
      jnp.array([[3., -4.]]))
  np.testing.assert_array_equal(gradient, [[3, -4]])


@pytest.mark.parametrize('first, second', [
    ((4,), (4, 1)), ((4, 1), (4,)), ((4, 1), (1, 1)), ((4, 2), (4, 1))])
def test_squared_does_not_broadcast(first, second):
  message = rf'predictions \({first[0]},.*targets \({second[0]},.*same shape'
  for function in (losses.squared, jax.jit(losses.squared)):
    with pytest.raises(ValueError, match=message):
      function(jnp.zeros(first), jnp.zeros(second))


def test_gaussian_is_a_density_without_its_constant():
  rng = np.random.default_rng(0)
  mean, log_std, y = rng.normal(size=(3, 4, 5))
  with jax.enable_x64(True):
    got = losses.gaussian(*map(jnp.asarray, (mean, log_std, y)))
    np.testing.assert_allclose(
        got, -stats.norm.logpdf(y, mean, np.exp(log_std))
        - .5 * np.log(2 * np.pi), rtol=1e-12)
  # (3 - 1)^2 / (2 * 2^2) with s = 2.
  np.testing.assert_allclose(losses.gaussian(
      jnp.array([1.]), jnp.log(jnp.array([2.])), jnp.array([3.])),
                             [math.log(2) + .5], rtol=1e-6)


def test_gaussian_is_least_at_the_sample_mean_and_standard_deviation():
  loss = jax.jit(jax.value_and_grad(lambda p, y: losses.gaussian(
      jnp.full(50, p[0]), jnp.full(50, p[1]), y).mean()))
  y = np.random.default_rng(1).normal(3, 2, 50)
  best = np.array([y.mean(), np.log(y.std())])  # ddof 0
  with jax.enable_x64(True):
    value, slope = loss(best, y)
    np.testing.assert_allclose(value, best[1] + .5, rtol=1e-12)
    np.testing.assert_allclose(slope, 0, atol=1e-12)
    for step in ([.1, 0], [-.1, 0], [0, .1], [0, -.1]):
      assert loss(best + step, y)[0] > value + 1e-4


@pytest.mark.parametrize('shapes', [
    ((4,), (4,), (4, 1)), ((4,), (1,), (4,)), ((), (4,), (4,))])
def test_gaussian_does_not_broadcast(shapes):
  with pytest.raises(ValueError, match=r'mean \(.*log_std \(.*targets \(.*'
                     'must have the same shape'):
    losses.gaussian(*map(jnp.zeros, shapes))


# --- Classification -----------------------------------------------------------

# name: loss(logits, labels), [B] or [].
LOSSES = {
    'cross_entropy': losses.cross_entropy,
    'smoothed': lambda z, y: losses.cross_entropy(z, y, smoothing=0.1),
    'brier': losses.brier,
    'focal_0': lambda z, y: losses.focal(z, y, 0.),
    'focal_half': lambda z, y: losses.focal(z, y, 0.5),
    'focal_53': lambda z, y: losses.focal(
        z, y, losses.focal_53(jnp.exp(-losses.cross_entropy(z, y)))),
    'dual_focal': lambda z, y: losses.dual_focal(z, y, 2.5),
    'correctness_aware': losses.correctness_aware,
    'balanced': lambda z, y: losses.correctness_aware(
        z, y, class_balanced=True),
    'margin': lambda z, y: losses.margin_penalty(z, margin=1.),
    'logit_norm': lambda z, y: losses.cross_entropy(
        losses.normalized_logits(z), y),
    'mmce': losses.mmce,
    'weighted_mmce': lambda z, y: losses.mmce(z, y, weighted=True),
    'soft_calibration': losses.soft_calibration_error,
    'soft_calibration_1': lambda z, y: losses.soft_calibration_error(
        z, y, num_bins=5, temperature=0.02, order=1),
    'soft_calibration_3': lambda z, y: losses.soft_calibration_error(
        z, y, num_bins=4, order=3.),
    'mdca': losses.mdca,
    'dca': losses.dca,
}
BATCH = ('mmce', 'weighted_mmce', 'soft_calibration', 'soft_calibration_1',
         'soft_calibration_3', 'mdca', 'dca')
TAKES_LABELS = [name for name in LOSSES if name != 'margin']


def summed(loss):

  def value(logits, labels):
    out = loss(logits, labels)
    return out.sum(), out

  return jax.jit(jax.value_and_grad(value, has_aux=True))


SUMMED = {name: summed(loss) for name, loss in LOSSES.items()}


def generic(batch=7, classes=4):
  """Float64 logits and labels: some right, some wrong, nothing tied."""
  rng = np.random.default_rng(0)
  logits = rng.normal(0, 2, (batch, classes))
  labels = rng.integers(classes, size=batch)
  labels[::2] = logits[::2].argmax(axis=1)
  labels[1] = logits[1].argmin()
  return logits, labels


def softmax(z):
  e = [math.exp(v - max(z)) for v in z]
  return [v / sum(e) for v in e]


def by_loops(name, logits, labels):
  """The same losses from their formulas, one example after another."""
  p = [softmax(z) for z in logits.tolist()]
  y, (num, classes) = labels.tolist(), logits.shape
  p_y = [q[k] for q, k in zip(p, y, strict=True)]
  r = [max(q) for q in p]
  h = [float(q[k] == max(q)) for q, k in zip(p, y, strict=True)]

  def soft_bins(num_bins, temperature, order):
    total = 0
    u = [softmax([-(c - (2 * j + 1) / (2 * num_bins)) ** 2 / temperature
                  for j in range(num_bins)]) for c in r]
    for j in range(num_bins):
      size = sum(row[j] for row in u)
      mean_r = sum(row[j] * c for row, c in zip(u, r, strict=True)) / size
      mean_h = sum(row[j] * c for row, c in zip(u, h, strict=True)) / size
      total += size / num * abs(mean_r - mean_h) ** order
    return total ** (1 / order)

  def focused(i, base):
    return -base ** 2.5 * math.log(p_y[i])

  if name == 'cross_entropy' or name == 'focal_0':
    return [-math.log(v) for v in p_y]
  if name == 'smoothed':
    return [-sum((0.9 * (c == k) + 0.1 / classes) * math.log(q[c])
                 for c in range(classes)) for q, k in zip(p, y, strict=True)]
  if name == 'brier':  # sum p^2 - 2 p_y + 1
    return [sum(v * v for v in q) - 2 * q[k] + 1
            for q, k in zip(p, y, strict=True)]
  if name == 'focal_half':
    return [-math.sqrt(1 - v) * math.log(v) for v in p_y]
  if name == 'focal_53':
    return [-(1 - v) ** (5 if v < 0.2 else 3) * math.log(v) for v in p_y]
  if name == 'dual_focal':
    below = [sorted([0] + [v for v in q if v < t])[-1]
             for q, t in zip(p, p_y, strict=True)]
    return [focused(i, 1 - p_y[i] + below[i]) for i in range(num)]
  if name == 'correctness_aware':
    return [(c - k) ** 2 for c, k in zip(r, h, strict=True)]
  if name == 'balanced':
    share = sum(h) / num
    w = [1 - share if k else share for k in h]
    return [num * v / sum(w) * (c - k) ** 2
            for v, c, k in zip(w, r, h, strict=True)]
  if name == 'margin':
    return [sum(max(0, max(z) - v - 1) for v in z) / classes
            for z in logits.tolist()]
  if name == 'logit_norm':
    scaled = [[v / (math.hypot(*z) + 1e-7) / 0.04 for v in z]
              for z in logits.tolist()]
    return [-math.log(softmax(z)[k]) for z, k in zip(scaled, y, strict=True)]
  if name == 'mmce':
    return math.sqrt(sum(
        (h[i] - r[i]) * (h[j] - r[j]) * math.exp(-abs(r[i] - r[j]) / 0.4)
        for i in range(num) for j in range(num)) / num ** 2)
  if name == 'weighted_mmce':  # the three sums of the paper
    right = [c for c, k in zip(r, h, strict=True) if k]
    wrong = [c for c, k in zip(r, h, strict=True) if not k]
    kernel = lambda a, b: math.exp(-abs(a - b) / 0.4)
    return math.sqrt(
        sum((1 - a) * (1 - b) * kernel(a, b)
            for a in right for b in right) / len(right) ** 2
        + sum(a * b * kernel(a, b)
              for a in wrong for b in wrong) / len(wrong) ** 2
        - 2 * sum((1 - a) * b * kernel(a, b)
                  for a in right for b in wrong) / len(right) / len(wrong))
  if name == 'soft_calibration':
    return soft_bins(15, 0.01, 2)
  if name == 'soft_calibration_1':
    return soft_bins(5, 0.02, 1)
  if name == 'soft_calibration_3':
    return soft_bins(4, 0.01, 3)
  if name == 'mdca':
    return sum(abs(sum(q[c] for q in p) - y.count(c)) / num
               for c in range(classes)) / classes
  if name == 'dca':
    return abs(sum(r) - sum(h)) / num


@pytest.mark.parametrize('name', LOSSES)
def test_value_gradient_and_invariance(name):
  logits, labels = generic()
  with jax.enable_x64(True):
    (_, got), gradient = SUMMED[name](logits, labels)
    assert got.shape == (() if name in BATCH else labels.shape)
    np.testing.assert_allclose(got, by_loops(name, logits, labels),
                               rtol=1e-10, atol=1e-14)
    step, numeric = 1e-6, np.zeros_like(logits)
    for at in np.ndindex(logits.shape):
      ends = []
      for side in (step, -step):
        moved = logits.copy()
        moved[at] += side
        ends.append(float(SUMMED[name](moved, labels)[0][0]))
      numeric[at] = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)
    assert np.abs(numeric).max() > 1e-3
    (_, moved), _ = SUMMED[name](logits + 3.25, labels)
    if name == 'logit_norm':
      assert np.abs(moved - got).max() > 1e-3
    else:
      np.testing.assert_allclose(moved, got, rtol=1e-9)


@pytest.mark.parametrize('name', LOSSES)
def test_huge_and_tied_logits_are_finite(name):
  rows = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 9999.5], [1e4, 1e4, -1e4],
                   [0, 0, 0], [1e4, 1e4, 1e4], [30, 0, -30], [17, 0, 0]],
                  np.float32)
  logits = np.repeat(rows, 3, axis=0)
  labels = np.tile(np.arange(3), len(rows))
  (_, got), gradient = SUMMED[name](logits, labels)
  assert got.dtype == gradient.dtype == np.float32
  assert np.isfinite(got).all() and np.isfinite(gradient).all()
  # All right with confidence 1, where roots and powers are at 0.
  labels = logits.argmax(axis=1)
  sure = np.where(labels[:, None] == np.arange(3), 1e4, -1e4).astype(np.float32)
  (_, got), gradient = SUMMED[name](sure, labels)
  assert np.isfinite(got).all() and np.isfinite(gradient).all()
  if name not in ('smoothed', 'margin', 'logit_norm'):
    np.testing.assert_array_equal(got, np.zeros(got.shape))
    np.testing.assert_array_equal(gradient, np.zeros(sure.shape))


def test_huge_logits_by_hand():
  logits = np.array([[1e4, -1e4], [1e4, -1e4]], np.float32)
  for name, want in (('cross_entropy', [2e4, 0]), ('focal_half', [2e4, 0]),
                     ('focal_53', [2e4, 0]), ('dual_focal', [2e4, 0]),
                     ('brier', [2, 0]), ('correctness_aware', [1, 0]),
                     ('margin', [(2e4 - 1) / 2] * 2)):
    got = SUMMED[name](logits, np.array([1, 0]))[0][1]
    np.testing.assert_array_equal(got, np.float32(want), err_msg=name)


@pytest.mark.parametrize('name', (*BATCH, 'balanced'))
def test_batch_of_one(name):
  logits, label = np.log([[0.25, 0.75]]).astype(np.float32), np.array([0])
  # Of one wrong example every calibration error is its confidence.
  want = {'balanced': [.75 ** 2], 'weighted_mmce': 0}.get(name, .75)
  (_, got), gradient = SUMMED[name](logits, label)
  np.testing.assert_allclose(got, want, rtol=1e-6)
  assert np.isfinite(gradient).all()


def test_classification_by_hand():
  """p = (3/4, 1/4) twice, labels 0 and 1: one right, one wrong."""
  nll = -np.log([.75, .25])
  want = {
      'cross_entropy': nll,
      'smoothed': .95 * nll + .05 * nll[::-1],
      'brier': [2 / 16, 18 / 16],
      'focal_0': nll,
      'focal_half': nll * [1 / 2, math.sqrt(3 / 4)],
      'focal_53': nll * [1 / 64, 27 / 64],
      # Below 3/4 is 1/4; below 1/4 is nothing.
      'dual_focal': nll * [.5 ** 2.5, .75 ** 2.5],
      'correctness_aware': [1 / 16, 9 / 16],
      'balanced': [1 / 16, 9 / 16],
      'margin': [(math.log(3) - 1) / 2] * 2,
      'mmce': 1 / 4,  # |1/4 - 3/4| / 2
      'weighted_mmce': 1 / 2,
      'soft_calibration': 1 / 4,  # the gap of every bin
      'soft_calibration_1': 1 / 4,
      'soft_calibration_3': 1 / 4,
      'mdca': 1 / 4,
      'dca': 1 / 4,
  }
  logits = np.log([[3, 1], [3, 1]]).astype(np.float32)
  for name, value in want.items():
    got = SUMMED[name](logits, np.arange(2))[0][1]
    np.testing.assert_allclose(got, value, rtol=2e-6, err_msg=name)


def test_gamma_of_each_example():
  logits, labels = np.log([[3, 1], [3, 1]]).astype(np.float32), np.arange(2)
  got = losses.focal(logits, labels, np.array([2., 1.], np.float32))
  np.testing.assert_allclose(
      got, -np.log([.75, .25]) * [1 / 16, 3 / 4], rtol=1e-6)


def test_mdca_counts_each_class_where_dca_sees_one_number():
  # Mean p = (.5, .3, .2) against frequencies (.5, 0, .5).
  logits = jnp.log(jnp.array([[.6, .3, .1], [.4, .3, .3]]))
  labels = jnp.array([0, 2])
  np.testing.assert_allclose(losses.mdca(logits, labels), .2, rtol=1e-6)
  np.testing.assert_allclose(losses.dca(logits, labels), 0, atol=1e-7)


def test_focal_53_switches_at_a_fifth():
  p_y = jnp.array([0., .1999, .2, .5, 1.])
  np.testing.assert_array_equal(losses.focal_53(p_y), [5, 5, 3, 3, 3])
  np.testing.assert_array_equal(
      jax.grad(lambda p: losses.focal_53(p).sum())(p_y), np.zeros(5))


def test_dual_focal_takes_the_largest_below_strictly():
  logits = jnp.log(jnp.array([[.5, .2, .2, .1]] * 4))
  got = losses.dual_focal(logits, jnp.arange(4), 1.)
  p_y, p_j = np.array([.5, .2, .2, .1]), np.array([.2, .1, .1, 0])
  np.testing.assert_allclose(got, -(1 - p_y + p_j) * np.log(p_y), rtol=1e-6)


def test_limits():
  logits, labels = generic(40)

  @jax.jit
  def pairs(z, y):
    plain = losses.cross_entropy(z, y)
    smoothed = lambda eps: (
        losses.cross_entropy(z, y, eps), optax.losses.softmax_cross_entropy(
            z, optax.losses.smooth_labels(jax.nn.one_hot(y, 4), eps)))
    return {
        'optax': (plain,
                  optax.losses.softmax_cross_entropy_with_integer_labels(z, y)),
        'focal': (losses.focal(z, y, 0), plain),
        'dual focal': (losses.dual_focal(z, y, 0.), plain),
        'smoothed': smoothed(.05),
        'uniform targets': smoothed(1.),
        'one kernel': (losses.mmce(z, y, width=1e15), losses.dca(z, y)),
        'one bin': (losses.soft_calibration_error(z, y, num_bins=1),
                    losses.dca(z, y)),
        'no margin': (losses.margin_penalty(z, 0.),
                      z.max(axis=1) - z.mean(axis=1)),
        'hard bins': [losses.soft_calibration_error(z, y, 10, 1e-8, order)
                      for order in (1, 2)]}

  with jax.enable_x64(True):
    got = pairs(logits, labels)
  hard = got.pop('hard bins')
  for name, (one, other) in got.items():
    np.testing.assert_allclose(one, other, rtol=1e-10, err_msg=name)

  # Hard bins (lo, hi]; no confidence is close to an edge.
  r = np.array([max(softmax(row)) for row in logits.tolist()])
  right = logits.argmax(axis=1) == labels
  bins = np.ceil(r * 10).astype(int)
  assert np.abs(r * 10 - np.round(r * 10)).min() > 1e-4
  gaps = [(np.sum(bins == b), np.mean((r - right)[bins == b]))
          for b in np.unique(bins)]
  for order, value in zip((1, 2), hard, strict=True):
    want = (sum(n * abs(g) ** order for n, g in gaps) / 40) ** (1 / order)
    np.testing.assert_allclose(value, want, rtol=1e-10)


def test_balanced_weights_count_right_and_wrong_equally():
  logits = jnp.log(jnp.array([[.8, .2], [.6, .4], [.9, .1], [.3, .7]]))
  labels = jnp.array([0, 0, 0, 0])  # three right, one wrong
  plain = losses.correctness_aware(logits, labels)
  got = losses.correctness_aware(logits, labels, class_balanced=True)
  np.testing.assert_allclose(got / plain, [2 / 3, 2 / 3, 2 / 3, 2], rtol=1e-6)
  np.testing.assert_allclose(
      got.mean(), (plain[:3].mean() + plain[3]) / 2, rtol=1e-6)
  for labels in (jnp.array([0, 0, 0, 1]), jnp.array([1, 1, 1, 0])):
    np.testing.assert_array_equal(  # all right, all wrong
        losses.correctness_aware(logits, labels, class_balanced=True),
        losses.correctness_aware(logits, labels))
    assert losses.mmce(logits, labels, weighted=True) == 0


def test_correctness_aware_gradient_comes_through_the_predicted_class():
  logits, labels = generic()
  with jax.enable_x64(True):
    gradient = SUMMED['correctness_aware'](logits, labels)[1]
  for z, y, got in zip(logits, labels, gradient, strict=True):
    p, top = np.array(softmax(z)), z.argmax()
    d_top = p[top] * ((np.arange(4) == top) - p)  # of p_top by z
    np.testing.assert_allclose(got, 2 * (p[top] - (top == y)) * d_top,
                               rtol=1e-9)


def test_ties_go_to_the_first_class():
  logits, labels = np.zeros((2, 3), np.float32), np.array([0, 1])
  (_, got), gradient = SUMMED['correctness_aware'](logits, labels)
  np.testing.assert_allclose(got, [4 / 9, 1 / 9], rtol=1e-6)
  # 2 (1/3 - right) times 1/3 (onehot_0 - 1/3).
  np.testing.assert_allclose(
      gradient, np.outer([-4 / 3, 2 / 3], [2 / 9, -1 / 9, -1 / 9]), rtol=1e-5)


def test_margin_penalty_by_hand():
  logits = jnp.array([[0., -12., 5.], [3., 3., 3.]])
  np.testing.assert_allclose(
      losses.margin_penalty(logits), [7 / 3, 0], rtol=1e-6)
  gradient = jax.grad(lambda z: losses.margin_penalty(z).sum())(logits)
  np.testing.assert_allclose(gradient[0], [0, -1 / 3, 1 / 3], rtol=1e-6)
  np.testing.assert_array_equal(gradient[1], [0, 0, 0])


def test_normalized_logits():
  logits = jnp.array([[3., 4.], [3e4, 4e4], [0., 0.]])
  np.testing.assert_allclose(losses.normalized_logits(logits),
                             [[15, 20], [15, 20], [0, 0]], rtol=1e-6)
  np.testing.assert_allclose(losses.normalized_logits(logits, 1.)[0],
                             [.6, .8], rtol=1e-6)
  gradient = jax.grad(lambda z: losses.normalized_logits(z)[:, 0].sum())(logits)
  # (1 - .36, -.6 * .8) / 5 / 0.04; at 0 the small number in the way of NaN.
  np.testing.assert_allclose(gradient[0], [3.2, -2.4], rtol=1e-5)
  np.testing.assert_allclose(gradient[2], [1 / 4e-9, 0], rtol=1e-6)


def test_correctness_ranking_by_hand():
  confidences, shares = jnp.array([.9, .6, .5]), jnp.array([.5, 1., .5])
  # 0 was right less often than 1: .5 + .3; 1 more than 2: .5 - .1; 2 as 0.
  got, pull = jax.vjp(lambda k: losses.correctness_ranking(k, shares),
                      confidences)
  np.testing.assert_allclose(got, [.8, .4, 0], rtol=1e-6)
  np.testing.assert_array_equal(pull(jnp.ones(3))[0], [1, -2, 1])
  # Enough distance in the right direction costs nothing.
  np.testing.assert_array_equal(losses.correctness_ranking(
      jnp.array([.9, .2]), jnp.array([.75, .25])), [0, 0])
  np.testing.assert_array_equal(  # its own partner
      losses.correctness_ranking(jnp.array([.3]), jnp.array([.7])), [0])


def test_counts_of_correctness():
  history = correctness_ranking.start(4)
  np.testing.assert_array_equal(
      correctness_ranking.shares(history, jnp.arange(4)), np.zeros(4))
  for index, right in (([0, 2], [True, False]), ([2, 1], [True, True]),
                       ([0, 0], [True, False])):  # twice in a batch
    history = jax.jit(correctness_ranking.updated)(
        history, jnp.array(index), jnp.array(right))
  np.testing.assert_array_equal(history['drawn'], [3, 1, 2, 0])
  np.testing.assert_array_equal(history['right'], [2, 1, 1, 0])
  np.testing.assert_allclose(
      correctness_ranking.shares(history, jnp.array([3, 2, 0])),
      [0, .5, 2 / 3], rtol=1e-6)


@pytest.mark.parametrize('name', TAKES_LABELS)
def test_wrong_shapes_and_dtypes_are_refused(name):
  logits, labels = jnp.zeros((4, 3)), jnp.zeros(4, jnp.int32)
  for args, message in (
      ((logits, labels[:, None]), r'\(4, 3\) and labels \(4, 1\)'),
      ((logits, labels[:3]), r'\(4, 3\) and labels \(3,\)'),
      ((logits, jnp.zeros((4, 3), jnp.int32)), r'labels \(4, 3\)'),
      ((logits[0], labels), r'logits \(3,\).* must be'),
      ((logits, labels.astype(float)), 'labels have dtype float32'),
      ((logits, labels.astype(bool)), 'labels have dtype bool'),
      ((logits.astype(int), labels), 'logits have dtype int32')):
    with pytest.raises(ValueError, match=message):
      jax.eval_shape(LOSSES[name], *args)  # when traced


def test_other_wrong_arguments_are_refused():
  logits, labels = jnp.zeros((4, 3)), jnp.zeros(4, jnp.int32)
  for function in (losses.focal, losses.dual_focal):
    for shape in ((3,), (4, 1), (4, 3)):
      with pytest.raises(ValueError, match=r'gamma \(.*\(4,\)'):
        function(logits, labels, jnp.ones(shape))
  for function in (losses.margin_penalty, losses.normalized_logits):
    with pytest.raises(ValueError, match=r'logits \(4, 3, 1\) must be'):
      function(logits[..., None])
  for pair in ((jnp.zeros(4), jnp.zeros(3)), (logits, logits)):
    with pytest.raises(ValueError, match=r'confidences \(4,.*must both be'):
      losses.correctness_ranking(*pair)


# --- Liu et al. (2024): what each loss asks of a narrowly wrong example ------


def sharpening(loss, logits, labels):
  """[B], the derivative of the loss at beta = 1 of softmax(beta logits)."""
  return jax.jvp(lambda z: loss(z, labels), (logits,), (logits,))[1]


def test_which_loss_asks_to_sharpen_and_when():
  """With d p_c / d beta = p_c (z_c - E_p z) for beta = 1/T, on 10,000 draws."""
  rng = np.random.default_rng(1)
  z = rng.normal(size=(10_000, 5)) * rng.uniform(.1, 5, (10_000, 1))
  y = rng.integers(5, size=10_000)
  rows, top = np.arange(10_000), z.argmax(axis=1)
  right = top == y
  with jax.enable_x64(True):
    got = {name: np.asarray(sharpening(LOSSES[name], jnp.asarray(z), y))
           for name in ('cross_entropy', 'brier', 'correctness_aware')}
  p = np.exp(z - z.max(axis=1, keepdims=True))
  p /= p.sum(axis=1, keepdims=True)
  lead = z - (p * z).sum(axis=1, keepdims=True)
  entropy = -(p * np.log(p)).sum(axis=1)
  nll, p_top = -np.log(p[rows, y]), p[rows, top]
  same = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)

  same(got['cross_entropy'], nll - entropy)
  np.testing.assert_array_equal(got['cross_entropy'] < 0, nll < entropy)
  np.testing.assert_array_equal(nll < entropy, lead[rows, y] > 0)
  of_true, of_all = p[rows, y] * lead[rows, y], (p ** 2 * lead).sum(axis=1)
  same(got['brier'], 2 * (of_all - of_true))
  np.testing.assert_array_equal(got['brier'] < 0, of_true > of_all)
  same(got['correctness_aware'], 2 * (p_top - right) * p_top * lead[rows, top])
  np.testing.assert_array_equal(got['correctness_aware'] < 0, right)
  assert (got['correctness_aware'] != 0).all()

  # The paper's point, and that it is no rare case: cross entropy raises the
  # confidence of some wrong examples, those whose label has a large p.
  narrow, absolute = ~right & (nll < entropy), ~right & (nll >= entropy)
  assert narrow.sum() > 500 and absolute.sum() > 500
  assert p[rows, y][narrow].mean() > 3 * p[rows, y][absolute].mean()


@pytest.mark.parametrize('name, temperature, p_at_best', [
    ('cross_entropy', .5336, (.4405, .5306, .0151, .0138)),
    ('brier', .9913, (.4127, .4562, .0671, .0641)),
    ('correctness_aware', 10., (.2720, .2747, .2272, .2261))])
def test_best_temperature_of_one_narrowly_wrong_example(
    name, temperature, p_at_best):
  p = np.array([.412, .455, .068, .065])  # the label is class 0
  grid = np.linspace(.1, 10, 99_001)
  with jax.enable_x64(True):
    scaled = np.log(p) / grid[:, None]
    loss = LOSSES[name](scaled, np.zeros(len(grid), int))
    best = grid[np.argmin(loss)]
  np.testing.assert_allclose(best, temperature, atol=1e-3)
  np.testing.assert_allclose(softmax(np.log(p) / best), p_at_best, atol=1e-4)
