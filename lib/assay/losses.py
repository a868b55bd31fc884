"""Losses: one value per example; the caller reduces."""

import jax.numpy as jnp


def squared(predictions, targets):
  """Squared error, averaged over outputs.

  Args:
    predictions: [B, Q] float.
    targets: [B, Q] float, same units.

  Returns:
    [B] loss per example, in squared units of the target.
  """
  if predictions.shape != targets.shape:
    # [B] against [B, 1] would broadcast to [B, B] and train on nonsense.
    raise ValueError(f'predictions {predictions.shape} and targets '
                     f'{targets.shape} must have the same shape.')
  return jnp.mean(jnp.square(predictions - targets), axis=-1)
