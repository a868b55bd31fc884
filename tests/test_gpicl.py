"""GPICL: claims on made-up rows, what models are shown, data, small parts."""

import functools
import math

import jax
import numpy as np
import optax
import pytest

from assay import papers
from assay.claims import rules
from assay.data import images, tasks
from assay.errors import UserError
from assay.models import recurrent
from assay.study import Study, replaced

gpicl = papers.load('gpicl')
settings = papers.configs('gpicl')
INF = settings.UNLIMITED


@pytest.fixture(autouse=True, scope='module')
def quick_to_compile():
  """Most of the time would go into making these programs fast."""
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


def small(variant='smoke', **fields):
  return replaced(settings.get_config(variant), fields)


@functools.cache
def digits():
  """Data of `smoke` and with the three sets of the default."""
  return gpicl.Data(small(other_sets=('other_classes', 'clusters', 'random')))


# --- Claims on made-up rows --------------------------------------------------


def rows_of(config, values, num_seeds=6):
  """Rows of (fields, value), nearly the same for each seed."""
  rng = np.random.default_rng(0)
  common = dict(
      paper='gpicl', config=config, run='0' * 8, method='transformer',
      dataset=settings.get_config(config).dataset, split='test', state='last',
      group='', n=2048, step=9, seed_varies='fixed_split',
      planned_seeds=num_seeds, scale='reduced')
  return [common | fields | {
      'seed': seed, 'value': value * (1 + .001 * rng.normal())}
          for seed in range(num_seeds) for fields, value in values]


def of(metric, value, **fields):
  return fields | {'metric': metric}, value


def swept(metric, field, values, **fields):
  return [of(metric, v, **{field: k}, **fields) for k, v in values.items()]


def memorizes(first, improvement, unseen, size=16.):
  return [of('first_accuracy', first, split='seen', num_tasks=size),
          of('improvement', improvement, split='seen', num_tasks=size),
          of('accuracy', unseen, num_tasks=size)]


def between(config, *improvements):
  """(on seen tasks, on unseen ones) for sizes asked about; the last for all."""
  sizes = (32., 64., 128.) if config == 'digits_threshold' else (2.**8, 2.**12)
  improvements += improvements[-1:] * (len(sizes) - len(improvements))
  return [row for size, (seen, unseen) in zip(sizes, improvements, strict=True)
          for row in (of('improvement', seen, split='seen', num_tasks=size),
                      of('improvement', unseen, num_tasks=size))]


def of_mlp(config, split, last):
  """Accuracies of a model of single images, by number of tasks."""
  values = settings.get_config(config).sweep_values
  levels = np.linspace(.9, .4, len(values)) if split == 'seen' else np.full(
      len(values), 1 / len(settings.get_config(config).classes))
  levels[-1] = last
  return swept('accuracy', 'num_tasks', dict(zip(
      values, levels.tolist(), strict=True)), split=split, method='mlp')


def by_state(config, follows):
  """Accuracies in the order of `state_size` or of `num_params`."""
  arms = settings.get_config(config).arms
  sizes = {'state_size': np.arange(1, len(arms) + 1),
           'num_params': np.roll(np.arange(1, len(arms) + 1), 4)}
  return [of(metric, value, method=arm, split=split)
          for metric, split, column in (
              ('state_size', 'train', sizes['state_size']),
              ('num_params', 'train', sizes['num_params']),
              ('accuracy', 'test', sizes[follows] / 10))
          for arm, value in zip(arms, column.tolist(), strict=True)]


