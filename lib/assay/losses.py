"""Losses: one value per example; the caller reduces.

What is a statistic of the whole batch (`mmce`, `soft_calibration_error`,
`mdca`, `dca`) returns one number [] instead; it is no mean over examples, and
is added to the mean of another loss with a weight that the caller chooses.

Confidence is the largest probability, max softmax(logits); an example is right
if the class that has it, the first of equal ones, is its label. Whether an
example is right has no gradient. Arguments are what `metrics.arguments` takes;
while a function is traced, that a label is in [0, C) is not known.

Example:
  >>> import jax.numpy as jnp, numpy as np
  >>> from assay import losses
  >>> logits = jnp.log(jnp.array([[0.8, 0.2]] * 2))
  >>> labels = jnp.array([0, 1])  # one right, one wrong
  >>> print(np.asarray(losses.brier(logits, labels)).round(3))
  [0.08 1.28]
  >>> round(float(losses.dca(logits, labels)), 3)  # 0.8 - 1/2
  0.3
"""

import jax
import jax.numpy as jnp

from assay.metrics import arguments

# --- Regression -------------------------------------------------------------


def squared(predictions, targets):
  """Squared error, averaged over outputs.

  Args:
    predictions: [B, Q] float.
    targets: [B, Q] float, same units.

  Returns:
    [B] loss per example, in squared units of the target.
  """
  predictions, targets = arguments.of_one_shape(
      predictions=predictions, targets=targets)
  return jnp.mean(jnp.square(predictions - targets), axis=-1)


def gaussian(mean, log_std, targets):
  """log s + (y - m)^2 / (2 s^2): NLL of N(m, s^2) without log sqrt(2 pi).

  Its minimum over m and s for a random y is at E y and Var(y) = s^2.

  Args:
    mean: m, [...] float.
    log_std: log s, of the same shape.
    targets: y, of the same shape.

  Returns:
    Loss of that shape.
  """
  mean, log_std, targets = arguments.of_one_shape(
      mean=mean, log_std=log_std, targets=targets)
  return log_std + 0.5 * jnp.square((targets - mean) * jnp.exp(-log_std))


# --- Classification: per example ---------------------------------------------


def cross_entropy(logits, labels, smoothing=0.):
  """-sum_c t_c log p_c, with targets t = (1 - smoothing) onehot + smoothing/C.

  Label smoothing of Szegedy et al. (2016). Where the smoothing is spread over
  the other classes only, as in the code of Mukhoti et al. (2020), theirs is
  ours times (C - 1) / C.

  Args:
    logits: [B, C] float.
    labels: [B] int in [0, C).
    smoothing: in [0, 1].

  Returns:
    [B] loss per example, in nats.

  Example:
    >>> import jax.numpy as jnp, numpy as np
    >>> from assay import losses
    >>> loss = losses.cross_entropy(jnp.zeros((2, 2)), jnp.array([0, 1]))
    >>> print(np.asarray(loss).round(3))  # log 2
    [0.693 0.693]
  """
  logits, labels = arguments.scores_of(logits, labels)
  smooth = jnp.mean(jax.nn.log_softmax(logits), axis=1)
  return -(1 - smoothing) * _log_p(logits, labels) - smoothing * smooth


def brier(logits, labels):
  """sum_c (p_c - onehot_c)^2, in [0, 2] (Brier, 1950).

  Args:
    logits: [B, C] float.
    labels: [B] int in [0, C).

  Returns:
    [B] loss per example.
  """
  logits, labels = arguments.scores_of(logits, labels)
  targets = jax.nn.one_hot(labels, logits.shape[1], dtype=logits.dtype)
  return jnp.sum(jnp.square(jax.nn.softmax(logits) - targets), axis=1)


