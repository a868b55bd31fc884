"""The references of the benchmarks do the work of what is measured."""

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import optax
import pytest
from scipy import special

from assay import papers
from assay.methods import calibrators
from assay.metrics import calibration as metrics
from assay.models import sampling, transformer
from assay.testbeds import tiny_lm as testbed
from benchmarks import (
  c_mixup,
  calibration,
  convolutions,
  in_context,
  measuring,
  meta,
  reference,
  reliability,
  series,
  tiny_lm,
)


def test_reference_ends_at_the_parameters_of_fit():
  seeds = (3, 8)
  config = c_mixup.make_config(num_epochs=2, split_sizes=(101, 300, 200))
  source = c_mixup.make_source(config, seeds, 101)
  fitted = c_mixup.fit(config, seeds, source)
  calls = list(c_mixup.make_reference(config, seeds, source, 1))
  carry = calls[-1][0]
  assert c_mixup.difference(fitted, carry) < 1e-5
  np.testing.assert_array_equal(fitted.best.step, carry[4][1])
  for i, name in enumerate(('loss', 'grad_norm', 'val')):
    values = np.concatenate([means[i] for _, means in calls], axis=1)
    np.testing.assert_allclose(values.T, fitted.curves[name], rtol=1e-4)


def test_reference_is_short_and_stands_alone():
  with open(reference.__file__) as file:
    lines = file.read().splitlines()
  assert len(lines) < 80
  assert not [line for line in lines
              if line.startswith(('import assay', 'from assay'))]


@pytest.fixture(scope='module')
def logits_and_labels():
  return calibration.make_logits(2_101, 20)  # a last block that is not full


def test_labels_have_the_law_of_the_temperature(logits_and_labels):
  logits, labels = logits_and_labels
  p = special.softmax(logits / calibration.TEMPERATURE, axis=1)
  # The mean surprise is the mean entropy, and each class as frequent as said.
  surprise = -np.log(p[np.arange(len(p)), labels])
  entropy = special.entr(p).sum(axis=1)
  assert abs(np.mean(surprise - entropy)) < 4 * np.std(
      surprise - entropy) / len(p)**.5
  frequency = np.bincount(labels, minlength=20) / len(p)
  np.testing.assert_allclose(frequency, p.mean(axis=0), atol=.025)


def test_scipy_fits_find_the_temperature_of_ours(logits_and_labels):
  got = float(calibrators.temperature.fit(*logits_and_labels)['temperature'])
  for fit in (calibration.fit_lbfgs, calibration.fit_bounded):
    np.testing.assert_allclose(fit(*logits_and_labels), got, atol=1e-5)
  # The objective is larger a little way off.
  nll = lambda t: calibration.mean_nll(*logits_and_labels, t)
  assert nll(got) < min(nll(got * 1.001), nll(got / 1.001))


def test_eces_by_loops_are_ours(logits_and_labels):
  logits, labels = logits_and_labels
  probs = special.softmax(logits, axis=1)
  want = metrics.expected_calibration_error(probs, labels,
                                            calibration.NUM_BINS)
  assert want > .01
  for function in (calibration.ece_by_bins, calibration.ece_by_examples):
    np.testing.assert_allclose(function(probs, labels), want, atol=1e-7)


@pytest.mark.parametrize('name', calibration.MEASURES)
def test_calibration_measures_agree(name):
  report = measuring.Report()
  calibration.MEASURES[name](report, quick=True)
  # Not the times: those are of the machine.
  same = [line for line in report.lines if '|' in line['what']]
  assert len(same) >= 2 and all(line['met'] for line in same)


def test_transformer_by_hand_is_ours():
  net = papers.configs('gpicl').get_config('smoke').net
  model = papers.load('gpicl').ARMS['transformer'].model(net)
  tokens = jax.random.normal(jax.random.key(0), (3, net.length, 21))
  params = jax.jit(model.init)(jax.random.key(1), tokens)['params']
  np.testing.assert_allclose(
      jax.jit(in_context.forward, static_argnums=2)(
          params, tokens, net.num_layers),
      jax.jit(model.apply)({'params': params}, tokens), atol=1e-5)


def test_steps_by_hand_are_those_of_clipped_adam():
  params = {'w': jnp.array([3., -1.])}
  loss = lambda params, batch: jnp.sum(batch['x'] * params['w'] ** 2)
  draw = lambda shared, own, item, key: {'x': jax.random.uniform(key, (2,))}
  tx = optax.chain(optax.clip_by_global_norm(1.), optax.adam(.1))
  want, state = params, tx.init(params)
  for i in range(in_context.STEPS):
    batch = draw(None, None, i, jax.random.fold_in(jax.random.key(1), i))
    updates, state = tx.update(jax.grad(loss)(want, batch), state)
    want = optax.apply_updates(want, updates)
  zeros = jax.tree.map(jnp.zeros_like, params)
  (got, *_), _ = in_context.by_hand(loss, draw, {}, {}, .1, 1.)(
      (params, zeros, jax.tree.map(jnp.copy, zeros), jnp.int32(0)))
  np.testing.assert_allclose(got['w'], want['w'], rtol=1e-4)


