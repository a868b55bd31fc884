"""What a command asks for, looked at before anything is imported or written."""

import argparse
import pathlib
import re
from typing import Any, NamedTuple

from assay import config as config_lib
from assay import papers, stores
from assay.cli import folders, sweeps
from assay.config import between
from assay.errors import UserError, check_names

SWEEP = sweeps.USAGE
AXES = ('seed', 'data', 'model')  # of a mesh, as `train.sharding` has them
# What numbers may be.
RANGES = {'seeds': between(1, 10**5), 'seeds_at_once': between(1, 10**5),
          'steps_per_call': between(1, 10**9), 'save_every': between(0, 10**9)}
UNSEEN = re.compile('[\x00-\x1f\x7f\ud800-\udfff]')  # no terminal shows these


class Run(NamedTuple):
  """One run of a paper.

  Attributes:
    variant: a name.
    config: its locked ConfigDict, with what the command overrides.
    workdir: a path.
    title: said before it, or ''.
  """
  variant: str
  config: Any
  workdir: pathlib.Path
  title: str = ''


class Asked(NamedTuple):
  """What a command asks for.

  Attributes:
    paper: its name.
    flags: as parsed.
    runs: one `Run` or more.
    sweep: a `sweeps.Sweep` over these runs, or None.
    listed: {variant: text} where only these are to be told, else {}.
  """
  paper: str
  flags: argparse.Namespace
  runs: tuple = ()
  sweep: sweeps.Sweep | None = None
  listed: dict = {}


def parser(paper):
  """The `argparse` parser of a paper's flags."""
  made = argparse.ArgumentParser(
      prog=f'python -m experiments.{paper}', allow_abbrev=False,
      usage='%(prog)s [--config=FILE:VARIANT] [--config.FIELD=VALUE]\n'
      f'    [{SWEEP}] [flags]',
      description='Runs a paper: its table beside the published one, and a '
      'verdict on each claim. The same command continues a run that stopped. '
      f'{SWEEP} runs it with each value of a field of the config.')
  add = made.add_argument
  add('--config', default=f'configs/{paper}.py', metavar='FILE:VARIANT',
      help='configuration file and variant (default: %(default)s)')
  add('--list', action='store_true', help='list the variants and stop')
  add('--workdir', help='where results go: a folder, s3://BUCKET/FOLDER or '
      'gs://BUCKET/FOLDER (default: out/<paper>/<variant>, with what '
      '--config.FIELD=VALUE changes: out/<paper>/<variant>,width=64)')
  add('--seeds', type=int, metavar='N', help='run seeds 0 to N-1 (default: as '
      'the config planned)')
  add('--arms', default='', metavar='A,B', help='run only these arms')
  add('--seeds_at_once', type=int, metavar='N',
      help='seeds trained together, bounds memory (default: all)')
  add('--hosts', choices=('auto', 'none'), default='auto',
      help='join the processes that a launcher started (TPU slices, SLURM, '
      'Open MPI, Kubernetes, JAX_COORDINATOR_ADDRESS), or be one alone')
  add('--mesh', default='', metavar='seed:2,data:4',
      help='devices by axis (default: seeds over all devices)')
  add('--steps_per_call', type=int, metavar='N',
      help='steps in one compiled call (default: as many as take two seconds; '
      '1 for convolutions of lax on a CPU)')
  add('--seed_map', choices=('vmap', 'loop'),
      help='seeds mapped or one after another (default: by device and model)')
  add('--save_every', type=float, default=60., metavar='SECONDS',
      help='time between checkpoints (default: %(default)s)')
  add('--data_dir', help='where data files are looked for first (default: '
      '$ASSAY_DATA)')
  add('--fresh', action='store_true', help='train what is kept, too, and '
      'compare: other bits are an error (see python -m assay fits)')
  add('--deterministic', action='store_true',
      help='the same bits on a GPU too')
  add('--strict', action='store_true',
      help='stop at the first loss that is not finite')
  add('--dry_run', action='store_true', help='say what the run will take, '
      'also for a mesh that is not here, and stop')
  add('--tensorboard', action='store_true', help='learning curves in '
      '<workdir>/tensorboard too')
  add('--profile', default='', metavar='10:20', help='trace the steps 10 to '
      '19, rounded to whole calls, into <workdir>/profile')
  add('--quiet', action='store_true', help='no progress')
  add('--debug', action='store_true', help='errors with their traceback')
  return made


