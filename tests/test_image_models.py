"""assay.models: image classifiers against a NumPy reference and known sizes."""
import functools

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from assay.models import cnn, densenet, mlp, resnet, vgg


def dense_block(pixels, first, layers):
  """Multiplications of layers that read `first`, `first` + 32, ... features."""
  return pixels * sum((first + 32 * i) * 128 + 9 * 128 * 32
                      for i in range(layers))


# Published parameters for ten classes, and multiplications for one 32x32x3
# image by hand: pixels times kernel, stem and each stage apart.
FULL = {
    'resnet18': (resnet.resnet18, 11_173_962, 1024 * 9 * (3 * 64 + 4 * 64**2)
                 + 3 * 256 * 64**2 * (18 + 3 * 36 + 2)),
    'resnet34': (resnet.resnet34, 21_282_122, 1024 * 9 * (3 * 64 + 6 * 64**2)
                 + 256 * 64**2 * (3 * (18 + 2) + (7 + 11 + 5) * 36)),
    'wide_resnet': (resnet.WideResNet, 36_479_194, 1024 * 9 * 3 * 16
                    + 1024 * (10 * 16 * 160 + 7 * 9 * 160**2)
                    + 256 * (10 * 160 * 320 + 7 * 9 * 320**2)
                    + 64 * (10 * 320 * 640 + 7 * 9 * 640**2)),
    'vgg19': (vgg.vgg19, 20_040_522, 9 * (
        1024 * (3 * 64 + 64**2) + 256 * (64 * 128 + 128**2)
        + 64 * (128 * 256 + 3 * 256**2) + 16 * (256 * 512 + 3 * 512**2)
        + 4 * 4 * 512**2)),
    'densenet121': (densenet.densenet121, 6_956_298, 1024 * 9 * 3 * 64
                    + dense_block(1024, 64, 6) + 1024 * 256 * 128
                    + dense_block(256, 128, 12) + 256 * 512 * 256
                    + dense_block(64, 256, 24) + 64 * 1024 * 512
                    + dense_block(16, 512, 16)),
}
TINY = {
    'cnn': functools.partial(cnn.CNN, (4, 6), 3),
    'cnn_normalized': functools.partial(cnn.CNN, (4, 6), 3, normalize=True),
    'mlp': functools.partial(mlp.ImageMLP, (4, 6), 3),
    'mlp_normalized': functools.partial(mlp.ImageMLP, (4, 6), 3,
                                        normalize=True),
    'resnet': functools.partial(resnet.ResNet, (1, 1), 3, width=4),
    'wide_resnet': functools.partial(resnet.WideResNet, 10, 1, 3),
    'vgg': functools.partial(vgg.VGG, ((4,), (6, 5)), 3),
    'densenet': functools.partial(densenet.DenseNet, (2, 2), 3, growth=4),
}
NORMALIZED = [name for name in TINY if name not in ('cnn', 'mlp')]
X = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)


def abstract(model, size=32):
  """Variables of `model` without values."""
  return jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct(
      (1, size, size, 3), jnp.float32))


def count(variables):
  return sum(p.size for p in jax.tree.leaves(variables['params']))


def convolutions(model, variables, size=32):
  """Output shape, kernel shape and dtypes of each convolution."""
  jaxpr = jax.make_jaxpr(model.apply)(variables, jax.ShapeDtypeStruct(
      (1, size, size, 3), jnp.float32))
  return [(e.outvars[0].aval.shape, e.invars[1].aval.shape,
           {v.aval.dtype for v in (*e.invars, *e.outvars)})
          for e in jaxpr.eqns if e.primitive.name == 'convolve']


# --- The networks at their published sizes ------------------------------------


@pytest.mark.parametrize('name', FULL)
def test_published_size_and_cost(name):
  make, num_parameters, multiplications = FULL[name]
  model = make(num_classes=10)
  variables = abstract(model)
  assert count(variables) == num_parameters
  # The cost tells where images are halved, of which no parameter knows.
  assert multiplications == sum(
      np.prod(out) * np.prod(kernel[:3])
      for out, kernel, _ in convolutions(model, variables))


