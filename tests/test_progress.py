"""What watches a run: progress, curves for TensorBoard, traces."""

import functools
import gzip
import io
import json
import struct
import sys

import kinds
import numpy as np
import pytest
import toy

from assay import cli, papers, train
from assay.cli import flags
from assay.errors import UserError
from assay.study import Study, profiling, progress, scalars
from assay.train import checkpoint

ARM, SEEDS = 'erm', (0, 1, 2)


@pytest.fixture
def clock(monkeypatch):
  """`clock(2.5)` lets so many seconds pass; nothing else does."""
  now = [100.]
  monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])

  def passes(seconds):
    now[0] += seconds

  return passes


def report(watch, step, num_steps, loss=(1., 2., 3.), seeds=SEEDS, **metrics):
  watch(ARM, seeds, step, num_steps, {
      k: np.array(v, np.float32) for k, v in (metrics | {'loss': loss}).items()
      })


def lines(capsys):
  return capsys.readouterr().err.splitlines()


def test_a_line_a_minute_and_one_at_the_end(clock, capsys):
  watch = progress.Progress()
  clock(1.)
  watch.starting(0, lambda: 10, 10, [100] * 3)
  clock(45.)  # compiling
  report(watch, 10, 100)
  assert lines(capsys) == []
  clock(10.)
  report(watch, 20, 100)
  assert lines(capsys) == []  # 56 s since the start
  clock(10.)
  report(watch, 30, 100)
  # 20 steps in the 20 s since the first report.
  assert lines(capsys) == [
      'erm, seeds 0-2: 30 of 100 steps, 1 steps/s of each seed, 0:01:10 left, '
      'loss 2.0 ± 1.0, 3 seeds']
  clock(30.)
  report(watch, 60, 100)
  assert lines(capsys) == []  # only 30 s since the last line
  clock(5.)
  report(watch, 100, 100)
  assert lines(capsys) == [
      'erm, seeds 0-2: 100 steps in 100.0 s, 45.0 s to the first report, '
      '1.64 steps/s of each seed, loss 2.0 ± 1.0, 3 seeds']


def test_the_rate_is_that_of_this_session_and_of_the_last_minute(clock, capsys):
  watch = progress.Progress()
  watch.starting(1000, lambda: 100, 100, [4000])
  clock(1.)
  report(watch, 1100, 4000, [1.], [7])
  clock(100.)
  report(watch, 1200, 4000, [1.], [7])
  assert '1 steps/s, 0:46:40 left, loss 1, 1 seed' in lines(capsys)[0]
  clock(61.)
  report(watch, 1810, 4000, [1.], [7])  # ten times as fast
  assert '10 steps/s, 0:03:39 left' in lines(capsys)[0]
  clock(0.)
  report(watch, 4000, 4000, [1.], [7])
  assert lines(capsys)[0].startswith(
      'erm, seed 7: 4,000 steps, 3,000 of them now, in 162.0 s, 1.0 s to the ')


def test_a_diverged_seed_is_told_from_one_that_is_done(clock, capsys):
  watch = progress.Progress()
  watch.starting(0, lambda: 10, 10, [10, 30, 30])
  nan = float('nan')
  for step, loss, val in [(10, [1, 2, 3], [4, 5, 6]),
                          (20, [nan, nan, 3], [4, 5, 6]),
                          (30, [nan, nan, 5], [4, 5, 8])]:
    clock(60.)
    report(watch, step, 30, loss, val=val)
  said = lines(capsys)
  assert said[0].endswith('loss 2.0 ± 1.0, val 5.0 ± 1.0, 3 seeds')
  # The first seed is done and has a validation loss; the second has diverged.
  assert said[-1].endswith('loss 5, val 6.0 ± 2.8, 2 of 3 seeds, 1 diverged')


