"""Every error of the user names the value and says what to do about it."""

import ast
import re

import pytest

from assay import cli, papers
from assay.report import page

# What to do: an imperative, or what would be right.
REMEDY = re.compile(r'''
    \b(use|choose|give|put|remove|replace|write|train|run|lower|raise|leave
       |name|set|wait|change|select|install|restore|keep|start|look|sweep
       |compare|make|move|rename|save|take)\b
    | did\ you\ mean | \bmust\b | \bneeds?\b
    | known: | \b(there\ (is|are|\{\}:)|it\ has)''', re.VERBOSE | re.IGNORECASE)
# Messages about something that is not there, so that no value can be named.
NAMELESS = (
    'seeds is empty', 'why: missing', 'wrong: there, but',
    'A long tail needs', 'All training images are equal',
    'outputs or losses are not finite', '--tensorboard needs',
    'there are no records', "Image set 'digits' has other values")
# Messages put together by functions: the tests that see them whole.
COMPOSED = {
    'unknown flag {}; {}': 'test_cli.py:test_errors_name_the_value_and_the_'
                           'remedy',
    '{}. {}': 'test_train.py:test_a_lower_rate_is_advised_only_where_it_may_'
              'help'}


def template(node):
  """The text of a message, {} for each value; a call speaks by its name."""
  if isinstance(node, ast.Constant):
    return node.value
  if isinstance(node, ast.FormattedValue):
    return '{}'
  if isinstance(node, ast.JoinedStr):
    return ''.join(map(template, node.values))
  name = f' {node.func.id} '.replace('_', ' ') if isinstance(
      node, ast.Call) and isinstance(node.func, ast.Name) else ''
  return name + ''.join(template(child) for child in ast.iter_child_nodes(node)
                        if isinstance(child, ast.expr))


def messages():
  """(place, template) of each UserError that the code makes.

  Not of those that pass on the text of another UserError.
  """
  for folder in 'lib/assay', 'experiments', 'configs', 'benchmarks':
    for path in sorted((papers.ROOT / folder).rglob('*.py')):
      tree = ast.parse(path.read_text())
      passed_on = {
          child for handler in ast.walk(tree)
          if isinstance(handler, ast.ExceptHandler)
          and 'UserError' in ast.dump(handler.type or ast.Constant(None))
          for child in ast.walk(handler)}
      for node in ast.walk(tree):
        if (isinstance(node, ast.Call) and node not in passed_on
            and ast.unparse(node.func).endswith('UserError')
            and not isinstance(node.args[0], ast.Name)):
          yield (f'{path.relative_to(papers.ROOT)}:{node.lineno}',
                 template(node.args[0]))


def lacks(text):
  """What a message lacks: 'value', 'remedy', both or nothing."""
  if text.startswith(tuple(COMPOSED)):
    return ''
  named = '{}' in text or text.startswith(NAMELESS)
  return ' '.join(word for word, there in (
      ('value', named), ('remedy', REMEDY.search(text))) if not there)


def test_every_message_names_the_value_and_the_remedy():
  found = [(place, text) for place, text in messages()]
  assert len(found) > 130
  wrong = [f'{place} lacks {lacks(text)}: {text}' for place, text in found
           if lacks(text)]
  assert not wrong, '\n'.join(['', *wrong])


# --- As users meet them ------------------------------------------------------

