"""Regression sets with published splits: UCI's and others, known by values.

The splits are those of Hernandez-Lobato and Adams (2015), as released with Gal
and Ghahramani's code (2016): each tests on a tenth of the rows.
"""

import functools

from assay.data import files


def _table(name, num_rows, num_splits, num_tested, low, high, unused=()):
  """An entry of `tabular.TABLES`; the target stands behind the predictors."""
  return dict(read=functools.partial(files.read, f'uci/{name}'),
              target=len(low) - 1, num_rows=num_rows, unused=unused,
              splits=(num_splits, num_tested), low=low, high=high)


TABLES = {made['read'].args[0].partition('/')[2]: made for made in (
    # Yacht Hydrodynamics (Gerritsma et al., 1981). Residuary resistance.
    _table(
        'yacht', 308, 20, 31,
        low=(-5, 0.53, 4.34, 2.81, 2.73, 0.125, 0.01),
        high=(0, 0.6, 5.14, 5.35, 3.64, 0.45, 62.42)),
    # Boston housing (Harrison and Rubinfeld, 1978). Median value [1000 $].
    _table(
        'boston', 506, 20, 51,
        low=(0.00632, 0, 0.46, 0, 0.385, 3.561, 2.9, 1.1296, 1, 187, 12.6,
             0.32, 1.73, 5),
        high=(88.9762, 100, 27.74, 1, 0.871, 8.78, 100, 12.1265, 24, 711,
              22, 396.9, 37.97, 50)),
    # Energy Efficiency (Tsanas and Xifara, 2012). Heating load.
    _table(
        'energy', 768, 20, 77,
        low=(0.62, 514.5, 245, 110.25, 3.5, 2, 0, 0, 6.01),
        high=(0.98, 808.5, 416.5, 220.5, 7, 5, 0.4, 5, 43.1)),
    # Concrete Compressive Strength (Yeh, 1998) [MPa].
    _table(
        'concrete', 1030, 20, 103,
        low=(102, 0, 0, 121.8, 0, 801, 594, 1, 2.33),
        high=(540, 359.4, 200.1, 247, 32.2, 1145, 992.6, 365, 82.6)),
    # Wine Quality, red (Cortez et al., 2009). Quality, 3 to 8.
    _table(
        'wine', 1599, 20, 160,
        low=(4.6, 0.12, 0, 0.9, 0.012, 1, 6, 0.99007, 2.74, 0.33, 8.4, 3),
        high=(15.9, 1.58, 1, 15.5, 0.611, 72, 289, 1.00369, 4.01, 2, 14.9,
              8)),
    # Kinematics of an arm, 8nm (DELVE). Distance of its end.
    _table(
        'kin8nm', 8192, 20, 819,
        low=(-1.5706113, -1.5706812, -1.570669, -1.5702953, -1.5706644,
             -1.5702542, -1.5706431, -1.5689037, 0.040165378),
        high=(1.5707529, 1.5706571, 1.5707361, 1.5701694, 1.5705993,
              1.5705971, 1.5705224, 1.5702365, 1.4585206)),
    # Combined Cycle Power Plant (Tufekci, 2014). Energy [MW].
    _table(
        'power_plant', 9568, 20, 957,
        low=(1.81, 25.36, 992.89, 25.56, 420.26),
        high=(37.11, 81.56, 1033.3, 100.16, 495.76)),
    # Naval Propulsion Plants (Coraddu et al., 2014). Decay of the compressor.
    _table(
        'naval', 11934, 20, 1193,
        low=(1.138, 3, 253.547, 1307.675, 6589.002, 5.304, 5.304, 442.364,
             288, 540.442, 1.093, 0.998, 5.828, 1.019, 0, 0.068, 0.95),
        high=(9.3, 27, 72784.872, 3560.741, 9797.103, 645.249, 645.249,
              1115.797, 288, 789.094, 4.56, 0.998, 23.14, 1.052, 92.556,
              1.832, 1),
        unused=(17,)),
    # Physicochemical Properties of Protein Tertiary Structure (Rana, 2013).
    _table(
        'protein', 45730, 5, 4573,
        low=(2392.05, 403.5, 0.0925, 10.3101, 319490.2166, 31.9704, 0, 0,
             15.228, 0),
        high=(40034.9, 15312, 0.57769, 369.317, 5472011.4075, 598.408,
              105948.17, 350, 55.3009, 20.999)),
)}


def split_sizes(name):
  """Rows to train, validate and test on: a fifth of the rest to validate."""
  num_tested = TABLES[name]['splits'][1]
  rest = TABLES[name]['num_rows'] - num_tested
  return rest - rest // 5, rest // 5, num_tested