def test_val_is_that_of_the_last_whole_point(clock, capsys):
  watch = progress.Progress()
  watch.starting(0, lambda: 2, 4, [10] * 3)  # selection falls between calls
  report(watch, 2, 10, val=[0, 0, 0])
  report(watch, 4, 10, val=[4, 4, 4])
  clock(100.)
  report(watch, 6, 10, val=[0, 0, 0])
  assert 'val 4 ± 0' in lines(capsys)[0]
  report(watch, 8, 10, val=[5, 5, 5])
  report(watch, 10, 10, val=[6, 6, 6])  # the last point is shorter
  assert 'val 6 ± 0' in lines(capsys)[-1]


def test_stages_of_a_block_and_quiet(clock, capsys):
  watch, quiet = progress.Progress(), progress.Progress(quiet=True)
  for w in (watch, quiet):
    for _ in range(2):
      w.starting(0, lambda: 10, 10, [10] * 3)
      report(w, 10, 10)
    w.starting(0, lambda: 10, 10, [10])
    report(w, 10, 10, [1.], (3,))
  assert [line.split(': ')[0] for line in lines(capsys)] == [
      'erm, seeds 0-2', 'erm, seeds 0-2, stage 2', 'erm, seed 3']


def test_blocks_are_counted_as_the_study_plans_them(clock, capsys):
  config = papers.configs('c_mixup').get_config('smoke')
  study = Study('c_mixup', 'smoke', config, num_seeds=3, seeds_at_once=2)
  watch = progress.Progress()
  watch.expect(study)
  for seeds in ((0, 1), (2,)):
    watch.starting(0, lambda: 10, 10, [10] * len(seeds))
    watch('mixup', seeds, 10, 10, {'loss': np.ones(len(seeds))})
  assert [line[:5] for line in lines(capsys)] == ['[3/6]', '[4/6]']


class Terminal(io.StringIO):

  def isatty(self):
    return True


def test_a_terminal_has_live_lines_and_keeps_one_a_block(clock, monkeypatch):
  monkeypatch.setenv('TERM', 'xterm')
  monkeypatch.setenv('COLUMNS', '100')
  monkeypatch.setattr(sys, 'stderr', Terminal())
  with progress.Progress() as watch:
    shown = lambda: (watch._live.refresh(), sys.stderr.getvalue())[1]
    watch.starting(0, lambda: 10, 10, [1000] * 3)
    assert 'compiling' in shown() and 'steps/s' not in shown()
    report(watch, 10, 1000)
    clock(1.)
    report(watch, 500, 1000)
    text = shown()
    for part in ('erm, seeds 0-2', '500 of 1,000 steps', '0:00:01 left',
                 '490 steps/s of each seed', 'loss 2.0 ± 1.0, 3 seeds'):
      assert part in text
    report(watch, 1000, 1000)
  assert '1,000 steps in 1.0 s' in sys.stderr.getvalue()


# --- TensorBoard -------------------------------------------------------------


def settings_for(*watchers, seeds=SEEDS, **more):
  """Settings of a fit that these watch."""
  return train.Settings(
      starting=lambda *plan: [w.starting(*plan) for w in watchers],
      progress=lambda *r: [w(ARM, seeds, *r) for w in watchers], **more)


def events(folder):
  """The events of the one file in a folder, by its framing and protocol."""
  pb = pytest.importorskip('tensorboardX.proto.event_pb2')
  file, = folder.iterdir()
  data, found = file.read_bytes(), []
  while data:  # length, its checksum, the record, its checksum
    length, = struct.unpack('<Q', data[:8])
    found.append(pb.Event.FromString(data[12:12 + length]))
    data = data[16 + length:]
  return found


def read_scalars(folder):
  """{name: [(step, value)]} that a folder's file holds."""
  found = {}
  for event in events(folder):
    for value in event.summary.value:
      found.setdefault(value.tag, []).append((event.step, value.simple_value))
  return found


