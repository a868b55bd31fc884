"""What the command makes of results: comparisons, summaries, their forms."""

import dataclasses
import importlib.util
import itertools
import math
import pathlib

import numpy as np

from assay import claims, metrics, results
from assay.errors import UserError
from assay.judge import columns, examples, folders, many, names, pairs, show
from assay.judge import varies as varies_lib
from assay.report import verdicts

SHOWN = 6  # comparisons for which each kind of seeds is asked


@dataclasses.dataclass(frozen=True)
class Found:
  """What there is to say about results.

  Attributes:
    comparisons: `pairs.Comparison`s.
    answers: where it was not said what seeds vary, for some of the pairs a
      dict: kind -> `Comparison`.
    summaries: a dict for each metric on several data sets, see `_summary`.
    said: sentences.
  """
  comparisons: list
  answers: list
  summaries: list
  said: list

  @property
  def decided(self):
    return bool(self.comparisons or self.summaries)


def judged(data, flags):
  """The `Found` of `columns.Data`, as the flags ask for it."""
  wanted = _wanted(flags)
  if data.by_example:
    return Found(_of_examples(data, flags, wanted), [], [], [])
  alone = len(data.datasets) > 1 and all(
      len(seeds) == 1 for own in data.cells.values() for seeds in own.values())
  if alone and not wanted:
    return Found([], [], *_summaries(data, [], None, flags))
  if not flags.varies:
    kinds = {'fresh': varies_lib.Varies('fresh'),
             'resplit': varies_lib.varies_of('resplit', flags.train, flags.test,
                                          flags.ratio or (
                                              None if flags.train else 0.25)),
             'fixed_split': varies_lib.Varies('fixed_split')}
    by_kind = {k: _of_seeds(data, v, flags, wanted) for k, v in kinds.items()}
    answers = [dict(zip(by_kind, own, strict=True)) for own in itertools.islice(
        zip(*by_kind.values(), strict=True), SHOWN)]
    return Found([], answers, [], ([] if flags.common else pairs.lacking(data)))
  varies = varies_lib.varies_of(flags.varies, flags.train, flags.test,
                                flags.ratio)
  made = _of_seeds(data, varies, flags, wanted)
  summaries, said = _summaries(data, made, varies, flags)
  return Found(made, [], summaries, said + (
      [] if flags.common else pairs.lacking(data)))


def _wanted(flags):
  """[(check, metric, ours, baseline, margin)] of the claims in the flags."""
  wanted = [(check, *words, flags.by) for check in ('less', 'greater')
            for words in getattr(flags, check)]
  for *words, margin in flags.equal:
    try:
      wanted.append(('equal', *words, float(margin)))
    except ValueError as error:
      raise UserError(f'--equal: MARGIN {margin!r} is no number; give '
                      'one above 0.') from error
    if not 0 < wanted[-1][-1] < math.inf:
      raise UserError(f'--equal: MARGIN {margin} must be above 0.')
  if flags.by and not (flags.less or flags.greater):
    raise UserError(f'--by={flags.by:g} is a margin of --less or --greater; '
                    'give one of these.')
  return wanted


def _of_seeds(data, varies, flags, wanted):
  if not wanted:
    return pairs.every_pair(data, varies, flags.ours, flags.common)
  return pairs.with_holm([c for words in wanted for c in pairs.named(
      data, *words, varies, flags.common)])


def _of_examples(data, flags, wanted):
  if not wanted:
    return examples.every_pair(data, flags.ours)
  made = []
  for check, metric, a, b, by in wanted:
    if by:
      raise UserError(f'{data.name}: results of single examples are judged '
                      f'without a margin, and {by:g} is given; leave --by and '
                      '--equal out.')
    found = [(d, own) for (d, m), own in data.cells.items()
             if m == metric and {a, b} <= own.keys()]
    if not found:
      raise UserError(f'{data.name} has no {metric} of both {a} and {b}; '
                      f'use metrics among {", ".join(data.metrics)} and '
                      f'methods among {", ".join(data.methods[:20])}.')
    made += [examples.one_pair(data, d, metric, a, b, own, check)
             for d, own in found]
  return pairs.with_holm(made)


def _summaries(data, made, varies, flags):
  """(a summary for each metric on several data sets, what is said)."""
  found, said = [], []
  if len(data.datasets) > 1:
    for metric in data.metrics:
      one, more = _summary(data, metric, made, flags)
      found += [one] if one else []
      said += more
  if flags.rope is not None:
    for c in made:
      below, inside, above = many.correlated_t(
          differences(data, c), varies.ratio, flags.rope)
      found.append({'rope': flags.rope, 'title': show.title(c),
                    'below': below, 'inside': inside, 'above': above})
  return found, said


def differences(data, c):
  """[n] float: ours - baseline of the seeds that both have."""
  own = data.cells[c.dataset, c.metric]
  a, b = own[c.ours], own[c.baseline]
  values = [a[s][0] - b[s][0] for s in a if s in b and a[s][0] is not None
            and b[s][0] is not None]
  if len(values) < 2:
    raise UserError(f'--rope: {show.title(c)} has {len(values)} pairs; it '
                    'needs two or more: give more seeds, or leave --rope '
                    'out.')
  return np.array(values)


