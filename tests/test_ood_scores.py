"""Scores of what is known: by other implementations, alone, hostile, limits."""

import dataclasses
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats
from sklearn import covariance, decomposition, mixture, neighbors, preprocessing
from sklearn.metrics import pairwise

from assay import papers
from assay.methods import conformal, ood_scores
from assay.methods.ood_scores import arrays, gaussians
from assay.methods.ood_scores import neighbors as our_neighbors
from assay.metrics import selective

C, D, T = 3, 6, 5
RNG = np.random.default_rng(0)
SCORES = {name: score for name, score in vars(ood_scores).items()
          if isinstance(score, ood_scores.Score)}


def draw(n):
  """Three classes on axes 0, 1 and 2, noise on all, after a ReLU."""
  labels = np.arange(n) % C
  centers = np.eye(C, D) * 4
  return (np.maximum(centers[labels] + .5 * RNG.normal(size=(n, D)), 0)
          .astype(np.float32), labels)


def outputs(features, labels):
  # What nobody has learned is unlikely to the model, not to the reference.
  log_p = RNG.normal(-2, .1, (len(features), T)) - (labels[:, None] < 0)
  return {'features': features, 'labels': labels, 'head': HEAD,
          'logits': features @ HEAD[0] + HEAD[1], 'log_p': log_p,
          'reference_log_p': RNG.normal(-3, .1, log_p.shape)}


HEAD = ((np.eye(D, C) * 2 + .1 * RNG.normal(size=(D, C))).astype(np.float32),
        np.array([.3, .1, -.2], np.float32))
KNOWN, NEW = outputs(*draw(90)), outputs(*draw(30))
# On an axis of its own.
FAR = outputs(np.abs(RNG.normal(0, .3, (30, D)) + 4 * np.eye(D)[4]).astype(
    np.float32), np.full(30, -1))
for held in (*KNOWN.values(), *NEW.values()):
  if isinstance(held, np.ndarray):
    held.flags.writeable = False  # no score may write there
Z, L, Y = NEW['features'].astype(float), NEW['logits'].astype(float), KNOWN[
    'labels']
BANK = KNOWN['features'].astype(float)


def fit(score, **settings):
  return score.fit(**{k: KNOWN[k] for k in score.fits_on}, **settings)


def read(detector, of, rows=slice(None)):
  return detector.score(**{k: of[k][rows] for k in detector.kind.reads
                           if k in of})


@pytest.mark.parametrize('name', SCORES)
class TestEvery:

  def test_far_is_lower(self, name):
    # A tenth of 18 weights would not reach every class.
    detector = fit(SCORES[name], **{'percentile': 50} if name == 'dice' else {})
    scores = np.append(read(detector, NEW), read(detector, FAR))
    assert scores.dtype == float and scores.shape == (60,)
    assert selective.auroc(scores, np.arange(60) < 30) > .95

  def test_company_does_not_matter(self, name):
    detector = fit(SCORES[name])
    together, order = read(detector, NEW), RNG.permutation(30)
    close = dict(rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(read(detector, NEW, order), together[order],
                               **close)
    for i in (0, 17):
      np.testing.assert_allclose(read(detector, NEW, [i]), together[[i]],
                                 **close)
    mixed = {k: np.append(NEW[k][:2], FAR[k], axis=0)
             for k in detector.kind.reads if k in NEW}
    np.testing.assert_allclose(detector.score(**mixed)[:2], together[:2],
                               **close)

  def test_blocks_do_not_matter(self, name, monkeypatch):
    want = read(fit(SCORES[name]), NEW)
    for module in (arrays, gaussians, ood_scores.subspaces):
      monkeypatch.setattr(module, 'BLOCK', 7)
    monkeypatch.setattr(arrays.by_block, '__kwdefaults__', {'rows': 7})
    monkeypatch.setattr(our_neighbors, 'AT_ONCE', 200)
    np.testing.assert_allclose(read(fit(SCORES[name]), NEW), want, rtol=1e-5,
                               atol=1e-6)

  def test_frozen_and_a_pytree(self, name):
    detector = fit(SCORES[name])
    with pytest.raises(dataclasses.FrozenInstanceError):
      detector.state = ()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(
        detector.state))

  def test_forms(self, name):
    score = SCORES[name]
    want = read(fit(score), NEW)
    for form in (lambda a: np.asarray(a).tolist(), jnp.asarray,
                 np.asfortranarray):
      convert = lambda of: {k: tuple(map(form, v)) if k == 'head' else form(v)
                            for k, v in of.items()}
      known, new = convert(KNOWN), convert(NEW)
      got = score.fit(**{k: known[k] for k in score.fits_on}).score(
          **{k: new[k] for k in score.reads if k in new})
      np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_the_table_lists_every_score():
  rows = [line.split('|') for line in ood_scores.__doc__.splitlines()
          if line.startswith('| `')]
  assert {row[1].strip(' `') for row in rows} == set(SCORES)
  assert len(SCORES) == 21


