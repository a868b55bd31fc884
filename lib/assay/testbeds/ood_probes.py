"""Probes of networks that were trained on other classes. Part of `ood`.

A network is trained on `net.known`, and a linear probe of its features learns
`probed`: these are what is known then. Unknown are images of the classes that
the network was trained on, `pretrained`, and those of the classes of neither,
`other_classes`. Of the config are read besides what `ood` reads: probed and
probe_sizes, as split_sizes of the probe's images.
"""

import numpy as np

from assay.methods import probes
from assay.study import replaced
from assay.testbeds import ood, ood_data, ood_rows

NEAR = ('pretrained', 'other_classes')


def data_of(config, data_dir):
  """The `vision_nets.Data` of the classes that are probed."""
  return ood_data.load(replaced(config, {
      'known': config.probed, 'split_sizes': config.probe_sizes}).net, data_dir)


def shown(config, data, data_dir):
  """name -> x, as `ood_data.unknown`: `probed_<split>`, and unknown sets."""
  del data
  mine = data_of(config, data_dir)
  seen = replaced(config, {'known': (*config.net.known, *config.probed)})
  return {f'probed_{split}': mine.shared['x'][mine.shared[f'{split}_rows']]
          for split in ('train', 'val', 'test')} | ood_data.unknown(
              seen, mine, data_dir)


def probed(config, said, data):
  """(config, `ood_nets.Said`) of probes: as if their classes were known.

  Splits are train, val and test of the probe's images; `pretrained`, test
  images of the network's classes; `pretrained_train` and `pretrained_val`; and
  the unknown sets.

  Args:
    config: of the network.
    said: what it says of its own images and of those of `shown`.
    data: from `data_of`.
  """
  config = replaced(config, {'near': NEAR})
  old = {split: f'probed_{split}' for split in ('train', 'val', 'test')} | {
      'pretrained': 'test', 'pretrained_train': 'train',
      'pretrained_val': 'val'} | {
          name: name for name in ('other_classes', *config.far)}
  z = {new: said.by_seed[name]['features'] for new, name in old.items()}
  labels = {split: data.labels(split) for split in ('train', 'val', 'test')}
  shape = z['test'].shape[2], len(config.probed)
  heads = [(np.zeros(shape), np.zeros(shape[1])) if i in said.fitted.why else
           probes.linear(z['train'][i], labels['train'], z['val'][i],
                         labels['val']) for i in range(len(z['test']))]
  weights, bias = map(np.stack, zip(*heads, strict=True))
  shared = {new: {k: said.shared[name][k] for k in ('image_features',)
                  if k in said.shared[name]} | (
                      {'labels': labels[new]} if new in labels else {})
            for new, name in old.items()}
  return config, said._replace(
      by_seed={split: {'features': each, 'logits': each @ weights + bias[
          :, None]} for split, each in z.items()},
      shared=shared, heads=heads, counted=ood_data.counted(config, {
          name: shared[name]['image_features']
          for name in ('test', *NEAR, *config.far)}))


def run(config, study, arms, more):
  """Scores every arm on the probes of every seed; returns the rows.

  Args:
    config, study, arms, more: as for `ood.run`.
  """
  ood.check(config, arms)
  kept = {}  # arms of one network read the same probes
  for arm, mine, said, recorder, _ in ood.units(config, study, arms, shown):
    if id(said) not in kept:
      kept[id(said)] = probed(mine, said, data_of(mine, study.data_dir))
    with recorder as add:
      ood_rows.record(add, *kept[id(said)], arms, arm, more)
  return study.rows()