def _summary(data, metric, made, flags):
  """What a metric says over data sets, as a dict; None if on fewer than two.

  `ranks` (`many.Ranks`) of three or more methods, `pair` (`Comparison` over
  data sets) of two, `records`, and with several runs each `improvement` and,
  of shares, `iqm`.
  """
  means, datasets, methods, said = many.matrix(data, metric)
  better = data.better[metric]
  if len(datasets) < 2 or len(methods) < 2:
    return None, said
  if not better:
    return None, [*said, f'{metric}: give --higher_is_better or '
                  '--lower_is_better for ranks and wins over data sets']
  found = {'metric': metric, 'datasets': len(datasets), 'better': better}
  if len(methods) > 2:
    found['ranks'] = many.friedman(means, methods, better)
  else:
    a, b = (1, 0) if methods[1] == flags.ours else (0, 1)
    found['pair'] = many.over_datasets(
        means[:, a], means[:, b], metric, (methods[a], methods[b]), better)
  own = [c for c in made if c.metric == metric]
  if own:
    found['records'] = many.records(own)
  scores = many.runs(data, metric, datasets, methods)
  if scores:
    few = many.few_runs(scores, better)
    found['improvement'] = few['improvement']
    if columns.names.is_share(metric):
      found['iqm'] = few['iqm']
  return found, said


# --- Forms -------------------------------------------------------------------


def as_lines(data, found):
  """All there is to say, as lines of text."""
  parts = ['\n'.join([data.name, *itertools.chain(*(
      show.wrapped(text, '  ', 2) for text in [*data.said, *found.said]))])]
  if found.answers:
    parts.append(show.three_answers(found.answers))
  if found.comparisons:
    parts.append(show.terminal(found.comparisons))
  parts += map(show.summary, found.summaries)
  return '\n\n'.join(parts)


def as_json(data, found):
  """The same as what `json` can write."""
  return {
      'name': data.name, 'said': [*data.said, *found.said],
      'decided': found.decided,
      'comparisons': list(map(show.as_dict, found.comparisons)),
      'answers': [{k: show.as_dict(c) for k, c in own.items()}
                  for own in found.answers],
      'summaries': list(map(show.summary_as_dict, found.summaries))}


def as_latex(data, found):
  if not found.comparisons:
    raise UserError(f'--latex: {data.name} has no comparison to write; '
                    + ('choose what a seed varies by --varies'
                       if found.answers else 'give several seeds of each '
                       'method') + '.')
  said = ''.join(f'% {text}\n' for text in [data.name, *data.said])
  return said + show.latex(found.comparisons)


# --- Claims ------------------------------------------------------------------


def judge_claims(flags, options):
  """Prints the verdicts on the claims of a file; returns the exit status."""
  import json

  listed, judged = claims_of(flags.claims), []
  folder = pathlib.Path(flags.paths[0])
  if len(flags.paths) == 1 and folder.is_dir() and (folder / 'runs').is_dir():
    rows = results.read(flags.paths)  # those that Assay wrote
  else:
    data = columns.load(folders.read(flags.paths), options)
    if data.by_example:
      raise UserError(f'--claims: {data.name} holds results of single '
                      'examples; give one value a seed, or leave --claims out.')
    if not flags.varies:
      raise UserError(f'--claims={flags.claims}: choose what a seed varies by '
                      f'--varies, one of {", ".join(varies_lib.KINDS)}.')
    rows = rows_of(data, varies_lib.varies_of(
        flags.varies, flags.train, flags.test, flags.ratio))
  judged = claims.judge(listed, rows)
  if flags.form == 'json':
    print(json.dumps([{
        'claim': j.claim.name, 'sentence': j.claim.sentence, 'p_holm': j.p_holm,
        'state': j.verdict.state if j.verdict else 'not tested',
        'where': j.where_tested} for j in judged], indent=2))
  else:
    print('\n'.join(verdicts.lines(judged)))
  return 0


def claims_of(path):
  """The claims of a Python file: `CLAIMS`, a list of them or name -> check.

  Raises:
    UserError: there are none.
  """
  path = pathlib.Path(path)
  spec = importlib.util.spec_from_file_location('claims_of_a_file', path)
  if spec is None or not path.is_file():
    raise UserError(f'--claims: {path} is no Python file; give one with '
                    'CLAIMS.')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  found = getattr(module, 'CLAIMS', None)
  if isinstance(found, dict):
    found = [claims.Claim(name, f'{check.sentence}.', path.name, check,
                          where={}) for name, check in found.items()]
  if not found or not all(isinstance(c, claims.Claim) for c in found):
    raise UserError(f'--claims: {path} needs CLAIMS, a list of claims or a '
                    'dict of name: check, as {"better": less("error", "ours", '
                    '"baseline")}.')
  return list(found)


def rows_of(data, varies):
  """Rows as `assay.claims` takes them; `dataset` is a field to choose by."""
  fields = dict(config='given', split='test', state='last', group='',
                scale='as given', seed_varies=varies.kind,
                n=varies.ratio or 1)
  rows = []
  for (dataset, metric), methods in data.cells.items():
    seeds = pairs.numbered(methods.values())
    values = [v for own in methods.values() for v, _ in own.values()
              if v is not None]
    if metric in metrics.KNOWN and not names.in_range(metric, values):
      raise UserError(f'{data.name}: {metric} is not within '
                      f'{metrics.KNOWN[metric][:2]}, its range by that name; '
                      'write it so, or give it another name.')
    rows += [fields | dict(dataset=dataset, metric=metric, method=method,
                           seed=seeds[seed], value=value)
             | ({'why': why} if why else {})
             for method, own in methods.items()
             for seed, (value, why) in own.items()]
  if varies.kind == 'resplit':
    rows += [fields | dict(dataset=d, metric='none', method='none', seed=0,
                           split='train', value=0, n=1) for d in data.datasets]
  return rows
