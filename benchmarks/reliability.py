"""The promises on faults, each with the test that keeps it, put to the test.

  python -m benchmarks.reliability [--kills=200] [--only=disk] [--into=FILE]

Runs the tests behind the promises in their long form and prints a table: what
is promised, by which test, whether it passed, how long that took, and what it
measured. `--into=docs/reliability.md` writes the table there; with `--only` the
rows of the other tests, and what they were measured with, stay.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

from benchmarks import measuring

# What is promised, and the test that keeps it (a file, then a function in it).
PROMISES = (
    ('A run that is killed at any moment (`kill -9`) goes on when the same '
     'command is given again. Its rows, predictions and curves are those of a '
     'run that nothing interrupted, bit for bit; none is lost or doubled.',
     'test_faults.py::test_killed_at_random_moments_loses_nothing'),
    ('So it is for every paper, wherever it is killed: in a step, before, in '
     'and after a save, between predictions and rows, between rows and their '
     'renaming.',
     'test_experiments.py::test_killed_and_continued_is_the_same'),
    ('No file that a kill left half-written stays behind.',
     'test_faults.py::test_what_killed_processes_left_of_files_is_removed'),
    ('A checkpoint with any file truncated, altered, emptied or deleted is put '
     'aside with a warning, and the one before it is used.',
     'test_faults.py::test_no_damaged_file_gives_another_state'),
    ('One flipped bit in any array of a checkpoint is noticed.',
     'test_faults.py::test_a_flipped_bit_of_any_array_is_noticed'),
    ('A full disk is one line of error; with space freed the same command '
     'continues to the same bits.',
     'test_faults.py::test_a_full_disk_is_told_and_the_run_continues'),
    ('A workdir that cannot be written is refused before anything is computed.',
     'test_faults.py::test_a_read_only_workdir_is_refused'),
    ('Two runs never share a workdir: the second is refused, and a dead '
     'process holds nothing.',
     'test_faults.py::test_a_killed_run_does_not_hold_its_workdir'),
    ('SIGTERM or Ctrl-C, while compiling too, saves and says how to continue.',
     'test_faults.py::test_terminated_before_the_first_call_ends'),
    ('At its full size each default variant has saved and ended within 15 '
     'seconds of SIGTERM.',
     'test_faults.py::test_sigterm_is_answered_within_seconds'),
    ('A seed that diverges is reported with step and metric; the others are '
     'what they would be without it.',
     'test_faults.py::test_a_seed_that_diverges_leaves_the_others_as_they_are'),
    ('Mapped seeds are single seeds.',
     'test_experiments.py::test_mapped_seeds_are_single_seeds'),
    ('A data file with other content is refused, with both checksums.',
     'test_data.py::test_find_names_the_checksums_of_a_wrong_file'),
    ('Damaged or hostile files (bombs, pickles, paths with `..`) give the '
     'documented errors only, in bounded memory.',
     'test_hostile.py::test_bombs_are_refused_in_little_memory'),
    ('Any row file is read as valid rows or refused with file and line.',
     'test_hostile.py::'
     'test_any_file_of_rows_is_read_as_valid_rows_or_refused'),
    ('A kept fit with any damage is trained again with a warning, to the same '
     'bits; a store that cannot be written stops nobody.',
     'test_fits.py::test_what_is_damaged_is_trained_again'),
    ('Rows are the same with all, half or none of the fits kept.',
     'test_experiments.py::test_rows_do_not_depend_on_what_is_kept'),
    ('Two processes that ask for one fit at once train it once; one that dies '
     'lets the other train.',
     'test_fits.py::test_two_processes_that_ask_at_once_train_once'),
    ('The text of a flag is never run: what `--config.FIELD=` gives is a '
     'number, a word or a tuple of these. `--config=FILE.py` is no text but a '
     'program, and is run as one: name files that you trust.',
     'test_overrides.py::test_no_text_is_run'),
    ('A checkpoint, a description of a block, predictions or rows that lie in '
     'the place of another arm, paper or workdir are refused, by name.',
     'test_study.py::test_an_exchanged_file_is_refused'),
    ('A training of another config is not continued, even where what says so '
     'was deleted.',
     'test_study.py::test_another_learning_rate_is_not_continued'),
    ('A run that goes on under edited code says which files differ; its file '
     'tells both states.',
     'test_study.py::'
     'test_a_run_that_goes_on_under_edited_code_says_so_and_tells_both'),
    ('Hosts with other code or packages than the first say in which file.',
     'test_hosts.py::test_hosts_with_other_code_say_which_file'),
    ('A port that is taken, or an address where nobody answers, is one line.',
     'test_hosts.py::test_a_port_that_is_taken_is_one_line'),
    ('What editors, systems and copies leave in a workdir stops nothing.',
     'test_study.py::test_what_others_leave_in_a_workdir_stops_nothing'),
    ('A workdir is held by one run also where its lock file was deleted, and a '
     'link in its place is not followed.',
     'test_results.py::test_a_lock_is_not_lost_with_its_file'),
    ('A paper that is published twice at once loses no run.',
     'test_results.py::test_publishing_twice_at_once_loses_no_run'),
    ('Any rows and run files are shown as plain text, without HTML, TeX or '
     'orders to a terminal, or refused.',
     'test_hostile_reports.py::'
     'test_any_rows_are_shown_harmlessly_or_refused'),
    ('An image of a record is uint8 of one or three channels, or refused '
     'before it is decoded.',
     'test_stream.py::test_any_image_is_what_is_promised_or_refused'),
    ('Saved on eight devices, a run continues on one, two or four with the '
     'same batches, within 1e-5 relative.',
     'test_elastic.py::test_saved_on_eight_continues_on_fewer'),
    ('Saved by two processes, started by SLURM, by Open MPI or by hand, it '
     'continues in one, and the other way round; one that dies stops the other '
     'with a reason; one of them writes.',
     'test_hosts.py::test_two_processes_are_one_run_that_survives_them'),
    ('A process that hangs ends the others within 75 seconds.',
     'test_hosts.py::test_a_process_that_hangs_ends_the_others'),
    ('A run of two processes, killed at random moments, ends with the rows of '
     'one process.',
     'test_hosts.py::test_killed_at_any_time_a_run_of_two_ends_right'),
    ('A single task of an allocation, a shell in it and a laptop are one '
     'process and wait for nobody.',
     'test_hosts.py::test_one_process_waits_for_nobody'),
    ('A lost process is told in one line, in whatever words NCCL, Gloo or the '
     'coordination service notice it.',
     'test_hosts.py::test_a_lost_peer_is_told_in_one_line'),
    ('Processes that were started differently say in what.',
     'test_hosts.py::test_processes_that_differ_say_in_what'),
    ('Streamed batches are those in memory, on any mesh, after any '
     'interruption.',
     'test_stream.py::test_training_on_a_stream_is_training_in_memory'),
    ('Each of two hosts reads its own half of every streamed batch.',
     'test_stream.py::test_two_hosts_read_half_of_each_batch'),
    ('In an object store, too, a run that is killed or asked to stop goes on '
     'to the same bits, and a second run is refused by name, from this machine '
     'or another.',
     'test_stores.py::test_killed_and_continued_is_the_same'),
    ('A dead holder of a workdir in an object store holds it for 40 seconds at '
     'most; one that was only asleep writes nothing more.',
     'test_stores.py::test_a_dead_holder_holds_nothing_for_long'),
    ('What an object store refuses or drops is asked again, then told in one '
     'line.',
     'test_stores.py::test_a_store_that_refuses_is_told_in_a_line'),
    ('A run whose object store fails loses nothing: the same command puts '
     'there what it could not.',
     'test_stores.py::test_a_store_that_fails_ends_a_run_that_loses_nothing'),
    ('A checkpoint in an object store is whole or not seen.',
     'test_stores.py::test_a_save_is_whole_or_not_there'),
    ('Two processes are one run in an object store, too.',
     'test_stores.py::test_several_hosts_are_one_run'),
    ('Kept fits in an object store are those of a folder, for all machines; a '
     'store that fails stops nobody.',
     'test_stores.py::test_fits_are_shared_by_all_machines'),
    ('The length of a call, which follows measured time, changes no bit; nor '
     'does another one on resume, wherever a run was interrupted.',
     'test_train.py::test_the_length_of_a_call_changes_no_bit'),
    ('A test split that is predicted in pieces gives the same bits.',
     'test_vision.py::test_logits_are_the_same_in_pieces'),
    ('A dry run reads no file of data.',
     'test_dry_run.py::test_no_data_are_needed'),
    ('A dry run allocates nothing at full size.',
     'test_dry_run.py::test_a_state_of_terabytes_is_never_made'),
)


def outcomes(promises, kills):
  """{test: (outcome, seconds, figures)} of the tests, in their long form.

  Args:
    promises: some of `PROMISES`.
    kills: at random moments.
  """
  with tempfile.NamedTemporaryFile(suffix='.xml') as file:
    subprocess.run(
        [sys.executable, '-m', 'pytest', '-n', '2', '--dist', 'loadfile',
         '--all', f'--junitxml={file.name}', '-o', 'junit_family=xunit1',
         *(f'tests/{test}' for _, test in promises)],
        cwd=measuring.ROOT, check=False, env=os.environ | {
            'ASSAY_KILLS': str(kills), 'ASSAY_FAULTS': '1'})
    cases = ElementTree.parse(file.name).iter('testcase')
  found = {}
  for case in cases:
    name = case.get('name').partition('[')[0]
    test = f'{case.get("file", "").rpartition("/")[2]}::{name}'
    bad = {e.tag for e in case} & {'failure', 'error', 'skipped'}
    outcome, seconds, figures = found.get(test, ([], 0, []))
    found[test] = (outcome + [min(bad, default='passed')],
                   seconds + float(case.get('time')),
                   figures + [p.get('value') for p in case.iter('property')])
  return found


def table(promises, found, before=()):
  """Markdown of what was promised and what came out.

  Args:
    promises: pairs as in `PROMISES`.
    found: see `outcomes`.
    before: lines of an older table, for the tests that are not in `found`.
  """
  older = {line.split(' | ')[1]: line.split(' | ', 2)[2] for line in before
           if line.count(' | ') > 2}
  lines = ['| promise | kept by | outcome | seconds | measured |',
           '| :-- | :-- | :-- | --: | :-- |']
  for promise, test in promises:
    if test not in found and f'`tests/{test}`' in older:
      lines.append(f'| {promise} | `tests/{test}` | '
                   + older[f'`tests/{test}`'])
      continue
    outcome, seconds, figures = found.get(test, (['not run'], 0, []))
    counts = ', '.join(f'{outcome.count(word)} {word}'
                       for word in dict.fromkeys(outcome))
    lines.append(f'| {promise} | `tests/{test}` | {counts} | {seconds:.0f} | '
                 f'{"; ".join(figures)} |')
  return '\n'.join(lines)


def section(file):
  """The lines of this benchmark in a Markdown file."""
  found = re.search('<!-- begin benchmarks/reliability -->(.*)<!-- end '
                    'benchmarks/reliability -->',
                    pathlib.Path(file).read_text(), re.DOTALL)
  return found[1].strip().splitlines() if found else []


def main(argv=None):
  """Prints the table; returns 1 if a promise was not kept."""
  parser = argparse.ArgumentParser(
      prog='python -m benchmarks.reliability',
      description='Runs the tests behind the promises on faults, in their long '
      'form; with 200 kills some half an hour on two cores.')
  parser.add_argument('--kills', type=int, default=200, metavar='N',
                      help='of one run at random moments (default: '
                      '%(default)s)')
  parser.add_argument('--only', default='', metavar='A,B', help='tests with '
                      'one of these words in their name (default: all)')
  parser.add_argument('--into', metavar='FILE', help='rewrite the section '
                      'between <!-- begin benchmarks/reliability --> and its '
                      'end in this Markdown file')
  flags = parser.parse_args(argv)
  words = flags.only.split(',')
  promises = [p for p in PROMISES if any(word in p[1] for word in words)]
  found = outcomes(promises, flags.kills)
  kept = all(set(found.get(test, [['not run']])[0]) == {'passed'}
             for _, test in promises)
  before = []
  if flags.only and flags.into:
    promises, before = PROMISES, section(flags.into)
  command = (f'python -m benchmarks.reliability --kills={flags.kills}'
             + f' --only={flags.only}' * bool(flags.only))
  signed = [line for line in before if line.startswith('`python -m')]
  text = '\n\n'.join([table(promises, found, before), *signed,
                      measuring.signed(command, measuring.environment())])
  print(text)
  if flags.into:
    from assay.report import page
    page.insert(flags.into, 'benchmarks/reliability', text)
  return 0 if kept else 1


if __name__ == '__main__':
  sys.exit(main())
