"""Runs that were asked for, one after another, and what is shown of them."""

import contextlib
import shlex
import signal
import sys

import jax

from assay import config as config_lib
from assay import disk, papers, results, train
from assay.cli import devices, flags, folders, sweeps
from assay.errors import check_names, plain
from assay.study import Study, profiling, scalars, versions
from assay.study.progress import Progress
from assay.train import checkpoint, dry_run, hosts


def run(asked):
  """Carries out a `flags.Asked`; returns the exit status."""
  with hosts.together(asked.flags.debug):
    shown = []
    for each in asked.runs:
      if each.title:
        print(each.title, flush=True)
      status, rows = _run(asked.paper, each, asked.flags)
      if status:
        return status
      shown += rows
    if asked.flags.dry_run or not _is_first():
      return 0
    if asked.sweep:
      sweeps.show(asked.paper, asked.sweep)
    else:
      from assay.report import page

      variants = [each.variant for each in asked.runs]
      print('\n' + page.ending(asked.paper, shown, variants,
                               folders.finished(asked.paper)))
  return 0


def _run(paper, asked, given):
  """(exit status, rows that were shown) of one `flags.Run`.

  Args:
    paper: its name.
    asked: the run.
    given: the flags.
  """
  config = asked.config
  num_seeds = config.num_seeds if given.seeds is None else given.seeds
  mesh = devices.set_up_devices(given.mesh, num_seeds, given.deterministic,
                                given.dry_run, given.hosts)
  with checkpoint.signals() as stopping, _watching(
      given, asked.workdir) as (progress, watchers):
    study = _study(paper, asked, num_seeds, given, mesh, stopping, watchers)
    _agree(study, given)
    try:
      experiment = papers.load(paper)
      check_names('arms', config.arms,
                  getattr(experiment, 'ARMS', config.arms), 'arm')
      progress.expect(study)
      rows = experiment.run(config, study)
      study.stop_if_asked('all is done')
    except checkpoint.Interrupted as stop:
      progress.say(f'{stop}. To continue, give the same command again:\n  '
                   + shlex.join(['python', *sys.orig_argv[1:]]))
      return 128 + (stopping.caught or [signal.SIGTERM])[0], []
    except dry_run.DryRun as report:
      _print_once('\n\n'.join(filter(None, [
          f'{paper}:{asked.variant}\n{report}', str(study.data_dir)])))
      return 0, []
  if study.taken and not given.quiet:
    progress.say(f'{study.taken} of {study.asked} trainings of a seed were '
                 'read from kept fits; --fresh trains them again and compares.')
  if given.dry_run:
    _print_once(f'{paper}:{asked.variant}: nothing would be trained.')
  elif _is_first():
    return 0, show(paper, rows, study)
  return 0, []


@contextlib.contextmanager
def _watching(given, workdir):
  """(the progress, all who watch the training) while a run lasts.

  Args:
    given: the flags.
    workdir: where they write.
  """
  progress = Progress(given.quiet or not _is_first())
  watchers = [progress]
  if given.tensorboard and _is_first() and not given.dry_run:
    watchers.append(scalars.Scalars(workdir / 'tensorboard'))
  if given.profile and not given.dry_run:
    watchers.append(profiling.Profile(flags.profiled(given.profile),
                                      workdir / 'profile', progress.say))
  with contextlib.ExitStack() as stack:
    for watcher in watchers:
      stack.enter_context(watcher)
    yield progress, watchers


def _study(paper, asked, num_seeds, given, mesh, stopping, watchers):
  """The `Study` that the flags ask for."""
  return Study(
      paper, asked.variant, asked.config,
      workdir=None if given.dry_run else asked.workdir,
      num_seeds=num_seeds, only=tuple(filter(None, given.arms.split(','))),
      seeds_at_once=given.seeds_at_once, data_dir=dry_run.data_of(
          given.data_dir) if given.dry_run else given.data_dir,
      progress=lambda *report: [watch(*report) for watch in watchers],
      announce=watchers[0].say, settings=train.Settings(
          mesh=mesh, steps_per_call=given.steps_per_call,
          seed_map=given.seed_map, save_every=given.save_every,
          strict=given.strict, fresh=given.fresh, stopping=stopping,
          starting=lambda *plan: [w.starting(*plan) for w in watchers],
          dry_run=dry_run.stop if given.dry_run else None))


def _agree(study, given):
  """Compares what the processes of a run were started with.

  Raises:
    UserError: they differ.
  """
  here = ('data_dir', 'debug', 'profile', 'quiet', 'tensorboard')
  # Files before the commit: they are what differs, and may under one commit.
  hosts.agree(config_lib.paths(study.config, 'config.')
              | {f'--{k}': v for k, v in vars(given).items() if k not in here}
              | {f'the file {k}': v for k, v in study.sources.items()}
              | {'commit': study.commit} | versions())


def _is_first():
  """Whether this is the first of several hosts, which speaks for all."""
  return jax.process_index() == 0


def _print_once(text):
  """Prints, on the first of several hosts."""
  if _is_first():
    print(text)


def show(paper, rows, study):
  """Prints tables and verdicts; writes table.md and the figures.

  What is written is about all rows of the workdir, what is printed about the
  seeds and arms that were asked for.

  Returns:
    The rows that were printed.
  """
  from assay.report import figures, page, plots

  workdir = study.workdir
  judged = page.judge(rows, paper)
  own = [row for row in rows if study.asks_for(row)]
  page.show(own, paper,
            judged=judged if len(own) == len(rows) else None)
  text = page.report(rows, paper, results.read_runs([workdir]), judged)
  disk.write_bytes(workdir / 'table.md', text.encode())
  written = [workdir / 'rows.jsonl', workdir / 'table.md']
  for name, figure in figures.of(paper, rows).items():
    written.append(workdir / f'{name}.png')
    plots.save(figure, written[-1])
  if len(own) < len(rows):
    print('\nMore seeds or arms are there: python -m assay results '
          + shlex.quote(plain(workdir)))
  print(plain('\nWritten: ' + ', '.join(map(str, written))
              + f', {workdir / "runs"}/'))
  return own
