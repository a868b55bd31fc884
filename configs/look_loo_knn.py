"""LOOK: leave-one-out nearest neighbors (Feng et al., 2022, arXiv 2110.06014).

  python -m experiments.look_loo_knn --config=configs/look_loo_knn.py:cifar6

The paper trains a ResNet-50 on ImageNet and asks other data sets; numbers, k
and the length of its memory were not to be had, nor code. Here small networks
learn labels that are made of two classes each, and a linear probe asks for the
classes: coarse labels make it easy to lose them. Losses see two views of each
image, in as many steps and at one learning rate. Classes of
which nothing was known are the near images of `ood`.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, equal, greater
from assay.report import plots
from assay.testbeds import bounds
from configs import palm_prototypes

PAPER = papers.Paper(
    'Leave-one-out nearest neighbors for pretraining', venue='ICLR',
    year='2022', authors='Feng, Jiang, Tang, Jin and Gao', arxiv='2110.06014',
    family='clip_contrastive',
    idea='A network is trained so that the nearest neighbors of an image, '
         'itself left out, have its label. Only the nearest of its class pull, '
         'so a class may keep its parts, which other tasks ask for.')

_FEW = dict(arms=('ce', 'supcon', 'look_64', 'look_all', 'untrained'))
VARIANTS = papers.variants({
    name: (palm_prototypes.VARIANTS[name],
           palm_prototypes.VARIANTS.differs[name] | fields)
    for name, fields in (
        ('digits', {}),
        ('fashion6', _FEW), ('cifar6', _FEW),
        ('smoke', dict(arms=('look',))))})


def get_config(variant='digits'):
  """The values of one variant, locked: networks are those of PALM."""
  c = palm_prototypes.get_config(variant).copy_and_resolve_references().unlock()
  c.arms = ('ce', 'supcon', 'simclr', 'look', 'look_64', 'look_all',
            'untrained')
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.OOD | {'merged': bounds.COUNT}

PUBLISHED = ()  # see the docstring
METRICS = ('probe_accuracy', 'few_probe_accuracy', 'nearest_accuracy',
           'silhouette', 'participation')
COLUMNS = (('auroc', 'near'), ('auroc', 'far'))

# Neighbors that are asked: 16 of 300 images, 64 of 3,000 and of 6,000.
_OURS = {'digits': 'look', 'fashion6': 'look_64', 'cifar6': 'look_64'}


def _told(source, table, **fields):
  return tuple(claim for variant in _OURS for claim in claims_of(
      source, (variant,), {name: (sentence, check(_OURS[variant]))
                           for name, (sentence, check) in table.items()},
      **fields))


def _above(metric, *others, by=0, **where):
  return lambda ours: all_of(*(
      greater(metric, ours, other, by, **where) for other in others))


# Margins: 0.01 of an accuracy, as nothing published says how much it gains.
CLAIMS = (
    *_told('Feng et al., 2022', {
        'other labels are told, all examples': (
            'A probe tells the classes within labels more accurately by 0.01 '
            'than in features of cross entropy and of supervised contrast.',
            _above('probe_accuracy', 'ce', 'supcon', by=.01)),
        'other labels are told, few examples': (
            'So does a probe of five examples a class.',
            _above('few_probe_accuracy', 'ce', 'supcon', by=.01)),
        'labels are told as well': (
            'The nearest training image has the right label as often as with '
            'supervised contrast, within 0.01.',
            lambda ours: equal('nearest_accuracy', ours, 'supcon', .01)),
        'classes keep their parts': (
            'The classes of a label lie farther apart and fill more dimensions '
            'than with supervised contrast.',
            lambda ours: all_of(*(greater(metric, ours, 'supcon') for metric in
                                  ('silhouette', 'participation'))))}),
    *_told('control ours', gated=False, table={
        'few neighbors, not all': (
            'A probe tells the classes within labels more accurately than '
            'where all others are asked.',
            _above('probe_accuracy', 'look_all')),
        'more than no training': (
            'It tells them more accurately than in features that were not '
            'trained.', _above('probe_accuracy', 'untrained'))}),
    *_told('ours', gated=False, table={
        'unknown classes are seen as well, near': (
            'On near classes nearest neighbors have an AUROC that is above '
            'that with supervised contrast less 0.005.',
            _above('auroc', 'supcon', by=-.005, split='near')),
        'unknown classes are seen better, near': (
            'On near classes their AUROC is above that with cross entropy.',
            _above('auroc', 'ce', split='near'))}))

FIGURES = {f'{metric}_{split}': functools.partial(
    plots.comparison, metric=metric, split=split, state='last', baseline='ce')
           for metric, split in (
               ('probe_accuracy', 'test'), ('few_probe_accuracy', 'test'),
               ('silhouette', 'test'), ('auroc', 'near'))}
LEAD = ('digits', 'probe_accuracy_test')