def focal(logits, labels, gamma):
  """-(1 - p_y)^gamma log p_y, y the label (Lin et al., 2017).

  Args:
    logits: [B, C] float.
    labels: [B] int in [0, C).
    gamma: [] or [B] float >= 0; 0 gives cross entropy. The schedule that
      depends on the example is
      `focal_53(jnp.exp(-cross_entropy(logits, labels)))`.

  Returns:
    [B] loss per example.

  Example:
    >>> import jax.numpy as jnp, numpy as np
    >>> from assay import losses
    >>> loss = losses.focal(jnp.zeros((2, 2)), jnp.array([0, 1]), gamma=2)
    >>> print(np.asarray(loss).round(3))  # log(2) / 4
    [0.173 0.173]
  """
  logits, labels = arguments.scores_of(logits, labels)
  gamma = arguments.per_example(gamma, labels, 'gamma')
  log_p = _log_p(logits, labels)
  return _focused(log_p, -jnp.expm1(log_p), gamma)


def focal_53(p_y):
  """Gamma of FLSD-53: 5 where p_y < 0.2, else 3 (Mukhoti et al., 2020).

  Args:
    p_y: [B] float in [0, 1], probability of the label.

  Returns:
    [B] float; constant in pieces, so no gradient passes through it.
  """
  p_y = arguments.array(p_y, 'p_y')
  return jnp.where(p_y < 0.2, 5., 3.).astype(p_y.dtype)


def dual_focal(logits, labels, gamma):
  """-(1 - p_y + p_j)^gamma log p_y (Tao et al., 2023).

  p_j is the largest probability below p_y, strictly, and 0 if there is none.

  Args:
    logits: [B, C] float.
    labels: [B] int in [0, C).
    gamma: [] or [B] float >= 0; 0 gives cross entropy.

  Returns:
    [B] loss per example.
  """
  logits, labels = arguments.scores_of(logits, labels)
  gamma = arguments.per_example(gamma, labels, 'gamma')
  log_p, log_all = _log_p(logits, labels), jax.nn.log_softmax(logits)
  below = jnp.where(log_all < log_p[:, None], jnp.exp(log_all), 0.)
  return _focused(log_p, jnp.max(below, axis=1) - jnp.expm1(log_p), gamma)


def correctness_aware(logits, labels, class_balanced=False):
  """(confidence - 1[right])^2 (Liu et al., 2024, arXiv 2404.13016).

  The gradient reaches the logits by the probability of the predicted class
  alone: no other class of a wrong example is asked to rise.

  Args:
    logits: [B, C] float.
    labels: [B] int in [0, C).
    class_balanced: whether right and wrong examples count equally, as in the
      authors' code: weights 1 - a and a, with a the share of the batch that is
      right, scaled to a mean of 1, which gives 1 / (2 a) and 1 / (2 - 2 a).
      All are 1 where these are 0/0, in a batch all right or all wrong.

  Returns:
    [B] loss per example, weights included; its mean is the weighted mean.

  Example:
    >>> import jax.numpy as jnp, numpy as np
    >>> from assay import losses
    >>> logits = jnp.log(jnp.array([[0.8, 0.2]] * 2))
    >>> loss = losses.correctness_aware(logits, jnp.array([0, 1]))
    >>> print(np.asarray(loss).round(3))
    [0.04 0.64]
  """
  gap, right = _gap(logits, labels)
  if not class_balanced:
    return jnp.square(gap)
  share = jnp.mean(right.astype(gap.dtype))
  group = jnp.where(right, share, 1 - share)  # of the example; never 0
  mixed = (share > 0) & (share < 1)
  return jnp.where(mixed, 0.5 / group, 1.) * jnp.square(gap)


def margin_penalty(logits, margin=10.):
  """Mean over classes c of max(0, max z - z_c - margin), z the logits.

  MbLS (Liu et al., 2022), added to cross entropy with a weight. The mean is
  that of the authors' code; the paper's equation, as recalled, is the sum.

  Args:
    logits: [B, C] float.
    margin: >= 0; 10 and a weight of 0.1 are the defaults of the authors' code.

  Returns:
    [B] penalty per example, in units of the logits.
  """
  logits = arguments.scores_of(logits)
  distance = jnp.max(logits, axis=1, keepdims=True) - logits
  return jnp.mean(jax.nn.relu(distance - margin), axis=1)


