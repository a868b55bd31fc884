"""Speed and memory of the scores that tell known from unknown.

  python -m benchmarks.ood_scores [--only=memory,seconds,neighbors] [--quick]
      [--json=FILE]

Fitted on 50,000 features of 512 numbers, scored on 10,000, 100 classes: what a
ResNet-18 makes of CIFAR-100. Drawn, after a ReLU, float32. Every score of
`assay.methods.ood_scores` fits and scores once; texts have 128 tokens. CPU
seconds count all threads: on a machine with other work they say more.
"""

import sys
import time

import numpy as np
from sklearn import neighbors

from assay.methods import ood_scores
from benchmarks import measuring

WIDTH, CLASSES, TOKENS = 512, 100, 128


def size(quick):
  """(rows to fit on, rows to score)."""
  return (2_000, 400) if quick else (50_000, 10_000)


def make_outputs(known, new, seed=0):
  """What a network puts out for known examples and for new ones, and its head.

  Returns:
    (dict of what scores fit on, dict of what they read).
  """
  rng = np.random.default_rng(seed)
  centers = 2 * rng.standard_normal((CLASSES, WIDTH), np.float32)
  head = .1 * rng.standard_normal((WIDTH, CLASSES), np.float32), np.zeros(
      CLASSES, np.float32)

  def outputs(n):
    labels = np.arange(n) % CLASSES
    features = centers[labels]
    features += rng.standard_normal(features.shape, np.float32)
    np.maximum(features, 0, out=features)
    logits = features @ head[0]
    # That its class wins, as it does where a network has learned.
    logits[np.arange(n), labels] += 20
    return {'features': features, 'labels': labels, 'logits': logits,
            'head': head}

  log_p, reference_log_p = -rng.standard_exponential(
      (2, new, TOKENS), np.float32)
  return outputs(known), outputs(new) | {
      'log_p': log_p, 'reference_log_p': reference_log_p}


def measure_memory(report, quick):
  """The peak of a process that does `seconds`, with Python and JAX in it."""
  words = ['--only=seconds'] + ['--quick'] * quick
  gigabytes = measuring.run('benchmarks.ood_scores', *words)[1]
  report('all scores: peak memory of the process', 'GB', [gigabytes], 2)


def measure_seconds(report, quick):
  """Each score fitted and scored once, and all together."""
  known, new = make_outputs(*size(quick))
  clock = cpu = 0.
  scores = {name: score for name, score in vars(ood_scores).items()
            if isinstance(score, ood_scores.Score)}
  for name, score in scores.items():
    start = time.perf_counter(), time.process_time()
    score.fit(**{k: known[k] for k in score.fits_on}).score(
        **{k: new[k] for k in score.reads if k in new})
    spent = time.perf_counter() - start[0], time.process_time() - start[1]
    clock, cpu = clock + spent[0], cpu + spent[1]
    report(f'{name}: fit and score, CPU', 's', spent[1:])
  report(f'{len(scores)} scores, CPU', 's', [cpu])
  report(f'{len(scores)} scores', 's', [clock], 20)


def measure_neighbors(report, quick):
  """The k-th neighbor against scikit-learn's, of a tenth of the rows."""
  known, new = size(quick)
  known, new = make_outputs(known, new // 10)
  bank, z = (x['features'] / np.linalg.norm(x['features'], axis=1,
                                            keepdims=True)
             for x in (known, new))
  detector = ood_scores.knn.fit(bank, k=50)
  theirs = neighbors.NearestNeighbors(n_neighbors=50, algorithm='brute').fit(
      bank)
  ours, other = [], []
  for _ in range(2 if quick else 5):
    start = time.process_time()
    found = detector.score(z)
    ours.append(time.process_time() - start)
    start = time.process_time()
    want = theirs.kneighbors(z)[0][:, -1]
    other.append(time.process_time() - start)
  report('knn: scikit-learn / ours, CPU', '', np.divide(other, ours),
         at_least=1)
  report('knn: |ours - scikit-learn|', '', [np.abs(found + want).max()], 1e-4)


MEASURES = {'memory': measure_memory, 'seconds': measure_seconds,
            'neighbors': measure_neighbors}

if __name__ == '__main__':
  sys.exit(measuring.main(
      sys.argv[1:], 'ood_scores', 'Measures the seconds and the memory of all '
      'scores that tell known from unknown; about a minute on two cores.',
      MEASURES))
