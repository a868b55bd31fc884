"""TODO: the question, the source of the settings, the number to expect.

  python -m experiments.my_paper

Does the lead of the largest logit over the second tell unknown images better
than the largest probability does? What is here changes a number; `# ours` marks
a value that stands in no paper.
"""

from assay import papers
from assay.claims import claims_of, greater
from assay.testbeds import networks

PAPER = papers.Paper(
    'TODO: title', authors='', year='', family='ood_and_shift',
    idea='TODO: the idea in two sentences. The second logit says how near '
         'another class is.')

# The first is the default, and `smoke` is for the tests: what differs in each.
VARIANTS = papers.variants({
    'digits': ('default: digits 0 to 6 are known, no download',
               networks.OOD['digits']),
    'smoke': ('seconds: 60 digits, three epochs', networks.OOD['smoke'] | dict(
        num_unknown=40, num_seeds=2)),
})


def get_config(variant='digits'):
  """The values of one variant, locked."""
  c = papers.new_config('my_paper', VARIANTS, variant)
  c.arms = ('one_feature', 'baseline', 'mine')
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fixed_split'  # initialization and order
  c.scale = 'not in the paper'  # or 'as published', 'reduced'
  # All that a network depends on: known classes, model, training.
  c.net = networks.ood()
  c.learning_rates = ()  # or those that each head chooses from
  c.tuning_seeds = (100,)
  # Unknown images, see `testbeds.ood_data`.
  c.near = ('other_classes',)
  c.far = ('shuffled', 'uniform_noise')
  c.num_unknown = 500
  c.painted = True
  c.shifts = ()  # or some of blur, noise, contrast, flip, rotation
  c.level = 3  # of 5
  c.num_bins = 15
  return papers.config_of(c, VARIANTS, variant)


# TODO: numbers that stand beside yours, see `papers.published`.
PUBLISHED = ()
METRICS = ('error',)  # of the table, on known images
COLUMNS = (('auroc', 'near'), ('auroc', 'far'), ('fpr95_id', 'near'))

# TODO: what must come out, and where that is said, before you look.
CLAIMS = claims_of('ours', ('digits',), {
    'tells near classes': greater('auroc', 'mine', 'baseline', split='near'),
})
