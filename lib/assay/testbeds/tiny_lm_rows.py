"""Rows of a tiny language model, part of the testbed `tiny_lm`."""

import functools

import numpy as np

from assay.data import texts
from assay.metrics import confidence
from assay.metrics import texts as text_metrics
from assay.testbeds import tiny_lm_answers as answers


def place_of(split):
  """The fields of the rows of a split."""
  length = texts.length_of(split)
  return {'split': 'lengths', 'length': length} if length else {'split': split}


def completions(made):
  """The wanted completions [S, N, T] of lines from `answers.asked`."""
  return np.stack([np.asarray(texts.completion_of(*each)) for each in zip(
      made['tokens'], made['start'], strict=True)])


def record(config, add, model, split):
  """Adds the rows of a split; `exact_match` without writing anything.

  Args:
    config: of which `decode` is read: whether texts are written too.
    add: the block's `Recorder`.
    model: an `answers.Model`.
    split: one of the task's; rows of `length_4` are of split `lengths` and have
      a field `length`.
  """
  add = functools.partial(add, n=config.num_prompts, **place_of(split))
  best, log_p, counted = model.forced(split)
  add('exact_match', np.mean(np.all(best | ~counted, axis=2), axis=1))
  mean = lambda x: np.mean(x, axis=(1, 2), where=counted)
  add('token_accuracy', mean(best))
  add('nll', -mean(log_p))
  if not config.decode:
    return
  said, made = model.written(split), model.asked(split)
  for name in sorted(said.keys() - {'tokens', 'log_p'}):
    add({'right': 'accuracy'}.get(name, name), np.mean(said[name], axis=1))
  output = np.where(said['tokens'] == texts.EOS, texts.PAD, said['tokens'])
  add('edit_similarity', [
      np.mean(text_metrics.edit_similarity(*each))
      for each in zip(output, completions(made), strict=True)])
  sure = np.exp(np.sum(said['log_p'], axis=2))
  add('mean_confidence', np.mean(sure, axis=1))
  add('ece', [confidence.calibration_error(*each) for each in zip(
      sure, said['right'], strict=True)])


def record_confidence(add, model, split, num_bins=10):
  """Adds rows of split `confidence`: how often it is right, by how sure it is.

  Sure is the probability of the whole text. `bin` is the upper end of one, in
  which `accuracy` stands beside `mean_confidence`.
  """
  said = model.written(split)
  sure = np.exp(np.sum(said['log_p'], axis=2))
  found = [confidence.reliability(*each, num_bins) for each in zip(
      sure, said['right'], strict=True)]
  for i in range(num_bins):
    mean, right, count = (np.array([each[k][i] for each in found])
                          for k in range(3))
    for metric, values in (('mean_confidence', mean), ('accuracy', right)):
      add(metric, values, split='confidence', bin=(i + 1) / num_bins, n=count,
          why='no text was so sure')


def record_all(config, add, model, split):
  """`record`; of `test` `record_confidence` too, and some texts are printed."""
  record(config, add, model, split)
  if split == 'test':
    record_confidence(add, model, split)
    print('\n'.join(model.shown(split)))


def majority(task_of):
  """An arm that says to each prompt what training lines say most often.

  Args:
    task_of: `net -> Task`.
  """

  def add_rows(config, add, seeds):
    task = task_of(config.net)
    wanted = lambda split: completions(answers.asked(
        task, split, seeds, config.num_prompts))
    most = []
    for known in wanted('train'):
      different, counts = np.unique(known, axis=0, return_counts=True)
      most.append(different[np.argmax(counts)])
    for split in config.splits or task.splits[1:]:
      right = np.all(wanted(split) == np.stack(most)[:, None], axis=2)
      add('exact_match', np.mean(right, axis=1), n=config.num_prompts,
          **place_of(split))

  return add_rows
