"""Speed of tiny language models: training, writing; a miss is no error.

  python -m benchmarks.tiny_lm [--only=train,write] [--quick] [--json=FILE]

Training takes turns with a step written by hand, see `benchmarks.in_context`;
writing with a sampler written by hand for prompts of one length, the cache of
each layer an array of its own, in one compiled loop.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from assay import keys, papers
from assay.data import texts
from assay.models import sampling, transformer
from assay.testbeds import tiny_lm
from benchmarks import in_context, measuring

PAPER = 'cot_mirage_dataalchemy'
# 231 thousand weights, 512 prompts of 16 tokens, 24 written.
WIDTH, LAYERS, HEADS, VOCABULARY, PROMPT, WRITTEN = 96, 2, 4, 40, 16, 24


def loss_by_hand(num_layers, vocabulary):
  def loss(params, batch):
    log_p = jax.nn.log_softmax(in_context.forward(
        params, jax.nn.one_hot(batch['x'], vocabulary), num_layers))
    each = jnp.take_along_axis(log_p, batch['y'][..., None], -1)[..., 0]
    return -jnp.sum(each * batch['mask']) / jnp.sum(batch['mask'])

  return loss


def measure_train(report, quick):
  arm = papers.load(PAPER).ARMS['learned']
  net = in_context.one_seed(PAPER, 'pairs', 1, None)[0].net
  task = arm.task(net)
  model = tiny_lm.make_model(net, task)
  start = model.init(jax.random.key(0), jnp.zeros(
      (1, task.length - 1), jnp.int32))['params']
  own = {'data_seed': jnp.int32(0), 'num_examples': jnp.int32(0)}

  def train_for(num_steps, progress):
    # Forty points of a curve, each a call.
    num_steps = max(num_steps, in_context.STEPS * 40 * (not quick))
    config, block = in_context.one_seed(PAPER, 'pairs', num_steps, progress)
    tiny_lm.fit(config, block, arm, task)

  in_context.take_turns(
      report, quick, 'tiny_lm xs', net.batch_size * (task.length - 1),
      train_for, start, loss_by_hand(net.num_layers, texts.size_of(task)),
      texts.draw_lines(task, net.batch_size), {}, own)


def write_by_hand(params, prompts, key):
  """Sampled tokens [B, WRITTEN] after prompts [B, PROMPT]; none ends early."""
  dense = lambda p, x: x @ p['kernel'] + p['bias']
  size, total = len(prompts), PROMPT + WRITTEN

  def block(p, x, read):
    y = in_context.normalized(p['attention_norm'], x)
    q, k, v = jnp.moveaxis(jnp.tensordot(
        y, p['attention_in']['kernel'], 1) + p['attention_in']['bias'], -3, 0)
    mixed, kept = read(q, k, v)
    x = x + jnp.einsum('...hd,hdw->...w', mixed, p['attention_out'][
        'kernel']) + p['attention_out']['bias']
    y = in_context.normalized(p['mlp_norm'], x)
    return x + dense(p['mlp_out'], jax.nn.gelu(dense(p['mlp_in'], y))), kept

  def through(tokens, positions, reads):
    x = params['read_in']['kernel'][tokens] + params['read_in']['bias'] + (
        params['position_table'][positions])
    kept = []
    for i, read in enumerate(reads):
      x, cache = block(params[f'blocks_{i}'], x, read)
      kept.append(cache)
    return dense(params['read_out'], in_context.normalized(
        params['norm'], x)), kept

  def whole(q, k, v):
    future = jnp.triu(jnp.full((PROMPT, PROMPT), -1e30), 1)
    scores = jnp.einsum('bthd,bshd->bhts', q, k) * q.shape[-1] ** -.5
    pad = lambda x: jnp.pad(x, ((0, 0), (0, WRITTEN), (0, 0), (0, 0)))
    return jnp.einsum('bhts,bshd->bthd', jax.nn.softmax(scores + future), v), (
        pad(k), pad(v))

  def one(at, cache):
    def read(q, k, v):
      keys_, values = (jax.lax.dynamic_update_slice_in_dim(
          old, new[:, None], at, 1) for old, new in zip(
              cache, (k, v), strict=True))
      scores = jnp.einsum('bhd,bshd->bhs', q, keys_) * q.shape[-1] ** -.5
      scores = jnp.where(jnp.arange(total) <= at, scores, -1e30)
      return jnp.einsum('bhs,bshd->bhd', jax.nn.softmax(scores), values), (
          keys_, values)

    return read

  def step(t, carry):
    logits, caches, made = carry
    token = jax.random.categorical(jax.random.fold_in(key, t), logits)
    made = made.at[:, t].set(token)
    logits, caches = through(token, PROMPT + t, [
        one(PROMPT + t, cache) for cache in caches])
    return logits, caches, made

  logits, caches = through(prompts, jnp.arange(PROMPT), [whole] * LAYERS)
  return jax.lax.fori_loop(0, WRITTEN, step, (
      logits[:, -1], caches, jnp.zeros((size, WRITTEN), jnp.int32)))[2]


def measure_write(report, quick):
  size = 32 if quick else 512
  model = transformer.Transformer(
      WIDTH, LAYERS, HEADS, VOCABULARY, vocabulary=VOCABULARY,
      max_length=PROMPT + WRITTEN)
  prompts = np.random.default_rng(0).integers(
      3, VOCABULARY, (size, PROMPT)).astype(np.int32)
  params = model.init(jax.random.key(0), prompts)['params']
  report('weights of the model that writes', '', [sum(
      x.size for x in jax.tree.leaves(params))])
  of_rows = keys.each(jax.random.key(1), jnp.arange(size))
  lengths = np.full(size, PROMPT, np.int32)
  # No token ends: both write all.
  ours = jax.jit(lambda params: sampling.sample(
      model, {'params': params}, prompts, lengths, of_rows, eos=-1,
      num_tokens=WRITTEN).tokens)
  hand = jax.jit(lambda params: write_by_hand(
      params, prompts, jax.random.key(1)))
  seconds = {'ours': [], 'by hand': []}
  for i in range(4 if quick else 11):  # the first compiles
    for name, function in (('ours', ours), ('by hand', hand)):
      begin = time.perf_counter()
      function(params).block_until_ready()
      if i:
        seconds[name].append(time.perf_counter() - begin)
  mine, theirs = (np.array(x) for x in seconds.values())
  report(f'{size} completions of {WRITTEN} tokens', 's', mine, at_most=0.5)
  report('writing: by hand / ours', '', theirs / mine, at_least=0.95)


MEASURES = {'train': measure_train, 'write': measure_write}


if __name__ == '__main__':
  sys.exit(measuring.main(
      sys.argv[1:], 'tiny_lm', 'Measures tiny language models beside what is '
      'written by hand; two minutes on two cores.', MEASURES))