def correctness_ranking(confidences, shares):
  """max(0, |s_i - s_j| - sign(s_i - s_j) (k_i - k_j)), k the confidences.

  CRL (Moon et al., 2020): of two examples, the one that was right more often
  in training, by its share s, shall be more confident, by the difference of
  the shares. The partner of an example is the next one of the batch, j = i + 1,
  the first for the last. Equal shares cost nothing.

  Args:
    confidences: [B] float, as a rule max softmax(logits).
    shares: [B] float in [0, 1], of the past draws of an example those in which
      it was right; `methods.correctness_ranking` counts them.

  Returns:
    [B] loss per pair, listed by its first example.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay import losses
    >>> confidences, shares = jnp.array([0.5, 0.75]), jnp.array([1., 0.5])
    >>> losses.correctness_ranking(confidences, shares).tolist()
    [0.75, 0.75]
  """
  confidences = arguments.array(confidences, 'confidences')
  shares = arguments.array(shares, 'shares')
  if confidences.ndim != 1 or shares.shape != confidences.shape:
    raise ValueError(f'confidences {confidences.shape} and shares '
                     f'{shares.shape} must both be [B].')
  more = shares - jnp.roll(shares, -1)
  lead = confidences - jnp.roll(confidences, -1)
  return jax.nn.relu(jnp.abs(more) - jnp.sign(more) * lead)


# --- Classification: one number per batch ------------------------------------


def mmce(logits, labels, width=0.4, weighted=False):
  """Maximum mean calibration error of a batch (Kumar et al., 2018).

  sqrt(sum_ij a_i a_j e_i e_j exp(-|r_i - r_j| / width)), with confidence r_i,
  e_i = 1[i is right] - r_i, and a_i = 1/B; weighted, a_i = 1 / (number right)
  for a right example and 1 / (number wrong) for a wrong one. The authors' code
  differs: it returns the square of the unweighted form, and divides each sum
  of the weighted form by its number of pairs twice.

  Args:
    logits: [B, C] float.
    labels: [B] int in [0, C).
    width: of the Laplace kernel, > 0; 0.4 as in the authors' code; towards
      infinity the unweighted form becomes `dca`.
    weighted: as above; 0, as in the authors' code, if all are right or wrong.

  Returns:
    [] float >= 0 over the whole batch; it holds B^2 numbers.
  """
  gap, right = _gap(logits, labels)
  confidence = jnp.where(right, 1 - gap, -gap)
  scale = 1 / len(gap)
  if weighted:
    number = jnp.sum(right)
    group = jnp.where(right, number, len(gap) - number)  # never 0
    scale = jnp.where((number > 0) & (number < len(gap)), 1 / group, 0.)
  scaled = (scale * gap).astype(gap.dtype)
  distance = jnp.abs(confidence[:, None] - confidence[None, :])
  return _root(scaled @ jnp.exp(-distance / width) @ scaled, 2)


