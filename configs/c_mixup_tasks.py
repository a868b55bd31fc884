"""C-Mixup across tasks (Yao et al., NeurIPS 2022, arXiv 2210.05775).

  python -m experiments.c_mixup_tasks --config=configs/c_mixup_tasks.py:digits

No code of this part was released, and its data, renderings of ShapeNet and
PASCAL3D, are not small: sinusoids and turned images stand for them. Values are
those of MAML's code for sinusoids (Finn et al., 2017), `# ours` elsewhere. The
error of `maml` on sinusoids should come out near 0.6.
"""

import functools

from assay import papers
from assay.claims import (
  all_of,
  claims_of,
  greater_change,
  less,
  ratio,
)
from assay.config import above, among, between
from assay.testbeds import bounds, meta_networks

PAPER = papers.Paper(
    'C-Mixup across tasks',
    'Yao, Wang, Zhang, Zou and Finn', '2022', venue='NeurIPS',
    arxiv='2210.05775', family='calibration_theory',
    idea='MAML learns a task from its support examples and is trained on its '
         'query examples, which C-Mixup mixes with support examples of near '
         'label. What is compared is who is mixed with whom, and what else '
         'keeps a network from learning its training tasks by heart.')

# Of coded sinusoids and of images there are two kinds of training tasks: some
# can be told by their inputs alone (exclusive: False), some cannot. Arms that
# are not swept are trained on the first.
SWEPT = ('maml', 'mr_maml', 'c_mixup')
PEERS = ('maml', 'mr_maml', 'meta_aug', 'metamix', 'c_mixup')
MEMORY = dict(arms=(*PEERS, 'upper_maml'), swept_arms=SWEPT, sweep='exclusive',
              sweep_values=(False, True))
SINUSOID = dict(
    dataset='sinusoid', seed_varies='fresh', scale='not in the paper',
    arms=('maml', 'metamix', 'c_mixup', 'first_order_maml', 'pretrained'))
CODED = MEMORY | dict(dataset='coded_sinusoid', seed_varies='fresh',
                      scale='not in the paper')
POSE = MEMORY | dict(bandwidth=0.3, mix_layer='hidden')

VARIANTS = papers.variants({
    'sinusoid': ('default: sinusoids of ten examples, 4,000 steps',
                 SINUSOID | dict(num_steps=4000)),
    'coded': ('sinusoids with a code that tells the training task',
              CODED | dict(num_steps=3000)),
    'digits': ('the direction of turned digits, other digits in tests',
               POSE | dict(dataset='digits', num_steps=1500)),
    'fashion_mnist': ('the same with clothes of Fashion-MNIST',
                      POSE | dict(dataset='fashion_mnist', num_steps=1500)),
    'sinusoid_full': ('sinusoids with the 70,000 steps of MAML', SINUSOID),
    'coded_full': ('coded sinusoids with as many', CODED),
    'smoke': ('seconds: turned digits, four arms, 16 steps', POSE | dict(
        dataset='digits', arms=('maml', 'mr_maml', 'meta_aug', 'c_mixup'),
        swept_arms=('maml',), num_objects=(6, 4, 5), num_views=8, num_steps=16,
        eval_every=4, batch_tasks=3, num_support=3, num_query=3, width=8,
        test_tasks=6, test_steps=2, num_seeds=2, trials=0)),
})


def get_config(variant='sinusoid'):
  """The settings of one variant, locked."""
  c = papers.new_config('c_mixup_tasks', VARIANTS, variant)
  # What is compared.
  c.arms = PEERS
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fixed_split'  # of objects: tasks, initialization and order
  c.scale = 'recast'
  c.net = meta_networks.few_shot(VARIANTS.differs[variant]['dataset'])
  # What an arm reads besides.
  c.alpha = 2.0  # ours
  c.bandwidth = 0.5  # in units of the label  # ours
  c.mix_layer = 'input'  # or 'hidden', after the first layer  # ours
  c.divergence_weight = 1e-4  # of MR-MAML  # ours
  c.shift = 2.0  # of Meta-Aug, in units of the label  # ours
  # What is measured, and tuning.
  c.test_tasks = 1000
  c.test_steps = 10
  c.trials = 3  # settings tried for each arm
  c.tuning_seeds = (100,)
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.META | {
    'dataset': among('sinusoid', 'coded_sinusoid', 'digits', 'fashion_mnist'),
    'alpha': above(0, 1e6), 'bandwidth': above(0, 1e9),
    'mix_layer': among('input', 'hidden'), 'shift': between(0, 1e6),
    'divergence_weight': between(0, 1e6)}

# An arm varies the fields that it has.  # ours
GRID = {'inner_learning_rate': (0.01, 0.03, 0.1),
        'divergence_weight': (1e-5, 1e-4), 'shift': (1.0, 4.0),
        'alpha': (0.5, 2.0), 'bandwidth': (0.1, 0.5)}
# Directions have errors of at most 2, and steps may be longer.
POSES = GRID | {'inner_learning_rate': (0.03, 0.1, 0.3)}


def grid_of(config):
  """field -> values that are tried where `trials` is not 0."""
  return GRID if 'sinusoid' in config.net.dataset else POSES


