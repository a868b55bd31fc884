"""TODO: the question, the source of the settings, the number to expect.

  python -m experiments.my_paper

Does a bounded loss suffer less from wrong labels than cross entropy does? The
error of `mine` should come out near 0.07, of `baseline` near 0.11. What is here
changes a number, and what changes a number is here; `# ours` marks a value that
is a choice and stands in no paper.
"""

from assay import papers
from assay.claims import claims_of, less

PAPER = papers.Paper(
    'TODO: title', authors='', year='', family='calibration_theory',
    idea='TODO: the idea in two sentences. With a bounded loss a wrong label '
         'can only pull so far.')

# The first is the default, and `smoke` is for the tests: what differs in each.
VARIANTS = papers.variants({
    'digits': ('default: scikit-learn digits, no download', {}),
    'smoke': ('seconds: digits, two epochs', dict(
        num_seeds=2, num_epochs=2, split_sizes=(200, 0, 100))),
})


def get_config(variant='digits'):
  """The values of one variant, locked."""
  c = papers.new_config('my_paper', VARIANTS, variant)
  # What is compared.
  c.arms = ('baseline', 'mine')
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'resplit'  # split of one data set, initialization, order
  c.scale = 'not in the paper'  # or 'as published', 'reduced'
  # Data.
  c.dataset = 'digits'
  c.split_sizes = (1400, 0, 350)  # train, validation, test images  # ours
  c.label_noise = 0.4  # share of the training labels that are wrong  # ours
  # Model and training.  # ours
  c.width = 64
  c.batch_size = 50
  c.num_epochs = 40
  c.learning_rate = 2e-3
  # The method.
  c.q = 0.5  # towards 0 is cross entropy  # ours
  return papers.config_of(c, VARIANTS, variant)


# TODO: numbers that stand beside yours, see `papers.published`.
PUBLISHED = ()

# TODO: what must come out, and where that is said, before you look.
CLAIMS = claims_of('Zhang and Sabuncu, 2018; settings ours', ('digits',), {
    'below the baseline': (
        'With wrong labels in training, a bounded loss has a lower test error '
        'than cross entropy.', less('error', 'mine', 'baseline')),
})
