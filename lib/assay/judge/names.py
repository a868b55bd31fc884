"""What the name of a column or of a run tells: its part, which end is better.

A guess by name is always said, and `--columns` overrules it.
"""

import re

import numpy as np

from assay import metrics
from assay.metrics import HIGHER, LOWER

# Part -> names of columns that play it, the surest first.
PARTS = {
    'method': (
        'method', 'methods', 'algorithm', 'algo', 'approach', 'arm', 'agent',
        'model', 'model_name', 'system', 'classifier', 'estimator', 'learner',
        'technique', 'variant', 'optimizer', 'experiment', 'run_name',
        'runname', 'name', 'group'),
    'seed': (
        'seed', 'random_seed', 'rng_seed', 'random_state', 'seed_id', 'fold',
        'cv_fold', 'split_id', 'split_index', 'repeat', 'rep', 'replicate',
        'replication', 'repetition', 'trial', 'run', 'run_id', 'iteration'),
    'dataset': (
        'dataset', 'data_set', 'data', 'task', 'task_name', 'environment',
        'env', 'env_id', 'env_name', 'game', 'benchmark', 'problem', 'domain'),
    'metric': ('metric', 'metric_name', 'measure', 'criterion', 'variable'),
    'value': ('value', 'metric_value', 'result', 'score', 'measurement'),
    'example': (
        'example', 'example_id', 'doc_id', 'question_id', 'sample_id',
        'instance', 'instance_id', 'item', 'item_id', 'idx'),
    'label': ('label', 'y_true', 'ground_truth', 'true_label'),
    'split': ('split', 'partition', 'phase'),
    'state': ('state', 'status'),
}
# Numbers that are no result, whatever their values.
SETTINGS = {
    'index', 'step', 'steps', 'global_step', 'epoch', 'epochs', 'lr',
    'learning_rate', 'batch_size', 'weight_decay', 'created', 'runtime',
    'timestamp', 'wall_time', 'start_time', 'end_time', 'n', 'count',
    'num_params', 'params', 'size', 'train_size', 'test_size', 'n_train',
    'n_test', 'relative_time'}
# Of these the last row of a seed may be meant.
PROGRESS = {'step', 'steps', 'global_step', 'epoch', 'epochs', 'timestamp',
            'iteration', 'wall_time', 'relative_time', 'runtime'}
FINISHED = {'finished', 'completed', 'complete', 'success', 'succeeded',
            'done', 'ok'}

_LOWER = {
    'error', 'err', 'errors', 'loss', 'rmse', 'mse', 'mae', 'mape', 'nll',
    'logloss', 'perplexity', 'ppl', 'bpc', 'bpb', 'ece', 'brier', 'wer', 'cer',
    'ter', 'fid', 'fpr', 'fnr', 'fpr95', 'regret', 'eer', 'lpips', 'chamfer',
    'xent', 'entropy', 'deviance', 'latency', 'seconds', 'runtime', 'cost',
    'violations', 'kl', 'wasserstein', 'mmd'}
_HIGHER = {
    'accuracy', 'acc', 'auroc', 'auc', 'auprc', 'aupr', 'f1', 'precision',
    'recall', 'map', 'ap', 'iou', 'miou', 'dice', 'bleu', 'rouge', 'rougel',
    'meteor', 'chrf', 'reward', 'return', 'returns', 'score', 'success', 'r2',
    'psnr', 'ssim', 'exact_match', 'em', 'top1', 'top5', 'mcc', 'kappa',
    'ndcg', 'mrr', 'correct', 'tpr', 'sensitivity', 'specificity', 'pearson',
    'spearman', 'likelihood', 'elbo', 'win_rate', 'winrate', 'pass',
    'throughput'}
# Shares: one method in percent and another in fractions is a mistake.
_SHARES = {
    'accuracy', 'acc', 'auroc', 'auc', 'auprc', 'aupr', 'f1', 'precision',
    'recall', 'error', 'err', 'ece', 'em', 'top1', 'top5', 'iou', 'miou',
    'dice', 'wer', 'exact_match', 'success', 'win_rate', 'map', 'ap'}
_PREFIX = re.compile(
    r'^(config|params|metrics|summary|tags|tags\.mlflow|mlflow)[./]', re.I)
# `ours_seed3`, `ours-s3`, `ours/3`, `ours (3)`.
_RUN = re.compile(r'^(.*?)[\s_\-./(]*(?:seed|run|fold|split|trial|rep|s|r)?'
                  r'[\s_\-=.]*(\d+)\)?$', re.I)


def plain(column):
  """`config.Learning Rate` as `learning_rate`."""
  while _PREFIX.match(column):
    column = _PREFIX.sub('', column)
  return re.sub(r'[\s\-]+', '_', column.strip()).lower()


def find(part, columns):
  """The column that plays a part by its name, or None."""
  by_plain = {}
  for column in columns:
    by_plain.setdefault(plain(column), column)
  return next((by_plain[name] for name in PARTS[part] if name in by_plain),
              None)


def _words(metric):
  name = plain(metric)
  return {name, *re.split(r'[^a-z0-9]+', name)}


def better(metric):
  """'higher', 'lower', or None where the name does not tell."""
  known = metrics.KNOWN.get(plain(metric))
  if known:
    return known.better
  words = _words(metric)
  if 'log_likelihood' in plain(metric) and not words & {'negative', 'neg'}:
    return HIGHER
  lower, higher = words & _LOWER, words & _HIGHER
  if words & {'neg', 'negative'} or bool(lower) == bool(higher):
    return None
  return LOWER if lower else HIGHER


def is_share(metric):
  return bool(_words(metric) & _SHARES)


def of_run(name):
  """(method, seed) of a run's name; None if no number ends it."""
  found = _RUN.match(name)
  return (found[1], int(found[2])) if found and found[1] else None


def of_runs(names):
  """{name: (method, seed)}; None unless all end in a number, some alike.

  What `net50` and `net101` end in is part of what they are: two or more names
  must share what stands before the number, and no two may have the same.
  """
  found = {name: of_run(name) for name in dict.fromkeys(names)}
  if None in found.values() or len(set(found.values())) != len(found):
    return None
  methods = [method for method, _ in found.values()]
  alone = [m for m in methods if methods.count(m) < 2]
  return None if alone or not methods else found


def in_range(metric, values):
  """Whether values can be those of the metric that Assay knows by this name.

  False for a name that it does not know. An accuracy in percent is another
  metric than one in [0, 1], and its range says nothing.
  """
  known = metrics.KNOWN.get(metric)
  return bool(known) and bool(
      known.low <= np.min(values, initial=known.low)
      and np.max(values, initial=known.high) <= known.high)
