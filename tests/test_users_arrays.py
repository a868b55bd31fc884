"""What users hand in: each form gives the same, each fault its message.

One table of public functions, one of forms of arrays, one of faults. Beside a
result that does not depend on the form only a ValueError is right.
"""

import functools

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest

from assay import losses
from assay.methods import (
    binning,
    calibrators,
    conformal,
    linear_maps,
    mixup,
    sam,
    temperature_networks,
)
from assay.metrics import calibration, classification, regression, selective

N, C = 12, 3
RNG = np.random.default_rng(0)
# Values that bfloat16 stores as they are.
LOGITS = RNG.integers(-12, 13, (N, C)) / 4
LABELS = np.arange(N) % C
PROBS = np.tile([.5, .25, .25], (N, 1))


def fitted(calibrator, logits, labels):
  return calibrator.apply(calibrator.fit(logits, labels), logits)


# Of logits and labels.
CALIBRATORS = {
    'temperature': calibrators.temperature,
    'ensemble_temperature': calibrators.ensemble_temperature,
    'vector': linear_maps.vector, 'matrix': linear_maps.matrix,
    'dirichlet': linear_maps.dirichlet, 'isotonic': binning.isotonic,
    'histogram': binning.histogram,
    'adaptive_temperature': temperature_networks.adaptive_temperature}
OF_LOGITS = {
    **{f'losses.{name}': getattr(losses, name) for name in (
        'cross_entropy', 'brier', 'correctness_aware', 'mmce', 'mdca', 'dca',
        'soft_calibration_error')},
    'losses.focal': functools.partial(losses.focal, gamma=2.),
    'losses.dual_focal': functools.partial(losses.dual_focal, gamma=2.),
    **{name: functools.partial(fitted, calibrator)
       for name, calibrator in CALIBRATORS.items()},
    'balanced': calibrators.class_balanced_weights,
    **{f'classification.{name}': getattr(classification, name)
       for name in ('wrong', 'error', 'losses', 'nll')}}
# Of probabilities and labels.
OF_PROBS = {
    **{name: getattr(calibration, name) for name in (
        'expected_calibration_error', 'adaptive_calibration_error',
        'classwise_calibration_error', 'brier_score',
        'negative_log_likelihood', 'kolmogorov_smirnov_calibration_error')},
    'conformal': lambda probs, labels: conformal.true_class(
        conformal.lac(probs), labels)}
# Of two arrays of one shape [N, 1].
OF_PAIRS = {
    'losses.squared': losses.squared, 'rmse': regression.rmse,
    'mape': regression.mape, 'pearson': regression.pearson}


def frame(values):
  pandas = pytest.importorskip('pandas')
  return (pandas.DataFrame if np.ndim(values) == 2 else pandas.Series)(values)


FORMS = {
    'list': lambda a: a.tolist(), 'float64': lambda a: a,
    'float32': lambda a: a.astype(np.float32) if a.dtype.kind == 'f' else
               a.astype(np.int32),
    'jax': jnp.asarray,
    'bfloat16': lambda a: a.astype(jnp.bfloat16) if a.dtype.kind == 'f' else
                a.astype(np.uint8),
    'pandas': frame,
    'transposed': lambda a: np.asfortranarray(a)}


def check_forms(function, first, second, form):
  want = np.asarray(function(first.astype(np.float32), second), np.float64)
  got = np.asarray(function(FORMS[form](first), FORMS[form](second)),
                   np.float64)
  # Losses compute in the type they get; calibrators and metrics do not.
  tolerance = .05 if form == 'bfloat16' else 1e-4
  np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


# Of those whose programs are compiled for long, one in a type of its own.
LONG = ('ensemble_temperature', 'vector', 'dirichlet', 'adaptive_temperature')


@pytest.mark.parametrize('name, form', [
    *((name, form) for name in OF_LOGITS for form in FORMS
      if name not in LONG or form != 'bfloat16'),
    *kinds.nightly(*((name, 'bfloat16') for name in LONG))])
def test_forms_of_logits(name, form):
  check_forms(OF_LOGITS[name], LOGITS, LABELS, form)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('name', OF_PROBS)
def test_forms_of_probabilities(name, form):
  check_forms(OF_PROBS[name], PROBS, LABELS, form)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('name', OF_PAIRS)
def test_forms_of_pairs(name, form):
  check_forms(OF_PAIRS[name], LOGITS[:, :1], LOGITS[:, 1:2] + 4, form)


def with_(array, at, value):
  array = np.array(array, np.result_type(array, type(value)))
  array[at] = value
  return array


