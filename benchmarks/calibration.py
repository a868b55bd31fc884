"""Speed of temperature scaling and of the ECE; a miss is no error.

  python -m benchmarks.calibration [--only=temperature,ece] [--quick]
      [--json=FILE]

50,000 x 1,000 logits, as ImageNet's validation images give, drawn so that the
best temperature is known. What is compared takes turns (A B A B ...), so that
other work on the machine hits both: the ratios count, the times are of this
machine on this day. A line gives the median and, in brackets, the extremes.
"""

import math
import sys
import time

import jax
import numpy as np
from scipy import optimize, special

from assay.methods import calibrators
from assay.metrics import arguments, calibration
from benchmarks import measuring

TEMPERATURE = 1.5
NUM_BINS = 15
LOGITS = 50_000  # of a block, for NumPy: it should stay in the cache


def make_logits(num, num_classes, seed=0):
  """(logits [num, num_classes] float32, labels [num] int32).

  Labels have the law softmax(logits / `TEMPERATURE`): this is the best
  temperature but for the chance of the draw, of the order of 1 / sqrt(num).
  """
  rng = np.random.default_rng(seed)
  logits = np.empty((num, num_classes), np.float32)
  labels = np.empty(num, np.int32)
  for i in range(0, num, 1000):  # ten arrays of this size need not exist
    z = rng.standard_normal((min(1000, num - i), num_classes), np.float32) * 3
    # The largest of z + Gumbel noise has the law softmax(z).
    # In float64: a float32 exponential may be 0.
    gumbel = -np.log(rng.standard_exponential(z.shape))
    labels[i:i + len(z)] = np.argmax(z + gumbel, axis=1)
    logits[i:i + len(z)] = TEMPERATURE * z
  return logits, labels


# --- The temperature, as one writes it with SciPy ----------------------------


