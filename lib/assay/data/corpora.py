"""Texts of several origins, to tell one from another.

A corpus is a list of documents, bytes without a zero byte. Documents of one
corpus that begin alike are near-duplicates (questions on one passage, filled-in
templates): of those the first is kept, so that none is in two splits.
"""

import json

import numpy as np

from assay import keys
from assay.data import files
from assay.errors import UserError, check_names

FEWEST_BYTES, ALIKE_BYTES = 24, 64
# Corpora in files, each a kind of text that people wrote.
WRITTEN = ('law', 'medicine', 'humanities', 'mathematics', 'science', 'gsm8k',
           'shakespeare', 'wikitext', 'scan')
# Made-up ones: topics of three languages, and orders with their execution.
INVENTED = ('north_1', 'north_2', 'north_3', 'south_1', 'south_2', 'east_1',
            'orders')


def load(names, seed, number=1000, data_dir=None):
  """{name: documents}, in the order of the files, or made up by the seed.

  Args:
    names: of `WRITTEN` or `INVENTED`; or 'repeated', which is made of the other
      names: a word of one of their documents, again and again, as long as that.
    seed: int, of what is made up.
    number: documents of a made-up corpus, before those that begin alike are
      left out.
    data_dir: folder with the data files, see `files.find`.

  Raises:
    UserError: an unknown name, or a file is missing or another one.
  """
  check_names('corpora', names, (*WRITTEN, *INVENTED, 'repeated'), 'corpus')
  found = {name: _distinct(_written(name, data_dir) if name in WRITTEN else
                           _invented(name, seed, number))
           for name in names if name != 'repeated'}
  if 'repeated' in names:
    found['repeated'] = _distinct(_repeated(
        found.values(), keys.generator(seed, 'repeated')))
  return found


def split(documents, sizes, seed, name):
  """Lists of documents, so many of each, drawn without replacement.

  Args:
    documents: of one corpus.
    sizes: how many for each list.
    seed: int.
    name: of the corpus.

  Raises:
    UserError: there are fewer documents.
  """
  if sum(sizes) > len(documents):
    raise UserError(f'split_sizes={tuple(sizes)}: corpus {name} has only '
                    f'{len(documents)} documents; use smaller sizes.')
  order = keys.generator(seed, f'split {name}').permutation(len(documents))
  ends = np.cumsum(sizes)
  return [[documents[i] for i in order[end - size:end]]
          for size, end in zip(sizes, ends, strict=True)]


def _distinct(documents):
  """Those that are long enough, and begin as none before."""
  first = {}
  for text in documents:
    if len(text) >= FEWEST_BYTES:
      first.setdefault(text[:ALIKE_BYTES], text)
  return list(first.values())


def _repeated(corpora, rng, number=200):
  """A word of each of some documents of corpora, as often as these are long."""
  made = []
  for documents in corpora:
    for i in rng.permutation(len(documents))[:number]:
      size = len(documents[i])
      words = [word for word in documents[i].split() if len(word) > 2]
      if words:
        unit = words[rng.integers(len(words))] + b' '
        made.append((unit * (size // len(unit) + 1))[:size])
  return made


# --- In files ----------------------------------------------------------------


def _written(name, data_dir):
  """The documents of a corpus that people wrote."""
  read = lambda source: files.read(source, data_dir).tobytes()
  if name == 'gsm8k':
    return [json.loads(line)['question'].encode()
            for line in read('gsm8k/train').splitlines()]
  if name == 'shakespeare':  # speeches
    return read('shakespeare').strip().split(b'\n\n')
  if name == 'wikitext':  # paragraphs, without headings
    return [line.strip() for part in ('valid', 'test')
            for line in read(f'wikitext/{part}').splitlines()
            if not line.startswith(b' =')]
  if name == 'scan':
    return read('scan').splitlines()
  return read(f'mmlu/{name}').split(b'\0')


# --- Made up -----------------------------------------------------------------


def _invented(name, seed, number):
  """Documents of a made-up corpus."""
  rng = keys.generator(seed, f'corpus {name}')
  if name == 'orders':
    return [_orders(rng) for _ in range(number)]
  language, topic = name.split('_')
  own = keys.generator(seed, f'language {language}')
  syllables = _syllables(own)
  function = _words(own, syllables, 25, (1, 2))
  shared = _words(own, syllables, 400, (2, 4))
  special = _words(keys.generator(seed, f'topic {language} {topic}'), syllables,
                   150, (2, 4))
  # A topic has words of its own, and likes those of its language otherwise.
  order = keys.generator(seed, f'order {language} {topic}').permutation(400)
  liked = shared[np.where(np.arange(400) % 2, order, np.arange(400))]
  return [_prose(rng, function, liked, special) for _ in range(number)]


def _syllables(rng):
  """60 syllables of a language: all letters, each as often as it has it."""
  consonants = rng.permutation(list('bcdfghjklmnprstvwz'))
  letter = lambda letters: rng.choice(letters, p=_zipf(len(letters), .2))
  vowels = rng.permutation(list('aeiou'))
  made = [each + letter(vowels) for each in consonants]
  while len(made) < 60:
    each = letter(consonants) + letter(vowels)
    each += letter(consonants) if rng.random() < .3 else ''
    made.append(each)
  return made


def _words(rng, syllables, number, lengths):
  """[number] words, each of lengths[0] to lengths[1] - 1 syllables."""
  return np.array([''.join(rng.choice(syllables, rng.integers(*lengths)))
                   for _ in range(number)])


def _zipf(number, power=1.):
  weights = 1 / np.arange(1, number + 1)**power
  return weights / weights.sum()


def _prose(rng, function, liked, special):
  """Sentences, in which a word of the language or the topic follows others."""
  length = int(rng.integers(8, 60))
  pick = lambda words: rng.choice(words, length, p=_zipf(len(words)))
  kind = rng.random(length)
  words = np.select([kind < .4, kind < .88], [pick(function), pick(liked)],
                    pick(special))
  ends = rng.random(length) < .15
  return ' '.join(word + '.' if end else word for word, end in zip(
      words, ends, strict=True)).encode()


def _orders(rng):
  """Orders, each with what is to be done: few words, many repetitions."""
  made = []
  for _ in range(rng.integers(2, 8)):
    verb = str(rng.choice(['walk', 'look', 'run', 'jump']))
    side = str(rng.choice(['', 'left', 'right']))
    times = int(rng.integers(1, 4))
    done = ([f'turn {side}'] if side else []) + [f'do {verb}']
    told = ' '.join(filter(None, (verb, side, ['', 'twice', 'thrice'][
        times - 1])))
    made.append(f'{told}: {" ".join(done * times)}')
  return '; '.join(made).encode()
