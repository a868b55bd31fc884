"""Zhang et al. (2025): is a tuned language model a detector of foreign texts?

  python -m experiments.llm_likelihood_ratio \
    --config=configs/llm_likelihood_ratio.py:texts

A model of a mixture of corpora is tuned to one of them, which is what is known;
texts of the others are unknown. An arm is a score of a text.

Splits: `near`, `far` and `simple` are means over pairs of a known and an
unknown corpus, `absent` over those whose unknown corpus some arms leave out of
the mixture; `pair` is one, its group. All texts are cut to one length, but in
the group `natural`. Near and far pairs whose texts zlib tells apart by their
size, with an AUROC above 0.99 in either direction, count nowhere.
"""

import functools
import itertools
import sys
from typing import NamedTuple
import zlib

import numpy as np

from assay import cli
from assay import config as config_lib
from assay.data import corpora
from assay.errors import UserError, check_names
from assay.methods import ood_scores
from assay.metrics import detection
from assay.models import ngrams
from assay.study import replaced
from configs import llm_likelihood_ratio as card

OF_A_PAIR, TRIVIAL = ('auroc', 'fpr95_id', 'fpr95_ood'), .99


class Arm(NamedTuple):
  """A score, and whether the mixture has all corpora.

  Attributes:
    score: of log_p and reference_log_p [N, T], tuned and not, their mask [N,
      T], features [N, 256], shares of bytes, and packed [N], minus the bytes
      that zlib needs for one byte.
    whole: the mixture has the corpora of `config.absent` too.
  """
  score: ood_scores.Score
  whole: bool = True


def of_reference(score):
  """The score of the model that was not tuned."""
  return ood_scores.plain(lambda reference_log_p, mask: score.values(
      {}, log_p=reference_log_p, mask=mask))


ARMS = {
    'ratio': Arm(ood_scores.likelihood_ratio),
    'ratio_per_byte': Arm(ood_scores.normalized_likelihood_ratio),
    'tuned': Arm(ood_scores.likelihood),
    'tuned_per_byte': Arm(ood_scores.normalized_likelihood),
    'pretrained': Arm(of_reference(ood_scores.likelihood)),
    'pretrained_per_byte': Arm(of_reference(ood_scores.normalized_likelihood)),
    'ratio_absent': Arm(ood_scores.likelihood_ratio, whole=False),
    'length': Arm(ood_scores.plain(lambda mask: -mask.sum(axis=1))),
    'packed': Arm(ood_scores.plain(lambda packed: packed)),
    'bytes': Arm(ood_scores.mahalanobis),
}


def check(config):
  """Raises a UserError that names a value which cannot be meant."""
  config_lib.check(config, card.BOUNDS)
  check_names('arms', config.arms, ARMS, 'arm')
  for field in ('known', 'simple', 'absent'):
    check_names(field, config[field], config.corpora, 'corpus')
  for field in ('known', 'absent'):
    if 'repeated' in config[field]:
      raise UserError(f'{field}={config[field]!r}: leave out repeated, which '
                      'has no texts to train on.')
  check_names('near', config.near, [
      ':'.join(pair) for pair in itertools.permutations(config.corpora, 2)],
              'pair')


def pairs(config):
  """{split: its (known, unknown) corpora}."""
  near = [tuple(each.split(':')) for each in config.near]
  every = [(known, other) for known in config.known for other in config.corpora
           if other != known]
  return {'near': near,
          'simple': [each for each in every if each[1] in config.simple],
          'far': [each for each in every
                  if each not in near and each[1] not in config.simple],
          'absent': [(known, other) for known, other in every
                     if other in config.absent and known not in config.absent]}


def said(reference, tuned, texts):
  """What two models say: {corpus: {name: array}} of {corpus: documents}."""
  every = [each for documents in texts.values() for each in documents]
  told = [iter(ngrams.log_p(model, every)) for model in (tuned, reference)]
  found = {}
  for name, documents in texts.items():
    sizes = np.array([len(each) for each in documents])
    mask = np.arange(sizes.max()) < sizes[:, None]
    padded = np.zeros((2, *mask.shape))
    for log_p, each in zip(told, padded, strict=True):
      each[mask] = np.concatenate([next(log_p) for _ in documents])
    found[name] = {'log_p': padded[0], 'reference_log_p': padded[1],
                   'mask': mask.astype(float)} | of_bytes(documents)
  return found


def of_bytes(documents):
  """Shares of bytes, and how well documents are packed; see `Arm`."""
  return {
      'features': np.array([np.bincount(np.frombuffer(each, np.uint8),
                                        minlength=ngrams.BYTES) / len(each)
                            for each in documents]),
      'packed': np.array([-len(zlib.compress(each, 9)) / len(each)
                          for each in documents])}


