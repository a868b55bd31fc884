"""AbeT: energy of logits over a learned temperature (LeVine et al., 2024).

The head divides cosines by a temperature T(x) that it learns with them, by
cross entropy alone. The energy of its logits is T logsumexp(cosine / T); AbeT
leaves the factor T out. `ood_scores.energy` of this head is AbeT.

Example:
  >>> from assay.methods import abet
  >>> logits, temperature = [[2., 0.], [8., 0.]], [.5, .125]  # cosines 1 and 0
  >>> abet.unablated.fit().score(logits, temperature).round(3)
  array([1.063, 1.   ])
  >>> abet.constant.fit(temperature).score(logits, temperature).round(3)
  array([3.24, 3.24])
"""

from flax import linen as nn
import jax.numpy as jnp

from assay.methods.ood_scores import Score, plain
from assay.methods.ood_scores.logits import energy_of

SMALL = 1e-4  # beside norms, as in the released code


class Head(nn.Module):
  """Features [B, D] float -> logits [B, K], cosines over T in (0, 1).

      cosine_c = z . w_c / ((|z| + 1e-4) (|w_c| + 1e-4))
      T = sigmoid(batch_norm(u . z + b)) + 1e-12

  `temperature` [B], T, is sown in `intermediates`.
  """
  num_classes: int

  @nn.compact
  def __call__(self, z, train=False):
    w = self.param('directions', nn.initializers.lecun_normal(),
                   (z.shape[1], self.num_classes))
    cosine = _shorter(z, 1) @ _shorter(w, 0)
    t = nn.BatchNorm(use_running_average=not train, momentum=.9)(
        nn.Dense(1)(z))
    t = nn.sigmoid(t) + 1e-12
    self.sow('intermediates', 'temperature', t[:, 0])
    return cosine / t


def _shorter(x, axis):
  # Not norm(x), whose gradient at 0 is no number.
  squared = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
  length = jnp.sqrt(jnp.maximum(squared, jnp.finfo(x.dtype).tiny))
  return x / (length + SMALL)


temperature = plain(lambda temperature: -temperature)
"""-T: known inputs should be cold."""
unablated = plain(lambda logits, temperature: temperature * energy_of(logits))
"""The energy with its factor, T logsumexp(l)."""
constant = Score(
    lambda temperature: (temperature.mean(dtype=float),),
    lambda state, logits, temperature: energy_of(
        logits * (temperature / state[0])[:, None]))
"""The energy of the cosines over one T for all, the mean of the training
examples: what is left of AbeT without what it learned of each input."""
