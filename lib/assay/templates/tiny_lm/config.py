"""TODO: the question, the source of the settings, the number to expect.

  python -m experiments.my_paper

Does a tiny language model reverse letters, more of them than in training too,
and does it know when it is right? `# ours` marks a value that is in no paper.
"""

import functools

from assay import papers
from assay.claims import claims_of, greater, within
from assay.report import plots
from assay.testbeds import networks

PAPER = papers.Paper(
    'TODO: title', authors='', year='', family='tiny_lm_tasks',
    idea='TODO: the idea in two sentences. A model learns to reverse.')

# The first is the default, and `smoke` is for the tests: what differs in each.
VARIANTS = papers.variants({
    'letters': ('default: up to four letters, asked up to six', {}),
    'smoke': ('seconds: a model of 16 units', dict(
        num_seeds=2, num_prompts=16, num_layers=1, width=16, num_heads=2,
        batch_size=8, num_steps=16, longest=5)),
})


def get_config(variant='letters'):
  """The values of one variant, locked."""
  c = papers.new_config('my_paper', VARIANTS, variant)
  c.arms = ('baseline', 'mine')
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fresh'  # initialization, lines of training and of testing
  c.scale = 'not in the paper'  # or 'as published', 'reduced'
  # All that a model depends on: task, transformer, training.
  c.net = networks.tiny_lm('xs', dataset='letters', num_letters=4, longest=6,
                           num_steps=500)  # ours
  c.splits = ()  # all of the task's
  c.num_prompts = 300
  c.decode = True
  return papers.config_of(c, VARIANTS, variant)


PUBLISHED = ()
METRICS = ('exact_match', 'token_accuracy', 'ece')  # of the table

# TODO: what must come out, and where that is said, before you look.
CLAIMS = claims_of('ours', ('letters',), {
    'it is learned': within('exact_match', 'mine', 0.95, 1),
    'longer ones gain': greater('exact_match', *(
        {'method': arm, 'split': 'lengths', 'length': 5}
        for arm in ('mine', 'baseline')), by=0.1)})
FIGURES = {
    name: functools.partial(plots.sweep, metric=metric, over=over, split=name,
                            state='last')
    for name, metric, over in (('lengths', 'exact_match', 'length'),
                               ('confidence', 'accuracy', 'bin'))}
