"""Progress of a study: live lines on a terminal, else a line now and then.

What watches a run is called as `Study.progress` is, and its `starting` as
`Settings.starting` is: `Progress` shows it, `scalars.Scalars` records it,
`profiling.Profile` traces it.
"""

import collections
import datetime
import math
import sys
import time

from assay.errors import plain

EVERY = 60.  # seconds between lines where there is no terminal, at least
RECENT = 60.  # seconds that the rate looks back


class Progress:
  """Shows what is trained.

  A terminal has a few live lines on the block that is trained, and keeps one
  line on each that is done. Elsewhere there is a line a minute at most, and one
  for each block that is done. A step updates each seed of the block once. Rates
  are of this session, and start at the first report: what comes before it is
  compiling.
  """

  def __init__(self, quiet=False):
    self._quiet = quiet
    self._live = None
    self._planned = []
    self._stages = Stages()
    self._began = self._said = time.monotonic()
    self._phase, self._shown = 'preparing', None
    self._fit = None

  def __enter__(self):
    if not self._quiet and sys.stderr.isatty():
      from rich.console import Console
      from rich.live import Live
      self._live = Live(get_renderable=self._lines, transient=True,
                        console=Console(stderr=True))
      self._live.start()
    return self

  def __exit__(self, *error):
    if self._live:
      self._live.stop()

  def expect(self, study):
    """Counts the blocks that a study has still to run."""
    if not self._quiet:
      self._planned = [(name, seeds) for name, *_ in study.planned()
                       for seeds in study.unfinished(name)]

  def starting(self, step, coming, eval_every, lengths):
    del coming
    self._stages.starting()
    self._fit = _Fit(step, eval_every, lengths)
    self._phase, self._shown = 'compiling', None

  def __call__(self, arm, seeds, step, num_steps, metrics):
    if self._quiet:
      return
    fit = self._fit
    fit.add(step, num_steps, metrics)
    name = self._name(arm, seeds)
    state = ', '.join(fit.measured() + [fit.alive()])
    if step >= num_steps:
      self.say(f'{name}: ' + ', '.join([fit.total(step), state]))
      self._phase, self._shown = 'evaluating, preparing', None
    elif self._live:
      self._shown = (name, step, num_steps, fit.speed(step, num_steps), state)
    elif time.monotonic() - self._said >= EVERY:
      self.say(f'{name}: {step:,} of {num_steps:,} steps, '
               + ', '.join(fit.speed(step, num_steps) + [state]))

  def _name(self, arm, seeds):
    """`[2/7] erm, seeds 0-9`: the block, and which of those planned."""
    stage = self._stages.of(arm, seeds)
    block = (arm, tuple(seeds))
    return ''.join([
        f'[{self._planned.index(block) + 1}/{len(self._planned)}] '
        if block in self._planned else '', f'{arm}, {name_of(seeds)}',
        f', stage {stage}' * (stage > 1)])

  def _lines(self):
    """What the terminal shows now."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    shown = self._shown
    if shown is None:
      return Text(f'{self._phase} ... {_clock(self._began)}', 'dim')
    name, step, num_steps, speed, state = shown
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(Text(name, 'bold'),
                 ProgressBar(num_steps, step, width=20),
                 f'{step:,} of {num_steps:,} steps')
    lines = [Text(f'  {text}') for text in (', '.join(speed), state) if text]
    return Group(grid, *lines)

  def say(self, text):
    """Prints a message; on a terminal above the live lines."""
    self._said, text = time.monotonic(), plain(text)
    if self._live:
      self._live.console.print(text, highlight=False, markup=False)
    else:
      print(text, file=sys.stderr, flush=True)


class Stages:
  """Tells apart the fits of one block: one that is done makes no report."""

  def __init__(self):
    self._block, self._stage, self._started = None, 0, 0

  def starting(self):
    self._started += 1

  def of(self, arm, seeds):
    """Which fit of its block reports, from 1."""
    if (arm, tuple(seeds)) != self._block:
      self._block, self._stage = (arm, tuple(seeds)), 0
    self._stage += self._started
    self._started = 0
    return self._stage


def name_of(seeds):
  """`seeds 0-9`, `seed 3`."""
  if len(seeds) == 1:
    return f'seed {seeds[0]}'
  return f'seeds {seeds[0]}-{seeds[-1]}'


def whole(step, num_steps, eval_every):
  """Whether a report is of a whole point of the curves.

  Before its end a point has not been validated: `val` is 0.
  """
  return step % eval_every == 0 or step == num_steps


class _Fit:
  """What the reports of one fit have said so far."""

  def __init__(self, start, eval_every, lengths):
    self._start, self._eval_every = start, eval_every
    self._lengths = lengths
    self._began = time.monotonic()
    self._first = None
    self._recent = collections.deque()  # (seconds, step)
    self._diverged = set()
    self._metrics = {}

  def add(self, step, num_steps, metrics):
    now = time.monotonic()
    self._first = self._first or (now, step)
    self._recent.append((now, step))
    while len(self._recent) > 2 and self._recent[1][0] < now - RECENT:
      self._recent.popleft()
    # A seed makes no updates if it diverged, or if its own steps are done.
    self._diverged |= {i for i, loss in enumerate(metrics['loss'])
                       if math.isnan(loss) and self._lengths[i] >= step}
    for name in ('loss', 'val'):
      if name in metrics and (name == 'loss' or whole(
          step, num_steps, self._eval_every)):
        self._metrics[name] = metrics[name]

  def measured(self):
    """`['loss 0.52 ± 0.03', 'val 0.61 ± 0.02']`: mean and std over seeds."""
    import numpy as np

    from assay.report import tables
    texts = []
    for name, values in self._metrics.items():
      kept = [v for i, v in enumerate(values)
              if i not in self._diverged and np.isfinite(v)]
      std = np.std(kept, ddof=1) if len(kept) > 1 else None
      if kept:
        texts.append(f'{name} {tables.number(np.mean(kept), std)}')
    return texts

  def alive(self):
    """`10 seeds`, or `9 of 10 seeds, 1 diverged`."""
    count, lost = len(self._lengths), len(self._diverged)
    noun = 'seed' + 's' * (count > 1)
    if lost:
      return f'{count - lost} of {count} {noun}, {lost} diverged'
    return f'{count} {noun}'

  def speed(self, step, num_steps):
    """The recent rate and the time left; empty after one report."""
    (then, before), (now, _) = self._recent[0], self._recent[-1]
    if step == before or now == then:
      return []
    rate = (step - before) / (now - then)
    left = datetime.timedelta(seconds=round((num_steps - step) / rate))
    return [self._rate(rate), f'{left} left']

  def total(self, step):
    """`6,200 steps in 8.1 s, 1.9 s to the first report, 980 steps/s`."""
    (then, before), now = self._first, self._recent[-1][0]
    texts = [f'{step:,} steps'
             + f', {step - self._start:,} of them now,' * (self._start > 0)
             + f' in {now - self._began:.1f} s']
    if step > before and now > then:
      texts += [f'{then - self._began:.1f} s to the first report',
                self._rate((step - before) / (now - then))]
    return ', '.join(texts)

  def _rate(self, rate):
    digits = f'{rate:,.0f}' if rate >= 100 else f'{rate:.3g}'
    return f'{digits} steps/s' + ' of each seed' * (len(self._lengths) > 1)


def _clock(since):
  return datetime.timedelta(seconds=round(time.monotonic() - since))
