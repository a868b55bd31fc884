"""ResNet-18 trained in plain JAX: batches, crops, the network, SGD, a scan."""
import jax
from jax import lax
import jax.numpy as jnp


def convolution(p, x, stride=1):
  kernel = p['kernel'].astype(x.dtype)
  return lax.conv_general_dilated(
      x, kernel, (stride, stride), [(kernel.shape[0] // 2,) * 2] * 2,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


def normalized(p, x):
  """Of a batch, and its mean and variance."""
  wide = x.astype(jnp.float32)
  mean = jnp.mean(wide, (0, 1, 2))
  var = jnp.mean(wide * wide, (0, 1, 2)) - mean * mean
  out = (wide - mean) * (lax.rsqrt(var + 1e-5) * p['scale']) + p['bias']
  return out.astype(x.dtype), {'mean': mean, 'var': var}


def block(p, x, stride):
  found = {}
  y, found['BatchNorm_0'] = normalized(
      p['BatchNorm_0'], convolution(p['Conv_0'], x, stride))
  y, found['BatchNorm_1'] = normalized(
      p['BatchNorm_1'], convolution(p['Conv_1'], jax.nn.relu(y)))
  if 'Conv_2' in p:
    x, found['BatchNorm_2'] = normalized(
        p['BatchNorm_2'], convolution(p['Conv_2'], x, stride))
  return jax.nn.relu(x + y), found


def forward(params, x, dtype):
  """Logits [B, K] of images [B, H, W, C], and statistics of the batch."""
  found = {}
  x, found['BatchNorm_0'] = normalized(
      params['BatchNorm_0'], convolution(params['Conv_0'], x.astype(dtype)))
  x = jax.nn.relu(x)
  for i in range(8):
    stride = 2 if i in (2, 4, 6) else 1
    x, found[f'Block_{i}'] = block(params[f'Block_{i}'], x, stride)
  x = jnp.mean(x, (1, 2), dtype=jnp.float32)
  return x @ params['Dense_0']['kernel'] + params['Dense_0']['bias'], found


def batch(data, items, key, mean, std):
  """Images [B, H, W, C], cropped and flipped, and labels [B]."""
  images, size = data['x'][items], data['x'].shape[1]
  x = (images.astype(jnp.float32) / 255 - mean) / std
  crop_key, flip_key = jax.random.split(key)
  corners = jax.random.randint(crop_key, (len(items), 2), 0, 9)
  black = jnp.broadcast_to(-mean / std, (len(items), size + 8, size + 8, 3))
  padded = black.at[:, 4:-4, 4:-4].set(x)
  x = jax.vmap(lambda image, at: lax.dynamic_slice(
      image, (at[0], at[1], 0), (size, size, 3)))(padded, corners)
  flip = jax.random.bernoulli(flip_key, shape=(len(items), 1, 1, 1))
  return jnp.where(flip, x[:, :, ::-1], x), data['y'][items]


def trainer(data, mean, std, dtype, rate=.1, momentum=.9, decay=5e-4):
  """`(carry, items [n, B]) -> (carry, losses [n])`, n steps in one call.

  The carry: parameters, running statistics, momenta and the count of steps.
  """

  def step(carry, items):
    params, running, velocity, count = carry
    x, y = batch(data, items, jax.random.fold_in(jax.random.key(1), count),
                 mean, std)

    def loss_fn(params):
      logits, found = forward(params, x, dtype)
      log_p = jax.nn.log_softmax(logits)
      return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], 1)), found

    (loss, found), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
    running = jax.tree.map(lambda a, b: .9 * a + .1 * b, running, found)
    velocity = jax.tree.map(lambda v, g, p: momentum * v + g + decay * p,
                            velocity, grads, params)
    params = jax.tree.map(lambda p, v: p - rate * v, params, velocity)
    return (params, running, velocity, count + 1), loss

  return jax.jit(lambda carry, items: lax.scan(step, carry, items),
                 donate_argnums=0)