FAULTS = {  # of labels: (labels, message)
    'beyond': (with_(LABELS, 4, C), rf'labels\[4\] is 3; .*\[0, {C}\)'),
    'from_1': (LABELS + 1, r'labels\[2\] is 3'),
    'negative': (with_(LABELS, 5, -1), r'labels\[5\] is -1'),
    'float': (LABELS.astype(float), 'labels have dtype float'),
    'bool': (LABELS > 0, 'labels have dtype bool'),
    'text': (np.array(list('abc') * (N // C)), 'labels'),
    'column': (LABELS[:, None], r'labels \(12, 1\)'),
    'short': (LABELS[1:], r'labels \(11,\)'),
    'one_hot': (np.eye(C, dtype=int)[LABELS], r'labels \(12, 3\)')}


@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('name', [*OF_LOGITS, *OF_PROBS])
def test_faults_of_labels(name, fault):
  labels, message = FAULTS[fault]
  function, scores = ((OF_LOGITS[name], LOGITS.astype(np.float32))
                      if name in OF_LOGITS else (OF_PROBS[name], PROBS))
  for given in (labels, labels.tolist()):
    with pytest.raises(ValueError, match=message):
      function(scores, given)


@pytest.mark.parametrize('name', OF_LOGITS)
def test_faults_of_logits(name):
  for logits, message in (
      (LOGITS[0], r'logits \(3,\)'), (LOGITS[:0], 'at least 1'),
      ([['a'] * C] * N, 'logits'), ([[1., 2.], [1.]], 'logits')):
    with pytest.raises(ValueError, match=message):
      OF_LOGITS[name](logits, LABELS[:len(logits)])


@pytest.mark.parametrize('name', CALIBRATORS)
def test_probabilities_are_no_logits(name):
  with pytest.raises(ValueError, match='all rows are probabilities; give'):
    CALIBRATORS[name].fit(PROBS.astype(np.float32), LABELS)
  CALIBRATORS[name].fit(np.log(PROBS).astype(np.float32), LABELS)
  # These sum to 1 as well, and may be logits.
  CALIBRATORS[name].fit(np.eye(C, dtype=np.float32)[LABELS], LABELS)


@pytest.mark.parametrize('name', OF_PAIRS)
def test_faults_of_pairs(name):
  column = LOGITS[:, :1]
  for first, second in ((column, column[:, 0]), (column, column[1:]),
                        (column.tolist(), column[:, 0].tolist())):
    with pytest.raises(ValueError, match=r'\(12, 1\)'):
      OF_PAIRS[name](first, second)


@pytest.mark.parametrize('function', [selective.auroc, selective.aupr,
                                      selective.fpr_at_tpr])
@pytest.mark.parametrize('form', FORMS)
def test_forms_of_scores(function, form):
  scores, right = LOGITS[:, 0], (LABELS == 0).astype(int)
  assert function(FORMS[form](scores), FORMS[form](right)) == function(
      scores, right)


# Mixup.


@pytest.mark.parametrize('kind', [np.uint8, np.int32, list])
def test_integers_are_mixed_and_do_not_wrap(kind):
  first, second = np.array([[0, 200], [7, 7]]), np.array([[250, 100], [7, 9]])
  want = [[187.5, 125.], [7., 8.]]
  if kind is list:
    first, second = first.tolist(), second.tolist()
  else:
    first, second = first.astype(kind), second.astype(kind)
  got = mixup.mix(first, second, [.25, .5])
  assert got.dtype == jnp.float32
  np.testing.assert_allclose(got, want)


def test_similar_partners_refuse_what_is_not_finite():
  key, y = jax.random.key(0), np.array([0., 1., np.nan, 3.])
  for a, c, message in ((y[:2], y, r'candidates\[2\] is nan; it must be'),
                        (y, y[:2], r'anchors\[2\] is nan'),
                        (y[:2, None], y[1:, None], r'candidates\[1, 0\] is '),
                        ([1., np.inf], [1.], r'anchors\[1\] is inf')):
    with pytest.raises(ValueError, match=message):
      mixup.similar_partners(key, a, c, 1.)
  got = mixup.similar_partners(key, [0., 9.], [9., 0.], .01)
  assert got.tolist() == [1, 0]


# SAM.


def test_sam_says_how_a_gradient_is_called():
  loss = lambda params, batch: jnp.sum((params - batch)**2)
  simple, params = sam.sam(jax.grad(loss), .05), jnp.ones(2)
  with pytest.raises(TypeError, match='2 arguments for `.params, extra, batch'):
    simple(params, jnp.zeros(2))
  with pytest.raises(TypeError) as error:
    simple(params, {}, jnp.zeros(2), jax.random.key(0))
  assert any('value_and_grad' in note for note in error.value.__notes__)
  unpacked = sam.sam(lambda params, extra, batch, key: 2 * params, .05)
  with pytest.raises(ValueError) as error:
    unpacked(jnp.ones(3), {}, jnp.zeros(2), jax.random.key(0))
  assert any('value_and_grad' in note for note in error.value.__notes__)


def test_sam_knows_the_names_of_nnx():
  nnx = pytest.importorskip('flax.nnx')

  class Net(nnx.Module):

    def __init__(self, rngs):
      self.dense = nnx.Linear(2, 2, rngs=rngs)
      self.BatchNorm = nnx.BatchNorm(2, rngs=rngs)

  params = nnx.state(Net(nnx.Rngs(0)), nnx.Param)
  seen = {}

  def grad_fn(params, extra, batch, key):
    grads = jax.tree.map(jnp.ones_like, params)
    return (jnp.float32(0), (extra, {})), grads

  def noted(path, param):
    seen[path] = sam.asam(.01)(path, param)
    return seen[path]

  sam.sam(grad_fn, .1, weights=noted)(params, {}, {}, None)
  assert {path[-1] for path in seen} == {'kernel', 'bias', 'scale'}
  kernel = seen[('dense', 'kernel')]
  np.testing.assert_allclose(
      kernel, jnp.abs(params['dense']['kernel'][...]) + .01, rtol=1e-6)
  (_, (_, metrics)), _ = sam.sam(grad_fn, .1, perturbs=sam.normalization)(
      params, {}, {}, None)
  np.testing.assert_allclose(metrics['perturbation_norm'], .1, rtol=1e-5)
  with pytest.raises(ValueError, match='perturbs selects no parameter'):
    sam.sam(grad_fn, .1, perturbs=lambda path: 'LayerNorm' in path)(
        params, {}, {}, None)
