"""Texts of generated tasks: lines of tokens, splits, and their verifiers.

A `Task` makes one line from a key, and says of any completion whether it is
right. Tokens are those of a small vocabulary of the task, the same five in
front of each. A split is a predicate on what tells examples apart, never a
list, so that training may draw as many as it likes and meet none of the test.

  task = texts.addition(num_digits=3, order='reversed')
  line = texts.line_of(task, task.example(key, 'train'))
  texts.decode(task, line['tokens'])
"""

from assay.data.texts.arithmetic import addition
from assay.data.texts.commands import commands
from assay.data.texts.letters import transforms
from assay.data.texts.lines import (
    BOS,
    EOS,
    PAD,
    SEP,
    SPECIAL,
    UNK,
    Task,
    compacted,
    completion_of,
    decode,
    draw_lines,
    encode,
    exactly,
    judged,
    line_of,
    lines_of,
    packed,
    size_of,
    words,
)
from assay.data.texts.machines import automaton
from assay.data.texts.rules import rewriting
from assay.data.texts.sequences import sequence
from assay.data.texts.splits import (
    held_out,
    leaked,
    length_of,
    mixed_bits,
    redrawn,
)