def asked(paper, argv):
  """The `Asked` of a command's arguments; `--help` ends the process.

  Without a variant's name, those in the card's FIRST are run; but a command
  with fields of its own is about one variant, the default.

  Raises:
    UserError: names the first argument that cannot be meant.
  """
  made = parser(paper)
  flags, others = made.parse_known_args(argv)
  for argument in argv:
    if UNSEEN.search(argument):
      raise UserError(f'{ascii(argument):.80} has characters that cannot be '
                      'shown; leave them out.')
  sweep, others = sweeps.taken(others)
  fields = config_lib.pairs(
      others, [action.option_strings[-1] for action in made._actions])
  _check_own(paper, flags.config)
  module, variant = config_lib.chosen(flags.config)
  if flags.list:
    return Asked(paper, flags, listed=module.VARIANTS)
  _check(flags)
  configs = {
      each: _config(paper, module, each, fields, flags.arms) for each in (
          getattr(module, 'FIRST', (variant,)) if not (
              sweep or fields or ':' in flags.config) else (variant,))}
  # What a run is called after its variant and what the command changes in it.
  file = pathlib.Path(flags.config.partition(':')[0])
  own = '' if file.stem == paper else f',{file.stem}'  # another's variants
  name = {each: folders.name_of(each, module.get_config(each), config, own)
          for each, config in configs.items()}
  if sweep:
    found, runs = sweeps.planned(
        paper, variant, name[variant], module, fields, sweep, flags.workdir)
    return Asked(paper, flags, tuple(
        Run(variant, _config(paper, module, variant, fields | field,
                             flags.arms), *more)
        for field, *more in runs), found)
  workdir = stores.path(flags.workdir or folders.default(paper))
  alone = flags.workdir and len(configs) == 1
  return Asked(paper, flags, tuple(
      Run(each, config, workdir if alone else workdir / name[each])
      for each, config in configs.items()))


def _config(paper, module, variant, fields, arms):
  """The checked config of a variant, with fields of the command."""
  config = config_lib.apply(module.get_config(variant), fields)
  config_lib.check(config, getattr(module, 'BOUNDS', {}))
  check_names(f'--arms, {paper}:{variant}', filter(None, arms.split(',')),
              config.arms, 'arm')
  return config


def _check_own(paper, config):
  """Raises a UserError for the card of another paper."""
  path = pathlib.Path(config.partition(':')[0])
  if path.stem != paper and path.resolve() == (
      papers.ROOT / 'configs' / f'{path.stem}.py') and path.exists():
    raise UserError(f'--config={config} is that of another paper; give it to '
                    f'python -m experiments.{path.stem}.')


def _check(flags):
  """Raises a UserError for the first flag whose value cannot be meant."""
  for name, bound in RANGES.items():
    value = getattr(flags, name)
    if value is not None:
      config_lib.check_value(f'--{name}', value, bound)
  mesh_sizes(flags.mesh)
  if flags.profile:
    profiled(flags.profile)
  for name, what in (('workdir', 'where results go'),
                     ('data_dir', 'that holds the data files')):
    if getattr(flags, name) == '':
      raise UserError(f'--{name}=; name the folder {what}, or leave the flag '
                      'out.')
  if stores.is_url(flags.data_dir):
    raise UserError(f'--data_dir={flags.data_dir}: data files are not read '
                    'from object stores; use a folder.')
  if flags.workdir and stores.is_url(stores.path(flags.workdir)):
    for name in ('tensorboard', 'profile'):
      if getattr(flags, name):
        raise UserError(f'--{name}: is not written to object stores; leave it '
                        'out, or give a folder as --workdir.')


def mesh_sizes(text):
  """{'seed': 2, 'data': 4} of 'seed:2,data:4'.

  Raises:
    UserError: an unknown axis, or a size that is not a positive integer.
  """
  sizes = {}
  for part in filter(None, text.split(',')):
    name, _, size = part.partition(':')
    if name not in AXES or name in sizes or not re.fullmatch(
        '[1-9][0-9]{0,8}', size):
      raise UserError(f'--mesh={text:.60}: cannot read {part!r:.30}; write for '
                      'example seed:2,data:4 with axes '
                      f'{", ".join(AXES)}.')
    sizes[name] = int(size)
  return sizes


def profiled(text):
  """(10, 20) of '10:20': the steps 10 to 19, counted from 0.

  Raises:
    UserError: it is no such range.
  """
  found = re.fullmatch('([0-9]{1,12}):([0-9]{1,12})', text)
  first, end = map(int, found.groups()) if found else (0, 0)
  if first >= end:
    raise UserError(f'--profile={text:.60}; use FIRST:END with FIRST < END, as '
                    'in --profile=10:20, for the steps 10 to 19.')
  return first, end
