"""Training on several domains: IRM, IB-IRM, V-REx, CORAL, GroupDRO and Fish.

Each is one function of a batch whose examples have a domain, an integer in
[0, E): a penalty that is added to the mean loss with a weight of one's own, new
weights of the domains, or a gradient. A domain without an example in the batch
has no say. On your own arrays, inside a loss:

    values = losses.squared(predictions, y)  # [B]
    loss = values.mean() + 10 * domains.rex_penalty(values, domain, 4)

    means, _ = domains.risks(values, domain, 4)  # GroupDRO
    weights = domains.group_weights(weights, means, step_size=0.01)
    loss = weights @ means

IB-IRM is `irm_penalty` and `bottleneck_penalty`, with a weight each.
"""

import jax
import jax.numpy as jnp
import optax

from assay.metrics import arguments


def risks(values, domains, num_domains):
  """The mean of each domain, and its number of examples.

  Args:
    values: [B] float, a loss for each example; or [B, D] float.
    domains: [B] int in [0, num_domains).
    num_domains: E.

  Returns:
    (means [E] or [E, D], counts [E]), float; the mean of no example is 0.

  Raises:
    ValueError: shapes that do not fit; a domain that is known is not in range.

  Example:
    >>> import numpy as np
    >>> from assay.methods import domains
    >>> means, counts = domains.risks([1., 3., 5.], [0, 0, 2], 3)
    >>> means.tolist(), counts.tolist()
    ([2.0, 0.0, 5.0], [2.0, 0.0, 1.0])
  """
  values, member = _members(values, domains, num_domains)
  counts = jnp.sum(member, axis=1)
  sums = jnp.matmul(member, values, precision='highest')
  return (sums.T / jnp.maximum(counts, 1)).T, counts


def irm_penalty(loss, predictions, targets, domains, num_domains):
  """Mean over domains of |d R_e(w f) / dw|^2 at w = 1 (Arjovsky et al., 2019).

  IRMv1, their equation: a scalar w on top of the predictions should be
  the best one in every domain at once. Theirs is the sum over domains, and in
  their code the product of two halves of a batch, which has no bias.

  Args:
    loss: `(predictions, targets) -> [B]`.
    predictions: [B, ...] float, logits of a classifier.
    targets: [B, ...], what `loss` takes.
    domains, num_domains: as `risks` takes them.

  Returns:
    [] float >= 0, in squared units of the loss.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay import losses
    >>> from assay.methods import domains
    >>> f, y = jnp.array([[2.], [1.]]), jnp.array([[1.], [1.]])
    >>> float(domains.irm_penalty(losses.squared, f, y, [0, 1], 2))  # 4^2 / 2
    8.0
  """
  predictions = arguments.array(predictions, 'predictions')
  one = jnp.ones((), predictions.dtype)
  _, slopes = jax.jvp(lambda w: loss(w * predictions, targets), (one,), (one,))
  means, counts = risks(slopes, domains, num_domains)
  return _mean(means**2, counts > 0)


def bottleneck_penalty(features, domains, num_domains):
  """Mean variance of a feature within a domain, of n - 1 (Ahuja et al., 2021).

  What IB-IRM adds to `irm_penalty`, as the code of DomainBed has it: the
  entropy of a representation, for which its variance stands.

  Args:
    features: [B, D] float, a hidden representation.
    domains, num_domains: as `risks` takes them.

  Returns:
    [] float >= 0; domains of one example have no variance.
  """
  features = _features(features)
  means, counts = risks(features, domains, num_domains)
  away = jnp.mean((features - means[jnp.asarray(domains)])**2, axis=1)
  variances, _ = risks(away, domains, num_domains)
  return _mean(variances * counts / jnp.maximum(counts - 1, 1), counts > 1)


def rex_penalty(values, domains, num_domains):
  """Variance of the domains' risks, of n (Krueger et al., 2021, V-REx).

  Their equation (8) adds it to the sum of risks; the weight is their beta.

  Args:
    values: [B] float, a loss for each example.
    domains, num_domains: as `risks` takes them.

  Returns:
    [] float >= 0, in squared units of the loss.
  """
  means, counts = risks(values, domains, num_domains)
  return _mean((means - _mean(means, counts > 0))**2, counts > 0)


