"""What a score is: two pure functions, and the checks of what they are handed.

Example, a score of one's own from what a network puts out beside its logits:
  >>> from assay.methods import ood_scores
  >>> coolness = ood_scores.plain(lambda temperature: -temperature)
  >>> coolness.reads
  ('temperature',)
  >>> coolness.fit().score([.5, .25])
  array([-0.5 , -0.25])
"""

from collections.abc import Callable, Mapping
import dataclasses
import inspect
from types import MappingProxyType

import numpy as np

from assay.methods.ood_scores import arrays as checks


@dataclasses.dataclass(frozen=True)
class Score:
  """A pair of pure functions of arrays, each known by its name.

  Attributes:
    state_of: `(arrays, *, settings) -> state`, arrays and numbers in a tuple or
      a dict.
    values: `(state, arrays) -> [N]`, higher for what is known.
  """
  state_of: Callable
  values: Callable

  @property
  def fits_on(self):
    """Names of the arrays that `fit` takes, in order."""
    return _arrays(self.state_of)

  @property
  def reads(self):
    """Names of the arrays that `Detector.score` takes, in order."""
    return _arrays(self.values)[1:]  # without the state

  def fit(self, *arrays, **named):
    """The `Detector` of known examples.

    Args:
      *arrays: those of `fits_on`, also by name; the package says what each is.
      **named: settings, or arrays by name.

    Raises:
      ValueError: an array of another shape, dtype or length, or a value that
        is not finite; it says the name, the first index and what to do.
    """
    given, settings = _bound(self.state_of, arrays, named)
    state = self.state_of(**given, **settings)
    return Detector(self, state, MappingProxyType(checks.widths(given)))


@dataclasses.dataclass(frozen=True)
class Detector:
  """A fitted `Score`.

  Attributes:
    kind: the score.
    state: what was fitted.
    widths: columns of features and logits at the fit.
  """
  kind: Score
  state: tuple | dict
  widths: Mapping

  def score(self, *arrays, **named):
    """[N] float64, higher for what is known.

    Args:
      *arrays: those of `kind.reads`, also by name.
      **named: arrays by name.

    Raises:
      ValueError: as in `Score.fit`, or other columns than there, or values
        so large that a score is not a number.
    """
    given, _ = _bound(self.kind.values, (self.state, *arrays), named)
    for name, width in checks.widths(given).items():
      if width != self.widths.get(name, width):
        raise ValueError(f'{name} {given[name].shape} must be '
                         f'[N, {self.widths[name]}], as at the fit.')
    with np.errstate(over='ignore', invalid='ignore'):
      found = np.asarray(self.kind.values(self.state, **given), float)
    if np.isnan(found).any():
      raise ValueError(f'the score of row {np.argmax(np.isnan(found))} is not '
                       'a number: its values are too large; scale all alike.')
    return found


def plain(values):
  """The score `values(arrays, *, settings)` that needs no examples to fit."""
  parts = inspect.signature(values).parameters.values()

  def state_of(**settings):
    return settings

  def of(state, **arrays):
    return values(**arrays, **state)

  state_of.__signature__ = inspect.Signature(
      [p for p in parts if p.kind is p.KEYWORD_ONLY])
  of.__signature__ = inspect.Signature(
      [inspect.Parameter('state', inspect.Parameter.POSITIONAL_ONLY)]
      + [p for p in parts if p.kind is not p.KEYWORD_ONLY])
  return Score(state_of, of)


def _bound(function, arrays, named):
  """(arrays by name, checked; settings) of a call, without the state."""
  signature = inspect.signature(function)
  found = signature.bind(*arrays, **named).arguments
  names = [k for k in _arrays(function) if k != 'state' and k in found]
  for name in names:
    if found[name] is None and signature.parameters[name].default is not None:
      raise ValueError(f'{name} is None; this score needs it.')
  given = checks.checked({k: found.pop(k) for k in names})
  found.pop('state', None)
  return given, found


def _arrays(function):
  """Names of what is no setting: settings are given by name only."""
  return tuple(k for k, p in inspect.signature(function).parameters.items()
               if p.kind is not p.KEYWORD_ONLY)