def cases(config, name):
  """Values on which a claim holds, and some on each of which it fails."""
  c = settings.get_config(config)
  chance = 1 / len(c.classes)
  learned = lambda rise, first: [of('improvement', rise),
                                 of('first_accuracy', first)]
  pair = lambda other, value: [of('accuracy', .7),
                               of('accuracy', value, method=other)]
  plateaus = lambda *values: swept('plateau_steps', c.sweep, dict(zip(
      c.sweep_values, values, strict=True)), split='train')
  ends = lambda seen, unseen: [
      of('accuracy', seen, split='seen', num_tasks=INF),
      of('accuracy', unseen, num_tasks=INF)]
  made = {
      'learns in context': lambda: (
          learned(.5, chance), learned(.2, chance), learned(.5, chance + .1)),
      'transfers to random': lambda: (
          [of('accuracy', .95, dataset='random')],
          [of('accuracy', .8, dataset='random')]),
      'more than an LSTM': lambda: (pair('lstm', .6), pair('lstm', .8)),
      'repeats end the plateau': lambda: (
          pair('transformer_no_repeats', chance),
          pair('transformer_no_repeats', .5)),
      'few tasks are memorized': lambda: (
          memorizes(.9, .02, chance), memorizes(.7, .02, chance),
          memorizes(.9, .2, chance), memorizes(.9, .02, chance + .1)),
      'many tasks are learned from': lambda: (ends(.7, .68), ends(.8, .7)),
      'a regime between': lambda: (
          between(config, (.01, .01), (.2, .01)),
          between(config, (.01, .01), (.2, .1))),
      'an MLP only memorizes': lambda: (
          of_mlp(config, 'seen', .2), of_mlp(config, 'seen', .9)),
      'an MLP does not learn': lambda: (
          of_mlp(config, 'test', chance), of_mlp(config, 'test', chance + .1)),
      'bias shortens the plateau': lambda: (
          plateaus(1000, 900, 400), plateaus(1000, 300, 700)),
      'bias costs no accuracy': lambda: (
          swept('accuracy', 'bias', {.9: .69, 0.: .7}),
          swept('accuracy', 'bias', {.9: .6, 0.: .7})),
      'batches shorten the plateau': lambda: (
          plateaus(1000, 900, 400), plateaus(1000, 300, 400)),
      'state, not parameters': lambda: (
          by_state(config, 'state_size'), by_state(config, 'num_params')),
      'MNIST as published': lambda: (
          [of('accuracy', .74)], [of('accuracy', .9)]),
      'Fashion-MNIST as published': lambda: (
          [of('accuracy', .62, dataset='fashion_mnist')],
          [of('accuracy', .5, dataset='fashion_mnist')]),
  }
  if name not in made:
    other = name.removeprefix('transfers to ')
    return [[of('improvement', rise, dataset=other)] for rise in (.2, .05)]
  return made[name]()


@pytest.mark.parametrize('claim', gpicl.CLAIMS, ids=lambda claim: claim.name)
def test_claims_hold_and_fail(claim):
  config, name = claim.name.split(': ')
  good, *bad = cases(config, name)
  verdict = claim.check(rows_of(config, good))
  assert verdict.state == 'holds' and verdict.n == 6
  for values in bad:
    assert claim.check(rows_of(config, values)).state == 'fails'
  assert claim.where == {'config': config}
  # Only what no paper says is reported without being gated.
  assert claim.gated == (claim.source != 'ours')


def test_a_seed_that_diverged_leaves_the_state_undecided():
  claim, = (c for c in gpicl.CLAIMS if c.name.startswith('digits_state'))
  rows = rows_of('digits_state', by_state('digits_state', 'state_size'))
  lost = {'seed': 2, 'metric': 'accuracy', 'method': 'lstm'}
  rows = [row | {'value': None, 'why': 'loss is NaN'}
          if lost.items() <= row.items() else row for row in rows]
  verdict = claim.check(rows)
  assert verdict.state == 'undecided' and verdict.n == 5
  assert '1 of 6 seeds diverged' in verdict.note


