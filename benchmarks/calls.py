"""How long a compiled call of each default variant is, in steps and seconds.

  python -m benchmarks.calls [--only=c_mixup,gpicl] [--quick] [--json=FILE]

Each begins to train its first stage at its full size, all its seeds, as the
command would; what is reported are the last of its calls, from the end of one
to the end of the next. A process that is asked to stop answers after the call
that runs and a save.
"""

import functools
import os
import sys
import time

from assay import config as config_lib
from assay import papers, train
from assay.study import Study
from assay.train import checkpoint
from benchmarks import measuring

CALLS, LAST = 10, 5  # that are made, and reported


def measure(paper, report, quick):
  """The calls of the first stage of a paper's default variant."""
  module, variant = config_lib.chosen(f'configs/{paper}.py')
  variant = 'smoke' if quick else variant
  config, ended = module.get_config(variant), []
  began = time.monotonic()

  def progress(arm, seeds, step, *rest):
    del rest
    ended.append((time.monotonic(), (arm, seeds), step))

  study = Study(paper, variant, config, progress=progress,
                settings=train.Settings(
                    stopping=lambda: len(ended) >= CALLS))
  try:
    papers.load(paper).run(config, study)
  except checkpoint.Interrupted:
    pass
  calls = [(after - before, last - first) for (before, block, first),
           (after, other, last) in zip(ended, ended[1:], strict=False)
           if block == other and last > first][-LAST:]
  if not calls:  # one call a stage
    calls = [(ended[0][0] - began, ended[0][2])]
  seconds, steps = zip(*calls, strict=True)
  report(f'{paper}:{variant}: steps of a call', '', steps)
  report(f'{paper}:{variant}: a call takes', 's', seconds, at_most=10)


MEASURES = {paper: functools.partial(measure, paper)
            for paper in papers.names()}


if __name__ == '__main__':
  os.environ['ASSAY_FITS'] = 'off'  # or it would read, and train nothing
  sys.exit(measuring.main(
      sys.argv[1:], 'calls', 'Measures the length of calls; half a minute a '
      'paper.', MEASURES))
