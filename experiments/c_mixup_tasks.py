"""C-Mixup across tasks: few-shot regression (Yao et al., NeurIPS 2022).

  python -m experiments.c_mixup_tasks --config=configs/c_mixup_tasks.py:sinusoid

In the outer loss of MAML a task's query examples are mixed with its support
examples, chosen by label (C-Mixup) or not (MetaMix).
"""

import functools
import math
import sys

from assay import cli
from assay.methods import mixup, task_augmentation
from assay.testbeds import meta, meta_arms
from configs import c_mixup_tasks as card


def mixing(*fields):
  """The arm that trains on mixtures with partners, near ones by `bandwidth`."""
  near = lambda config: config.bandwidth if fields else math.inf

  def change(config, key, task):
    return task_augmentation.mixed(
        key, task, task['alpha'], task.get('bandwidth', math.inf),
        ('x', 'y') if config.mix_layer == 'input' else ('y',))

  def predict(config, model, variables, task):
    if config.mix_layer == 'input':
      return model.apply(variables, task['query_x'])
    encode, decode = (functools.partial(model.apply, method=part)
                      for part in ('encode', 'decode'))
    return mixup.manifold(encode, decode)(
        variables, task | {'x': task['query_x']})

  return meta.Arm(
      change, predict=predict, fields=('alpha', *fields),
      noted=lambda config, task: {
          'effective_partners': task_augmentation.effective_partners(
              task, near(config))})


ARMS = meta_arms.ARMS | {
    'metamix': mixing(),
    'c_mixup': mixing('bandwidth'),
}
make_apply = meta.loader(ARMS)


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  return meta.run(config, study, ARMS, card.grid_of(config))


if __name__ == '__main__':
  sys.exit(cli.main('c_mixup_tasks'))
