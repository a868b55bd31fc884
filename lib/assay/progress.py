"""Progress of a study: a bar for each block on a terminal, else lines."""

import sys
import time


class Progress:
  """A bar for each block on a terminal, else a line when it is done."""

  def __init__(self, quiet=False):
    self._quiet = quiet
    self._bars = None
    self._tasks = {}
    self._started = {}

  def __enter__(self):
    if not self._quiet and sys.stderr.isatty():
      from rich import progress
      from rich.console import Console
      self._bars = progress.Progress(
          progress.TextColumn('{task.description:28}'), progress.BarColumn(),
          progress.MofNCompleteColumn(), progress.TimeRemainingColumn(),
          progress.TextColumn('{task.fields[note]}'),
          console=Console(stderr=True))
      self._bars.start()
    return self

  def __exit__(self, *error):
    if self._bars:
      self._bars.stop()

  def __call__(self, arm, seeds, step, num_steps, metrics):
    if self._quiet:
      return
    name = f'{arm}, seeds {seeds[0]}-{seeds[-1]}'
    self._started.setdefault(name, time.monotonic())
    kind = 'val' if 'val' in metrics else 'loss'
    shown = [x for x in metrics[kind] if abs(x) < float('inf')]
    note = (f'{kind} {sum(shown) / len(shown):.4g}' if shown
            else f'{kind} not finite')
    if self._bars:
      if name not in self._tasks:
        self._tasks[name] = self._bars.add_task(name, total=num_steps, note='')
      self._bars.update(self._tasks[name], completed=step, note=note)
    elif step >= num_steps:
      self.say(f'{name}: {num_steps} steps, {note}, '
               f'{time.monotonic() - self._started[name]:.1f} s')

  def say(self, text):
    """Prints a message beside the bars."""
    if self._bars:
      self._bars.console.print(text, highlight=False, markup=False)
    else:
      print(text, file=sys.stderr)
