"""What the networks of the testbed `meta` depend on: values alone, no JAX."""

import ml_collections

# What differs from MAML's sinusoids in other tasks.
FEW_SHOT = {
    'coded_sinusoid': dict(exclusive=False, num_support=5, num_query=5),
    'digits': dict(
        exclusive=False, batch_tasks=10, inner_learning_rate=0.1, width=64,
        side=10,  # a frame of one pixel
        num_objects=(50, 100, 700),  # to train, validate and test on
        num_views=60, degrees=180.0, data_seed=0),
}
FEW_SHOT['fashion_mnist'] = FEW_SHOT['digits'] | dict(
    side=28, num_objects=(50, 100, 1000))


def few_shot(dataset='sinusoid'):
  """`config.net` of `testbeds.meta`, unlocked.

  Args:
    dataset: sinusoid, with the values of MAML's code (Finn et al., 2017);
      coded_sinusoid; or a set of gray images, whose objects are turned.
  """
  return ml_collections.ConfigDict(dict(
      # Tasks.
      dataset=dataset,
      exclusive=True,  # a training task cannot be told by its inputs
      num_support=10, num_query=10, batch_tasks=25,
      # Model and training.
      width=40, num_steps=70_000, learning_rate=1e-3,
      inner_learning_rate=0.01, inner_steps=1,
      eval_every=500) | FEW_SHOT.get(dataset, {}))
