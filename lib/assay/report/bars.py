"""Small pictures of a verdict: its interval, and where the claim holds."""

import math

from assay.report import verdicts

WIDTH = 21  # characters of a bar


def places(verdict, width):
  """Places, 0 to `width`, of a verdict on an axis of its own; None without one.

  Returns:
    A dict: `estimate`; `low` and `high`, or None; `region`, (start, end) of
    where the claim holds, or None; `ends`, (place, value) of its ends near
    enough to be shown; and `text`, the region in words.
  """
  interval = (verdict.low, verdict.high)
  points = [v for v in (verdict.estimate, *interval) if math.isfinite(v)]
  if not math.isfinite(verdict.estimate):
    return None
  finite = sorted((v for v in verdict.region or () if math.isfinite(v)),
                  key=lambda v: abs(v - verdict.estimate))
  points += finite[:1]
  # The other end would crowd all else if it is far.
  reach = 3 * (max(points) - min(points))
  finite = finite[:1] + [v for v in finite[1:] if
                         min(points) - reach <= v <= max(points) + reach]
  points += finite
  first, last = min(points), max(points)
  span = last - first or abs(first) or 1.0
  first, last = first - 0.08 * span, last + 0.08 * span

  def place(value):
    at = width * (value - first) / (last - first)
    return round(min(max(at, 0.0), float(width)), 1)

  return dict(
      estimate=place(verdict.estimate),
      low=None if math.isnan(interval[0]) else place(interval[0]),
      high=None if math.isnan(interval[1]) else place(interval[1]),
      region=tuple(map(place, verdict.region)) if verdict.region else None,
      ends=[(place(v), v) for v in sorted(finite)],
      text=_region_text(verdict.region))


def _region_text(region):
  if not region:
    return ''
  low, high = map(verdicts.digits, region)
  if math.isinf(region[0]) or math.isinf(region[1]):
    return f'above {low}' if math.isinf(region[1]) else f'below {high}'
  return f'from {low} to {high}'


def bar(verdict, alone=False):
  """A verdict in `WIDTH` characters of one width; '' without an estimate.

  `░` is where the claim holds and `│` its end, `═` the interval and `●` the
  estimate; `╪` is an end inside the interval, so that the claim is undecided:

      ░══════●══════░░░░░│·    holds
      ░═════╪═══●═════════·    undecided
      ░│·····══════●══════·    fails
      ░│·····══════○══════·    fails alone

  Args:
    verdict: a `Verdict`.
    alone: whether it does not survive the correction for many claims.
  """
  at = places(verdict, WIDTH - 1)
  if at is None:
    return ''
  cell = lambda x: math.floor(x + 0.5)
  drawn = ['·'] * WIDTH
  if at['region']:
    start, end = map(cell, at['region'])
    drawn[start:end + 1] = '░' * (end + 1 - start)
  ends = {cell(x) for x, _ in at['ends']}
  for i in ends:
    drawn[i] = '│'
  middle = cell(at['estimate'])
  if at['low'] is not None:
    # What is decided does not touch the end that it is clear of.
    decided = verdict.state != 'undecided'
    for i in range(cell(at['low']), cell(at['high']) + 1):
      if i not in ends:
        drawn[i] = '═'
      elif not decided:
        drawn[i] = '╪'
    if decided and middle in ends:
      middle += 1 if at['estimate'] > min(
          at['ends'], key=lambda e: abs(e[0] - at['estimate']))[0] else -1
  drawn[min(max(middle, 0), WIDTH - 1)] = '○' if alone else '●'
  return ''.join(drawn)