@pytest.mark.parametrize('shape, pixels', [
    ((56, 28, 1), 7 * 4), ((28, 28, 1), 4 * 4), ((16, 8, 1), 2 * 1)])
@pytest.mark.parametrize('normalize', [False, True])
def test_cnn_size_by_hand(shape, pixels, normalize):
  variables = jax.eval_shape(cnn.CNN(normalize=normalize).init,
                             jax.random.key(0), jnp.zeros((1, *shape)))
  # Three kernels, then a bias (or a scale and a bias) for each feature.
  want = 9 * (1 * 16 + 16 * 32 + 32 * 32) + (1 + normalize) * (16 + 32 + 32)
  assert count(variables) == want + pixels * 32 * 2 + 2
  assert ('batch_stats' in variables) == normalize


# --- Small ones, run ----------------------------------------------------------


@functools.cache
def variables_of(name):
  """Kernels of order 1; statistics, scales and biases away from 0 and 1."""
  rng = np.random.default_rng(1)
  return jax.tree.map_with_path(
      lambda path, p: np.float32(
          rng.normal(size=p.shape) / np.sqrt(np.prod(p.shape[:-1]))
          if path[-1].key == 'kernel' else
          rng.uniform(0.1, 0.5, p.shape) + (path[-1].key in ('scale', 'var'))),
      abstract(TINY[name](), size=8))


@functools.cache
def evaluated(name):
  """`(variables, x) -> (logits, new statistics)` at train=False, compiled."""
  return jax.jit(functools.partial(TINY[name]().apply, mutable='batch_stats'))


@functools.cache
def trained(name):
  """`(variables, x) -> (logits, new statistics, gradient)`, compiled."""
  model = TINY[name]()
  weights = np.sin(np.arange(15.)).reshape(5, 3)

  @jax.jit
  def train(variables, x):
    def loss(params):
      logits, new = model.apply(variables | {'params': params}, x, train=True,
                                mutable='batch_stats')
      return jnp.sum(weights * logits), (logits, new)
    grads, aux = jax.grad(loss, has_aux=True)(variables['params'])
    return *aux, grads

  return train