def fit_lbfgs(logits, labels):
  """T by SciPy's L-BFGS with the slope in 1 / T, one pass an evaluation.

  The hardest to beat of those here: blocks of rows in the cache, exp in
  float32, sums over rows in float64.
  """
  rows = max(1, LOGITS // logits.shape[1])
  index = np.arange(rows)

  def value_and_slope(inverse):
    inverse = np.float32(inverse[0])
    value = slope = 0.
    for i in range(0, len(logits), rows):
      z, y = logits[i:i + rows], labels[i:i + rows]
      z = z - z.max(axis=1, keepdims=True)
      p = np.exp(inverse * z)
      total = p.sum(axis=1)
      of_label = z[index[:len(z)], y]
      value += np.sum(np.log(total) - inverse * of_label, dtype=float)
      slope += np.sum(np.einsum('ij,ij->i', p, z) / total - of_label,
                      dtype=float)
    return value / len(logits), np.array([slope / len(logits)])

  found = optimize.minimize(
      value_and_slope, [1.], jac=True, method='L-BFGS-B', bounds=[(.01, 100)],
      options={'ftol': 0., 'gtol': 1e-5})
  return 1 / found.x[0]


def fit_bounded(logits, labels):
  """T by SciPy's bounded search (Brent) and `log_softmax`, all in float64."""
  rows = np.arange(len(logits))

  def value(inverse):
    z = inverse * logits.astype(float)
    return -np.mean(special.log_softmax(z, axis=1)[rows, labels])

  found = optimize.minimize_scalar(value, bounds=(.01, 100), method='bounded',
                                   options={'xatol': 1e-6})
  return 1 / found.x


def mean_nll(logits, labels, temperature):
  """The objective in float64, block by block."""
  total = 0.
  for i in range(0, len(logits), 1000):
    z = logits[i:i + 1000].astype(float) / temperature
    rows = np.arange(len(z))
    total -= special.log_softmax(z, axis=1)[rows, labels[i:i + 1000]].sum()
  return total / len(logits)


# --- The ECE, as one writes it with NumPy and in Python ----------------------


def ece_by_bins(probs, labels):
  """A loop over bins with masks: what most code does (Guo et al., 2017)."""
  confidence, correct = probs.max(axis=1), probs.argmax(axis=1) == labels
  edges = np.linspace(0, 1, NUM_BINS + 1)
  total = 0.
  for low, high in zip(edges[:-1], edges[1:], strict=True):
    inside = (confidence > low) & (confidence <= high)
    if inside.any():
      gap = correct[inside].mean() - confidence[inside].mean(dtype=float)
      total += abs(gap) * inside.mean()
  return total


def ece_by_examples(probs, labels):
  """A loop over examples, each a row of the array."""
  gaps = [0.] * NUM_BINS
  for p, y in zip(probs, labels, strict=True):
    top = int(p.argmax())
    confidence = float(p[top])
    place = max(0, math.ceil(confidence * NUM_BINS) - 1)
    gaps[place] += (top == y) - confidence
  return sum(map(abs, gaps)) / len(labels)


# --- Measures ----------------------------------------------------------------


def take_turns(arms, turns):
  """({name: [seconds]}, {name: result}) of `arms`: {name: () -> result}."""
  seconds, results = {name: [] for name in arms}, {}
  for _ in range(turns):
    for name, call in arms.items():
      start = time.perf_counter()
      results[name] = call()
      seconds[name].append(time.perf_counter() - start)
  return seconds, results


def size(quick):
  return (2_000, 100) if quick else (50_000, 1_000)


def measure_temperature(report, quick):
  """A fit of one temperature; logits are on the device, compiling apart."""
  for num, num_classes in (size(quick), (size(quick)[0], 10)):
    _temperature(report, num, num_classes, quick)


def _temperature(report, num, num_classes, quick):
  logits, labels = make_logits(num, num_classes)
  on_device = jax.device_put((logits, labels))
  start = time.perf_counter()
  fit = jax.jit(calibrators.temperature.fit).lower(*on_device).compile()
  what = f'temperature, {num:,} x {num_classes:,}'
  report(f'{what}: compiling', 's', [time.perf_counter() - start])
  arms = {'ours': lambda: float(fit(*on_device)['temperature']),
          'L-BFGS': lambda: fit_lbfgs(logits, labels)}
  seconds, found = take_turns(arms, 2 if quick else 7)
  # Takes ten times as long: once is enough.
  bounded, value = take_turns({'bounded': lambda: fit_bounded(logits, labels)},
                              1)
  found |= value
  report(f'{what}: ours', 's', seconds['ours'])
  report(f'{what}: SciPy L-BFGS / ours', '', np.divide(
      seconds['L-BFGS'], seconds['ours']), at_least=1)
  report(f'{what}: SciPy bounded / ours', '', [
      bounded['bounded'][0] / np.median(seconds['ours'])])
  for name in ('L-BFGS', 'bounded'):
    report(f'{what}: |T ours - T {name}|', '',
           [abs(found['ours'] - found[name])], 1e-4)
  report(f'{what}: |T ours - T drawn|', '', [abs(found['ours'] - TEMPERATURE)],
         .1 if quick else .02)
  report(f'{what}: NLL ours - NLL bounded', '', [
      mean_nll(logits, labels, found['ours'])
      - mean_nll(logits, labels, found['bounded'])], 1e-8)


def measure_ece(report, quick):
  """The ECE of all predictions on the host, its checks included."""
  num, num_classes = size(quick)
  logits, labels = make_logits(num, num_classes)
  probs = special.softmax(logits, axis=1)
  arms = {
      'ours': lambda: calibration.expected_calibration_error(
          probs, labels, NUM_BINS),
      'loop over bins': lambda: ece_by_bins(probs, labels),
      'loop over examples': lambda: ece_by_examples(probs, labels)}
  seconds, found = take_turns(arms, 2 if quick else 7)
  what = f'ECE, {num:,} x {num_classes:,}'
  report(f'{what}: ours', 'ms', 1e3 * np.array(seconds['ours']))
  for name, at_least in (('loop over bins', 1.5), ('loop over examples', None)):
    report(f'{what}: {name} / ours', '', np.divide(
        seconds[name], seconds['ours']), at_least=at_least)
    report(f'{what}: |ours - {name}|', '', [abs(found['ours'] - found[name])],
           1e-6)
  # What its checks of every probability cost, and all that is mostly reported.
  seconds, _ = take_turns(
      {'checks': lambda: arguments.checked_probabilities(probs),
       'summary': lambda: calibration.summary(probs, labels, NUM_BINS),
       'ours': arms['ours']}, 2 if quick else 7)
  for name, at_most in (('checks', None), ('summary', 3)):
    report(f'{what}: {name} / ours', '', np.divide(
        seconds[name], seconds['ours']), at_most)


MEASURES = {'temperature': measure_temperature, 'ece': measure_ece}

if __name__ == '__main__':
  sys.exit(measuring.main(
      sys.argv[1:], 'calibration', 'Measures the speed of temperature scaling '
      'and of the ECE against SciPy and NumPy; some two minutes on two cores, '
      'with 1.5 GB.', MEASURES))
