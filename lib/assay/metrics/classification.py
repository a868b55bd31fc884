"""Classification metrics, from all logits at once."""

import numpy as np
from scipy import special

from assay.metrics import arguments


def wrong(logits, labels):
  """Whether the largest logit is not that of the label; of ties, the first.

  Args:
    logits: [N, C] float; a row with a NaN counts as wrong.
    labels: [N] int in [0, C).

  Returns:
    [N] bool.

  Raises:
    ValueError: other shapes, no example, or labels out of range.
  """
  logits, labels = _checked(logits, labels)
  return (logits.argmax(axis=1) != labels) | np.isnan(logits).any(axis=1)


def error(logits, labels):
  """Fraction of examples that are `wrong`, in [0, 1]; same arguments.

  Example:
    >>> from assay.metrics import classification
    >>> classification.error([[2., 1.], [0., 3.]], [0, 0])
    0.5
  """
  return float(np.mean(wrong(logits, labels)))


def losses(logits, labels):
  """Cross entropy of each example, -log softmax(logits)[label], in nats.

  Args:
    logits: [N, C] float.
    labels: [N] int in [0, C).

  Returns:
    [N] float64 >= 0; inf where a label has probability 0, NaN if a logit is.

  Raises:
    ValueError: other shapes, no example, or labels out of range.
  """
  logits, labels = _checked(logits, labels)
  with np.errstate(invalid='ignore'):  # an infinite logit gives NaN
    log_p = special.log_softmax(logits, axis=1)
  return 0.0 - log_p[np.arange(len(labels)), labels]  # no -0.0


def nll(logits, labels):
  """Mean negative log likelihood: the mean of `losses`; same arguments.

  Example:
    >>> from assay.metrics import classification
    >>> round(classification.nll([[0., 0.]], [0]), 3)  # log 2
    0.693
  """
  return float(np.mean(losses(logits, labels)))


def _checked(logits, labels):
  """Logits as float64 [N, C], labels as int [N] in [0, C)."""
  logits = arguments.on_host(logits, 'logits').astype(np.float64)
  labels = arguments.on_host(labels, 'labels')
  arguments.check_scores(logits, labels)
  arguments.check_labels(labels, logits.shape[1])
  return logits, labels