@functools.cache
def reference(name, train):
  """The same in NumPy with float64, written from the papers."""
  tree = jax.tree.map(lambda p: np.asarray(p, np.float64), variables_of(name))
  new = {}

  def conv(x, path, stride=1):
    p = at(tree['params'], path)
    k = p['kernel'].shape[0]
    x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    height, width = ((n - k) // stride + 1 for n in x.shape[1:3])
    return p.get('bias', 0) + sum(
        x[:, i:i + stride * height:stride, j:j + stride * width:stride]
        [:, :height, :width] @ p['kernel'][i, j]
        for i in range(k) for j in range(k))

  def norm(x, path):
    p, old = at(tree['params'], path), at(tree['batch_stats'], path)
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axes), x.var(axes)
    for name, value in (('mean', mean), ('var', var)):
      new[path + '/' + name] = .9 * old[name] + .1 * value
    if not train:
      mean, var = old['mean'], old['var']
    return (x - mean) / np.sqrt(var + 1e-5) * p['scale'] + p['bias']

  def dense(x, path='Dense_0'):
    p = tree['params'][path]
    return x @ p['kernel'] + p.get('bias', 0)

  relu = lambda x: np.maximum(x, 0)
  pool = lambda x, how: how(x.reshape(
      len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1), axis=(2, 4))
  average = lambda x: x.mean((1, 2))
  x = X.astype(np.float64)
  if name.startswith('cnn'):
    for i in range(2):
      x = conv(x, f'Conv_{i}', 2)
      x = relu(norm(x, f'BatchNorm_{i}') if name == 'cnn_normalized' else x)
    logits = dense(x.reshape(len(x), -1))
  elif name.startswith('mlp'):
    x = x.reshape(len(x), -1)
    for i in range(2):
      x = dense(x, f'Dense_{i}')
      x = relu(norm(x, f'BatchNorm_{i}') if name == 'mlp_normalized' else x)
    logits = dense(x, 'Dense_2')
  elif name == 'resnet':
    x = relu(norm(conv(x, 'Conv_0'), 'BatchNorm_0'))
    for i, stride in enumerate((1, 2)):
      c, b = f'Block_{i}/Conv_', f'Block_{i}/BatchNorm_'
      y = relu(norm(conv(x, c + '0', stride), b + '0'))
      y = norm(conv(y, c + '1'), b + '1')
      if i == 1:
        x = norm(conv(x, c + '2', stride), b + '2')
      x = relu(x + y)
    logits = dense(average(x))
  elif name == 'wide_resnet':
    x = conv(x, 'Conv_0')
    for i, stride in enumerate((1, 2, 2)):
      c, b = f'WideBlock_{i}/Conv_', f'WideBlock_{i}/BatchNorm_'
      y = relu(norm(x, b + '0'))
      first = 0
      if i > 0:  # 16 features stay 16 in the first stage
        x, first = conv(y, c + '0', stride), 1
      y = relu(norm(conv(y, f'{c}{first}', stride), b + '1'))
      x = x + conv(y, f'{c}{first + 1}')
    logits = dense(average(relu(norm(x, 'BatchNorm_0'))))
  elif name == 'vgg':
    for i, last in enumerate((True, False, True)):
      x = relu(norm(conv(x, f'Conv_{i}'), f'BatchNorm_{i}'))
      x = pool(x, np.max) if last else x
    logits = dense(average(x))
  elif name == 'densenet':
    layer = iter(range(100))
    x, i = conv(x, 'Conv_0'), 0
    for block in range(2):
      if block == 1:
        i = next(layer)
        x = conv(relu(norm(x, f'BatchNorm_{i}')), f'Conv_{i + 1}')
        x = pool(x, np.mean)
      for _ in range(2):
        i, j = next(layer), next(layer)
        y = conv(relu(norm(x, f'BatchNorm_{i}')), f'Conv_{i + 1}')
        y = conv(relu(norm(y, f'BatchNorm_{j}')), f'Conv_{j + 1}')
        x = np.concatenate([x, y], -1)
    logits = dense(average(relu(norm(x, f'BatchNorm_{next(layer)}'))))
  return logits, new


def at(tree, path):
  return functools.reduce(lambda node, name: node[name], path.split('/'), tree)


@pytest.mark.parametrize('train', [False, True])
@pytest.mark.parametrize('name', TINY)
def test_forward_pass_against_numpy(name, train):
  run = trained(name) if train else evaluated(name)
  logits, new = run(variables_of(name), X)[:2]
  want, want_new = reference(name, train)
  assert logits.shape == (5, 3) and logits.dtype == jnp.float32
  np.testing.assert_allclose(logits, want, rtol=2e-4, atol=2e-5)
  if train and name in NORMALIZED:
    got = traverse_util.flatten_dict(new['batch_stats'], sep='/')
    assert set(got) == set(want_new)
    for path, value in want_new.items():
      np.testing.assert_allclose(got[path], value, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize('name', NORMALIZED)
def test_statistics_change_in_training_only(name):
  variables = variables_of(name)
  _, new = evaluated(name)(variables, X)
  jax.tree.map(np.testing.assert_array_equal, new['batch_stats'],
               variables['batch_stats'])
  _, new, _ = trained(name)(variables, X)
  jax.tree.map(lambda n, o: np.testing.assert_array_less(0, np.abs(n - o)),
               new['batch_stats'], variables['batch_stats'])


@pytest.mark.parametrize('name', TINY)
def test_evaluation_looks_at_each_example_alone(name):
  apply, variables = evaluated(name), variables_of(name)
  logits, _ = apply(variables, X)
  others = np.concatenate([X[:2], 10 * X[:3]])
  np.testing.assert_allclose(apply(variables, others)[0][:2], logits[:2],
                             rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(apply(variables, X[::-1])[0], logits[::-1],
                             rtol=1e-5, atol=1e-5)
  assert (np.ptp(logits, axis=0) > 1e-3).all()
  if name in NORMALIZED:
    train = trained(name)
    assert np.abs(train(variables, others)[0][:2]
                  - train(variables, X)[0][:2]).max() > 1e-3


@pytest.mark.parametrize('name', TINY)
def test_gradient_reaches_every_parameter(name):
  _, _, grads = trained(name)(variables_of(name), X)
  grads = traverse_util.flatten_dict(grads, sep='/')
  for path, g in grads.items():
    largest = np.abs(g).max()
    if name == 'vgg' and 'Conv' in path and path.endswith('bias'):
      assert largest < 1e-4  # the mean is taken away behind it
    else:
      assert np.isfinite(g).all() and largest > 1e-3, path


@pytest.mark.parametrize('name', [n for n in TINY if not n.startswith('mlp')])
def test_bfloat16_is_of_the_convolutions_only(name):
  model = TINY[name](dtype=jnp.bfloat16)
  variables = abstract(model, size=8)
  assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
  found = convolutions(model, variables, size=8)
  assert found
  for _, _, dtypes in found:
    assert dtypes == {jnp.dtype('bfloat16')}
  logits, new = jax.eval_shape(
      lambda v, x: model.apply(v, x, train=True, mutable='batch_stats'),
      variables, jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.bfloat16))
  assert (logits.shape, logits.dtype) == ((2, 3), jnp.float32)
  assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(new))