@pytest.mark.parametrize('form', [
    dict(steps_per_call=2), *kinds.nightly(
        dict(steps_per_call=6), dict(steps_per_call=1, seed_map='loop'))])
def test_tensorboard_has_the_points_of_the_curves(form, tmp_path):
  pytest.importorskip('tensorboardX', reason='pip install tensorboardX')
  with scalars.Scalars(tmp_path) as watch:
    fitted = toy.fit(settings=settings_for(watch, **form))
  runs = sorted(p.name for p in (tmp_path / ARM).iterdir())
  assert runs == ['mean_of_seeds_0-2', 'seed_0', 'seed_1', 'seed_2']
  curves = dict(fitted.curves)
  steps = curves.pop('step').tolist()
  assert steps == [6, 12, 18] and {'loss', 'val'} <= curves.keys()
  for run, of in zip(runs, [lambda v: v.mean(1), *(
      functools.partial(lambda v, i: v[:, i], i=i) for i in range(3))],
                     strict=True):
    got = read_scalars(tmp_path / ARM / run)
    assert got.keys() == curves.keys()
    for name, values in curves.items():
      assert [step for step, _ in got[name]] == steps
      np.testing.assert_allclose([v for _, v in got[name]], of(values),
                                 rtol=1e-6)


def test_tensorboard_goes_on_where_the_run_does(tmp_path):
  pytest.importorskip('tensorboardX', reason='pip install tensorboardX')
  with scalars.Scalars(tmp_path) as watch:
    watch.starting(12, lambda: 6, 6, [18])
    report(watch, 18, 18, [1.], [4])
  # Points after step 12 that an earlier session wrote are purged.
  starts = [e.step for e in events(tmp_path / ARM / 'seed_4')
            if e.HasField('session_log')]
  assert starts == [13]


def test_tensorboard_leaves_out_diverged_seeds_and_names_stages(tmp_path):
  pytest.importorskip('tensorboardX', reason='pip install tensorboardX')
  with scalars.Scalars(tmp_path) as watch:
    for _ in range(2):
      watch.starting(0, lambda: 6, 6, [18] * 3)
      report(watch, 6, 18, [1., float('nan'), 5.], val=[2., 9., 4.])
  assert read_scalars(tmp_path / ARM / 'mean_of_seeds_0-2') == {
      'loss': [(6, 3.)], 'val': [(6, 3.)]}
  assert not (tmp_path / ARM / 'seed_1').exists()
  assert (tmp_path / 'erm,stage=2' / 'seed_0').exists()


SMOKE = '--config=configs/c_mixup.py:smoke'


def error_of(capsys, *argv):
  assert cli.main('c_mixup', [SMOKE, *argv]) == 2
  return capsys.readouterr().err


def test_without_tensorboardx_there_is_a_clear_error(tmp_path, monkeypatch,
                                                     capsys):
  monkeypatch.chdir(papers.ROOT)
  monkeypatch.setitem(sys.modules, 'tensorboardX', None)
  text = error_of(capsys, '--tensorboard', f'--workdir={tmp_path / "w"}')
  assert 'error: ' in text and 'pip install tensorboardX' in text
  assert not (tmp_path / 'w').exists()


# --- Traces ------------------------------------------------------------------


def traced_calls(folder):
  """First steps of the calls in a trace, as Perfetto's file has them."""
  file, = folder.glob('plugins/profile/*/perfetto_trace.json.gz')
  with gzip.open(file) as trace:
    found = json.load(trace)['traceEvents']
  assert list(file.parent.glob('*.xplane.pb'))
  # A compiled program may hold something of this name too.
  calls = [e for e in found if e.get('name') == 'call'
           and 'step_num' in e.get('args', {})]
  programs = [e for e in found if e.get('name') == 'PjitFunction(program)']
  for event in programs:  # the step itself: none outside of these calls
    assert any(call['ts'] <= event['ts'] <= call['ts'] + call['dur']
               for call in calls)
  assert len(programs) >= len(calls)
  return sorted(int(call['args']['step_num']) for call in calls)


