"""Metrics: computed once, on the host, from all predictions of a split.

`KNOWN` lists what a row's `metric` may be, with the range of its values and
which end of it is better.
"""

import math
from typing import NamedTuple

LOWER, HIGHER = 'lower', 'higher'


class Metric(NamedTuple):
  """What is known of a metric by its name."""
  low: float  # the range of its values, ends included
  high: float
  better: str | None  # 'lower', 'higher'; None: neither


_SHARE = (0, 1)
_POSITIVE = (0, math.inf)
_ANY = (-math.inf, math.inf)


def _metrics(limits, better, *names):
  return {name: Metric(*limits, better) for name in names}


# name -> `Metric`.
KNOWN = {
    # Classification and its calibration.
    **_metrics(_SHARE, LOWER, 'error', 'ece', 'adaptive_ece', 'classwise_ece',
               'max_calibration_error', 'ks', 'top_label_brier'),
    **_metrics((0, 2), LOWER, 'brier'),
    **_metrics(_SHARE, HIGHER, 'accuracy', 'auroc', 'masked_accuracy'),
    **_metrics(_SHARE, None, 'mean_confidence'),
    **_metrics((-1, 1), None, 'confidence_change', 'narrow_excess'),
    # Known from unknown, and abstention.
    **_metrics(_SHARE, HIGHER, 'aupr_in', 'aupr_out', 'correct_at_fpr05'),
    **_metrics((-1, 1), HIGHER, 'auroc_gain', 'auroc_gain_low'),
    **_metrics(_ANY, None, 'chosen'),
    **_metrics(_SHARE, LOWER, 'fpr95_id', 'fpr95_ood', 'aurc', 'joint_aurc'),
    **_metrics(_SHARE, None, 'admitted'),
    **_metrics(_SHARE, LOWER, 'admitted_wrong'),
    **_metrics(_SHARE, HIGHER, 'admitted_accuracy'),
    **_metrics((-3, 1), LOWER, 'shortfall'),
    # Regression. A density may be above 1, so its negative log below 0.
    **_metrics(_ANY, LOWER, 'nll'),
    **_metrics(_POSITIVE, LOWER, 'rmse', 'mape', 'mse', 'mse_half_width'),
    **_metrics((-1, 1), HIGHER, 'pearson'),
    # Of the worst domain, and the ends of its interval.
    **_metrics(_POSITIVE, LOWER, 'worst_rmse', 'worst_rmse_low',
               'worst_rmse_high'),
    **_metrics((-1, 1), HIGHER, 'worst_pearson', 'worst_pearson_low',
               'worst_pearson_high'),
    # Of representations, between domains; an estimate may be below 0.
    **_metrics(_ANY, LOWER, 'divergence'),
    **_metrics(_SHARE, None, 'coverage_50', 'coverage_80', 'coverage_95'),
    # Of labels with a metric.
    **_metrics(_POSITIVE, LOWER, 'squared_distance', 'distance'),
    # Distances to the Bayes predictor. That of one sample may be below 0.
    **_metrics(_ANY, LOWER, 'nll_gap', 'nll_gap_in_standard_errors'),
    **_metrics(_POSITIVE, LOWER, 'rms_mean', 'rms_log_std'),
    **_metrics(_ANY, None, 'log_std', 'pool_excess'),
    # Texts, and what a model writes.
    **_metrics(_SHARE, HIGHER, 'exact_match', 'token_accuracy', 'chain_right',
               'answer_right', 'ended', 'edit_similarity'),
    # What an example tells, and how many are needed.
    **_metrics(_POSITIVE, None, 'information'),
    **_metrics(_ANY, None, 'information_slope'),
    **_metrics(_POSITIVE, LOWER, 'examples_needed'),
    **_metrics((-1, 1), HIGHER, 'rank_correlation'),
    # Of an approximation, log10 of its largest error.
    **_metrics(_ANY, LOWER, 'log_error'),
    # Of inputs and their classes, before anything is learned; bits, log10.
    **_metrics(_POSITIVE, None, 'intrinsic_dimension', 'largest_norm',
               'class_distance'),
    **_metrics(_ANY, LOWER, 'log_difficulty'),
    # Learning in context.
    **_metrics(_SHARE, HIGHER, 'first_accuracy'),
    **_metrics((-1, 1), HIGHER, 'improvement'),
    # What is learned first, and how long it takes.
    **_metrics(_POSITIVE, LOWER, 'plateau_steps', 'steps_to_accuracy',
               'total_steps', 'time_fast', 'time_slow', 'time_ratio',
               'first_learned', 'forgetting'),
    **_metrics(_ANY, LOWER, 'learning_gap', 'alignment_gap'),
    **_metrics(_ANY, None, 'initial_alignment', 'slow_alignment',
               'fast_alignment', 'slow_growth'),
    **_metrics(_POSITIVE, None, 'separating_epoch'),
    # Clusters and choices of examples.
    **_metrics(_SHARE, HIGHER, 'cluster_accuracy', 'cluster_precision',
               'cluster_recall', 'purity',
               'probe_accuracy', 'few_probe_accuracy', 'nearest_accuracy'),
    **_metrics((-1, 1), HIGHER, 'silhouette'),
    **_metrics((1, math.inf), None, 'participation'),
    **_metrics(_SHARE, None, 'evenness', 'slow_share', 'effective_partners'),
    # Networks.
    **_metrics(_ANY, LOWER, 'lambda_max'),
    **_metrics(_POSITIVE, None, 'lambda_ratio', 'weight_l1', 'weight_l2',
               'num_params', 'state_size'),
}
