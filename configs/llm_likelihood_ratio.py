"""Likelihood ratios of language models (Zhang et al., 2025, arXiv 2404.08679).

  python -m experiments.llm_likelihood_ratio \
    --config=configs/llm_likelihood_ratio.py:texts

The paper tunes models of seven billion parameters on what is known. Here models
are counted, n-grams of bytes, and tuning adds the counts of further texts:
recast. What is asked stays: does the ratio of both likelihoods tell foreign
texts where a likelihood tells long, rare or complicated ones? Texts to be
tested, to tune with and to pretrain with are different documents.
"""

import functools

from assay import papers
from assay.claims import (
    all_of,
    claims_of,
    equal,
    greater,
    less,
    minimum_inside,
    within,
)
from assay.config import above, between
from assay.report import plots
from assay.testbeds import bounds

PAPER = papers.Paper(
    'Finetuned language models as detectors', venue='AISTATS', year='2025',
    authors='Zhang, Xiao, Liu, Bamler and Wischik', arxiv='2404.08679',
    family='ood_and_shift',
    idea='Who tunes a language model on some texts has two models. The ratio '
         'of their likelihoods tells whether a text is of that kind, as what '
         'both find likely cancels.')

_TEXTS = dict(
    dataset='texts', seed_varies='resplit', split_sizes=(400, 400, 200),
    length=128, corpora=('law', 'medicine', 'humanities', 'mathematics',
                         'science', 'gsm8k', 'shakespeare', 'wikitext', 'scan',
                         'repeated'),
    known=('law', 'medicine', 'gsm8k', 'shakespeare'),
    near=('law:medicine', 'law:humanities', 'law:science', 'law:mathematics',
          'medicine:law', 'medicine:humanities', 'medicine:science',
          'medicine:mathematics', 'gsm8k:mathematics'),
    simple=('scan', 'repeated'), absent=('humanities', 'wikitext'))
_WEIGHTS = dict(arms=('ratio', 'tuned'), swept_arms=('ratio', 'tuned'),
                sweep='weight', sweep_values=(.2, 1., 5., 25., 125.))
VARIANTS = papers.variants({
    'generated': ('default: topics of made-up languages, no download', {}),
    'texts': ('questions, speeches and articles that people wrote', _TEXTS),
    'generated_weights': ('how much tuning, made-up languages', _WEIGHTS),
    'texts_weights': ('how much tuning, written texts', _TEXTS | _WEIGHTS),
    'smoke': ('seconds: three topics, few texts', dict(
        corpora=('north_1', 'north_2', 'south_1', 'orders', 'repeated'),
        known=('north_1', 'south_1'), near=('north_1:north_2',),
        absent=('north_2',), split_sizes=(30, 30, 20), order=3, num_seeds=2,
        arms=('ratio', 'tuned', 'ratio_absent', 'bytes'))),
})


def get_config(variant='generated'):
  """The values of one variant, locked."""
  c = papers.new_config('llm_likelihood_ratio', VARIANTS, variant)
  c.arms = ('ratio', 'ratio_per_byte', 'tuned', 'tuned_per_byte', 'pretrained',
            'pretrained_per_byte', 'ratio_absent', 'length', 'packed', 'bytes')
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fresh'  # languages and all texts
  c.scale = 'recast'
  c.dataset = 'made-up languages'
  c.corpora = ('north_1', 'north_2', 'north_3', 'south_1', 'south_2', 'east_1',
               'orders', 'repeated')
  c.known = ('north_1', 'north_2', 'south_1')  # each once, and one at a time
  c.near = ('north_1:north_2', 'north_1:north_3', 'north_2:north_1',
            'north_2:north_3', 'south_1:south_2')  # known:unknown
  c.simple = ('orders', 'repeated')
  c.absent = ('north_3', 'east_1')  # from the mixture of some arms
  # Documents of each corpus: for the mixture, to tune with, to test.
  c.split_sizes = (200, 200, 150)
  c.length = 100  # bytes of a text to be tested
  c.longest = 1000  # of one at its natural length, at most
  c.order = 5  # bytes of the longest run that is counted
  c.weight = 5.  # how often a text counts that a model is tuned with
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = {
    'split_sizes': between(1, 10**6, (3, 3)), 'length': bounds.COUNT,
    'longest': bounds.COUNT, 'order': between(1, 8), 'weight': above(0, 1e6)}