def test_bfloat16_is_close():
  model = TINY['resnet'](dtype=jnp.bfloat16)
  logits = jax.jit(model.apply)(variables_of('resnet'), X)
  want = reference('resnet', False)[0]
  error = np.abs(logits - want).max() / np.abs(want).max()
  assert 1e-5 < error < 0.05


# --- Initialization, dropout, errors ------------------------------------------


@pytest.mark.parametrize('model', [
    resnet.ResNet((), 3, width=64), vgg.VGG(((64,),), 3),
    densenet.DenseNet((0,), 3, growth=32)])
def test_kernels_are_normal_by_fan_out(model):
  variables = jax.jit(model.init)(jax.random.key(3), X[:1])
  kernel = np.asarray(variables['params']['Conv_0']['kernel'])
  assert kernel.shape == (3, 3, 3, 64)
  values = kernel.ravel() * np.sqrt(9 * 64 / 2)
  np.testing.assert_allclose(values.var(), 1, rtol=4 * np.sqrt(2 / values.size))
  assert stats.kstest(values, stats.norm.cdf).pvalue > 1e-4
  assert (variables['params']['Dense_0']['bias'] == 0).all()


def test_dropout_is_of_training_and_needs_a_key():
  variables = variables_of('wide_resnet')
  model = resnet.WideResNet(10, 1, 3, dropout_rate=0.5)
  plain = TINY['wide_resnet']()
  assert str(jax.make_jaxpr(model.apply)(variables, X)) == str(
      jax.make_jaxpr(plain.apply)(variables, X))
  train = jax.jit(lambda variables, key: model.apply(
      variables, X, train=True, mutable='batch_stats',
      rngs={'dropout': key})[0])
  first, second, again = (train(variables, jax.random.key(i))
                          for i in (0, 1, 0))
  assert np.abs(first - second).max() > 1e-3
  np.testing.assert_array_equal(first, again)
  with pytest.raises(Exception, match='dropout'):
    jax.eval_shape(lambda: model.apply(variables, X, train=True,
                                       mutable='batch_stats'))


@pytest.mark.parametrize('model, size, message', [
    (resnet.WideResNet(depth=27), 32, 'depth=27'),
    (resnet.WideResNet(depth=4), 32, 'depth=4'),
    (vgg.vgg19(num_classes=10), 28, '32 pixels.*28x28'),
    (densenet.densenet121(num_classes=10), 7, '8 pixels.*7x7')])
def test_errors_name_the_value_and_the_bound(model, size, message):
  with pytest.raises(ValueError, match=message):
    abstract(model, size)