def test_some_of_several_parts():
  part = lambda state, p: lambda rows: rules.Verdict(
      state, 1., .5, 1.5, 5, 't', p=p)
  some = lambda *parts: gpicl._some([
      (str(i), part(*one)) for i, one in enumerate(parts)])([])
  got = some(('fails', .001), ('holds', .01), ('holds', .02))
  assert got.state == 'holds' and len(got.parts) == 3
  np.testing.assert_allclose(got.p, 3 * .01)  # of the surest, three times
  assert some(('holds', .6), ('holds', .7)).p == 1
  assert some(('fails', .01), ('undecided', .5)).state == 'undecided'
  # That all fail needs no correction: the least sure part's p.
  got = some(('fails', .01), ('fails', .03))
  assert (got.state, got.p) == ('fails', .03)
  assert some(('holds', None), ('fails', .1)).p is None


# --- What a model is shown ---------------------------------------------------


def shown(config, name=('digits', 'test'), seed=0, arm='transformer',
          data=None):
  """All sequences of a set, in one batch."""
  found = gpicl.evaluation_sets(config, data or digits(), arm)[name]
  parts = list(gpicl.prompts(config, seed, name, found))
  return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}


def drawn(config, arm, num_inputs):
  """Parameters of an arm, those of a model that was not trained."""
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(
      gpicl.make_model(config, arm).init, jax.random.key(0),
      np.zeros((1, config.length, num_inputs), np.float32))['params']
  return jax.tree.map(lambda p: np.float32(rng.normal(
      size=p.shape) / max(1, p.size // p.shape[-1])**.5), shapes)


READ = [arm for arm in gpicl.MODELS if arm != 'mlp']


@pytest.mark.parametrize('arm', READ)
def test_labels_come_late_and_the_first_is_a_guess(arm):
  config = small(num_prompts=512)
  batch, classes, length = shown(config), 5, config.length
  apply = gpicl.make_apply(config, arm)
  params = drawn(config, arm, config.num_inputs + classes)

  @jax.jit
  def logits(params, x, y):
    return apply(params, {}, tasks.classification_tokens(x, y, classes))

  # Row j: the first sequence, with another label of example j.
  x, y = batch['x'].copy(), batch['y'].copy()
  x[:length], y[:length] = x[:1], y[:1]
  before = np.asarray(logits(params, x, y))
  rows = np.arange(length)
  y[rows, rows] = (y[rows, rows] + 1) % classes
  after = np.asarray(logits(params, x, y))
  known = np.tri(length, dtype=bool)  # positions <= j
  np.testing.assert_array_equal(before[:length][known], after[:length][known])
  np.testing.assert_array_equal(before[length:], after[length:])
  changed = (before[:length] != after[:length]).any(axis=-1)
  np.testing.assert_array_equal(changed, ~known)
  # Of an unseen task nothing is known before the first label.
  guess = before[length:, 0].argmax(axis=-1)
  right = np.mean(guess == batch['y'][length:, 0])
  assert abs(right - 1 / classes) < 4 * (.16 / 500)**.5


def test_the_mlp_reads_the_image_alone():
  config = small()
  batch = shown(config)
  apply = gpicl.make_apply(config, 'mlp')
  params = drawn(config, 'mlp', config.num_inputs)
  logits = [np.asarray(apply(params, {}, tasks.classification_tokens(
      batch['x'], y, 5))) for y in (batch['y'], batch['y'][::-1])]
  np.testing.assert_array_equal(*logits)


def test_sequences_do_not_depend_on_how_a_model_was_trained():
  want = shown(small())
  assert want['x'].shape == (64, 6, 16) and want['y'].shape == (64, 6)
  for arm, fields in (
      ('lstm', dict(num_steps=99, batch_tasks=7, bias=.25, learning_rate=1.)),
      ('class_mean', dict(width=4, num_layers=3, repeat_share=0.)),
      ('mlp', dict(num_tasks=1.)), ('transformer', dict(num_tasks=4096.))):
    got = shown(small(**fields), arm=arm)
    for k in want:
      np.testing.assert_array_equal(got[k], want[k])
  assert (want['task'] >= tasks.FIRST_UNSEEN).all()
  more = shown(small(num_prompts=96))
  np.testing.assert_array_equal(more['x'][:64], want['x'])
  for other in (shown(small(eval_seed=1)), shown(small(), seed=1),
                shown(small(), ('digits', 'seen_test'))):
    assert np.mean(other['x'] != want['x']) > .999


def test_what_each_arm_is_tested_on():
  config = small()
  base = {(name, 'test') for name in digits().tests}
  assert len(base) == 4
  for arm in config.arms:
    sets = gpicl.evaluation_sets(config, digits(), arm)
    seen = {('digits', 'seen'), ('digits', 'seen_test')}
    assert sets.keys() == (base if arm == 'class_mean' else base | seen)
    assert all(unseen == (split == 'test')
               for (_, split), (_, _, unseen) in sets.items())
  assert sets['digits', 'test'][0] is digits().tests['digits'][0]


def made_of(x, y, projection, permutation, found, labels):
  """Asserts that x are projected images of a part, with permuted labels."""
  every = found @ np.asarray(projection).T
  for one, label in zip(x.reshape(-1, x.shape[-1]), y.ravel(), strict=True):
    distance = np.abs(every - one).max(axis=1)
    assert distance.min() < 1e-5
    # Some images are in the part twice.
    assert label in np.asarray(permutation)[labels[distance < 1e-5]]


def test_a_single_seen_task_is_that_of_training():
  config, seed = small(num_tasks=1., bias=0., num_prompts=32), 3
  task = tasks.projection_task(tasks.task_key(seed), 0, 16, 5)
  data = digits()
  for split, part in (('seen', data.train),
                      ('seen_test', data.tests['digits'])):
    batch = shown(config, ('digits', split), seed)
    assert not batch['task'].any()
    made_of(batch['x'], batch['y'], *task, *part)
  draw = jax.jit(tasks.draw_classification(4, 6, 5))
  batch = draw(data.shared, {'num_tasks': np.int32(1),
                             'task_seed': np.int32(seed)}, None,
               jax.random.key(9))
  made_of(np.asarray(batch['x']), np.asarray(batch['y']), *task, *data.train)


def test_a_single_task_is_memorized_and_no_other():
  config = small(num_tasks=1., bias=0., width=16, learning_rate=5e-3,
                 warmup_steps=20, num_prompts=256)
  data, tx = digits(), gpicl.make_optimizer(config)
  draw = tasks.draw_classification(8, config.length, 5)
  grad = gpicl.make_grad(config, 'transformer')
  own = {'num_tasks': np.int32(1), 'task_seed': np.int32(0)}

  @jax.jit
  def step(params, state, i):
    batch = draw(data.shared, own, None, jax.random.key(i))
    (loss, _), grads = grad(params, {}, batch, None)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state, loss

  params = drawn(config, 'transformer', config.num_inputs + 5)
  state, losses = tx.init(params), []
  for i in range(300):
    params, state, loss = step(params, state, i)
    losses.append(float(loss))
  assert np.mean(losses[-20:]) < .3 * math.log(5) < losses[0]
  correct = functools.partial(gpicl._correct(
      gpicl.make_apply(config, 'transformer'), 5), params)
  sets = gpicl.evaluation_sets(config, data, 'transformer')
  found = {split: gpicl.accuracies(config, 0, (name, split), where, correct)
           for (name, split), where in sets.items() if name == 'digits'}
  assert all(v.shape == (6,) for v in found.values())
  assert found['seen'].min() > .7 and found['seen_test'].min() > .6
  assert found['test'].max() < .35


# --- Data --------------------------------------------------------------------


def test_digits_are_five_classes_and_their_components():
  data, table = digits(), images.load('digits')
  assert list(data.tests) == ['digits', 'other_classes', 'clusters', 'random']
  for (x, y), part in ((data.train, 'train'), (data.tests['digits'], 'test')):
    kept = table[f'{part}_y'] < 5
    assert x.shape == (kept.sum(), 16) and x.dtype == np.float32
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, table[f'{part}_y'][kept])
  np.testing.assert_allclose(np.mean(data.train[0]**2), 1, rtol=1e-5)
  np.testing.assert_allclose(data.train[0].mean(axis=0), 0, atol=1e-5)
  # Components, so in the order of their variance and not correlated.
  covariance = np.cov(data.train[0].T)
  assert (np.diff(np.diag(covariance)) < 0).all()
  np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)),
                             atol=1e-4)
  assert .8 < np.mean(data.tests['digits'][0]**2) < 1.2
  assert data.shared['images'] is data.train[0]
  assert data.shared['labels'] is data.train[1]