@pytest.mark.parametrize('text, calls, said', [
    ('0:6', [0], 'steps 0 to 5 of erm, in 1 call, with compiling'),
    ('11:100', [6, 12], 'steps 6 to 17 of erm, in 2 calls:'),
    *kinds.nightly(('7:8', [6], 'steps 6 to 11 of erm, in 1 call:'))])
def test_a_trace_has_the_calls_of_its_steps_only(text, calls, said, tmp_path):
  messages = []
  with profiling.Profile(flags.profiled(text), tmp_path,
                         messages.append) as watch:
    fitted = toy.fit(settings=settings_for(watch, steps_per_call=6))
  assert traced_calls(tmp_path) == calls
  message, = messages
  assert f'Traced {said}' in message and str(tmp_path) in message
  plain = toy.fit(settings=train.Settings(steps_per_call=6))
  toy.assert_same_bits(
      (fitted.state.params, fitted.best, fitted.curves),
      (plain.state.params, plain.best, plain.curves))


def test_one_fit_is_traced_and_the_run_goes_on(tmp_path):
  messages = []
  with profiling.Profile((0, 6), tmp_path, messages.append) as watch:
    for _ in range(2):
      toy.fit(settings=settings_for(watch, steps_per_call=6))
  assert len(messages) == 1 and traced_calls(tmp_path) == [0]


def test_a_trace_ends_where_the_run_is_stopped(tmp_path):
  messages, answers = [], iter([False, True])
  with pytest.raises(checkpoint.Interrupted):
    with profiling.Profile((6, 18), tmp_path, messages.append) as watch:
      toy.fit(settings=settings_for(
          watch, steps_per_call=6, stopping=lambda: next(answers)))
  assert 'Traced steps 6 until the run stopped' in messages[0]
  assert 6 in traced_calls(tmp_path)


def test_steps_that_were_made_before_are_not_traced(tmp_path):
  messages = []
  with profiling.Profile((0, 6), tmp_path / 'trace', messages.append) as watch:
    watch.starting(12, lambda: 6, 6, [18])
    report(watch, 18, 18, [1.], [4])
  assert messages == ['--profile=0:6: nothing was traced, since no fit had '
                      'these steps still to make.']
  assert not (tmp_path / 'trace').exists()


@pytest.mark.parametrize('text', ['10', '20:10', '5:5', 'a:b', '-1:3', '1:2:3'])
def test_a_range_that_is_none_is_an_error(text, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(papers.ROOT)
  message = error_of(capsys, f'--profile={text}', f'--workdir={tmp_path / "w"}')
  assert f'--profile={text}' in message and '10:20' in message
  assert not (tmp_path / 'w').exists()


def test_a_range_past_the_end_is_an_error(tmp_path):
  with pytest.raises(UserError, match='18:20.* only 18 steps'):
    with profiling.Profile((18, 20), tmp_path, print) as watch:
      toy.fit(settings=settings_for(watch))


def test_flags_write_curves_and_a_trace_beside_the_rows(tmp_path, monkeypatch):
  pytest.importorskip('tensorboardX', reason='pip install tensorboardX')
  monkeypatch.chdir(papers.ROOT)
  assert cli.main('c_mixup', [
      SMOKE, f'--workdir={tmp_path}', '--arms=erm', '--quiet', '--tensorboard',
      '--profile=0:5', '--steps_per_call=16']) == 0
  assert traced_calls(tmp_path / 'profile') == [0]
  with np.load(tmp_path / 'curves' / 'erm.0.npz') as curves:
    got = read_scalars(tmp_path / 'tensorboard' / 'erm' / 'seed_1')
    assert [step for step, _ in got['val']] == curves['step'].tolist()
    np.testing.assert_allclose([v for _, v in got['val']], curves['val'][:, 1],
                               rtol=1e-6)