@pytest.mark.parametrize('promise,test', reliability.PROMISES)
def test_each_promise_names_a_test_that_is_there(promise, test):
  file, name = test.split('::')
  assert promise.endswith('.')
  assert f'\ndef {name}(' in (papers.ROOT / 'tests' / file).read_text()


def test_outcomes_of_one_test_are_counted_together():
  text = reliability.table(
      [('A promise.', 'a.py::b'), ('Another.', 'a.py::c')],
      {'a.py::b': (['passed', 'passed', 'skipped'], 12.4, ['5 kills'])})
  assert text.splitlines()[2:] == [
      '| A promise. | `tests/a.py::b` | 2 passed, 1 skipped | 12 | 5 kills |',
      '| Another. | `tests/a.py::c` | 1 not run | 0 |  |']


def test_measurements_as_markdown():
  report = measuring.Report()
  report('a step', 'ms', [1., 3., 2.], at_most=2)
  report('|held|', 'MB', [7.], at_least=8)
  lines = measuring.markdown(report.lines, {'jax': '1'}, 'x').splitlines()
  assert lines[2:5] == [
      '| a step | 2 ms | 1 ms | 3 ms | 3 | <= 2: met |',
      r'| \|held\| | 7 MB |  |  | 1 | >= 8: **missed** |', '']


@pytest.mark.parametrize('name', ['cnn', *kinds.nightly('resnet8')])
def test_convolutions_are_compared_with_those_of_lax(name):
  model, shape = convolutions.networks()[name]
  results = []
  for interceptor, used in (
      (convolutions.of_ours, 'convolve['),
      (convolutions.of_lax, 'conv_general_dilated[')):
    step, *args = convolutions.stepper(model, (2, *shape[1:]), interceptor)
    traced = jax.jit(step).trace(*args)
    text = str(traced.jaxpr)
    assert [kind for kind in ('convolve[', 'conv_general_dilated[')
            if kind in text] == [used]
    results.append(traced.lower().compile()(*args))
  ours, lax = map(jax.tree.leaves, results)
  for a, b in zip(ours, lax, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_tiny_language_models_by_hand(monkeypatch):
  """Its loss is the testbed's, and its sampler writes what ours does."""
  for name, value in dict(WIDTH=8, LAYERS=2, HEADS=2, VOCABULARY=9, PROMPT=4,
                          WRITTEN=5).items():
    monkeypatch.setattr(tiny_lm, name, value)
  monkeypatch.setattr(jax.random, 'categorical',
                      lambda key, logits: jnp.argmax(logits, axis=-1))
  model = transformer.Transformer(8, 2, 2, 9, vocabulary=9, max_length=9)
  rng = np.random.default_rng(0)
  prompts = rng.integers(3, 9, (3, 4)).astype(np.int32)
  params = jax.tree.map(
      lambda p: jnp.asarray(rng.normal(size=p.shape), jnp.float32),
      jax.eval_shape(model.init, jax.random.key(0), prompts)['params'])
  ours = sampling.sample(
      model, {'params': params}, prompts, np.full(3, 4, np.int32),
      jax.random.split(jax.random.key(1), 3), eos=-1, num_tokens=5,
      temperature=0.)
  np.testing.assert_array_equal(ours.tokens, tiny_lm.write_by_hand(
      params, prompts, jax.random.key(1)))
  batch = {'x': prompts, 'y': prompts[:, ::-1], 'mask': np.float32(
      rng.integers(0, 2, (3, 4)))}
  (want, _), _ = jax.jit(testbed.make_grad(model, testbed.cross_entropy))(
      params, {}, batch, None)
  np.testing.assert_allclose(
      jax.jit(tiny_lm.loss_by_hand(2, 9))(params, batch), want, rtol=1e-4)


def test_a_plain_scan_is_the_same_cell():
  rng = np.random.default_rng(0)
  args = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in (
      (4, 2, 3), (3, 6), (6,), (2, 6), (6,))]
  ours, theirs = (jax.value_and_grad(lambda *args, f=f: jnp.sum(f(*args)),
                                     tuple(range(5)))(*args)
                  for f in series.forms().values())
  jax.tree.map(lambda a, b: np.testing.assert_allclose(
      a, b, rtol=1e-4, atol=1e-5), ours, theirs)


def test_a_meta_step_by_hand_is_that_of_the_testbed():
  config = meta.config_of(num_support=3, num_query=2, batch_tasks=2, width=4,
                          inner_learning_rate=.1)
  call, state = meta.ours(config, meta.testbed.Arm())
  other, start = meta.by_hand(config.net)
  layers = meta.layers_of(state.params)
  keys = jax.random.split(jax.random.key(1), 4)
  got = meta.layers_of(call(state, keys).params)
  want, _ = other((layers, start(layers)), keys)
  for (a, b), first in zip(zip(jax.tree.leaves(got), jax.tree.leaves(want),
                               strict=True), jax.tree.leaves(layers),
                           strict=True):
    np.testing.assert_allclose(a, b, 1e-4, 1e-6)
    assert np.abs(a - first).max() > 1e-4
