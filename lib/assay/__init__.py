"""Assay: published claims about generalization, put to the test in JAX."""


def load(workdir, method, seed, state=None):
  """The trained model of a finished run: `(apply, params)`.

  Args:
    workdir: what `--workdir` was.
    method: an arm's name, as the folder in `workdir` is called.
    seed: integer.
    state: `best` by validation, or `last`; default the best where training
      selected one.

  Returns:
    `apply(params, x)` of inputs [B, ...] scaled as in training, and params.

  Raises:
    UserError: no such run, arm or seed.
  """
  from assay import study  # imports JAX

  return study.load(workdir, method, seed, state)