PUBLISHED = ()  # of other texts and models: nothing that is comparable
METRICS = ('nll',)
COLUMNS = (('auroc', 'near'), ('auroc', 'far'), ('auroc', 'simple'))

_told = functools.partial(claims_of, variants=('generated', 'texts'))


def _above(ours, other, **group):
  return all_of(*(greater('auroc', ours, other, split=split, **group)
                  for split in ('near', 'far')))


def _natural(arm):
  return {'method': arm, 'split': 'far', 'group': 'natural'}


CLAIMS = (
    *_told('Zhang et al., 2025', table={
        'the ratio detects': (
            'On near and on far texts the ratio has a higher AUROC than the '
            'likelihood of the tuned model.', _above('ratio', 'tuned')),
        'tuning helps': (
            'There the likelihood of the tuned model has a higher AUROC than '
            'that of the model before.', _above('tuned', 'pretrained')),
        'simple texts': (
            'Simple texts are likelier than known ones by the tuned model, an '
            'AUROC below a half, and still told by the ratio, above 0.8.',
            all_of(within('auroc', 'tuned', 0, .5, split='simple'),
                   within('auroc', 'ratio', .8, 1, split='simple')))}),
    *_told('control ours', gated=False, table={
        'more than bytes, near': (
            'On near texts the ratio has a higher AUROC than the shares of '
            'bytes of a text.', greater('auroc', 'ratio', 'bytes',
                                        split='near')),
        'more than bytes, far': (
            'On far texts, too, it has a higher one than those.',
            greater('auroc', 'ratio', 'bytes', split='far')),
        'more than packing': (
            'It has a higher one than how well zlib packs a text.',
            _above('ratio', 'packed')),
        'more than length': (
            'At natural lengths it has a higher one than the length.',
            _above('ratio', 'length', group='natural'))}),
    *_told('ours', gated=False, table={
        'a likelihood is a length': (
            'At natural lengths the likelihood of the tuned model has on far '
            'texts the AUROC that minus the length has, within 0.05.',
            equal('auroc', _natural('tuned'), _natural('length'), .05)),
        'a ratio is no length': (
            'There the ratio has the same AUROC as the ratio for each byte, '
            'within 0.02.',
            equal('auroc', _natural('ratio'), _natural('ratio_per_byte'), .02)),
        'what was pretrained counts': (
            'Of corpora that the mixture lacks the ratio tells less than if it '
            'has them.', less('auroc', 'ratio_absent', 'ratio',
                              split='absent'))}),
    *claims_of('ours', ('generated_weights', 'texts_weights'), {
        'neither little nor much': (
            'On near texts the ratio rejects fewest of the known at 95 % of '
            'the unknown if texts to tune with count neither least nor most.',
            minimum_inside('fpr95_ood', 'weight', method='ratio',
                           split='near'))}, gated=False))


def _compared(rows, split):
  """Without means over bytes, which are those sums where lengths are equal."""
  if any('weight' in row for row in rows):
    return None  # of these there is a curve
  return plots.comparison(
      [row for row in rows if not row['method'].endswith('_per_byte')],
      'auroc', split=split, state='last', baseline='tuned')


FIGURES = {f'auroc_{split}': functools.partial(_compared, split=split)
           for split in ('near', 'far', 'simple')} | {
               'weights': functools.partial(
                   plots.sweep, metric='auroc', over='weight', split='near',
                   state='last')}
LEAD = ('texts', 'auroc_near')
