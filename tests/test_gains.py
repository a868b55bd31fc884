"""Arms beside a baseline on all data sets: what the table says."""

import numpy as np

from assay.report import gains

NOISE = .01 * np.array([[1, -1] * 4, [-1, 1] * 4, [1, 1, -1, -1] * 2])


def rows(config, **errors):
  return [dict(
      paper='p', config=config, run='r', dataset=config, method=arm, seed=seed,
      split='test', group='', metric='rmse', value=float(mean + noise), n=100,
      step=1, state='best', seed_varies='fresh', scale='reduced')
      for (arm, mean), noises in zip(errors.items(), NOISE, strict=False)
      for seed, noise in enumerate(noises)]


ROWS = rows('a', erm=2., better=1., same=2.) + rows('b', erm=1., better=1.) + (
    rows('c', erm=1., better=.5, same=2.))


def test_arms_are_divided_seed_by_seed():
  found = gains.compared(ROWS, 'rmse', 'erm', ('same', 'better', 'absent'))
  assert list(found) == ['same', 'better']
  assert list(found['same']) == ['a', 'c']
  assert found['better']['a'].state == 'holds'
  assert found['better']['b'].state == 'undecided'
  assert found['same']['c'].state == 'fails'
  np.testing.assert_allclose(found['better']['a'].estimate, .5, rtol=.01)


def test_the_page_names_them_by_what_they_did():
  text = gains.markdown(ROWS, 'rmse', 'erm', ('same', 'better'))
  tried, neither, twice = text.splitlines()[:3]
  assert tried.startswith('- **Try**') and 'better (lower on a, c)' in tried
  assert neither.endswith('none.') and 'same (higher on c)' in twice
  table = [line for line in text.splitlines() if line.startswith('| ')]
  assert table[0] == '| arm | a | b | c | lower | higher | mean |'
  assert [line.split(' | ')[0] for line in table[2:]] == ['| better', '| same']
  assert table[2].endswith('| 2 | 0 | 0.630 |') and table[2].count('**') == 4
  assert '| – |' in table[3]
  assert gains.markdown(rows('a', erm=1.), 'rmse', 'erm', ('same',)) == ''
