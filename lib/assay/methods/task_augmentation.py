"""Tasks made of a task: MetaMix, its pairing by label, and Meta-Aug.

A task is a dict of support examples x [n, ...], y [n, Q] and query examples
query_x [m, ...], query_y [m, Q]. Each function gives one of the same form, for
training; of many tasks it is mapped:

    keys = jax.random.split(key, num_tasks)
    tasks = jax.vmap(lambda key, task: task_augmentation.mixed(
        key, task, alpha=2.0, bandwidth=0.5))(keys, tasks)

MetaMix (Yao et al., 2021, arXiv 2007.13040) trains on mixtures of a task's
query examples with its support examples; C-Mixup (Yao et al., 2022, arXiv
2210.05775) chooses the support example by its label. Meta-Aug (Rajendran et
al., 2020, arXiv 2007.05549) changes all labels of a task alike, at random, so
that only the support examples tell what is asked for.
"""

import jax
import jax.numpy as jnp

from assay.methods import mixup


def paired(key, task, alpha, bandwidth=jnp.inf):
  """The query examples, each with a support example to be mixed with.

  The partner of query label y is drawn with probability proportional to
  exp(-|y - support y|^2 / (2 bandwidth^2)). One lam ~ Beta(alpha, alpha) is for
  all of a task.

  Args:
    key: typed key [].
    task: see above.
    alpha: > 0, [] float.
    bandwidth: > 0, in units of y: C-Mixup's; inf, each support example alike:
      MetaMix's.

  Returns:
    A batch as `mixup.blend` and `mixup.manifold` take it: x, y, partner_x and
    partner_y [m, ...], and lam [m].
  """
  choose_key, lam_key = jax.random.split(key)
  partner = mixup.similar_partners(choose_key, task['query_y'], task['y'],
                                   bandwidth)
  return {'x': task['query_x'], 'y': task['query_y'],
          'partner_x': task['x'][partner], 'partner_y': task['y'][partner],
          'lam': mixup.sample_lam(lam_key, alpha, len(partner))}


def mixed(key, task, alpha, bandwidth=jnp.inf, fields=('x', 'y')):
  """The task whose query examples are `paired` and mixed with their partners.

  Args:
    key, task, alpha, bandwidth: as `paired` takes them.
    fields: ('y',) where inputs are to be mixed within the network: then
      query_x, partner_x and lam are what `mixup.manifold` mixes.

  Returns:
    The task with other query examples, and with partner_x [m, ...] and lam [m].

  Example:
    >>> import jax, jax.numpy as jnp
    >>> from assay.methods import task_augmentation
    >>> task = {'x': jnp.array([[0.], [8.]]), 'y': jnp.array([[0.], [8.]]),
    ...         'query_x': jnp.array([[9.]]), 'query_y': jnp.array([[8.]])}
    >>> new = task_augmentation.mixed(jax.random.key(0), task, 2., 0.1)
    >>> new['query_y'].tolist(), bool(8 < new['query_x'][0, 0] < 9)
    ([[8.0]], True)
  """
  found = mixup.blend(paired(key, task, alpha, bandwidth), fields)
  return task | {'query_x': found['x'], 'query_y': found['y'],
                 'partner_x': found['partner_x'], 'lam': found['lam']}


def effective_partners(task, bandwidth):
  """exp(entropy) of a query example's partner law over n, averaged, [] float.

  1 where each of the n support examples is as likely, 1/n where one is certain.

  Args:
    task: see above.
    bandwidth: as `paired` takes it.
  """
  law = jax.nn.softmax(mixup.log_similarity(
      task['query_y'], task['y'], bandwidth), axis=1)
  return jnp.mean(jnp.exp(jnp.sum(jax.scipy.special.entr(law), axis=1))) / (
      law.shape[1])


def shifted(key, task, scale):
  """The task with y + e, one e ~ U(-scale, scale)^Q for all of its examples.

  Args:
    key: typed key [].
    task: see above.
    scale: >= 0, in units of y.
  """
  by = jax.random.uniform(key, task['y'].shape[-1:], task['y'].dtype,
                          minval=-scale, maxval=scale)
  return task | {k: task[k] + by for k in ('y', 'query_y')}


def turned(key, task, num_turns=4):
  """The task with directions y turned by one random angle.

  Args:
    key: typed key [].
    task: see above; y [..., 2] are points of a plane.
    num_turns: K; the angle is one of 0, 1/K, ..., (K - 1)/K of a full turn, as
      the four for the poses of Rajendran et al.
  """
  angle = 2 * jnp.pi / num_turns * jax.random.randint(key, (), 0, num_turns)
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  turn = jnp.array([[cos, sin], [-sin, cos]])
  return task | {k: jnp.matmul(task[k], turn, precision='highest')
                 for k in ('y', 'query_y')}
