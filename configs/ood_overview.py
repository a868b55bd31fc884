"""Which folklore on scores of unknown inputs holds here.

  python -m experiments.ood_overview --config=configs/ood_overview.py:cifar6

No paper's table: seventeen scores on the same networks, and four on networks
with the head of AbeT; near, far and shifted images. Networks, sets and the rule
by which settings are chosen are those of `abet`, each score has at most four
settings to choose from.
"""

import functools

from assay import papers
from assay.claims import all_of, any_of, claims_of, greater, within
from assay.report import plots
from assay.testbeds import bounds
from configs import abet

PAPER = papers.Paper(
    'Scores of unknown inputs', authors='', year='', family='ood_and_shift',
    idea='All scores read the same networks, whose settings are chosen without '
         "unknown images. This is no paper's table: it asks which folklore on "
         'detectors holds here.')

_SMOKE = dict(arms=('one_feature', 'energy', 'gmm', 'vim', 'abet_knn'))
VARIANTS = papers.variants({
    name: (abet.VARIANTS[name].replace('five arms', 'five scores'),
           abet.VARIANTS.differs[name] | (_SMOKE if name == 'smoke' else {}))
    for name in ('digits', 'cifar6', 'smoke')})

_LOGITS = ('msp', 'max_logit', 'energy', 'entropy', 'gen')
_DISTANCES = ('mahalanobis', 'relative_mahalanobis', 'ssd', 'knn')
_CHANGED = ('react', 'ash', 'dice')


def get_config(variant='digits'):
  """The values of one variant, locked: those of `abet`, with all scores."""
  c = abet.get_config(variant).copy_and_resolve_references().unlock()
  c.arms = ('one_feature', *_LOGITS, *_DISTANCES, 'prototypes', 'gmm',
            'residual', 'vim', *_CHANGED, 'she', 'abet_msp', 'abet_energy',
            'abet_mahalanobis', 'abet_knn')
  c.scale = 'not in the paper'
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.OOD

PUBLISHED = ()  # see the docstring
METRICS = ('error',)
COLUMNS = (('auroc', 'near'), ('auroc', 'far'), ('fpr95_id', 'near'),
           ('fpr95_id', 'far'), ('auroc', 'shifted'), ('auroc', 'near_shifted'))

_told = functools.partial(claims_of, 'folklore', ('digits', 'cifar6'),
                          gated=False)


def _above(first, *others, split='near', by=0):
  return all_of(*(greater('auroc', first, other, by, split=split)
                  for other in others))


CLAIMS = _told({
    'near is harder than far': (
        'Both the energy and the nearest neighbors have a lower AUROC on near '
        'classes than on far images.',
        all_of(*(greater('auroc', {'method': each, 'split': 'far'},
                         {'method': each, 'split': 'near'})
                 for each in ('energy', 'knn')))),
    'distance beats logits, near': (
        'On near classes nearest neighbors have a higher AUROC than the '
        'largest probability and the energy.',
        _above('knn', 'msp', 'energy')),
    'distance beats logits, far': (
        'On far images nearest neighbors have a higher AUROC than the largest '
        'probability and the energy.',
        _above('knn', 'msp', 'energy', split='far')),
    'nearest neighbors beat the energy on other images': (
        'On near classes the gain is clear of the images that were drawn: the '
        "lower end of DeLong's interval is above 0.",
        within('auroc_gain_low', 'knn', 0, 1, split='near',
               group='against energy')),
    'a background distance helps, near': (
        'Taking the distance to all classes together off the distance to a '
        'class raises the AUROC on near classes.',
        _above('relative_mahalanobis', 'mahalanobis')),
    'changed features help, far': (
        'One of ReAct, ASH and DICE has a higher AUROC on far images than the '
        'energy that they change.',
        any_of(*(greater('auroc', each, 'energy', split='far')
                 for each in _CHANGED))),
    'two views beat one, far': (
        'ViM has a higher AUROC on far images than both of its parts, the '
        'energy and the residual.',
        _above('vim', 'energy', 'residual', split='far')),
    'the logit beats the probability, near': (
        'The largest logit has a higher AUROC on near classes than the largest '
        'probability.', _above('max_logit', 'msp')),
    'one feature is not enough, near': (
        'Every score is above the best single feature of an image by 0.1 on '
        'near classes.', all_of(*(
            greater('auroc', each, 'one_feature', .1, split='near')
            for each in (*_LOGITS, *_DISTANCES)))),
    'what finds far images flags shifted ones': (
        'Nearest neighbors tell shifted images of known classes from plain '
        'ones with an AUROC above 0.55: an alarm that nobody may want.',
        within('auroc', 'knn', .55, 1, split='shifted')),
    'shifted images pass for near ones': (
        'Near classes are told from shifted images of known classes with a '
        'lower AUROC than from plain ones, by the energy and by nearest '
        'neighbors.', all_of(*(
            greater('auroc', {'method': each, 'split': 'near'},
                    {'method': each, 'split': 'near_shifted'})
            for each in ('energy', 'knn'))))})

FIGURES = {f'{metric}_{split}': functools.partial(
    plots.comparison, metric=metric, split=split, state='last',
    baseline='msp') for metric, split in (
        ('auroc', 'near'), ('auroc', 'far'), ('auroc', 'shifted'))}
LEAD = ('digits', 'auroc_near')
