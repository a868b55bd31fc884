"""What all benchmarks share: a report, commands from outside, the flags."""

import argparse
from datetime import date
from importlib import metadata
import json
import math
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
import traceback

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]


class Report:
  """Prints each result and keeps it."""

  def __init__(self):
    self.lines = []

  def __call__(self, what, unit, values, at_most=None, at_least=None):
    values = np.asarray(values, float)
    middle = float(np.median(values))
    line = {'what': what, 'unit': unit, 'median': middle,
            'min': float(values.min()), 'max': float(values.max()),
            'n': len(values)}
    text = f'{what:60} {middle:9.4g} {unit:7}'
    if len(values) > 1:
      text += f' [{line["min"]:.4g}..{line["max"]:.4g}, n={len(values)}]'
    if at_most is not None or at_least is not None:
      met = middle <= at_most if at_least is None else middle >= at_least
      sign, target = ('<=', at_most) if at_least is None else ('>=', at_least)
      line |= {'target': f'{sign} {target:g}', 'met': bool(met)}
      text += f'  {sign} {target:g}: {"met" if met else "missed"}'
    self.lines.append(line)
    print(text, flush=True)


def set_up_devices():
  """As many CPU devices as cores, as long as ten seeds divide evenly."""
  import jax
  cores = len(os.sched_getaffinity(0))
  jax.config.update('jax_num_cpu_devices', max(
      d for d in (1, 2, 5, 10) if d <= cores))


def run(module, *words, cache=None):
  """(wall seconds, peak memory in GB) of a command; it must succeed."""
  path = filter(None, (str(ROOT / 'lib'), os.environ.get('PYTHONPATH')))
  env = os.environ | {'PYTHONPATH': os.pathsep.join(path)}
  if cache is not None:
    env['XDG_CACHE_HOME'] = cache  # compiled programs are kept there
  with tempfile.TemporaryFile() as out:
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, '-m', module, *words],
                               cwd=ROOT, env=env, stdout=out, stderr=out)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    out.seek(0)
    text = out.read().decode()
  if process.returncode:
    raise subprocess.CalledProcessError(process.returncode, process.args, text)
  # In kilobytes, on macOS in bytes.
  unit = 1 if sys.platform == 'darwin' else 1024
  return seconds, usage.ru_maxrss * unit / 1e9


def environment():
  """Versions and the machine."""
  import jax
  versions = {name: metadata.version(name)
              for name in ('jax', 'jaxlib', 'flax', 'optax', 'numpy')}
  return {'python': platform.python_version()} | versions | {
      'device': jax.devices()[0].device_kind, 'devices': jax.device_count(),
      'cores': len(os.sched_getaffinity(0)),
      'load': round(os.getloadavg()[0], 2)}


def main(argv, prog, description, measures):
  """The command of a benchmark; returns the exit status.

  Args:
    argv: words after the command.
    prog: name of the module in `benchmarks`.
    description: for the help text.
    measures: name -> `(report, quick) -> None`, run in this order. What is
      measured from outside comes first: a process that is started counts the
      memory of the one that starts it as its own peak.
  """
  parser = argparse.ArgumentParser(prog=f'python -m benchmarks.{prog}',
                                   description=description)
  parser.add_argument('--only', default='', metavar='A,B',
                      help=f'some of {", ".join(measures)} (default: all)')
  parser.add_argument('--quick', action='store_true',
                      help='see that all works; the numbers mean little')
  parser.add_argument('--json', metavar='FILE', help='write the results there')
  parser.add_argument('--seconds', type=float, default=math.inf, metavar='S',
                      help='begin nothing after so many (default: %(default)s)')
  parser.add_argument('--into', metavar='FILE', help='rewrite the section '
                      f'between <!-- begin benchmarks/{prog} --> and its end '
                      'in this Markdown file')
  parser.add_argument('--from', metavar='FILE', dest='sources', nargs='+',
                      default=(), help='with --into: measure nothing, take '
                      'what --json wrote, perhaps on another machine')
  flags = parser.parse_args(argv)
  if flags.sources:
    if not flags.into:
      parser.error('--from is for --into: name the Markdown file.')
    insert(flags.into, prog, [markdown(**json.loads(
        pathlib.Path(source).read_text())) for source in flags.sources])
    return 0
  names = set(filter(None, flags.only.split(','))) or set(measures)
  if not measures.keys() >= names:
    parser.error(f'--only={flags.only}: use some of {", ".join(measures)}')
  set_up_devices()
  report, failed, found = Report(), False, None
  command = ' '.join(['python', '-m', f'benchmarks.{prog}', *argv])
  end = time.monotonic() + flags.seconds
  for name in filter(names.__contains__, measures):
    if time.monotonic() >= end:
      print(f'{name}: not begun, {flags.seconds:g} s are over.')
      continue
    try:
      measures[name](report, flags.quick)
    except Exception as error:  # the others still count
      failed = True
      traceback.print_exc()
      print(getattr(error, 'output', '')[-3000:], file=sys.stderr)
    found = found or environment()
    if flags.json:  # now: the machine may be gone before all is measured
      pathlib.Path(flags.json).write_text(json.dumps(
          {'command': command, 'day': date.today().isoformat(),
           'environment': found, 'results': report.lines}, indent=2) + '\n')
  found = found or environment()
  print(listed(found))
  if flags.into and not failed:
    insert(flags.into, prog, [markdown(report.lines, found, command)])
  return int(failed)


def insert(file, prog, tables):
  """Rewrites the section of a benchmark in a Markdown file."""
  from assay.report import page  # after what counts memory
  page.insert(file, f'benchmarks/{prog}', '\n\n'.join(tables))


def markdown(results, environment, command, day=None):
  """A table of what was measured, and where, as Markdown.

  Args:
    results: what a `Report` kept.
    environment: from the function of that name.
    command: that measured it.
    day: when, as text in ISO form; today by default.
  """
  rows = ['| what | median | from | to | n | target |',
          '| :-- | --: | --: | --: | --: | :-- |']
  for line in results:
    target = f'{line["target"]}: {"met" if line["met"] else "**missed**"}' if (
        'target' in line) else ''
    numbers = [f'{line[k]:.4g} {line["unit"]}'.strip() if line['n'] > 1 or
               k == 'median' else '' for k in ('median', 'min', 'max')]
    what = line['what'].replace('|', r'\|')
    rows.append('| ' + ' | '.join(
        [what, *numbers, str(line['n']), target]) + ' |')
  return '\n'.join([*rows, '', signed(command, environment, day)])


def signed(command, found, day=None):
  """The line below a table: what made it, when and where."""
  words = ' '.join(w for w in command.split()
                   if not w.startswith(('--into', '--json')))
  day = day or date.today().isoformat()
  return f'`{words}` on {day}: {listed(found)}.'


def listed(found):
  return ', '.join(f'{k} {v}' for k, v in found.items())