# Mean squared errors on new tasks, 5 examples; not in C-Mixup's paper. Its own
# table is of other data: MAML 4.698 and 2.370, C-Mixup 4.024 and 1.995 (from
# memory), squared angles of ShapeNet and PASCAL3D.
PUBLISHED = papers.published(
    'Yin et al. (2020), sinusoids', 'mse',
    {'maml': (.46, .04), 'mr_maml': (.16, .04)}, tag='recall',
    of=('coded', 'coded_full'), exclusive=False)

COLUMNS = (('effective_partners', 'train', '%'),)

# --- Claims ------------------------------------------------------------------


def _in(exclusive, arm, **fields):
  return {'method': arm, 'exclusive': exclusive} | fields if (
      arm in SWEPT) else arm


_TOLD, _NOT_TOLD = (functools.partial(_in, kind) for kind in (False, True))


def _mixing(of, arms):
  """What C-Mixup's table says, of one kind of tasks; `of(arm)` is an arm."""
  ours = of('c_mixup')
  return {
      'labels help': (
          'C-Mixup has a lower error on new tasks than MetaMix, which mixes '
          'with any support example.', less('mse', ours, of('metamix'))),
      'below MAML': (
          'C-Mixup has a lower error on new tasks than MAML.',
          less('mse', ours, of('maml'))),
      'best of all': (
          'C-Mixup has the lowest error on new tasks of all arms of its table.',
          all_of(*(less('mse', ours, of(arm)) for arm in arms
                   if arm != 'c_mixup')))}


def _after(arm, updates):
  return {'method': arm, 'updates': updates}


_MAML = 'Finn et al., 2017, sinusoids'
_MR = 'Yin et al., 2020'
_TASKS = 'Yao et al., 2022, table of task generalization (on other data)'
_KINDS = ('coded', 'coded_full', 'digits', 'fashion_mnist')

CLAIMS = (
    *claims_of(_MAML, ('sinusoid', 'sinusoid_full'), {
        'adaptation is learned': (
            'After one step MAML has at most half the error of one network '
            'that was trained on all tasks together.',
            ratio('mse', 'maml', 'pretrained', 0, .5)),
        'it goes on': (
            'After ten steps, of which training took one, the error of MAML is '
            'lower than after one.',
            less('mse', _after('maml', 10), _after('maml', 1),
                 split='test steps')),
        'first order is enough': (
            'Without second derivatives the error of MAML is at most a tenth '
            'higher (their sentence is about images).',
            ratio('mse', 'first_order_maml', 'maml', 0, 1.1))},
               gated=('adaptation is learned', 'it goes on')),
    *claims_of(_TASKS, ('sinusoid', 'sinusoid_full'), _mixing(
        lambda arm: arm, ('maml', 'metamix')), gated=False),
    *claims_of(_TASKS, _KINDS, _mixing(_TOLD, PEERS), gated=False),
    *claims_of(_MR, _KINDS, {
        'memorization': (
            'Where training tasks can be told by their inputs, MAML has at '
            'least twice the error on new tasks that it has where they cannot.',
            ratio('mse', _NOT_TOLD('maml'), _TOLD('maml'), 0, .5)),
        'by heart': (
            'Before any step the error of MAML on training tasks is lower '
            'where they can be told by their inputs.',
            less('mse', _TOLD('maml', updates=0), _NOT_TOLD('maml', updates=0),
                 split='train steps')),
        'MR-MAML helps': (
            'Where training tasks can be told by their inputs, MR-MAML has a '
            'lower error on new tasks than MAML.',
            less('mse', _TOLD('mr_maml'), _TOLD('maml'))),
        'noise helps': (
            'Where training tasks can be told by their inputs, MR-MAML has a '
            'lower error than MAML that adapts as few layers, without noise.',
            less('mse', _TOLD('mr_maml'), _TOLD('upper_maml'))),
        'MR-MAML helps there': (
            'The gain of MR-MAML over MAML is larger where training tasks can '
            'be told by their inputs than where they cannot.',
            greater_change('mse', (_TOLD('maml'), _TOLD('mr_maml')),
                           (_NOT_TOLD('maml'), _NOT_TOLD('mr_maml'))))},
               gated=False),
    *claims_of('Rajendran et al., 2020', _KINDS, {
        'Meta-Aug helps': (
            'Where training tasks can be told by their inputs, Meta-Aug has a '
            'lower error on new tasks than MAML.',
            less('mse', _TOLD('meta_aug'), _TOLD('maml')))}, gated=False),
    *claims_of('ours', _KINDS, {
        'what mixing is for': (
            'The gain of C-Mixup over MAML is larger where training tasks can '
            'be told by their inputs: it is one against memorization.',
            greater_change('mse', (_TOLD('maml'), _TOLD('c_mixup')),
                           (_NOT_TOLD('maml'), _NOT_TOLD('c_mixup'))))},
               gated=False),
)

# --- Figures -----------------------------------------------------------------


def _steps(rows, exclusive=None):
  """Error on new tasks against steps on their support examples."""
  from assay.report import plots

  shown = [row for row in rows if row.get('exclusive') == exclusive]
  return plots.sweep(
      shown, 'mse', 'updates', split='test steps', state='last') if any(
          'updates' in row for row in shown) else None


FIGURES = {
    'steps': _steps,
    'steps_told': functools.partial(_steps, exclusive=False),
    'steps_not_told': functools.partial(_steps, exclusive=True),
}

LEAD = ('digits', 'steps_told')