SMOKE = '--config=configs/c_mixup.py:smoke'
# What a command prints, word by word; TMP is an empty folder.
PRINTED = {
    '--config.bandwith=1':
        '--config.bandwith: the config has no such field; did you mean '
        '--config.bandwidth?',
    '--config.net.batch_size=1.5':
        '--config.net.batch_size=1.5: must be of type int, like 16.',
    '--config.net.split_sizes=(400,40,"3")':
        '--config.net.split_sizes=(400,40,"3"): must be of type tuple, like '
        '(266, 88, 88).',
    '--config.net.split_sizes=(400,40,40)':
        "sizes=(400, 40, 40) add up to 480, more than the 442 rows of "
        "'diabetes'; use at most 442.",
    '--config.net.batch_size=1000':
        'batch_size=1000 must be at least 1 and not exceed the 266 examples; '
        'use at most 266.',
    '--config.net.learning_rate=1e30':
        'seed 0: loss is not finite after step 1; seed 1: loss is not finite '
        'after step 1. Lower the learning rate, or look at the data.',
    '--config=configs/nope.py':
        '--config=configs/nope.py: there is no such file; run from the '
        "repository's root, or give the file's path.",
    '--config=configs/gpicl.py:smoke':
        '--config=configs/gpicl.py:smoke is that of another paper; give it to '
        'python -m experiments.gpicl.',
    '--config=README.md':
        '--config=README.md: is no configuration; give a Python file with '
        'get_config and VARIANTS.',
    '--config=configs/c_mixup.py:airfoyl':
        "unknown variant 'airfoyl' of c_mixup; use one of diabetes, theory, "
        'airfoil, no2, airfoil_paper, no2_scaled, '
        'airfoil_bandwidths, airfoil_similarity, airfoil_overfitting, '
        'airfoil_pooled, airfoil_tuned, synthetic, skillcraft, crime, '
        'skillcraft_bandwidths, skillcraft_invariance, crime_bandwidths, '
        'skillcraft_tuned, crime_tuned, rcf_mnist, rcf_mnist_small, smoke.',
    '--sedes=3': 'unknown flag --sedes=3; did you mean --seeds?',
    '--seeds=0': '--seeds=0 must be 1 or more and at most 100000.',
    '--arms=mixap':
        "--arms, c_mixup:smoke: no arm 'mixap'; use some of erm, mixup, "
        'manifold_c_mixup.',
    '--mesh=seed:x':
        "--mesh=seed:x: cannot read 'seed:x'; write for example seed:2,data:4 "
        'with axes seed, data, model.',
    '--mesh=seed:64':
        "the mesh {'seed': 64} needs 64 devices and there are 4; use a smaller "
        'mesh.',
    '--data_dir=TMP/none --config=configs/c_mixup.py:airfoil':
        'data_dir=TMP/none is not a folder; name the folder that holds the '
        'data files, or leave it unset.',
    '--workdir=/proc/none':
        '--workdir=/proc/none: No such file or directory; choose a folder that '
        'can be written.'}


@pytest.mark.parametrize('words', PRINTED)
def test_what_a_command_prints(words, capsys, tmp_path, monkeypatch):
  monkeypatch.chdir(papers.ROOT)
  monkeypatch.delenv('ASSAY_DATA', raising=False)
  given = words.replace('TMP', str(tmp_path)).split()
  argv = [SMOKE, f'--workdir={tmp_path}/work', '--quiet', *given]
  assert cli.main('c_mixup', argv) == 2
  printed = capsys.readouterr().err.replace(str(tmp_path), 'TMP')
  assert printed == f'error: {PRINTED[words]}\n'


# What the report says about files that are not as they were written.
READ = {
    ('none', None):
        'TMP/none: no rows there; give a workdir, a folder results/<paper> or '
        'a .jsonl file.',
    ('a.jsonl', '{"paper": '):
        'TMP/a.jsonl:1: not valid JSON (Expecting value: line 1 column 11 '
        '(char 10)); restore the file.',
    ('a.jsonl', '{"paper": "c_mixup"}'):
        'TMP/a.jsonl:1: config: missing; each row needs it.',
    ('a.jsonl', '{"paper": "../x"}'):
        "TMP/a.jsonl:1: paper: '../x' is not a word for it; use one that "
        'matches [a-z0-9_]+ and can be printed.',
    ('a.jsonl', '{"paper": 3}'):
        'TMP/a.jsonl:1: paper: cannot be of type int; use str.'}


@pytest.mark.parametrize('name, content', READ)
def test_what_the_report_prints(name, content, capsys, tmp_path):
  if content:
    (tmp_path / name).write_text(content)
  assert page.main([str(tmp_path / name)]) == 2
  printed = capsys.readouterr().err.replace(str(tmp_path), 'TMP').strip()
  assert printed.removeprefix('error: ') == READ[name, content]


def test_a_message_is_told_from_one_that_helps_nobody():
  assert lacks('it failed') == 'value remedy'
  assert lacks('{} is bad') == 'remedy'
  assert lacks('use another') == 'value'
  assert not lacks('seed={} is negative; use 0 or more.')
  call = ast.parse('f"{a} is" + " bad. " + _where_to_put(b)', mode='eval')
  assert template(call.body).split() == '{} is bad. where to put'.split()


def test_the_tests_of_composed_messages_are_there():
  for place in COMPOSED.values():
    file, name = place.split(':')
    text = (papers.ROOT / 'tests' / file).read_text()
    assert f'def {name}(' in text
