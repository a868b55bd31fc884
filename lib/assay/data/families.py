"""All hypotheses of a small family, so that what they share can be counted."""

import numpy as np


def automata(num_states=3, length=8):
  """All automata on two letters: what they do on all words of a length.

  Returns:
    chains int [T, X], a number for the states that a table of transitions goes
    through from state 0 on; last int [T, X], the state at the end; and accepts
    bool [A, num_states]. Hypotheses are pairs of a table and a row of accepts.
  """
  cells = 2 * num_states
  tables = _digits(num_states, cells).reshape(-1, num_states, 2)
  words = _digits(2, length)
  state = np.zeros((len(tables), len(words)), int)
  chains = np.zeros_like(state)
  for t in range(length):
    state = tables[np.arange(len(tables))[:, None], state, words[None, :, t]]
    chains = num_states * chains + state
  return chains, state, _digits(2, num_states).astype(bool)


def automata_beside(table, row, num_states=3, length=8):
  """(agrees by chain, agrees by answer, wrong) of all automata beside one.

  Args:
    table, row: the one, as indices of `automata`.
    num_states, length: as of `automata`.

  Returns:
    Three bool [T * A, X].
  """
  chains, last, accepts = automata(num_states, length)
  answers = accepts[:, last].swapaxes(0, 1).reshape(-1, last.shape[1])
  same = answers == accepts[row][last[table]]
  chain = np.repeat(chains == chains[table], len(accepts), axis=0)
  return chain & same, same, ~same


def linear_maps(dimension=4, num_steps=3):
  """All maps x -> A x over two elements, repeated: int [steps, H, X].

  Row t has the vector after t + 1 steps as a number, of all inputs but 0.
  """
  size = 2 ** dimension
  inputs = np.arange(1, size)
  images = _digits(size, dimension)  # of the unit vectors
  table = np.zeros((len(images), size), int)
  for i in range(dimension):
    bit = np.arange(size) >> i & 1
    table ^= bit * images[:, i:i + 1]
  made, x = [], np.broadcast_to(inputs, (len(table), len(inputs)))
  for _ in range(num_steps):
    x = np.take_along_axis(table, x, axis=1)
    made.append(x)
  return np.stack(made)


def linear_maps_beside(target, dimension=4, num_steps=3):
  """As `automata_beside`, of a linear map; the last vector is the answer."""
  made = linear_maps(dimension, num_steps)
  same = made == made[:, target:target + 1]
  return same.all(axis=0), same[-1], ~same[-1]


def _digits(base, count):
  """All numbers of `count` digits, [base ** count, count], in order."""
  places = base ** np.arange(count - 1, -1, -1)
  return np.arange(base ** count)[:, None] // places % base
