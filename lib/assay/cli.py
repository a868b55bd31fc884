"""The command line of every experiment: flags, errors, results."""

import argparse
import contextlib
import math
import os
import pathlib
import signal
import sys

from assay import config as config_lib
from assay import disk, papers
from assay.errors import UserError
from assay.study import profiling, sweeps
from assay.study.progress import Progress
from assay.train import hosts


def main(paper, argv=None):
  """Runs `experiments.<paper>` as its flags say; returns the exit status."""
  argv = sys.argv[1:] if argv is None else argv
  parser = _parser(paper)
  flags, others = parser.parse_known_args(argv)
  known = [action.option_strings[-1] for action in parser._actions]
  try:
    sweep, others = sweeps.taken(others)
    fields = config_lib.pairs(others, known)
    if flags.list:
      return _list(config_lib.chosen(flags.config)[0].VARIANTS)
    with hosts.together(flags.debug):
      if sweep:
        return sweeps.run(paper, flags, fields, sweep, _run)
      return _run_each(paper, flags, fields)
  except UserError as error:
    if flags.debug:
      raise
    print(f'error: {error}', file=sys.stderr)
    return 2


def _parser(paper):
  parser = argparse.ArgumentParser(
      prog=f'python -m experiments.{paper}', allow_abbrev=False,
      usage='%(prog)s [--config=FILE:VARIANT] [--config.FIELD=VALUE]\n'
      f'    [{sweeps.USAGE}] [flags]',
      description='Runs a paper: its table beside the published one, and a '
      'verdict on each claim. The same command continues a run that stopped. '
      f'{sweeps.USAGE} runs it with each value of a field of the config.')
  add = parser.add_argument
  add('--config', default=f'configs/{paper}.py', metavar='FILE:VARIANT',
      help='configuration file and variant (default: %(default)s)')
  add('--list', action='store_true', help='list the variants and stop')
  add('--workdir', help='where results go (default: out/<paper>/<variant>)')
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
      help='steps in one compiled call (default: by device and model)')
  add('--seed_map', choices=('vmap', 'loop'),
      help='seeds mapped or one after another (default: by device and model)')
  add('--save_every', type=float, default=60., metavar='SECONDS',
      help='time between checkpoints (default: %(default)s)')
  add('--data_dir', help='where data files are looked for first (default: '
      '$ASSAY_DATA)')
  add('--fresh', action='store_true', help='train what is kept, too, and '
      'compare: other bits are an error (see python -m assay fits)')
  add('--deterministic', action='store_true',
      help='the same bits on a GPU too; slower there')
  add('--strict', action='store_true',
      help='stop at the first loss that is not finite')
  add('--dry_run', action='store_true', help='say what the run will take, '
      'also for a mesh that is not here, and stop')
  add('--tensorboard', action='store_true', help='learning curves in '
      '<workdir>/tensorboard too')
  add('--profile', metavar='10:20', help='trace the steps 10 to 19, rounded to '
      'whole calls, into <workdir>/profile')
  add('--quiet', action='store_true', help='no progress')
  add('--debug', action='store_true', help='errors with their traceback')
  return parser


def _run_each(paper, flags, fields):
  """Runs the variant that is named, else those of the card's FIRST.

  A command with fields of its own is about one variant, the default.
  """
  module, variant = config_lib.chosen(flags.config)
  file, _, named = flags.config.partition(':')
  variants = (variant,) if named or fields else getattr(
      module, 'FIRST', (variant,))
  folders = {each: pathlib.Path(flags.workdir or f'out/{paper}') / each
             for each in variants}
  if flags.workdir and len(variants) == 1:
    folders = {variant: pathlib.Path(flags.workdir)}
  for each, folder in folders.items():
    status = _run(paper, argparse.Namespace(**vars(flags) | {
        'config': f'{file}:{each}', 'workdir': folder}), fields)
    if status:
      return status
  if not flags.dry_run and _is_first():
    from assay.report import page

    print(f'\n{page.ending(paper, folders)}')
  return 0


def _run(paper, flags, fields):
  """One run of a paper, into `flags.workdir`; returns the exit status."""
  module, variant = config_lib.chosen(flags.config)
  workdir = flags.workdir
  steps = profiling.parse(flags.profile) if flags.profile else None
  config = config_lib.apply(module.get_config(variant), fields)
  config_lib.check(config, getattr(module, 'BOUNDS', {}))
  num_seeds = config.num_seeds if flags.seeds is None else flags.seeds
  mesh = set_up_devices(flags.mesh, num_seeds, flags.deterministic,
                        flags.dry_run, flags.hosts)

  # JAX may start only now that its devices are set up.
  from assay.train import checkpoint, dry_run

  with checkpoint.signals() as stopping, _watching(
      flags, workdir, steps) as (progress, watchers):
    study = _study(paper, variant, config, num_seeds, workdir, flags, mesh,
                   stopping, watchers)
    _agree(study, flags)
    try:
      progress.expect(study)
      rows = papers.load(paper).run(config, study)
    except checkpoint.Interrupted as stop:
      progress.say(f'{stop}. To continue, give the same command again:\n  '
                   + ' '.join(['python', *sys.orig_argv[1:]]))
      return 128 + (stopping.caught or [signal.SIGTERM])[0]
    except dry_run.DryRun as report:
      _print_once(f'{paper}:{variant}\n{report}')
      return 0
  if study.taken and not flags.quiet:
    progress.say(f'{study.taken} of {study.asked} trainings of a seed were '
                 'read from kept fits; --fresh trains them again and compares.')
  if flags.dry_run:
    _print_once(f'{paper}:{variant}: nothing would be trained.')
  elif _is_first():
    show(paper, rows, workdir)
  return 0


