"""TODO: the question, the source of the settings, the number to expect.

  python -m experiments.my_paper

Is a network that was trained with a bounded loss less overconfident than one
trained with cross entropy? What changes a number is here; `# ours` marks a
value that stands in no paper.
"""

from assay import papers
from assay.claims import claims_of, equal, less
from assay.testbeds import networks

PAPER = papers.Paper(
    'TODO: title', authors='', year='', family='calibration_theory',
    idea='TODO: the idea in two sentences. A bounded loss gives nothing for '
         'the last bit of confidence.')

# The first is the default, and `smoke` is for the tests: what differs in each.
VARIANTS = papers.variants({
    'digits': ('default: scikit-learn digits, no download',
               networks.VISION['digits']),
    'fashion_mnist': ('Fashion-MNIST, 10,000 images', {}),
    'smoke': ('seconds: 60 digits, three epochs',
              networks.VISION['smoke'] | dict(num_seeds=2)),
})


def get_config(variant='digits'):
  """The values of one variant, locked."""
  c = papers.new_config('my_paper', VARIANTS, variant)
  c.arms = ('baseline', 'mine')
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fixed_split'  # initialization and order
  c.scale = 'not in the paper'  # or 'as published', 'reduced'
  # All that a network depends on: data, model, training, and the method.
  c.net = networks.vision(q=0.5)  # ours
  c.shifts = ()  # or some of blur, noise, contrast, flip, rotation
  c.level = 3  # of 5
  c.num_bins = 15
  return papers.config_of(c, VARIANTS, variant)


# TODO: numbers that stand beside yours, see `papers.published`.
PUBLISHED = ()
METRICS = ('error', 'nll', 'ece', 'auroc')  # of the table

# TODO: what must come out, and where that is said, before you look.
CLAIMS = claims_of('ours', ('digits', 'fashion_mnist'), {
    'calibrates better': less('ece', 'mine', 'baseline'),
    # The margin: more than the errors of five seeds are apart.
    'costs no accuracy': equal('error', 'mine', 'baseline', margin=0.02),
})
