"""When each example is learned, and how often it is forgotten again.

Counted as an example is drawn for training, at no cost (Toneva et al., 2019):
an event of forgetting is an example that was right when last drawn and is
wrong now. The counts live in `extra`, so they are saved with the State.
"""

import jax.numpy as jnp
import numpy as np

NEVER = np.iinfo(np.int32).max


def start(num_examples):
  """The counts before training, for `extra['learning']`; N = num_examples.

  Returns:
    dict of `step` int32 [], gradients so far; `right` bool [N], when last
    drawn; `forgotten` int32 [N], events; `first` int32 [N], gradients before
    it was first right, or `NEVER`; `since` int32 [N], the same for the first
    draw from which on it stayed right.
  """
  never = jnp.full(num_examples, NEVER, jnp.int32)
  return {'step': jnp.int32(0), 'right': jnp.zeros(num_examples, bool),
          'forgotten': jnp.zeros(num_examples, jnp.int32), 'first': never,
          'since': never}


def counted(grad_fn):
  """Counts in `extra['learning']`; a gradient -> gradient.

  The outermost of a gradient's wrappers, as it counts a whole batch. Of SAM's
  passes the first, at the parameters, is the one that counts.

  Args:
    grad_fn: its metrics hold `correct` bool [B], which is taken out; its batch
      has `index` [B], rows of the training data.

  Returns:
    A gradient with the metric `error`, the share of the batch that is wrong.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import forgetting
    >>> grad_fn = forgetting.counted(lambda params, extra, batch, key: (
    ...     (0., (extra, {'correct': batch['correct']})), {}))
    >>> extra, rows = {'learning': forgetting.start(2)}, jnp.arange(2)
    >>> for correct in [True, False], [False, True]:
    ...   batch = {'index': rows, 'correct': jnp.array(correct)}
    ...   (_, (extra, _)), _ = grad_fn({}, extra, batch, None)
    >>> extra['learning']['forgotten'].tolist()
    [1, 0]
  """

  def with_counts(params, extra, batch, key):
    rest = {k: v for k, v in extra.items() if k != 'learning'}
    (loss, (rest, metrics)), grads = grad_fn(params, rest, batch, key)
    metrics = dict(metrics)
    correct, at = metrics.pop('correct'), batch['index']
    metrics.pop('correct_perturbed', None)
    old = extra['learning']
    events = old['forgotten'][at] + (old['right'][at] & ~correct)
    since = jnp.where(correct, jnp.minimum(old['since'][at], old['step']),
                      NEVER)
    # A row that is drawn twice in a batch, as a copy, is the same both times.
    learning = {
        'step': old['step'] + 1,
        'right': old['right'].at[at].set(correct),
        'forgotten': old['forgotten'].at[at].max(events),
        'first': old['first'].at[at].min(
            jnp.where(correct, old['step'], NEVER)),
        'since': old['since'].at[at].set(since)}
    metrics['error'] = 1 - jnp.mean(correct.astype(jnp.float32))
    return (loss, (rest | {'learning': learning}, metrics)), grads

  return with_counts


def epochs(steps, end, steps_per_epoch):
  """`first` or `since` in epochs, float [N].

  An example that was never learned counts as learned when training ended.

  Args:
    steps: int32 [N], as counted.
    end: steps of the whole run.
    steps_per_epoch: of the original data, so that arms can be compared.
  """
  return np.minimum(steps, end) / steps_per_epoch


def summary(learning, rows, steps_per_epoch, groups):
  """How one network learned its examples: means over all and over groups.

  Args:
    learning: its counts at the end, see `start`; on the host.
    rows: [n] of its training examples in the counts.
    steps_per_epoch: as in `epochs`.
    groups: name -> bool [n]; one without members has no mean.

  Returns:
    {(metric, group): (mean, number of examples)}, group '' for all, of
    `forgetting`, events, and of `first_learned`, in epochs.
  """
  groups = {'': np.ones(len(rows), bool)} | groups
  values = {'forgetting': learning['forgotten'][rows], 'first_learned': epochs(
      learning['first'][rows], learning['step'], steps_per_epoch)}
  return {(metric, name): (each[members].mean(), members.sum())
          for metric, each in values.items()
          for name, members in groups.items() if members.any()}
