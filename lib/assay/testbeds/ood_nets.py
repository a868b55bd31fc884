"""Networks of the testbed `ood`, and what they say about all its images."""

from typing import NamedTuple

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from assay.models import classifier
from assay.testbeds import ood_data, vision, vision_nets
from assay.train import sharding


def make_model(net, head):
  """The network of a config with a head: images -> logits [B, K]."""
  return classifier.Classifier(vision_nets.make_model(net, 0),
                               head(ood_data.num_classes(net)))


def outputs_of(model, shape):
  """(apply, names) of all that a network says, one array.

  Args:
    model: a `Classifier`.
    shape: of an image.

  Returns:
    `(params, extra, x) -> [B, Q]` in evaluation mode, and (name, columns) of
    its parts: 'logits', then by name what is sown.
  """

  def apply(params, extra, x):
    logits, found = model.apply(
        {'params': params, **vision_nets.statistics_of(extra)}, x,
        mutable=['intermediates'])
    parts = {'logits': logits} | _by_name(found['intermediates'])
    return jnp.concatenate([parts[k].reshape(len(x), -1) for k in parts], 1)

  x = jnp.zeros((1, *shape))
  logits, found = jax.eval_shape(lambda key: model.init_with_output(
      key, x, mutable=True), jax.random.key(0))
  parts = {'logits': logits} | _by_name(found['intermediates'])
  return apply, [(name, part.shape[1:]) for name, part in parts.items()]


def _by_name(sown):
  """{name: array} of what modules have sown, sorted."""
  return {path[-1]: found[0] for path, found in sorted(
      traverse_util.flatten_dict(sown).items(), key=lambda item: item[0][-1])}


class Said(NamedTuple):
  """What the networks of a block say.

  Attributes:
    fitted: the networks.
    by_seed: split -> name -> [S, n, ...].
    shared: split -> name -> [n, ...], the same for all seeds.
    heads: [S] of (weights, bias), or None where the head is not linear.
    counted: see `ood_data.counted`.
    learning_rate: float.
  """
  fitted: object
  by_seed: dict
  shared: dict
  heads: list | None
  counted: dict
  learning_rate: float

  def of(self, position):
    """split -> name -> array, of the seed at a position."""
    head = {'head': self.heads[position]} if self.heads else {}
    return {split: {k: v[position] for k, v in each.items()}
            | self.shared[split] | head
            for split, each in self.by_seed.items()}


def shown(config, data, unknown):
  """split -> what `vision_nets.said` shows of it, without shifts."""
  found = {split: data.shared | {'rows': data.shared[f'{split}_rows']}
           for split in ('train', 'val', 'test')}
  for name, x in (unknown | {
      'mixed': ood_data.mixed(config, data)}).items():
    # Not -1: an image with that label is none to `images.draw_from`.
    found[name] = {'x': x, 'y': np.zeros(len(x), np.int32),
                   'rows': np.arange(len(x), dtype=np.int32)}
  return found


def said(config, data, block, head, unknown, train):
  """Trains a network on a block of seeds, or reads it; a `Said`."""
  model = make_model(config.net, head)
  fitted = vision.fit(config, data, block, train, model=model)
  apply, names = outputs_of(model, data.shared['x'].shape[1:])
  ends = np.cumsum([0] + [int(np.prod(shape)) for _, shape in names])

  def parts(each, shift=''):
    found = vision_nets.said(apply, config.net, data, block, fitted, each,
                             config.level, shift)
    return {name: found[..., start:stop].reshape(*found.shape[:2], *shape)
            for (name, shape), start, stop in zip(
                names, ends[:-1], ends[1:], strict=True)}

  sets = shown(config, data, unknown)
  by_seed = {split: parts(each) for split, each in sets.items()} | {
      shift: parts(sets['test'], shift) for shift in config.shifts}
  shared = {split: {name: each[k][each['rows']] for k, name in (
      ('y', 'labels'), ('fine', 'fine')) if k in each}
            if f'{split}_rows' in data.shared else {}
            for split, each in sets.items()}
  shared |= dict.fromkeys(config.shifts, shared['test'])
  features = {name: ood_data.features(sets[name]['x'][sets[name]['rows']])
              for name in ('test', *unknown)}
  for name, values in features.items():
    shared[name] = shared[name] | {'image_features': values}
  heads = None
  if head is classifier.Linear:
    dense = sharding.fetch(fitted.state.params['head']['Dense_0'])
    heads = list(zip(dense['kernel'], dense['bias'], strict=True))
  return Said(fitted, by_seed, shared, heads,
              ood_data.counted(config, features), config.net.learning_rate)