def test_other_sets():
  tests, table = digits().tests, images.load('digits')
  others = table['test_y'][table['test_y'] >= 5]
  np.testing.assert_array_equal(tests['other_classes'][1], others - 5)
  # By their own components, not those of the five classes.
  assert .8 < np.mean(tests['other_classes'][0]**2) < 1.2
  x, y = tests['clusters']
  assert x.shape == (2000, 16) and set(y.tolist()) == set(range(5))
  np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=1e-5)
  x, y = tests['random']
  assert x.shape == (8, 16) and set(y.tolist()) <= set(range(5))
  np.testing.assert_array_equal(gpicl.Data(small()).tests['random'][0], x)


def test_pixels_are_gray_small_and_normalized():
  x = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
  same = gpicl._small(x, 16)
  assert same.shape == (3, 4, 4) and same.dtype == np.float32
  np.testing.assert_allclose(same, x.mean(axis=-1), rtol=1e-6)
  x = np.repeat(x[:, :1, :1], 28, axis=1).repeat(28, axis=2)  # of one color
  got = gpicl._small(x, 14 * 14)
  assert got.shape == (3, 14, 14)
  np.testing.assert_allclose(got, np.broadcast_to(
      x[:, :14, :14].mean(axis=-1), got.shape), rtol=1e-5)
  data = gpicl.Data(small(reduce='pixels', other_sets=()))
  both = np.concatenate([data.train[0], data.tests['digits'][0]])
  assert both.shape == (502 + 399, 16)
  np.testing.assert_allclose([both.mean(), both.std()], [0, 1], atol=1e-5)


