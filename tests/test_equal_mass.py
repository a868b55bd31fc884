"""Two equal-mass binnings, against code that sorts and cuts."""

import numpy as np
import pytest

from assay.metrics import calibration, equal_mass


def test_sizes_by_hand():
  confidence = np.arange(10) / 10
  sizes = lambda *args: np.bincount(equal_mass.bins_of(*args)).tolist()
  assert sizes(confidence, 4) == sizes(confidence, 4, 'floor') == [3, 2, 3, 2]
  assert sizes(confidence, 4, 'array_split') == [3, 3, 2, 2]
  # More bins than examples: one each, and none in the others.
  assert sizes(confidence, 15, 'array_split') == [1] * 10
  with pytest.raises(ValueError, match="binning='equal' is none of floor, arr"):
    sizes(confidence, 4, 'equal')


def made_up(n, seed):
  """Binary probabilities without ties and labels, in any order."""
  rng = np.random.default_rng(seed)
  confidence = rng.permutation(.5 + (np.arange(n) + rng.random()) / (2 * n + 2))
  labels = (rng.random(n) > confidence).astype(int)
  return np.stack([confidence, 1 - confidence], axis=1), labels


def cut(probs, labels, groups):
  """The mean over examples of |accuracy - confidence| of groups in order."""
  order = np.argsort(probs[:, 0])
  return sum(abs(np.sum(labels[order[g]] == 0) - probs[order[g], 0].sum())
             for g in groups) / len(labels)


@pytest.mark.parametrize('num_bins', [1, 4, 15])
@pytest.mark.parametrize('n', [1, 3, 14, 15, 16, 29, 100, 1003])
def test_errors_agree_with_code_that_sorts_and_cuts(n, num_bins):
  probs, labels = made_up(n, n + num_bins)
  error = calibration.adaptive_calibration_error
  assert error(probs, labels, num_bins, 'array_split') == pytest.approx(
      cut(probs, labels, np.array_split(np.arange(n), num_bins)))
  bins = [int(num_bins * j / n) for j in range(n)]
  want = cut(probs, labels, [
      [j for j in range(n) if bins[j] == b] for b in range(num_bins)])
  assert error(probs, labels, num_bins, 'floor') == pytest.approx(want)
  # The default, to the bit what it was before there were two.
  below = np.searchsorted(np.sort(probs[:, 0]), probs[:, 0])
  assert error(probs, labels, num_bins) == calibration._mean_gap(
      *calibration.top_label(probs, labels), below * num_bins // n, num_bins)


def test_ties_share_the_bin_of_the_first_of_them():
  confidence = np.array([.6, .9, .6, .6, .8, .7])
  for order in ([0, 1, 2, 3, 4, 5], [3, 5, 1, 0, 4, 2]):
    bins = equal_mass.bins_of(confidence[order], 3, 'array_split')
    assert bins.tolist() == np.array([0, 2, 0, 0, 2, 1])[order].tolist()
