"""The command `python -m assay judge`."""

import argparse
import json
import pathlib
import sys

from assay.errors import UserError, parsed, told

EPILOG = """\
what a seed varies (--varies):
  fresh        each seed draws new data
  resplit      each seed splits one data set anew (needs --train and --test)
  fixed_split  each seed changes initialization and order alone

examples:
  python -m assay judge results.csv --varies fixed_split
  python -m assay judge results.csv --less error ours baseline \\
      --varies resplit --train=1003 --test=200
  python -m assay judge runs/ --columns method=algo,seed=run --last step
  python -m assay judge plan --effect 0.5 --sd 1.2 --varies resplit --ratio 0.2
docs/judging.md says which test to use when."""


def _parser():
  parser = argparse.ArgumentParser(
      prog='python -m assay judge', epilog=EPILOG,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      description='Is ours better, or is it the seeds? Verdicts on results '
      'from any trainer: a table of methods, seeds and scores.')
  add = parser.add_argument
  add('paths', nargs='+', metavar='PATH', help='CSV, TSV, JSON lines, JSON or '
      'Parquet; or a folder of these, of samples of lm-evaluation-harness, or '
      'of TensorBoard event files')
  add('--varies', metavar='KIND', help='what a seed varies: fresh, resplit or '
      'fixed_split')
  add('--train', type=int, metavar='N', help='training examples of a split')
  add('--test', type=int, metavar='N', help='test examples of a split')
  add('--ratio', type=float, help='test / train, in place of both')
  for name, sign in (('less', 'below'), ('greater', 'above')):
    add(f'--{name}', nargs=3, action='append', default=[],
        metavar=('METRIC', 'OURS', 'BASELINE'),
        help=f'judge that OURS is {sign} BASELINE; may be given again')
  add('--equal', nargs=4, action='append', default=[],
      metavar=('METRIC', 'OURS', 'BASELINE', 'MARGIN'),
      help='judge that they differ by less than MARGIN')
  add('--by', type=float, default=0.0, help='margin of --less and --greater')
  add('--ours', metavar='METHOD', help='compare this one with all others, not '
      'each with each')
  add('--claims', metavar='FILE', help='a Python file with CLAIMS, written as '
      'in a card, or a dict of name: check')
  add('--columns', default='', metavar='PART=COLUMN,...', help='which column '
      'is method, seed, dataset, metric, value, example or label')
  add('--metric', default='', metavar='A,B', help='only these metrics')
  add('--where', action='append', default=[], metavar='COLUMN=VALUE',
      help='only these rows; may be given again')
  add('--last', default='', metavar='COLUMN', help='of each seed the row with '
      'the largest number here, as an epoch')
  add('--common', action='store_true', help='compare on the seeds that both '
      'methods have')
  group = parser.add_mutually_exclusive_group()
  group.add_argument('--higher_is_better', dest='better', const='higher',
                     default='', action='store_const')
  group.add_argument('--lower_is_better', dest='better', const='lower',
                     action='store_const')
  add('--rope', type=float, help='with many data sets: a difference below this '
      'does not matter')
  group = parser.add_mutually_exclusive_group()
  for form, text in (('json', 'JSON'), ('latex', 'a LaTeX table')):
    group.add_argument(f'--{form}', dest='form', const=form, default='lines',
                       action='store_const', help=f'print {text}')
  add('--figure', metavar='FILE', help='draw the comparisons: .svg, .png, .pdf')
  return parser


@told
def main(argv=None):
  """Prints verdicts; returns the exit status (2: something is to be mended)."""
  argv = sys.argv[1:] if argv is None else argv
  if argv[:1] == ['plan']:
    from assay.judge import plan
    return plan.main(argv[1:])
  flags = parsed(_parser(), argv)
  from assay.judge import columns, folders, work

  options = columns.Options(
      _fields('--columns', flags.columns.split(',')),
      tuple(filter(None, flags.metric.split(','))),
      _fields('--where', flags.where), flags.last, flags.better)
  if flags.claims:
    return work.judge_claims(flags, options)
  data = columns.load(folders.read(flags.paths), options)
  found = work.judged(data, flags)
  if flags.form == 'json':
    print(json.dumps(work.as_json(data, found), indent=2, allow_nan=False))
  elif flags.form == 'latex':
    print(work.as_latex(data, found), end='')
  else:
    print(work.as_lines(data, found))
  if flags.figure:
    from assay.judge import draw
    lacks = draw.save(found, pathlib.Path(flags.figure))
    print(f'drawn: {flags.figure}'
          + f'; its font has no {lacks}, boxes stand there' * bool(lacks),
          file=sys.stderr)
  return 0 if found.decided else 2


def _fields(flag, texts):
  fields = {}
  for text in filter(None, texts):
    name, sign, value = text.partition('=')
    if not sign or not name.strip():
      raise UserError(f'{flag}: {text!r} must be NAME=VALUE.')
    fields[name.strip()] = value.strip()
  return fields