def test_sets_that_are_only_tested_on_are_halved(monkeypatch):
  rng = np.random.default_rng(0)
  x = rng.integers(0, 256, (400, 8, 8, 1), np.uint8)
  x[:, 0, 0, 0] = np.arange(400) % 256
  y = np.repeat(np.arange(10, dtype=np.int32), 40)
  monkeypatch.setattr(images, 'load_test', lambda name, folder: (x, y))
  found = [gpicl._held_out(small(), name, None)
           for name in ('kmnist', 'kmnist', 'usps')]
  for got, labels in found:
    assert got.shape[1] == 16 and got.shape[0] == labels.size
    assert 70 < len(labels) < 130  # half of the 200 of classes 0 to 4
    assert set(labels.tolist()) == set(range(5))
  np.testing.assert_array_equal(found[0][0], found[1][0])
  assert found[0][0].shape != found[2][0].shape or (
      found[0][0] != found[2][0]).any()


# --- Small parts -------------------------------------------------------------


def test_plateau_by_hand():
  config, steps = small(), 25 * np.arange(1, 11)  # the level is .9 log 5 = 1.45
  curve = np.array([2., 2, 2, 2, 2, 1, 1, 1, 1, 1])
  # Means of five: 2, 1.8, 1.6, 1.4 at the eighth step, ...
  assert gpicl.plateau_steps(config, curve, steps) == 200
  assert gpicl.plateau_steps(config, curve - 1, steps) == 125
  assert math.isnan(gpicl.plateau_steps(config, np.full(10, 1.5), steps))
  assert math.isnan(gpicl.plateau_steps(config, np.full(10, np.nan), steps))
  # One point alone does not end it.
  dip = np.where(np.arange(10) == 6, .1, 1.6)
  assert gpicl.plateau_steps(config, dip, steps) == 175
  dip[6] = 1.
  assert math.isnan(gpicl.plateau_steps(config, dip, steps))
  # Fewer points than five: the mean of all.
  assert gpicl.plateau_steps(config, np.array([2., .5]), steps[:2]) == 50


