"""Arms of the testbed `tabular` that mix examples with partners.

An arm is who is paired with whom, and where the two are mixed: see `ARMS`.
Beside what the testbed reads, the config has

    alpha (of Beta(alpha, alpha), the law of the weights)
    bandwidth, or partners (the share of effective partners that it is to give);
      similarity, equal_partners (who is near, see `similarity`)
    pooled (partners from the batch and as many candidates)
    local_fraction (of pairs that Local Mixup keeps)
"""

import functools

import jax
import numpy as np

from assay.errors import UserError, check_names
from assay.methods import cutmix, mixup
from assay.testbeds import tabular

MAX_TABLE = 10_000  # rows; a table of partners grows with their square


def mixing(choose, where, local=False):
  """The arm that trains on mixtures with partners.

  Args:
    choose: who is the partner, as `mixup.paired` takes it.
    where: 'input'; 'hidden': after the first hidden layer; or 'box': a part of
      an image is the partner's, see `methods.cutmix`.
    local: whether mixtures of the farther pairs are left out.
  """

  def draw(config, draw):
    paired = mixup.paired(draw, _pool(config, choose))

    def drawn(shared, own, item, key):
      if where == 'box':
        key, box_key = jax.random.split(key)
      batch = paired(shared, own, item, key)
      if local:
        batch = mixup.local_weights(batch, own['threshold'])
      if where == 'box':
        batch = cutmix.paste(box_key, batch)
      return mixup.blend(batch, ('x', 'y') if where == 'input' else ('y',))

    return drawn

  def predict_hidden(model, variables, batch):
    return mixup.manifold(functools.partial(model.apply, method='encode'),
                          functools.partial(model.apply, method='decode'))(
                              variables, batch)

  plain = tabular.Arm()
  return tabular.Arm(
      draw=draw, predict=predict_hidden if where == 'hidden' else plain.predict,
      prepare=functools.partial(prepare, choose, local, where=where),
      noted=functools.partial(partner_laws, choose),
      fields=('alpha', 'bandwidth', 'partners')
      if choose is mixup.similar else ('alpha',))


def _pool(config, choose):
  return mixup.pooled if config.pooled and choose is mixup.similar else choose


def prepare(choose, local, config, block, source, where='input'):
  """The source with what choosing partners reads, of each seed."""
  net, rows = config.net, tabular.training_rows(source)
  if where == 'box' and rows[0][0].ndim != 4:
    raise UserError(f'{net.dataset} has inputs of shape {rows[0][0].shape[1:]}:'
                    ' CutMix cuts boxes of images [H, W, C]. Leave its arms '
                    'out of --config.arms.')
  own = source.own | {'alpha': np.full(len(rows), config.alpha, np.float32)}
  if local:
    own['threshold'] = np.array([mixup.distance_quantile(
        x, config.local_fraction) for x, _ in rows], np.float32)
  if choose not in (mixup.uniform, mixup.matched):
    pairs = similarity(config, block, source, rows)
    own['features'] = np.stack([f for f, _ in pairs]).astype(np.float32)
    own['bandwidth'] = np.array([s for _, s in pairs], np.float32)
    own |= prepared_draws(config, own['features'], own['bandwidth'])
  if _pool(config, choose) not in (mixup.matched, mixup.pooled):
    return source._replace(own=own)
  candidates = tabular.make_items(net, block.seeds, 'partners')

  def items(position, start, stop):
    first = source.items(position, start, stop)
    second = candidates(position, start, stop)
    if choose is mixup.matched:
      x = rows[position][0].reshape(len(rows[position][0]), -1)
      second = np.take_along_axis(second, mixup.match(x[first], x[second]),
                                  axis=1)
    return np.stack([first, second], axis=1)

  return source._replace(own=own, items=items)


def prepared_draws(config, features, bandwidths):
  """What makes drawing partners cheap, where something does."""
  if config.pooled:
    return {}
  if features.shape[1] <= MAX_TABLE:
    return {'partner_table': np.stack([
        mixup.partner_table(f, s)
        for f, s in zip(features, bandwidths, strict=True)])}
  if features.shape[2] > 1:
    return {}
  labels, orders = zip(*map(mixup.sort_labels, features), strict=True)
  return {'sorted_labels': np.stack(labels), 'label_order': np.stack(orders)}


# Features by which partners are similar, of x [n, D], y [n, Q] and the hidden
# representations; of `joint` both are standardized, so that neither outweighs.
def _unit(a):
  return (a - a.mean(0)) / a.std(0) / a.shape[1] ** 0.5


FEATURES = {
    'label': lambda x, y, hidden: y,
    'input': lambda x, y, hidden: x.reshape(len(x), -1),
    'hidden': lambda x, y, hidden: hidden(x),
    'joint': lambda x, y, hidden: np.concatenate([_unit(x), _unit(y)], axis=1),
    'uniform': lambda x, y, hidden: y,
}


def similarity(config, block, source, rows):
  """[(features [n, F], the bandwidth for them)] of each seed."""
  kind, encode = config.similarity, lambda position, x: x
  check_names('similarity', [kind], FEATURES, 'similarity')
  if kind == 'hidden':
    # Of a network trained without mixing on the same seed and split.
    fitted = tabular.fit(config, block, tabular.Arm(), source, 'similarity')
    encoded = jax.jit(functools.partial(
        tabular.make_model(config.net).apply, method='encode'))
    encode = lambda position, x: np.asarray(encoded({'params': jax.tree.map(
        lambda p: p[position], fitted.best.params)}, x))
  found = []
  for i, (x, y) in enumerate(rows):
    features = FEATURES[kind](x, y, functools.partial(encode, i))
    bandwidth = np.inf if kind == 'uniform' else (
        mixup.bandwidth_for(y, config.partners) if 'partners' in config
        else config.bandwidth)
    if config.equal_partners and kind not in ('label', 'uniform'):
      bandwidth = mixup.bandwidth_for(
          features, mixup.effective_partners(y, config.bandwidth))
    found.append((features, bandwidth))
  return found


def partner_laws(choose, config, source):
  """Effective partners of each seed; nothing where no formula gives them."""
  num_seeds, num_train = source.own['train_rows'].shape
  if choose is mixup.similar:
    laws = [mixup.effective_partners(f, s) for f, s in zip(
        source.own['features'], source.own['bandwidth'], strict=True)]
  elif choose is mixup.uniform:
    laws = np.ones(num_seeds)
  elif choose is None:
    laws = np.full(num_seeds, 1 / num_train)
  else:
    return {}
  return {'effective_partners': np.array(laws)}


ARMS = {
    'erm': tabular.Arm(noted=functools.partial(partner_laws, None)),
    'mixup': mixing(mixup.uniform, 'input'),
    'manifold_mixup': mixing(mixup.uniform, 'hidden'),
    'k_mixup': mixing(mixup.matched, 'input'),
    'local_mixup': mixing(mixup.uniform, 'input', local=True),
    'c_mixup': mixing(mixup.similar, 'input'),
    'manifold_c_mixup': mixing(mixup.similar, 'hidden'),
    'cutmix': mixing(mixup.uniform, 'box'),
    'cutmix_c_mixup': mixing(mixup.similar, 'box'),
}