def _list(variants):
  """Prints the variants; returns the exit status."""
  width = max(map(len, variants))
  for name, text in variants.items():
    print(f'{name:{width}}  {text}')
  # The list alone is the output; this is a hint.
  print(f'Of each: --config.FIELD=VALUE, {sweeps.USAGE}.', file=sys.stderr)
  return 0


@contextlib.contextmanager
def _watching(flags, workdir, steps):
  """(the progress, all who watch the training) while a run lasts.

  Args:
    flags: as parsed.
    workdir: where they write.
    steps: that are profiled, or None.
  """
  from assay.study import scalars

  progress = Progress(flags.quiet or not _is_first())
  watchers = [progress]
  if flags.tensorboard and _is_first() and not flags.dry_run:
    watchers.append(scalars.Scalars(workdir / 'tensorboard'))
  if steps and not flags.dry_run:
    watchers.append(profiling.Profile(steps, workdir / 'profile', progress.say))
  with contextlib.ExitStack() as stack:
    for watcher in watchers:
      stack.enter_context(watcher)
    yield progress, watchers


def _study(paper, variant, config, num_seeds, workdir, flags, mesh, stopping,
           watchers):
  """The `Study` that the flags ask for; its workdir is claimed."""
  from assay import train
  from assay.study import Study
  from assay.train import dry_run

  return Study(
      paper, variant, config, workdir=None if flags.dry_run else workdir,
      num_seeds=num_seeds, only=tuple(filter(None, flags.arms.split(','))),
      seeds_at_once=flags.seeds_at_once, data_dir=flags.data_dir,
      progress=lambda *report: [watch(*report) for watch in watchers],
      announce=watchers[0].say, settings=train.Settings(
          mesh=mesh, steps_per_call=flags.steps_per_call,
          seed_map=flags.seed_map, save_every=flags.save_every,
          strict=flags.strict, fresh=flags.fresh, stopping=stopping,
          starting=lambda *plan: [w.starting(*plan) for w in watchers],
          dry_run=dry_run.stop if flags.dry_run else None))


def _agree(study, flags):
  """Compares what the processes of a run were started with.

  Raises:
    UserError: they differ.
  """
  import jax

  here = ('data_dir', 'debug', 'profile', 'quiet', 'tensorboard')
  hosts.agree(config_lib.paths(study.config, 'config.')
              | {f'--{k}': v for k, v in vars(flags).items() if k not in here}
              | {'commit': study.commit, 'jax': jax.__version__})


def _is_first():
  """Whether this is the first of several hosts, which speaks for all."""
  import jax

  return jax.process_index() == 0


def _print_once(text):
  """Prints, on the first of several hosts."""
  if _is_first():
    print(text)


def show(paper, rows, workdir):
  """Prints tables and verdicts; writes table.md and the figures."""
  from assay import results
  from assay.report import figures, page, plots

  judged = page.judge(rows, paper)
  page.show(rows, paper, judged=judged)
  text = page.report(rows, paper, results.read_runs([workdir]), judged)
  disk.write_bytes(workdir / 'table.md', text.encode())
  written = [workdir / 'rows.jsonl', workdir / 'table.md']
  for name, figure in figures.of(paper, rows).items():
    written.append(workdir / f'{name}.png')
    plots.save(figure, written[-1])
  print('\nWritten: ' + ', '.join(map(str, written))
        + f', {workdir / "runs"}/')


def set_up_devices(mesh, num_seeds, deterministic=False, pretend=False,
                   join='auto'):
  """Readies JAX, before its first use; returns the mesh's sizes.

  A CPU shows one device per core, since one program does not keep two cores
  busy (JAX_NUM_CPU_DEVICES overrules); compiled programs are kept in the user's
  cache folder.

  Args:
    mesh: the flag's text.
    num_seeds: that are to be trained.
    deterministic: the same bits on a GPU too.
    pretend: nothing will be computed, so a mesh may have more devices than
      there are; devices that a CPU pretends to have stand in for them.
    join: 'auto' or 'none', see `hosts.join`.
  """
  import jax

  from assay.train import sharding

  sizes = sharding.parse_mesh(mesh)
  if deterministic:
    os.environ['XLA_FLAGS'] = (os.environ.get('XLA_FLAGS', '')
                               + ' --xla_gpu_deterministic_ops=true')
  least = math.prod(sizes.values()) if pretend else 0
  shown = jax.config.jax_num_cpu_devices
  if shown < 0:  # not chosen by JAX_NUM_CPU_DEVICES
    cores = len(os.sched_getaffinity(0))
    shown = cores if sizes else max(1, min(cores, num_seeds))
  if max(shown, least) != jax.config.jax_num_cpu_devices:
    jax.config.update('jax_num_cpu_devices', max(shown, least))
  if jax.config.jax_compilation_cache_dir is None:
    jax.config.update('jax_compilation_cache_dir',
                      str(disk.cache_dir() / 'xla'))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)
  if not jax.distributed.is_initialized():  # by an earlier run of a sweep
    hosts.join(join)
  if least > jax.device_count():
    return sharding.make_mesh(sizes, devices=jax.devices('cpu'))
  return sizes