def soft_calibration_error(logits, labels, num_bins=15, temperature=0.01,
                           order=2):
  """Soft-binned ECE of a batch (Karandikar et al., 2021, eq. 11).

  (sum_j S_j / B |R_j - A_j|^order)^(1 / order): example i is in bin j with
  weight u_ij = softmax_j(-(r_i - center_j)^2 / temperature), r_i its
  confidence; S_j is the sum of the weights, R_j and A_j are the weighted means
  of confidence and correctness. Bins are of equal width in [0, 1]. The authors'
  code also offers a temperature by a decay factor; this does not.

  Args:
    logits: [B, C] float.
    labels: [B] int in [0, C).
    num_bins: >= 1.
    temperature: > 0, in squared units of confidence; towards 0 this is the
      binned calibration error. 15 bins and 0.01 are recalled, not confirmed.
    order: >= 1; 1 is the mean gap (ECE), 2 its root mean square.

  Returns:
    [] float in [0, 1] over the whole batch.
  """
  gap, right = _gap(logits, labels)
  confidence = jnp.where(right, 1 - gap, -gap)
  centers = (jnp.arange(num_bins, dtype=gap.dtype) + 0.5) / num_bins
  distance = jnp.square(confidence[:, None] - centers[None, :])
  log_members = jax.nn.log_softmax(-distance / temperature, axis=1)
  size = jnp.mean(jnp.exp(log_members), axis=0)
  # u_ij / S_j as a softmax over i: a bin that is all but empty gives no 0/0.
  mean_gap = gap @ jax.nn.softmax(log_members, axis=0)
  return _root(size @ jnp.abs(mean_gap) ** order, order)


def mdca(logits, labels):
  """Mean over classes c of |mean p_c - share of label c|, of a batch.

  Multi-class difference of confidence and accuracy (Hebbalaguppe et al.,
  2022).

  Args:
    logits: [B, C] float.
    labels: [B] int in [0, C).

  Returns:
    [] float in [0, 2 / C] over the whole batch.
  """
  logits, labels = arguments.scores_of(logits, labels)
  targets = jax.nn.one_hot(labels, logits.shape[1], dtype=logits.dtype)
  gap = jnp.mean(jax.nn.softmax(logits) - targets, axis=0)
  return jnp.mean(jnp.abs(gap))


def dca(logits, labels):
  """|mean confidence - accuracy| of a batch (Liang et al., 2020).

  Args:
    logits: [B, C] float.
    labels: [B] int in [0, C).

  Returns:
    [] float in [0, 1] over the whole batch.
  """
  return jnp.abs(jnp.mean(_gap(logits, labels)[0]))


# --- What comes before a loss -------------------------------------------------


def normalized_logits(logits, temperature=0.04):
  """z / ((|z| + 1e-7) temperature): LogitNorm (Wei et al., 2022).

  Feed the result to any loss, as a rule to cross entropy. It does not change
  if z is scaled, up to 1e-7 / |z|, but does if a constant is added to z.

  Args:
    logits: z, [B, C] float.
    temperature: > 0; 0.04 is recalled as the paper's for CIFAR-10.

  Returns:
    [B, C] float, of length 1 / temperature; 0 where z is 0. There the gradient
    is finite but of size 1e7 / temperature, as in the authors' code.
  """
  logits = arguments.scores_of(logits)
  length = _root(jnp.sum(jnp.square(logits), axis=1, keepdims=True), 2)
  return logits / ((length + 1e-7) * temperature)


# --- Helpers ------------------------------------------------------------------


def _log_p(logits, classes):
  """[B] float, log softmax(logits) at the classes [B]."""
  return jnp.take_along_axis(
      jax.nn.log_softmax(logits), classes[:, None], axis=1)[:, 0]


def _gap(logits, labels):
  """1[right] - confidence, [B] float, and whether it is right, [B] bool."""
  logits, labels = arguments.scores_of(logits, labels)
  # Not `max`, which at a tie would send the gradient to all that are equal.
  top = jnp.argmax(logits, axis=1)
  log_p, right = _log_p(logits, top), top == labels
  return jnp.where(right, -jnp.expm1(log_p), -jnp.exp(log_p)), right


def _focused(log_p, base, gamma):
  """-base^gamma log_p, with a finite gradient at base = 0 for gamma < 1."""
  return -jnp.maximum(base, jnp.finfo(base.dtype).tiny) ** gamma * log_p


def _root(x, order):
  """x^(1 / order) for x >= 0; at 0, and below by rounding, gradient 0."""
  positive = x > jnp.finfo(x.dtype).tiny
  return jnp.where(positive, jnp.where(positive, x, 1.) ** (1 / order), 0.)
