"""What the seeds of results vary: the one thing that a table does not say."""

import dataclasses
import math

from assay.errors import UserError

# What a seed varies -> what one is called, and what is asked for.
KINDS = {
    'fresh': ('seeds', 'each seed draws new data, and all else'),
    'resplit': ('re-splits', 'each seed splits one data set anew into training '
                'and test examples, as in cross-validation, and all else'),
    'fixed_split': ('training runs', 'each seed changes initialization and '
                    'order; data and test set are the same')}


@dataclasses.dataclass(frozen=True)
class Varies:
  """What the seeds of results vary.

  Attributes:
    kind: 'fresh', 'resplit' or 'fixed_split'.
    ratio: n_test / n_train of re-splits.
  """
  kind: str
  ratio: float = 0.0

  @property
  def unit(self):
    return KINDS[self.kind][0]


def varies_of(kind, train=None, test=None, ratio=None):
  """The `Varies` of what a person says.

  Args:
    kind: 'fresh', 'resplit' or 'fixed_split'.
    train: number of training examples, for re-splits.
    test: number of test examples, for re-splits.
    ratio: test / train in their place.

  Raises:
    UserError: it is asked for by name.
  """
  if kind not in KINDS:
    raise UserError(f'varies={kind!r}: use one of {", ".join(KINDS)} ('
                    + '; '.join(f'{k}: {text}' for k, (_, text)
                                in KINDS.items()) + ').')
  if kind != 'resplit':
    return Varies(kind)
  if ratio is None and train and test:
    ratio = test / train
  if ratio is None or not 0 < ratio < math.inf:
    given = (f'train={train}, test={test}' if ratio is None
             else f'ratio={ratio:g}')
    raise UserError(f'varies=resplit, {given}: give the numbers of training '
                    'and of test examples, as train=1003, test=200, or ratio='
                    'test/train above 0 (0.25 of 80 % and 20 %, 1/9 of ten '
                    'folds): re-splits share examples, and the interval '
                    'depends on it.')
  return Varies(kind, float(ratio))
