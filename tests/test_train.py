"""The loop: its forms agree with a plain loop and with each other."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import kinds
import numpy as np
import optax
import pytest
import toy

from assay import train
from assay.errors import UserError
from assay.models import convolution as conv_lib
from assay.train import checkpoint, forms, items, lanes, loop, sharding


def settings(**fields):
  return train.Settings(**fields)


def plain_loop(seed, num_steps, tx):
  """The same training without `fit`: one jitted step after another."""
  src = toy.source((seed,))
  own = {k: v[0] for k, v in src.own.items()}
  init_key, key = jax.random.split(jax.random.key(seed))
  params = toy.init_variables(init_key)['params']
  opt_state = tx.init(params)
  losses, history = [], []
  for t in range(num_steps):
    draw_key, _ = jax.random.split(jax.random.fold_in(key, t))
    batch = toy.draw(src.shared, own, src.items(0, t, t + 1)[0], draw_key)
    (loss, _), grads = jax.value_and_grad(toy.loss_fn, has_aux=True)(
        params, {}, batch, None)
    updates, opt_state = tx.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    losses.append(float(loss))
    if (t + 1) % toy.STEPS_PER_EPOCH == 0:
      value = float(toy.select(params, {}, src.shared, own))
      history.append((value, t + 1, params))
  return params, losses, history


def test_fit_is_the_plain_loop():
  with jax.enable_x64(True):
    fitted = toy.fit((5, 7), 18)
    for i, seed in enumerate((5, 7)):
      params, losses, history = plain_loop(seed, 18, optax.adam(1e-2))
      best = min(history, key=lambda h: h[0])
      mine = jax.tree.map(lambda x, i=i: x[i], (
          fitted.state.params, fitted.best.params))
      chex.assert_trees_all_close(mine, (params, best[2]), rtol=1e-9)
      assert fitted.best.step[i] == best[1]
      np.testing.assert_allclose(fitted.best.value[i], best[0], rtol=1e-6)
      np.testing.assert_allclose(
          fitted.curves['loss'][:, i],
          np.mean(np.reshape(losses, (3, -1)), axis=1), rtol=1e-6)
      np.testing.assert_allclose(fitted.curves['val'][:, i],
                                 [h[0] for h in history], rtol=1e-6)
  np.testing.assert_array_equal(fitted.curves['step'], [6, 12, 18])


FORMS = [dict(steps_per_call=k, seed_map=m)
         for k, m in ((1, 'loop'), (2, 'vmap'), (6, 'loop'), (12, 'vmap'))]
MORE_FORMS = [dict(steps_per_call=k, seed_map=m)
              for k, m in ((1, 'vmap'), (2, 'loop'), (6, 'vmap'), (12, 'loop'),
                           (18, 'vmap'), (18, 'loop'))]


@pytest.mark.parametrize('form', FORMS + kinds.nightly(*MORE_FORMS), ids=str)
def test_every_form_computes_the_same(form):
  with jax.enable_x64(True):
    want = _reference()
    got = toy.fit(settings=settings(**form))
    chex.assert_trees_all_close(
        _arrays(got), _arrays(want), rtol=1e-6, atol=1e-12)
    chex.assert_trees_all_close(got.state.params, want.state.params, rtol=1e-10)


def _arrays(fitted):
  return (fitted.state.params, fitted.best.params, fitted.best.step,
          fitted.curves)


_cache = {}


def _reference():
  if 'reference' not in _cache:
    _cache['reference'] = toy.fit()
  return _cache['reference']


def test_one_step_per_call_holds_no_scan():
  one = lambda carry, item, shared, own: (carry, {'loss': item})
  chunk = lanes.make_chunk(one, None)
  text = lambda shape: str(jax.make_jaxpr(chunk)(
      0., ({}, 1), {}, jnp.ones(shape)))
  for shape, scans, whiles in (((1, 1), 0, 0), ((1, 3), 1, 0), ((2, 3), 1, 1),
                               ((2, 1), 0, 1)):
    assert text(shape).count('scan[') == scans, shape
    assert text(shape).count('while[') == whiles, shape


def test_what_is_compiled_at_once_is_not_compiled_again():
  counted = []
  jax.monitoring.register_event_duration_secs_listener(
      lambda name, seconds, **more: 'backend_compile' in name
      and counted.append(more.get('fun_name')))
  placed = lanes.Lanes(sharding.make_mesh({'seed': 2}), 'loop', 3)
  programs = {m: placed.program(lambda carry, shared, own: (
      carry + 41 * shared + own, carry), m) for m in set(placed.meshes)}
  calls = list(zip(placed.meshes, placed.put(np.arange(3.)), placed.share(1.),
                   placed.put(np.zeros(3)), strict=True))
  lanes._compile(programs, calls)
  assert counted.count('jit(program)') == 2
  found = [programs[m](*args)[0] for m, *args in calls]
  assert counted.count('jit(program)') == 2  # of two devices, for three seeds
  np.testing.assert_array_equal(np.concatenate(found), [41, 42, 43])


def convolution(params, extra, batch, key):
  del key
  x = batch['x'][:, None, :, None]
  kernel = params['w'][None, :, None, :1]
  out = jax.lax.conv_general_dilated(
      x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
  return jnp.mean(out ** 2), (extra, {})


def fast_convolution(params, extra, batch, key):
  del key
  out = conv_lib.convolve(batch['x'][:, None, :, None],
                                    params['w'][None, :, None, :1], (1, 1),
                                    'SAME')
  return jnp.mean(out ** 2), (extra, {})


def attention(params, extra, batch, key):
  del key
  x = (batch['x'] @ params['w']).reshape(1, -1, 2, 4)  # 2 heads of 4
  return jnp.mean(jax.nn.dot_product_attention(x, x, x) ** 2), (extra, {})


def test_forms_follow_device_and_model():
  started = lanes.start(train.make_init(toy.init_variables, optax.sgd(.1)),
                        False)
  src = toy.source((0,), num_steps=np.array([60]))
  mesh = sharding.make_mesh()
  chosen = []
  for loss in (toy.loss_fn, convolution, fast_convolution, attention):
    step = train.make_step(jax.value_and_grad(loss, has_aux=True),
                           optax.sgd(.1))
    one = lanes.make_one(step, toy.draw, mesh)
    names, held = forms.traced(one, started, src, items.first(src))
    assert names == ['grad_norm', 'loss', 'updates']
    chosen.append(forms.choose(settings(), held, 60, 6, 1))
  assert chosen == [forms.Form(6, 10, True, True, 'vmap'),
                    forms.Form(1, 1, False, False, 'loop'),
                    forms.Form(6, 10, True, True, 'loop'),
                    forms.Form(6, 10, True, True, 'loop')]


@pytest.mark.parametrize('held,want', [
    ('convolution', 'loop'), ('attention', 'vmap'), ('nothing', 'vmap')])
def test_forms_on_a_gpu(held, want, monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert forms.choose(settings(), {held}, 60, 6, 1).seed_map == want


@pytest.mark.parametrize('asked,num_steps,every,step_bytes,want', [
    (None, 6200, 62, 1, (62, 100, True)),
    (None, 620_000, 62, 1, (62, 161, True)),  # 10,000 steps at most
    (None, 600, 6, 1, (6, 100, True)),
    (None, 10_000, 2_000, 1, (16, 625, False)),  # a divisor of the point
    (None, 14_060, 703, 1, (1, 10_000, False)),  # 19 x 37
    (None, 600, 6, 2**24, (3, 1, False)),  # four fit, three divide six
    (None, 600, 6, 2**30, (1, 1, False)),  # none fits
    (100, 6200, 62, 1, (62, 1, True)),
    (7, 60, 6, 1, (6, 1, True)),
    (4, 60, 6, 1, (3, 1, False)),
    (10_000, 60, 6, 1, (6, 10, True)),
    (6, 60, 6, 2**30, (6, 1, True)),  # as asked
])
def test_calls_meet_the_selections(asked, num_steps, every, step_bytes, want):
  got = forms.choose(settings(steps_per_call=asked), set(), num_steps, every,
                     step_bytes)
  assert got == forms.Form(*want, asked is None, 'vmap')


def test_calls_without_selections_may_be_shorter_than_a_point():
  got = forms.choose(settings(), set(), 6200, 62, 1, selects=False)
  assert got == forms.Form(2, 3100, False, True, 'vmap')
  got = forms.choose(settings(), set(), 2500, 25, 1, selects=False)
  assert got == forms.Form(5, 500, False, True, 'vmap')


def planned(num_steps, every, validate, **form):
  """A `Plan` of which only its calls are asked for."""
  rest = dict.fromkeys(f.name for f in dataclasses.fields(loop.Plan))
  return loop.Plan(**rest | dict(
      num_steps=num_steps, eval_every=every, validate=validate, form=forms.Form(
          **dict(inside=False, paced=True, seed_map='vmap') | form)))


@pytest.mark.parametrize('validate', [None, 'some'])
@pytest.mark.parametrize('form,every', [
    (dict(row=6, rows=9, inside=True), 6), (dict(row=3, rows=9), 12),
    (dict(row=1, rows=9), 7), (dict(row=4, rows=9), 4), (dict(row=6, rows=1), 6)
])
def test_calls_make_each_step_once_whatever_their_length(validate, form, every):
  plan = planned(100, every, validate, **form)
  for seed in range(20):
    rng, step = np.random.default_rng(seed), int(seed > 15) * seed
    while step < 100:
      wanted = rng.integers(1, 12)
      call = plan.call(step, wanted)
      assert call.start == step and 1 <= call.steps <= 100 - step
      assert call.rows <= wanted and call.rows <= call.shape[0]
      assert (call.rows - 1) * call.shape[1] < call.steps <= (
          call.rows * call.shape[1])
      first, last = step // every, (call.end - 1) // every
      if plan.between:
        assert first == last  # a point is selected after its last call
      if plan.form.inside and validate:
        assert call.end % every == 0 or call.end == 100
      if first < last:
        assert call.end % every == 0 or call.end == 100
      step = call.end


def test_a_call_takes_two_seconds_whatever_a_step_takes(monkeypatch):
  now = [0.]
  monkeypatch.setattr(loop.time, 'monotonic', lambda: now[0])
  for seconds, want in ((1e-4, 1000), (0.01, 20), (0.5, 1), (30., 1)):
    plan = planned(10**6, 10, None, row=10, rows=1000)
    pace, step = loop.Pace(plan.form), 0
    for count in range(6):
      call = plan.call(step, pace.rows)
      assert call.rows == (1 if count < 2 else want)
      with pace.timed(call):
        now[0] += 30. * (count == 0) + call.steps * seconds  # compiled first
      pace.follow(call)
      step = call.end
  pace = loop.Pace(plan.form._replace(paced=False))
  assert pace.rows == 1000


@pytest.mark.parametrize('seed_map, whole', [
    ('vmap', False), *kinds.nightly(('vmap', True), ('loop', True))])
def test_the_length_of_a_call_changes_no_bit(seed_map, whole, tmp_path,
                                             monkeypatch):
  """Nor does another one after an interruption, wherever that was.

  Where a call is asked for that is shorter than a point, selection is a program
  of its own, and its value is the same up to rounding.
  """
  watch = {'norm': lambda params, *_: jnp.sum(params['w'] ** 2)}

  def run(fields, directory=None, seconds=1e-9):
    monkeypatch.setattr(loop, 'SECONDS', seconds)  # of a call that is paced
    fitted = toy.fit(
        num_steps=64, watch=watch, directory=directory, settings=settings(
            seed_map=seed_map, save_every=0, **fields))
    curves = dict(fitted.curves)
    return [fitted.state.replace(key=None), curves], [
        curves.pop('val'), fitted.best]

  want, selected = run({})  # the shortest calls, then the longest
  others, short = [run({}, None, 1e9)], [run(dict(steps_per_call=3))]
  changes = [(1e-9, 1e9, others), (1e-9, dict(steps_per_call=3), short)]
  if whole:
    others.append(run(dict(steps_per_call=12)))
    changes += [(dict(steps_per_call=12), 1e9, others),
                (dict(steps_per_call=2), 1e9, short)]
  for i, (first, then, alike) in enumerate(changes):
    fields = [{} if isinstance(x, float) else x for x in (first, then)]
    pace = [x if isinstance(x, float) else 1. for x in (first, then)]
    answers = iter([False, True])
    with pytest.raises(checkpoint.Interrupted):
      run(fields[0] | {'stopping': lambda: next(answers, True)},
          tmp_path / str(i), pace[0])
    alike.append(run(fields[1], tmp_path / str(i), pace[1]))
  for state, best in others:
    toy.assert_same_bits((state, best), (want, selected))
  for state, best in short:
    toy.assert_same_bits(state, want)
    chex.assert_trees_all_close(best, selected, rtol=1e-6)


def test_a_tail_shorter_than_a_call_changes_nothing():
  with jax.enable_x64(True):
    whole = toy.fit(num_steps=18)
    # Two points of 6 a call: the second call has one point.
    tail = toy.fit(num_steps=18, settings=settings(steps_per_call=12))
    chex.assert_trees_all_close(
        _arrays(tail), _arrays(whole), rtol=1e-6, atol=1e-12)
    uneven = toy.fit(num_steps=16)
    np.testing.assert_array_equal(uneven.state.step, 16)
    np.testing.assert_array_equal(uneven.curves['step'], [6, 12, 16])
    params, losses, _ = plain_loop(0, 16, optax.adam(1e-2))
    chex.assert_trees_all_close(
        jax.tree.map(lambda x: x[0], uneven.state.params), params, rtol=1e-9)
    np.testing.assert_allclose(uneven.curves['loss'][2, 0],
                               np.mean(losses[12:]), rtol=1e-6)


def test_ten_mapped_seeds_are_ten_single_ones():
  seeds = tuple(range(10))
  with jax.enable_x64(True):
    mapped = toy.fit(seeds, 20)
    for i in seeds:
      single = toy.fit((i,), 20)
      chex.assert_trees_all_close(
          jax.tree.map(lambda x, i=i: x[i:i + 1], mapped.state.params),
          single.state.params, rtol=1e-10)


@pytest.mark.parametrize('devices', [4, *kinds.nightly(1, 2)])
def test_devices_over_the_seed_axis(devices):
  fitted = toy.fit(num_steps=102, settings=settings(mesh={'seed': devices}))
  want = toy.fit(num_steps=102, settings=settings(mesh={'seed': 1},
                                                  seed_map='loop'))
  np.testing.assert_allclose(fitted.curves['loss'], want.curves['loss'],
                             rtol=1e-5)
  assert fitted.state.step.shape == (3,)  # padding to 4 is gone


@pytest.mark.parametrize('form, mesh', [
    ('vmap', {'data': 4}), ('loop', {'seed': 2, 'data': 2}), *kinds.nightly(
        ('loop', {'data': 4}), ('vmap', {'seed': 2, 'data': 2}),
        ('vmap', {'data': 2}), ('loop', {'data': 2}))])
def test_devices_over_the_data_axis(form, mesh):
  with jax.enable_x64(True):
    want = toy.fit(num_steps=102, settings=settings(mesh={'seed': 1}))
    got = toy.fit(num_steps=102, settings=settings(
        mesh={'seed': 1} | mesh, seed_map=form))
    chex.assert_trees_all_close(got.state.params, want.state.params, rtol=1e-9)


def test_parameters_are_split_over_data_by_rule_or_size():
  rules = (('params/w', jax.sharding.PartitionSpec(None, 'data')),)
  with jax.enable_x64(True):
    want = toy.fit(settings=settings(mesh={'seed': 1}))
    got = toy.fit(settings=settings(mesh={'seed': 2, 'data': 2}), rules=rules)
    chex.assert_trees_all_close(got.state.params, want.state.params, rtol=1e-9)
  mesh = sharding.make_mesh({'seed': 1, 'data': 4})
  shapes = {'big': jax.ShapeDtypeStruct((3, 64), jnp.float32),
            'odd': jax.ShapeDtypeStruct((3, 65), jnp.float32)}
  specs = sharding.state_specs(shapes, mesh, min_size=100)
  assert specs['big'] == jax.sharding.PartitionSpec(None, 'data')
  assert specs['odd'] == jax.sharding.PartitionSpec()
  assert sharding.state_specs(shapes, mesh)['big'] == (
      jax.sharding.PartitionSpec())


def test_rules_over_one_device_say_nothing_and_must_divide():
  P = jax.sharding.PartitionSpec
  shapes = {'w': jax.ShapeDtypeStruct((6, 64), jnp.float32)}
  specs = lambda mesh, rule: sharding.state_specs(
      shapes, sharding.make_mesh(mesh), (('w', rule),), min_size=100)['w']
  assert specs({'data': 2, 'model': 2}, P('model')) == P('model')
  assert specs({'data': 4, 'model': 1}, P('model')) == P(None, 'data')
  assert specs({'data': 2, 'model': 2}, P(None, ('data', 'model'))) == P(
      None, ('data', 'model'))
  with pytest.raises(UserError, match=r'w \[6, 64\] cannot be split.*model'):
    specs({'data': 1, 'model': 4}, P('model'))


def test_no_collective_crosses_the_seeds():
  src = toy.source((0, 1), num_steps=np.array([6, 6]))
  mesh = sharding.make_mesh({'seed': 2})
  tx = optax.adam(1e-2)
  step = train.make_step(jax.value_and_grad(toy.loss_fn, has_aux=True), tx)
  one = lanes.make_one(step, toy.draw, mesh)
  chunk = lanes.make_chunk(one, lanes.make_validate(toy.select, {}))
  both = lanes.Lanes(mesh, 'vmap', 2)
  carry, = both.start(lanes.start(train.make_init(toy.init_variables, tx),
                                  True), (0, 1), ())
  items = np.zeros((2, 3, 6, toy.BATCH), np.int32)
  text = both.program(chunk, mesh).lower(
      carry, both.share((src.shared, np.int32(2)))[0], both.put(src.own)[0],
      both.put(items)[0]).compile().as_text()
  assert 'while' in text  # the scan is there, so this is the program
  for word in ('all-reduce', 'all-gather', 'all-to-all', 'collective-permute'):
    assert word not in text


def test_a_batch_that_does_not_split_is_refused():
  with pytest.raises(UserError, match='batch of 4 .* data:3'):
    toy.fit((0,), settings=settings(mesh={'data': 3}))


def test_seeds_of_different_lengths():
  lengths = np.array([18, 7, 12], np.int32)
  tx = optax.chain(optax.scale_by_adam(),
                   train.scale_by_progress(lambda p: -0.1 * (1 - p)))
  with jax.enable_x64(True):
    fitted = toy.fit(num_steps=18, tx=tx, src=toy.source(
        (0, 1, 2), num_steps=lengths))
    np.testing.assert_array_equal(fitted.state.step, lengths)
    for i, length in enumerate(lengths):
      alone = toy.fit((i,), int(length), tx=tx)
      chex.assert_trees_all_close(
          jax.tree.map(lambda x, i=i: x[i:i + 1], fitted.state.params),
          alone.state.params, rtol=1e-9)
  assert np.isnan(fitted.curves['loss'][2, 1])  # no update after step 7
  assert np.isfinite(fitted.curves['loss'][2, 0])


def test_schedule_reads_the_share_of_steps_done():
  tx = train.scale_by_progress(lambda p: p)
  updates, _ = tx.update({'a': jnp.ones(2)}, tx.init({}), progress=0.25)
  np.testing.assert_array_equal(updates['a'], [0.25, 0.25])


def test_best_is_the_later_of_equals():
  fitted = toy.fit(tx=optax.sgd(0.))  # nothing moves: all values are equal
  np.testing.assert_array_equal(fitted.best.step, 18)
  np.testing.assert_array_equal(fitted.curves['val'][0],
                                fitted.curves['val'][2])


def test_watched_values_are_recorded_and_choose_nothing():
  norm = lambda params, extra, shared, own: jnp.sum(params['w'] ** 2)
  plain, watching = toy.fit(), toy.fit(watch={'norm': norm})
  toy.assert_same_bits(watching.best, plain.best)
  np.testing.assert_allclose(
      watching.curves['norm'][-1],
      np.sum(np.square(watching.state.params['w']), axis=(1, 2)), rtol=1e-5)
  alone = toy.fit(select=None, watch={'norm': norm})
  assert alone.best is None
  np.testing.assert_array_equal(alone.curves['norm'], watching.curves['norm'])


def _poisoned(at_step):
  """Seed position 1 gets one batch with an infinite target."""
  src = toy.source((0, 1, 2))
  own = src.own | {'bad_step': np.array([-1, at_step, -1], np.int32),
                   'step': np.zeros(3, np.int32)}
  items = lambda position, start, stop: np.concatenate(
      [src.items(position, start, stop),
       np.arange(start, stop)[:, None]], axis=1)

  def draw(shared, own, item, key):
    batch = toy.draw(shared, own, item[:-1], key)
    bad = item[-1] == own['bad_step']
    return batch | {'y': jnp.where(bad, jnp.inf, batch['y'])}

  return train.Source(src.shared, own, items), draw


@pytest.mark.parametrize('form', [{}, dict(steps_per_call=1, seed_map='loop')],
                         ids=str)
def test_a_seed_that_diverges_stops_and_the_others_go_on(form):
  src, draw = _poisoned(at_step=8)
  fitted = toy.fit(src=src, draw=draw, settings=settings(**form))
  assert fitted.broken == {1: (8, 'loss')}
  np.testing.assert_array_equal(fitted.state.step, [18, 8, 18])
  for leaf in jax.tree.leaves((fitted.state.params, fitted.state.opt_state)):
    assert np.isfinite(leaf).all()
  clean = toy.fit(settings=settings(**form))
  others = lambda tree: jax.tree.map(lambda x: x[np.array([0, 2])], tree)
  chex.assert_trees_all_close(
      others(fitted.state.params), others(clean.state.params), rtol=1e-5)
  np.testing.assert_allclose(fitted.curves['loss'][0, 1],
                             clean.curves['loss'][0, 1], rtol=1e-5)
  assert np.isnan(fitted.curves['loss'][2, 1])


def test_strict_and_all_diverged_are_errors():
  src, draw = _poisoned(at_step=8)
  with pytest.raises(UserError, match='seed 1: loss .* step 8.*learning rate'):
    toy.fit(src=src, draw=draw, settings=settings(strict=True))
  with pytest.raises(UserError, match='seed 0: .*seed 2: '):
    toy.fit(tx=optax.sgd(1e30))
  fitted = toy.fit(tx=optax.sgd(1e30), settings=settings(tolerant=True))
  assert sorted(fitted.broken) == [0, 1, 2]
  assert all('not finite after step' in why for why in fitted.why.values())


def test_a_lower_rate_is_advised_only_where_it_may_help():
  with pytest.raises(UserError, match='Lower the learning rate'):
    toy.fit(tx=optax.sgd(1e30))
  src = toy.source((0, 1, 2))
  x = src.shared['x'].copy()
  x[:, 1] = np.nan
  with pytest.raises(UserError, match='48 of the 144 values of x in the data '
                     'are NaN: replace them') as told:
    toy.fit(src=src._replace(shared=src.shared | {'x': x}))
  assert 'learning rate' not in str(told.value)

  def drawn(shared, own, item, key):
    batch = toy.draw(shared, own, item, key)
    return batch | {'y': batch['y'] - jnp.inf}  # as a field may make it

  with pytest.raises(UserError, match='step 0.* No update had been') as told:
    toy.fit(draw=drawn)
  assert 'learning rate' not in str(told.value)


@pytest.mark.parametrize('fields,word', [
    (dict(seed_map='map'), 'vmap or loop'),
    (dict(steps_per_call=-1), '1 or more'),
    (dict(mesh={'seed': 5}), 'needs 5 devices and there are 4'),
])
def test_bad_settings_are_refused(fields, word):
  with pytest.raises(UserError, match=word):
    toy.fit(settings=settings(**fields))


def test_no_steps_are_refused():
  with pytest.raises(UserError, match='num_steps=0.*at least one epoch'):
    toy.fit(num_steps=0)


def test_mesh_takes_what_is_left_over():
  shape = lambda *a: tuple(sharding.make_mesh(*a).shape.values())
  assert shape(None, 10) == (4, 1, 1)
  assert shape(None, 3) == (3, 1, 1)
  assert shape({'data': 2}, 10) == (2, 2, 1)
  assert shape({'model': 2}, 1) == (1, 1, 2)