def cut(documents, length, longest):
  """Those of at least a length, cut to it; 0: all, cut to the longest."""
  return [each[:length or longest] for each in documents if len(each) >= length]


def measured(config, seed, data_dir=None):
  """{arm: {(metric, split, group): (value, n)}} of one seed."""
  sizes = config.split_sizes
  texts = {name: corpora.split(each, (
      0, 0, sizes[2]) if name == 'repeated' else sizes, seed, name)
           for name, each in corpora.load(
               config.corpora, seed, 2 * sum(sizes), data_dir).items()}
  counts = {name: ngrams.counted(parts[0], config.order)
            for name, parts in texts.items() if parts[0]}
  references = {whole: functools.reduce(ngrams.added, (
      each for name, each in counts.items() if whole or name not in
      config.absent)) for whole in {ARMS[arm].whole for arm in config.arms}}
  found, apart, losses = {}, {}, {}
  for (whole, reference), known in itertools.product(
      references.items(), config.known):
    arms = [arm for arm in config.arms if ARMS[arm].whole == whole]
    more = texts[known][1]
    tuned = ngrams.added(reference, ngrams.counted(more, config.order),
                         config.weight)
    losses[whole, known] = [
        -np.concatenate(ngrams.log_p(tuned, texts[known][i])).mean()
        for i in (1, 2)]
    for group, length in (('', config.length), ('natural', 0)):
      told = said(reference, tuned, {name: cut(
          parts[2], length, config.longest) for name, parts in texts.items()})
      fit_on = of_bytes(cut(more, length, config.longest))
      for arm in arms:
        values = scores(ARMS[arm].score, fit_on, told)
        found |= {(arm, group, known, other): detection.summary(
            values[known], values[other]) for other in values if other != known}
      apart |= {(group, known, other): detection.summary(
          told[known]['packed'], told[other]['packed'])['auroc']
                for other in told if other != known}
  number = {group: {name: len(cut(parts[2], length, config.longest))
                    for name, parts in texts.items()}
            for group, length in (('', config.length), ('natural', 0))}
  trained = sum(len(part) for parts in texts.values() for part in parts[:2])
  made = {}
  for arm in config.arms:
    loss = np.mean([losses[ARMS[arm].whole, known]
                    for known in config.known], axis=0)
    # The size of the training set is read by the test over re-splits.
    made[arm] = {('nll', 'train', ''): (loss[0], trained),
                 ('nll', 'test', ''): (loss[1], sum(
                     number['natural'][known] for known in config.known))}
    made[arm] |= summary(config, lambda *pair, arm=arm: found[arm, *pair],
                         apart, number)
  return made


def scores(score, fit_on, told):
  """{corpus: [N] scores} of what models say of it, of a score so fitted."""
  fit_on = fit_on | {'labels': np.zeros(len(fit_on['packed']), int)}
  detector = score.fit(**{k: fit_on[k] for k in score.fits_on})
  return {name: detector.score(**{k: each[k] for k in score.reads})
          for name, each in told.items()}


def summary(config, found, apart, number):
  """{(metric, split, group): (value, n)} of an arm: means over pairs."""
  values, split_of = {}, pairs(config)
  for split, group in itertools.product(split_of, number):
    mine = [each for each in split_of[split] if split == 'simple' or abs(
        apart[group, *each] - .5) <= TRIVIAL - .5]
    n = sum(number[group][name] for name in {*itertools.chain(*mine)})
    values |= {(metric, split, group): (np.mean([
        found(group, *each)[metric] for each in mine]) if mine else np.nan, n)
               for metric in OF_A_PAIR}
  for known, other in sorted({*itertools.chain(*split_of.values())}):
    values['auroc', 'pair', f'{known}:{other}'] = (
        found('', known, other)['auroc'],
        number[''][known] + number[''][other])
  return values


def run(config, study):
  """Scores the texts of every seed by every arm; returns the rows."""
  check(config)
  told = functools.cache(lambda seed, *fields: measured(
      replaced(config, dict(fields)), seed, study.data_dir))
  for name, arm, fields in study.planned():
    for block in study.blocks(name):
      each = [told(seed, *fields.items())[arm] for seed in block.seeds]
      with block.recorder(dataset=config.dataset, method=arm, **fields) as add:
        for metric, split, group in each[0]:
          values, n = zip(*(one[metric, split, group] for one in each),
                          strict=True)
          add(metric, list(values), split=split, group=group, n=list(n),
              why='no pair counts')
  return study.rows()


if __name__ == '__main__':
  sys.exit(cli.main('llm_likelihood_ratio'))
