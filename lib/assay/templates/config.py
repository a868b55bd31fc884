"""TODO: the question, the source of the settings, the number to expect.

  python -m experiments.my_paper

Does a bounded loss suffer less from wrong labels than cross entropy does? The
error of `mine` should come out near 0.07, of `baseline` near 0.11. What is here
changes a number, and what changes a number is here; `# ours` marks a value that
is a choice and stands in no paper.
"""

from assay import papers

# What the report page says about the paper.
ABOUT = {
    'title': 'TODO: title',
    'authors': '',  # of a published paper; where and when; its identifier
    'published': '',
    'arxiv': '',
    'idea': 'TODO: the idea in two sentences. With a bounded loss a wrong '
            'label can only pull so far, so fewer of them are memorized.',
}

# The first is the default; `smoke` is for the tests.
VARIANTS = {
    'digits': 'default: scikit-learn digits, no download',
    'smoke': 'seconds: digits, two epochs',
}


def get_config(variant='digits'):
  """The settings of one variant, locked."""
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

  if variant == 'smoke':
    c.num_seeds = 2
    c.num_epochs = 2
    c.split_sizes = (200, 0, 100)
  return c.lock()


# Published numbers: {dataset: {arm: {metric: {'mean': 0.1, 'std': 0.01, 'n': 3,
# 'tag': 'recall', 'source': 'table 1'}}}}. They stand beside yours.
REPORTED = {}