def test_number_of_tasks():
  got = [gpicl.number_of(size) for size in (1., 65_536., 2.**25, 7, INF)]
  assert got == [1, 65_536, 2**25, 7, 0]
  assert {type(size) for size in got} == {int}


def test_the_best_rate_is_chosen_by_its_last_position(monkeypatch):
  # Columns: accuracy of the first and of the last example.
  table = {.01: (.9, .3), .03: (.2, .5), .1: (.2, .7), .3: (.95, .6)}
  asked = []

  def accuracies(config, seed, name, found, correct):
    asked.append((seed, name, found))
    return np.array(table[correct(None, None)])

  monkeypatch.setattr(gpicl, '_reference',
                      lambda arm, num_classes: lambda x, y, rate: rate)
  monkeypatch.setattr(gpicl, 'accuracies', accuracies)
  data = digits()
  assert gpicl.tuned_rate(small(), data) == .1
  assert len(asked) == 4
  for seed, name, (x, y, unseen) in asked:
    # Training images, unseen tasks, and sequences that no row is of.
    assert seed == 0 and name == ('tuning', 'test') and unseen
    assert x is data.train[0] and y is data.train[1]


def test_references_are_those_of_in_context():
  config = small()
  batch = shown(config)
  for arm in settings.REFERENCES:
    got = gpicl._reference(arm, 5)(batch['x'], batch['y'], .1)
    assert got.shape == (6,)
  nearest = gpicl._reference('nearest_neighbor', 5)(batch['x'], batch['y'], 0.)
  want = np.zeros(6)
  for x, y in zip(batch['x'], batch['y'], strict=True):
    want[0] += y[0] == 0
    for t in range(1, 6):
      distances = np.sum((x[:t] - x[t])**2, axis=1)
      want[t] += y[t] == y[distances.argmin()]
  np.testing.assert_allclose(nearest, want / 64, atol=1e-6)


def test_models_have_the_sizes_of_their_names():
  config = small('digits_state')
  sizes = {arm: gpicl.make_model(config, arm).state_size(config.length)
           for arm in config.arms}
  # Keys and values of two layers, two heads; cell and output of an LSTM.
  assert sizes['transformer'] == 2 * 2 * 2 * 32 * 24
  assert sizes['transformer_16'] == 2 * 2 * 2 * 16 * 24
  assert sizes['lstm'] == 2 * 64 and sizes['lstm_256'] == 2 * 256
  assert isinstance(gpicl.make_model(config, 'outer_product_16'),
                    recurrent.OuterProductLSTM)
  assert len(set(sizes.values())) >= 6
  assert gpicl.make_apply(config, 'lstm') is gpicl.make_apply(
      small('digits_state', bias=.1), 'lstm')


@pytest.mark.parametrize('fields, text', [
    ({'arms': ('mlp', 'gru')}, "arms: no arm 'gru'; use some of class_mean, "),
    ({'reduce': 'pca'}, "reduce='pca'; use 'components' or 'pixels'"),
    ({'reduce': 'pixels', 'num_inputs': 15}, 'num_inputs=15 is no square'),
    ({'num_tasks': .5}, r'num_tasks=0.5; use 1 to 2\^31 - 1, or inf'),
    ({'num_tasks': 2.**31}, r'num_tasks=2147483648.0; use 1 to'),
    ({'sweep': 'num_tasks', 'sweep_values': (1., 0.)}, 'num_tasks=0.0; use 1'),
    ({'num_prompts': 65}, 'num_prompts=65 must be a multiple of '
     'eval_batch_size=32'),
    ({'classes': (3,)}, r'classes=\(3,\) must be two or more of 0 to 9'),
    ({'classes': (3, 10)}, r'classes=\(3, 10\) must be two or more'),
])
def test_values_that_cannot_be_meant_are_refused(fields, text):
  config = small(**fields)
  with pytest.raises(UserError, match=text):
    gpicl.run(config, Study('gpicl', 'smoke', config))
