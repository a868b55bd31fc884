"""Arms of the testbed `meta` that papers compare with.

The config has divergence_weight (MR-MAML) and shift (Meta-Aug; the largest
number that is added to the labels of a task).
"""

import functools

from assay.methods import gaussian_weights, maml, task_augmentation
from assay.testbeds import meta, meta_tasks

ENCODER = 'hidden_0'  # the layer that MR-MAML shares between all tasks


def upper_rates(rate):
  """Rates of the steps where the encoder is not adapted."""
  return {ENCODER: 0., 'hidden_1': rate, 'output': rate}


def augmented(config, key, task):
  """Meta-Aug: numbers are shifted, directions turned."""
  if config.net.dataset in meta_tasks.GENERATED:
    return task_augmentation.shifted(key, task, task['shift'])
  return task_augmentation.turned(key, task)


NOISY = meta.Weights(
    start=lambda params: params | {
        ENCODER: gaussian_weights.start(params[ENCODER])},
    sample=lambda key, weights: weights | {
        ENCODER: gaussian_weights.sample(key, weights[ENCODER])},
    penalty=lambda task, weights: task['divergence_weight'] * (
        gaussian_weights.divergence(weights[ENCODER])),
    mean=lambda weights: weights | {ENCODER: weights[ENCODER]['mean']})

ARMS = {
    'maml': meta.Arm(),
    'first_order_maml': meta.Arm(
        adapt=functools.partial(maml.adapted, first_order=True)),
    'pretrained': meta.Arm(adapt=meta.not_at_all),
    # The control of MR-MAML: as little is adapted, without noise.
    'upper_maml': meta.Arm(rates=upper_rates),
    'mr_maml': meta.Arm(rates=upper_rates, weights=NOISY,
                        fields=('divergence_weight',)),
    'meta_aug': meta.Arm(augmented, fields=('shift',)),
}
