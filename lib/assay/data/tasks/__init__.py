"""Distributions of tasks for learning in context, as pure functions of a key.

A sequence shows examples of one task, and each sequence has its own task:
linear regression with an unknown noise level (Liu et al., 2024, arXiv
2405.15115), or images under a random projection and a random permutation of
the labels (Kirsch et al., 2022, arXiv 2212.04458). Tasks and sequences are
made inside the compiled step; not even a set of 2^25 tasks is stored, as task
k is a function of k.

A law is a function: a noise law `key -> sigma []`, a weight law `key -> w
[d]`, a task law `key -> (w, sigma)`, a covariate law `(key, num) -> x [num,
d]`. A change of a law takes a law and gives one.
"""

from assay.data.tasks.classification import (
    FIRST_UNSEEN,
    classification_prompts,
    classification_sequence,
    classification_tokens,
    draw_classification,
    gaussian_clusters,
    normalized,
    principal_components,
    projection_task,
    random_20,
    task_index,
    task_key,
)
from assay.data.tasks.regression import (
    covariance_factor,
    draw_regression,
    gaussian_weights,
    inverse_gamma_noise,
    low_rank_covariates,
    pool,
    pool_key,
    pooled,
    random_covariance,
    regression_prompts,
    regression_sequence,
    regression_task,
    regression_tokens,
    scaled,
    scaled_covariates,
    shifted_covariates,
    standard_covariates,
    uniform_noise,
    with_offset,
)
from assay.data.tasks.sets import image_sets