def coral_penalty(features, domains, num_domains):
  """Mean over pairs of |C_a - C_b|_F^2 / (4 D^2) (Sun and Saenko, 2016).

  Deep CORAL's equations (1) to (3): C_a is the covariance of the features of a
  domain, of n - 1, here for each pair of domains in place of source and target.

  Args:
    features: [B, D] float, a hidden representation.
    domains, num_domains: as `risks` takes them.

  Returns:
    [] float >= 0; pairs with a domain of one example are left out.
  """
  features = _features(features)
  means, counts = risks(features, domains, num_domains)
  away = features - means[jnp.asarray(domains)]
  # <C_a, C_b> of all pairs from the inner products of examples: B^2 D, where
  # covariances would take E D^2.
  squared = jnp.matmul(away, away.T, precision='highest')**2
  _, member = _members(squared, domains, num_domains)
  member = member / jnp.maximum(counts - 1, 1)[:, None]
  inner = jnp.matmul(jnp.matmul(member, squared, precision='highest'),
                     member.T, precision='highest')
  norms, known = jnp.diag(inner), counts > 1
  pairs = known[:, None] & known & ~jnp.eye(num_domains, dtype=bool)
  apart = jnp.maximum(norms[:, None] + norms - 2 * inner, 0)  # rounded below 0
  return _mean(apart, pairs) / (4 * features.shape[1]**2)


def group_weights(weights, values, step_size):
  """q_e exp(step_size R_e), normalized: GroupDRO (Sagawa et al., 2020).

  The second step of their algorithm 1; its loss is the sum of q_e R_e over
  domains, with these q held fixed. No gradient goes through them.

  Args:
    weights: q, [E] float > 0; 1 / E each at first.
    values: R, [E] float, the risk of each domain; 0 of those without examples.
    step_size: > 0, [] float, in units of one over the loss.

  Returns:
    [E] float, of sum 1.

  Example:
    >>> import numpy as np
    >>> from assay.methods import domains
    >>> new = domains.group_weights([.5, .5], [np.log(3.), 0.], step_size=1.)
    >>> print(np.asarray(new).round(3))
    [0.75 0.25]
  """
  weights, values = arguments.of_one_shape(weights=weights, values=values)
  return jax.lax.stop_gradient(
      jax.nn.softmax(jnp.log(weights) + step_size * values))


def fish(grad_fn, num_parts, learning_rate):
  """Mean of gradients met on a walk through the domains (Shi et al., 2022).

  Algorithm 1: from params one step of SGD for each domain, one after another;
  then params move towards where that ended, theirs by a factor epsilon. What is
  returned is that way over `num_parts * learning_rate`, so that of `optax.sgd(
  epsilon * num_parts * learning_rate)` it is the algorithm itself; at a
  learning rate of 0 it is the plain gradient.

  Args:
    grad_fn: `(params, extra, batch, key) -> ((loss, (extra, metrics)), grads)`
      whose loss is a mean over the batch.
    num_parts: domains of a batch, which is made of as many equal parts, each
      of one domain; see `data.domains.items`.
    learning_rate: > 0 of the walk, [] float.

  Returns:
    A gradient of the same type; loss and metrics are means over the parts.

  Raises:
    ValueError: the batch cannot be cut into so many equal parts.
  """

  def walked(params, extra, batch, key):
    size = jax.tree.leaves(batch)[0].shape[0]
    if num_parts < 1 or size % num_parts:
      raise ValueError(f'num_parts={num_parts} does not divide the batch of '
                       f'{size}.')
    parts = jax.tree.map(
        lambda x: x.reshape((num_parts, -1) + x.shape[1:]), batch)

    def walk(carry, part):
      total, extra = carry
      at = jax.tree.map(lambda p, g: p - learning_rate * g, params, total)
      (loss, (extra, metrics)), grads = grad_fn(
          at, extra, part[0], jax.random.fold_in(key, part[1]))
      return (optax.tree.add(total, grads), extra), (loss, metrics)

    (total, extra), told = jax.lax.scan(
        walk, (optax.tree.zeros_like(params), extra),
        (parts, jnp.arange(num_parts)))
    loss, metrics = jax.tree.map(lambda x: jnp.mean(x, axis=0), told)
    return (loss, (extra, metrics)), optax.tree.scale(1 / num_parts, total)

  return walked


def _members(values, domains, num_domains):
  """Values, and which examples are of each domain, [E, B] float; checked."""
  values = arguments.array(values, 'values')
  domains = arguments.array(domains, 'domains')
  if values.ndim not in (1, 2) or domains.shape != values.shape[:1]:
    raise ValueError(f'values {values.shape} and domains {domains.shape} must '
                     'be [B] or [B, D], and [B].')
  if arguments.is_known(domains):
    arguments.check_labels(domains, num_domains, 'domains')
  member = domains == jnp.arange(num_domains)[:, None]
  if not jnp.issubdtype(values.dtype, jnp.floating):
    values = values.astype(jnp.float32)
  return values, member.astype(values.dtype)


def _features(features):
  features = arguments.array(features, 'features')
  if features.ndim != 2:
    raise ValueError(f'features {features.shape} must be [B, D].')
  return features


def _mean(values, known):
  """Mean over those that are known; 0 of none."""
  return jnp.sum(jnp.where(known, values, 0)) / jnp.maximum(jnp.sum(known), 1)
