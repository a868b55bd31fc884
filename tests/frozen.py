"""What the seven first papers measured before the house was rebuilt.

Smoke rows by value, and digests of the committed rows. `pytest --freeze` writes
both anew, for a change that is meant to change numbers.
"""

import hashlib
import json
import pathlib
import platform

import jaxlib
import numpy as np
import scipy

from assay import results

FOLDER = pathlib.Path(__file__).parent / 'frozen'
# What a row is measured by, and not what was measured.
APART = ('value', 'run', 'step', 'seed', *results.ATTACHED)


def machine():
  """What bits may depend on: library versions and kind of processor."""
  cpu = pathlib.Path('/proc/cpuinfo')
  flags = [line for line in cpu.read_text().splitlines()
           if line.startswith('flags')][:1] if cpu.exists() else []
  return {'jaxlib': jaxlib.__version__, 'numpy': np.__version__,
          'scipy': scipy.__version__, 'machine': platform.machine(),
          'flags': hashlib.sha256(''.join(flags).encode()).hexdigest()[:8]}


def cells(rows):
  """{what was measured: [[seed, step, value], ...]} of the rows of a run."""
  found = {}
  for row in rows:
    name = json.dumps({k: row[k] for k in sorted(row.keys() - set(APART))},
                      default=str)
    found.setdefault(name, []).append([row['seed'], row['step'], row['value']])
  return {name: sorted(found[name]) for name in sorted(found)}


def digest(rows):
  """Of rows as read, value by value, however they are laid out on disk."""
  told = sorted(json.dumps({k: v for k, v in row.items() if k != 'run'},
                           sort_keys=True, default=str) for row in rows)
  return {'rows': len(told),
          'sha256': hashlib.sha256('\n'.join(told).encode()).hexdigest()}