# --- Each against another implementation -------------------------------------


def nearest(distance):
  """Minus the least of `distance(label)` [N] over classes."""
  return -np.min([distance(c) for c in range(C)], axis=0)


def means(features=BANK):
  return [features[Y == c].mean(axis=0) for c in range(C)]


def one_by_one(function):
  return np.array([function(row) for row in L])


def softmax(row):
  return [math.exp(x) / sum(map(math.exp, row)) for x in row]


def pca_error(z):
  pca = decomposition.PCA(D // 2).fit(BANK)
  return np.linalg.norm(z - pca.inverse_transform(pca.transform(z)), axis=1)


def mahalanobis():
  within = covariance.EmpiricalCovariance(assume_centered=True).fit(
      BANK - np.array(means())[Y])
  return nearest(lambda c: within.mahalanobis(Z - means()[c]))


def ssd():
  scaler = preprocessing.StandardScaler().fit(preprocessing.normalize(BANK))
  known, new = (scaler.transform(preprocessing.normalize(z)) for z in (BANK, Z))
  return -covariance.EmpiricalCovariance().fit(known).mahalanobis(new)


def knn(k):
  found = neighbors.NearestNeighbors(n_neighbors=k).fit(
      preprocessing.normalize(BANK))
  return -found.kneighbors(preprocessing.normalize(Z))[0][:, -1]


def ash_of(row):
  kept = sorted(row)[-3:]  # of 6, at the 50th percentile
  scale = math.exp(sum(row) / sum(kept))
  changed = [x * scale if x in kept else 0 for x in row]
  return special.logsumexp(changed @ HEAD[0].astype(float) + HEAD[1])


def dice():
  gives = [[BANK[:, d].mean() * HEAD[0][d, c] for c in range(C)]
           for d in range(D)]
  most = sorted(sum(gives, []))[-9:]  # of 18
  weights = [[HEAD[0][d, c] if gives[d][c] in most else 0 for c in range(C)]
             for d in range(D)]
  return special.logsumexp(Z @ weights + HEAD[1], axis=1)


def she():
  right = KNOWN['logits'].argmax(axis=1) == Y
  return np.array([z @ BANK[right & (Y == row.argmax())].mean(axis=0)
                   for z, row in zip(Z, L, strict=True)])


def gmm():
  within = covariance.EmpiricalCovariance(assume_centered=True).fit(
      BANK - np.array(means())[Y])
  values, vectors = np.linalg.eigh(within.covariance_)
  white = lambda z: (z - np.mean(means(), axis=0)) @ vectors / np.sqrt(values)
  found = []
  for c in range(C):
    z = white(BANK[Y == c])
    found.append(stats.multivariate_normal(
        z.mean(axis=0), np.diag(z.var(axis=0) + 1e-3)).logpdf(white(Z)))
  return np.max(found, axis=0)


def vim():
  scale = KNOWN['logits'].max(axis=1).mean() / pca_error(BANK).mean()
  return special.logsumexp(L, axis=1) - scale * pca_error(Z)


OTHERS = {
    'msp': ({}, lambda: one_by_one(lambda row: max(softmax(row)))),
    'max_logit': ({}, lambda: one_by_one(max)),
    'energy': ({'temperature': 2.}, lambda: one_by_one(
        lambda row: 2 * math.log(sum(math.exp(x / 2) for x in row)))),
    'entropy': ({}, lambda: one_by_one(
        lambda row: -stats.entropy(softmax(row)))),
    'gen': ({'gamma': .3, 'top': 2}, lambda: one_by_one(
        lambda row: -sum((p * (1 - p))**.3 for p in sorted(softmax(row))[1:]))),
    'mahalanobis': ({}, mahalanobis),
    'relative_mahalanobis': ({}, lambda: mahalanobis() +
                             covariance.EmpiricalCovariance().fit(
                                 BANK).mahalanobis(Z)),
    'ssd': ({}, ssd),
    'knn': ({'k': 7}, lambda: knn(7)),
    'prototypes': ({}, lambda: pairwise.cosine_similarity(
        Z, means(preprocessing.normalize(BANK))).max(axis=1)),
    'gmm': ({'components': 1}, gmm),
    'residual': ({'head': None}, lambda: -pca_error(Z)),
    'vim': ({'head': None}, vim),
    'react': ({'percentile': 50}, lambda: special.logsumexp(
        np.minimum(Z, sorted(BANK.ravel())[269:271] @ np.array([.5, .5]))
        @ HEAD[0] + HEAD[1], axis=1)),
    'ash': ({'percentile': 50}, lambda: np.array([ash_of(z) for z in Z])),
    'dice': ({'percentile': 50}, dice),
    'she': ({}, she),
    'likelihood': ({}, lambda: np.array([sum(r) for r in NEW['log_p']])),
    'normalized_likelihood': (
        {}, lambda: np.array([sum(r) / T for r in NEW['log_p']])),
    'likelihood_ratio': ({}, lambda: np.array([
        sum(a) - sum(b) for a, b in zip(
            NEW['log_p'], NEW['reference_log_p'], strict=True)])),
    'normalized_likelihood_ratio': ({}, lambda: np.array([
        np.mean(a) - np.mean(b) for a, b in zip(
            NEW['log_p'], NEW['reference_log_p'], strict=True)]))}


@pytest.mark.parametrize('name', SCORES)
def test_as_another_implementation_has_it(name):
  settings, other = OTHERS[name]
  score = SCORES[name]
  known = {k: KNOWN[k] for k in score.fits_on}
  np.testing.assert_allclose(
      read(score.fit(**known | settings), NEW), other(), rtol=2e-5, atol=2e-6)


def test_mixtures_are_those_of_scikit_learn():
  detector = fit(ood_scores.gmm, components=2)
  white = detector.state.gaussian.whitened
  found = [mixture.GaussianMixture(
      2, covariance_type='diag', reg_covar=1e-3, random_state=0).fit(
          white(BANK[Y == c])).score_samples(white(Z)) for c in range(C)]
  np.testing.assert_allclose(read(detector, NEW), np.max(found, axis=0))
  # A class with fewer examples than components has as many components.
  few = ood_scores.gmm.fit(BANK[:7], Y[:7], components=3)
  assert (few.state.log_weights == -np.inf).sum(axis=1).tolist() == [0, 1, 1]
  assert np.isfinite(few.score(Z)).all()


def test_the_origin_of_a_head_has_no_logits():
  weights, bias = HEAD
  state = fit(ood_scores.residual).state
  np.testing.assert_allclose(state.origin @ weights + bias, 0, atol=1e-6)
  off = BANK - state.origin
  main = np.linalg.svd(off, full_matrices=False)[2][:D // 2]
  off = Z - state.origin
  np.testing.assert_allclose(
      read(fit(ood_scores.residual), NEW),
      -np.sqrt((off**2).sum(axis=1) - ((off @ main.T)**2).sum(axis=1)))


# --- Invariances and limits --------------------------------------------------


def changed(name, change):
  """Scores after a change of all features."""
  score = SCORES[name]
  known = {k: v for k, v in KNOWN.items() if k in score.fits_on and k != 'head'}
  known['features'] = change(BANK)
  return score.fit(**known).score(change(Z))


ROTATION = np.linalg.qr(RNG.normal(size=(D, D)))[0]
AFFINE = ROTATION * np.geomspace(.2, 5, D), RNG.normal(size=D)


@pytest.mark.parametrize('name, change', [
    *[(name, lambda z: z @ AFFINE[0] + AFFINE[1])
      for name in ('mahalanobis', 'relative_mahalanobis')],
    *[(name, lambda z: z @ ROTATION)
      for name in ('ssd', 'knn', 'prototypes', 'residual')],
    *[(name, lambda z: z * np.linspace(.1, 9, len(z))[:, None])
      for name in ('ssd', 'knn', 'prototypes')]])
def test_invariances(name, change):
  np.testing.assert_allclose(changed(name, change),
                             changed(name, lambda z: z), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('name', ['msp', 'entropy', 'gen', 'she'])
def test_a_constant_on_logits_does_not_matter(name):
  detector = fit(SCORES[name])
  np.testing.assert_allclose(
      read(detector, NEW | {'logits': L + 50}), read(detector, NEW), rtol=1e-5)


@pytest.mark.parametrize('name', ['react', 'dice'])
def test_what_changes_nothing_is_the_energy(name):
  settings = {'react': {'percentile': 100}, 'dice': {'percentile': 0}}[name]
  score = SCORES[name]
  # DICE drops the least contribution: here that of a weight of 0.
  weights = HEAD[0] - HEAD[0].min()
  detector = score.fit(BANK, (weights, HEAD[1]), **settings)
  z = np.minimum(Z, BANK.max())
  np.testing.assert_allclose(
      detector.score(z), ood_scores.energy.fit().score(z @ weights + HEAD[1]))


def test_extremes_stay_finite():
  z = np.zeros((2, D))  # no direction: a norm of 0
  for name in ('ssd', 'knn', 'prototypes', 'ash', 'she'):
    assert np.isfinite(read(fit(SCORES[name]), {
        'features': z, 'logits': L[:2]})).all(), name
  for name in ('msp', 'energy', 'entropy', 'gen', 'max_logit'):
    assert np.isfinite(SCORES[name].fit().score([[1e4, -1e4, 0.]])).all(), name
  assert ood_scores.gen.fit().score([[1e4, -1e4, 0.]]) == 0
  # A direction without variance: off it, an example is far, not infinitely.
  flat = BANK * [1, 1, 1, 1, 1, 0]
  for name in ('mahalanobis', 'relative_mahalanobis', 'ssd', 'gmm'):
    detector = SCORES[name].fit(flat, Y)
    on, off = detector.score(flat[:1]), detector.score(flat[:1] + np.eye(D)[5])
    assert off < on - 100 and np.isfinite(off)


def test_knn_leaves_out_an_example_itself_and_not_its_copies():
  bank = RNG.normal(size=(90, D))
  bank = np.vstack([bank, bank[3]])
  detector = ood_scores.knn.fit(bank, k=1)
  found = detector.score(bank, own_rows=np.arange(91))
  assert found[3] == found[90] == 0 and (np.delete(found, [3, 90]) < 0).all()
  want = neighbors.NearestNeighbors(n_neighbors=1).fit(
      preprocessing.normalize(bank)).kneighbors()[0][:, 0]  # without itself
  np.testing.assert_allclose(found, -want, rtol=1e-5, atol=1e-6)
  np.testing.assert_array_equal(
      detector.score(bank, own_rows=np.full(91, -1)), 0)
  # Near copies: closer than products of float32 can tell.
  close = np.vstack([bank, bank[0] + 1e-5 * RNG.normal(size=D)])
  want = neighbors.NearestNeighbors(n_neighbors=2).fit(
      preprocessing.normalize(close)).kneighbors(
          preprocessing.normalize(close))[0][:, 1]
  np.testing.assert_allclose(ood_scores.knn.fit(close, k=2).score(close)[0],
                             -want[0], rtol=.05)


def test_tokens_that_do_not_count():
  log_p = np.array([[-1., -2., -99.], [-4., -50., -50.]])
  mask = np.array([[1, 1, 0], [1, 0, 0]], bool)
  assert ood_scores.likelihood.fit().score(log_p, mask).tolist() == [-3, -4]
  assert ood_scores.normalized_likelihood.fit().score(
      log_p, mask).tolist() == [-1.5, -4]


# --- What users hand in ------------------------------------------------------

NAN = BANK.copy()
NAN[4, 2] = np.nan
FAULTS = {
    'nan': ('knn', dict(features=NAN), r'features\[4, 2\] is nan; it must be '
            'finite: leave out'),
    'images': ('knn', dict(features=np.ones((2, 3, 3))), 'flatten each'),
    'one row': ('knn', dict(features=BANK[0]), r'features \(6,\) must be \[N'),
    'none': ('knn', dict(features=BANK[:0]), 'at least one example'),
    'missing': ('knn', dict(features=None), 'features is None; this score'),
    'text': ('knn', dict(features=[['a', 'b']]), 'features holds <U1'),
    'ragged': ('knn', dict(features=[[1, 2], [1]]), 'different lengths'),
    'k': ('knn', dict(features=BANK, k=91), r'k=91 must be in \[1, 90\]'),
    'k 0': ('knn', dict(features=BANK, k=0), 'k=0 must be in'),
    'k real': ('knn', dict(features=BANK, k=1.5), 'k=1.5 must be an integer'),
    'lengths': ('mahalanobis', dict(features=BANK, labels=Y[1:]),
                r'features \(90, 6\), labels \(89,\) must be of the same'),
    'float labels': ('mahalanobis', dict(features=BANK, labels=Y / 1),
                     'labels have dtype float64'),
    'negative': ('mahalanobis', dict(features=BANK, labels=Y - 1),
                 r'labels\[0\] is -1'),
    'one hot': ('mahalanobis', dict(features=BANK, labels=np.eye(C, dtype=int)[
        Y]), r'labels \(90, 3\) must be \[N\]'),
    'no spread': ('mahalanobis', dict(features=np.ones((4, 2)),
                                      labels=[0, 0, 1, 1]), 'do not vary'),
    'components': ('gmm', dict(features=BANK, labels=Y, components=0),
                   'components=0'),
    'head': ('react', dict(features=BANK, head=HEAD[0]), 'must be the pair'),
    'transposed': ('react', dict(features=BANK, head=(HEAD[0].T, None)),
                   r'\(3, 6\) must be \[D, C\] with D = 6.*transpose'),
    'bias': ('dice', dict(features=BANK, head=(HEAD[0].T, HEAD[1])),
             r'\(3, 6\) and bias \(3,\)'),
    'percentile': ('dice', dict(features=BANK, head=HEAD, percentile=101),
                   r'percentile=101 must be in \[0, 100\]'),
    'dimensions': ('residual', dict(features=BANK, dimensions=6),
                   r'dimensions=6 must be in \[0, 5\]'),
    'log-probabilities': ('vim', dict(
        features=BANK, logits=special.log_softmax(KNOWN['logits'], axis=1)),
        'not log-probabilities'),
    'probabilities': ('vim', dict(
        features=BANK, logits=special.softmax(KNOWN['logits'], axis=1)),
        'all rows are probabilities; give their logarithms'),
    'no such class': ('she', dict(features=BANK, labels=Y % 2,
                                  logits=KNOWN['logits']), 'label 2; she'),
    'class beyond': ('she', dict(features=BANK, labels=Y + 1,
                                 logits=KNOWN['logits']), r'labels\[2\] is 3')}


@pytest.mark.parametrize('fault', FAULTS)
def test_faults_of_a_fit(fault):
  name, given, message = FAULTS[fault]
  with pytest.raises(ValueError, match=message):
    SCORES[name].fit(**given)


def test_faults_of_scoring():
  for name, given, message in (
      ('knn', dict(features=Z[:, :4]), r'\(30, 4\) must be \[N, 6\], as at'),
      ('react', dict(features=Z[:, :4]), r'must be \[N, 6\]'),
      ('vim', dict(features=Z, logits=L[:, :2]), r'\(30, 2\) must be \[N, 3'),
      ('vim', dict(features=Z, logits=L[1:]), 'of the same examples'),
      ('knn', dict(features=NAN), r'features\[4, 2\] is nan'),
      ('knn', dict(features=Z, own_rows=np.full(30, 90)), 'own_rows=90 must'),
      ('knn', dict(features=Z, own_rows=np.full(30, .5)), 'integers'),
      ('energy', dict(logits=[1., 2.]), r'logits \(2,\) must be \[N, C\]'),
      ('energy', dict(logits=[[1, 2]]), 'must be float'),
      ('ash', dict(features=-Z - 1), r'features\[0, 0\] is -.* after a ReLU'),
      ('relative_mahalanobis', dict(features=Z * 1e200), 'row 0 is not a nu'),
      ('likelihood', dict(log_p=np.ones((2, 2)), mask=np.eye(2) * 2), 'mask'),
      ('likelihood', dict(log_p=np.ones((2, 2)), mask=[[1, 1], [0, 0]]),
       r'mask\[1\] has no token'),
      ('likelihood_ratio', dict(log_p=np.ones((2, 2)),
                                reference_log_p=np.ones((2, 1))), 'the same')):
    with pytest.raises(ValueError, match=message):
      fit(SCORES[name]).score(**given)
  with pytest.raises(ValueError, match='temperature=0 must be in'):
    ood_scores.energy.fit(temperature=0).score(L)
  for call in (lambda: ood_scores.mahalanobis.fit(BANK),
               lambda: ood_scores.knn.fit(BANK, neighbours=3)):
    with pytest.raises(TypeError):
      call()


# --- Alarms ------------------------------------------------------------------


def test_thresholds_by_hand():
  scores = np.array([5., 1., 4., 2., 3., 9., 8., 7., 6.])  # n + 1 = 10
  for rate, limit in ((.1, 1), (.19, 1), (.2, 2), (.3, 3), (.09, -np.inf),
                      (1, np.inf)):
    assert ood_scores.threshold(scores, rate) == limit
  # At most 1 of 9 draws below .3 of a uniform law is not sure enough for .9.
  assert ood_scores.threshold(scores, .3, confidence=.9) == 1
  assert ood_scores.threshold(scores, .2, confidence=.9) == -np.inf


@pytest.mark.parametrize('n, rate', [(19, .05), (200, .1), (37, .25)])
def test_an_alarm_is_a_p_value_of_at_most_the_rate(n, rate):
  known, new = RNG.integers(0, 50, n), RNG.integers(0, 50, 99)  # with ties
  p = ood_scores.p_values(known, new)
  np.testing.assert_array_equal(new < ood_scores.threshold(known, rate),
                                p <= rate)
  # Ties included, a known score counts against a new one that it is not above.
  by_loops = [(1 + sum(k <= x for k in known)) / (n + 1) for x in new]
  np.testing.assert_allclose(p, by_loops)


def test_false_alarms_are_as_many_as_promised():
  rng, n, m, rate, repeats = np.random.default_rng(5), 99, 200, .05, 300
  detector = fit(ood_scores.mahalanobis)
  alarms, sure = [], []
  for _ in range(repeats):
    scores = detector.score(rng.normal(size=(n + m, D)))
    held, new = scores[:n], scores[n:]
    alarms.append(np.sum(new < ood_scores.threshold(held, rate)))
    sure.append(np.sum(new < ood_scores.threshold(held, rate, confidence=.8)))
  # Each count is beta-binomial; the number above a value of its law binomial.
  law = stats.betabinom(m, 5, 95)
  for value in (4, 9, 14, 20):
    number = np.sum(np.array(alarms) > value)
    low, high = stats.binom(repeats, law.sf(value)).interval(1 - 1e-4)
    assert low <= number <= high, (value, number)
  # Beta(3, 97) is below .05 with probability .88, Beta(4, 96) with .74.
  law = stats.betabinom(m, 3, 97)
  for value in (2, 5, 10):
    number = np.sum(np.array(sure) > value)
    low, high = stats.binom(repeats, law.sf(value)).interval(1 - 1e-4)
    assert low <= number <= high, (value, number)
  assert stats.beta.cdf(rate, 3, 97) > .8 > stats.beta.cdf(rate, 4, 96)


def test_the_page():
  page = (papers.ROOT / 'docs' / 'known_from_unknown.md').read_text()
  code, = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
  scope = {'features': BANK, 'labels': Y, 'held_out': Z, 'new': np.vstack([
      Z[:1], FAR['features']])}
  exec(code, scope)
  assert not scope['from_elsewhere'][0] and scope['from_elsewhere'][1:].all()
  assert all(f'`{name}`' in page for name in SCORES
             if not name.startswith('normalized'))


def test_confidence_covers_sets_of_classes_too():
  scores = np.arange(1., 100)
  # Brute force: the least k whose Beta(k, n + 1 - k) is above 1 - alpha.
  for alpha in (.05, .1, .3):
    for confidence in (.5, .9, .99):
      k = next((k for k in range(1, 100) if stats.beta.sf(
          1 - alpha, k, 100 - k) >= confidence), np.inf)
      assert conformal.threshold(scores, alpha, confidence) == k
  with pytest.raises(ValueError, match='confidence=1 must be in'):
    conformal.threshold(scores, .1, 1)
