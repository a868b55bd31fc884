"""Every loss and method that is traced: with jit and without, the same.

A case is a function, its arguments and what comes out, by shape and dtype. All
public functions stand here or in `ON_THE_HOST`.
"""

import functools
import importlib
import inspect
import pkgutil

from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np

from assay import losses, methods
from assay.methods import (
    anchor_augmentation,
    calibrators,
    co_teaching,
    contrastive,
    correctness_ranking,
    cutmix,
    domains,
    foma,
    forgetting,
    gaussian_weights,
    in_context,
    kernel_mixup,
    kronecker_attention,
    linear_maps,
    loki,
    look,
    maml,
    milestones,
    mixup,
    nested_dropout,
    palm,
    rc_mixup,
    regmixup,
    sam,
    sdm,
    sdm_adaptor,
    self_label_augmentation,
    task_augmentation,
    temperature_networks,
    useful,
)

B, C, Q = 8, 3, 2
ON_THE_HOST = {
    'bandwidths', 'bayes_regression', 'binning', 'conformal', 'copies',
    'anchor_augmentation.gammas', 'anchor_augmentation.clusters',
    'rc_mixup.chosen',
    'cot_information', 'generalization_difficulty', 'isotonic_regression',
    'kronecker_attention.bound',
    'kronecker_attention.exponents', 'loki.locus', 'loki.next_label',
    'modes', 'noise_priors', 'ood_scores', 'sdm_region', 'forgetting.epochs',
    'sdm_adaptor.fit', 'forgetting.summary', 'sorted_partners.sort_labels',
    'partners.partner_table', 'probes', 'mixup.match', 'useful.elbow',
    'useful.separate', 'useful.upsample', 'useful.same_number',
    'useful.weights', 'useful.digest'}
# They are not called: a type, or shared by those that are.
PARTS = {'abet.Head', 'calibrators.Calibrator', 'calibrators.by_row',
         'contrastive.Head', 'palm.Head',
         'calibrators.minimized', 'sdm.Bank',
         'useful.Separated', 'temperature_networks.network',
         'temperature_networks.fitted'}

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(B, C)).astype(np.float32)
LABELS = np.arange(B, dtype=np.int32) % C
VALUES = RNG.normal(size=(B, Q)).astype(np.float32)
SHARES = RNG.uniform(size=B).astype(np.float32)
ROWS = np.arange(B, dtype=np.int32)[::-1].copy()
RIGHT = LABELS == 0
KEY = jax.random.key(0)
OWN = {'train_rows': ROWS, 'features': VALUES, 'bandwidth': np.float32(.5),
       'alpha': np.float32(2), 'weight': SHARES}
PAIRS = {'x': VALUES, 'y': VALUES, 'partner_x': VALUES[::-1],
         'partner_y': VALUES[::-1], 'lam': SHARES}
PARAMS = {'kernel': VALUES[0], 'bias': np.ones(Q, np.float32)}
TASK = dict.fromkeys(('x', 'y', 'query_x', 'query_y'), VALUES)
GAUSSIAN = {'mean': PARAMS, 'log_std': PARAMS}
UNIT = VALUES / np.linalg.norm(VALUES, axis=1, keepdims=True)
PROTOTYPES = UNIT[:2 * C].reshape(2, C, Q)
NAMED = {'y': LABELS, 'index': ROWS}


def f32(*shape):
  return jax.ShapeDtypeStruct(shape, jnp.float32)


def i32(*shape):
  return jax.ShapeDtypeStruct(shape, jnp.int32)


def boolean(*shape):
  return jax.ShapeDtypeStruct(shape, bool)


def shapes(tree):
  return jax.tree.map(lambda x: f32(*np.shape(x)), tree)


def squares(params, x):
  return jnp.mean((x * params['kernel'] + params['bias'])**2)


def gradient(params, extra, batch, key):
  """A gradient as methods wrap it, of one loss with an output for each row."""
  del key

  def loss(params):
    gap = batch['x'] * params['kernel'] + params['bias']
    return jnp.mean(gap**2), (extra, {'correct': gap[:, 0] > 0})

  return jax.value_and_grad(loss, has_aux=True)(params)


def draw(shared, own, item, key):
  del own, key
  return {k: v[item] for k, v in shared.items()} | {'index': item}


def fit_and_apply(calibrator, logits, labels):
  params = calibrator.fit(logits, labels)
  return calibrator.apply(params, logits)


def wrapped(method, extra=None):
  """((loss, (extra, metrics)), grads) of a method's gradient."""
  return method, (PARAMS, extra or {}, {'x': VALUES, 'index': ROWS}, KEY)


def gradients(extra=None, **metrics):
  return (f32(), (extra or {}, metrics)), {'kernel': f32(Q), 'bias': f32(Q)}


PERTURBED = dict(
    correct=boolean(B), correct_perturbed=boolean(B), loss_perturbed=f32(),
    perturbation_norm=f32(), gradient_cosine=f32())
LEARNING = {'learning': {
    'step': i32(), 'right': boolean(B), 'forgotten': i32(B), 'first': i32(B),
    'since': i32(B)}}
MILESTONES = {'milestones': {
    'updates': i32(), 'step': i32(2),
    'params': {'kernel': f32(2, Q), 'bias': f32(2, Q)}}}
HISTORY = {'drawn': i32(B), 'right': i32(B)}
LOG_P = f32(B, C)
TURNED = RNG.normal(size=(B, 4 * C)).astype(np.float32)
JOINT = {'y': LABELS, 'turn': np.repeat(np.arange(4, dtype=np.int32), B // 4)}
IMAGES = RNG.normal(size=(B, 2, 2, 1)).astype(np.float32)
ADAPTOR = {
    'mean': VALUES[0], 'std': np.ones(Q, np.float32),
    'in': {'kernel': VALUES[:Q], 'bias': VALUES[0]},
    'out': {'kernel': LOGITS[:Q], 'bias': LOGITS[0]}}
FEATURES = temperature_networks.initial(KEY, VALUES)

# name: (function, arguments, what comes out)
CASES = {
    'losses.squared': (losses.squared, (VALUES, VALUES[::-1]), f32(B)),
    'losses.gaussian': (losses.gaussian, (SHARES, SHARES, SHARES), f32(B)),
    'losses.cross_entropy': (losses.cross_entropy, (LOGITS, LABELS), f32(B)),
    'losses.brier': (losses.brier, (LOGITS, LABELS), f32(B)),
    'losses.focal': (losses.focal, (LOGITS, LABELS, SHARES), f32(B)),
    'losses.focal_53': (losses.focal_53, (SHARES,), f32(B)),
    'losses.dual_focal': (losses.dual_focal, (LOGITS, LABELS, 2.), f32(B)),
    'losses.correctness_aware': (
        functools.partial(losses.correctness_aware, class_balanced=True),
        (LOGITS, LABELS), f32(B)),
    'losses.margin_penalty': (losses.margin_penalty, (LOGITS, .1), f32(B)),
    'losses.correctness_ranking': (
        losses.correctness_ranking, (SHARES, SHARES[::-1]), f32(B)),
    'losses.mmce': (losses.mmce, (LOGITS, LABELS), f32()),
    'losses.soft_calibration_error': (
        losses.soft_calibration_error, (LOGITS, LABELS), f32()),
    'losses.mdca': (losses.mdca, (LOGITS, LABELS), f32()),
    'losses.dca': (losses.dca, (LOGITS, LABELS), f32()),
    'losses.normalized_logits': (losses.normalized_logits, (LOGITS,), LOG_P),
    # Mixup: who, and where.
    'mixup.similar_partners': (
        mixup.similar_partners, (KEY, VALUES, VALUES, .5), i32(B)),
    'mixup.uniform_partners': (
        lambda key: mixup.uniform_partners(key, 5, B), (KEY,), i32(B)),
    'mixup.log_similarity': (
        mixup.log_similarity, (VALUES, VALUES[:5], .5), f32(B, 5)),
    'partners.draw_columns': (
        mixup.draw_columns, (KEY, np.exp(LOGITS)), i32(B)),
    'partners.tabled_partners': (
        mixup.tabled_partners,
        (KEY, ROWS, VALUES, .5, mixup.partner_table(VALUES, .5)), i32(B)),
    'sorted_partners.sorted_partners': (
        mixup.sorted_partners, (KEY, SHARES, *mixup.sort_labels(SHARES), .5),
        i32(B)),
    'mixup.paired': (
        mixup.paired(draw, mixup.uniform),
        ({'x': VALUES, 'y': VALUES}, OWN, ROWS, KEY),
        {'x': f32(B, Q), 'y': f32(B, Q), 'index': i32(B), 'lam': f32(B),
         'partner_x': f32(B, Q), 'partner_y': f32(B, Q)}),
    'mixup.uniform': (mixup.uniform, (KEY, OWN, ROWS), (i32(B), i32(B))),
    'mixup.similar': (mixup.similar, (KEY, OWN, ROWS), (i32(B), i32(B))),
    'mixup.pooled': (
        mixup.pooled, (KEY, OWN, ROWS.reshape(2, -1)),
        (i32(B // 2), i32(B // 2))),
    'mixup.matched': (
        mixup.matched, (KEY, OWN, ROWS.reshape(2, -1)),
        (i32(B // 2), i32(B // 2))),
    'mixup.sample_lam': (
        lambda key, alpha: mixup.sample_lam(key, alpha, B, True), (KEY, .3),
        f32(B)),
    'mixup.mix': (mixup.mix, (VALUES, VALUES[::-1], SHARES), f32(B, Q)),
    'mixup.blend': (mixup.blend, (PAIRS,), {
        name: f32(*np.shape(value)) for name, value in PAIRS.items()}),
    'mixup.manifold': (
        mixup.manifold(lambda params, x: x * params, lambda _, h: h[:, :1]),
        (VALUES[0], PAIRS), f32(B, 1)),
    'mixup.local_weights': (
        functools.partial(mixup.local_weights, threshold=1.), (PAIRS,),
        {name: f32(*np.shape(value)) for name, value in PAIRS.items()}
        | {'weight': f32(B)}),
    'cutmix.box': (
        lambda key, lam: cutmix.box(key, 4, 6, lam), (KEY, .5), boolean(4, 6)),
    'cutmix.paste': (
        cutmix.paste, (KEY, {'x': IMAGES, 'partner_x': IMAGES[::-1],
                             'lam': SHARES}),
        {'x': f32(B, 2, 2, 1), 'partner_x': f32(B, 2, 2, 1), 'lam': f32(B)}),
    # And its relatives.
    'anchor_augmentation.toward_means': (
        anchor_augmentation.toward_means, (VALUES, LABELS, 2.), f32(B, Q)),
    'foma.scaled': (foma.scaled, (VALUES, .3, .8), f32(B, Q)),
    'foma.augmented': (
        foma.augmented, (VALUES, SHARES, .3, .8), (f32(B, Q), f32(B))),
    'regmixup.beside': (
        regmixup.beside, ({'x': VALUES, 'y': SHARES},
                          {'x': VALUES[::-1], 'y': SHARES[::-1]}, .5),
        {'x': f32(2 * B, Q), 'y': f32(2 * B), 'weight': f32(2 * B)}),
    'kernel_mixup.concentration': (
        kernel_mixup.concentration, (VALUES, VALUES[::-1], 1., .5), f32(B)),
    'rc_mixup.small_losses': (
        rc_mixup.small_losses, (SHARES, .25), boolean(B)),
    'rc_mixup.remembered': (
        rc_mixup.remembered, (SHARES, ROWS, SHARES), f32(B)),
    'rc_mixup.pair_weights': (
        rc_mixup.pair_weights, (RIGHT, ROWS, ROWS[::-1]), f32(B)),
    # Gradients.
    'sam.sam': (*wrapped(sam.sam(gradient, .1)), gradients(**PERTURBED)),
    'sam.asam': (*wrapped(sam.sam(gradient, .1, weights=sam.asam(.01))),
                 gradients(**PERTURBED)),
    'sam.asam_all': (*wrapped(sam.sam(gradient, .1, weights=sam.asam_all)),
                     gradients(**PERTURBED)),
    'sam.normalization': (
        *wrapped(sam.sam(gradient, .1, perturbs=lambda path: (
            sam.normalization(('Norm_0', *path)) and path[-1] == 'bias'))),
        gradients(**PERTURBED)),
    'sam.random': (*wrapped(sam.sam(gradient, .1, direction=sam.random)),
                   gradients(**PERTURBED)),
    'sam.decayed': (*wrapped(sam.decayed(gradient, .1)),
                    gradients(correct=boolean(B))),
    'sam.in_groups': (*wrapped(sam.in_groups(gradient, 2)),
                      gradients(correct=boolean(B))),
    'forgetting.counted': (
        *wrapped(forgetting.counted(gradient),
                 {'learning': forgetting.start(B)}),
        gradients(LEARNING, error=f32())),
    'milestones.noted': (
        *wrapped(milestones.noted(
            gradient, lambda params, loss, batch: loss < jnp.array([0., 9.])),
                 {'milestones': milestones.start(PARAMS, 2)}),
        gradients(MILESTONES, correct=boolean(B))),
    'forgetting.start': (
        lambda: forgetting.start(B), (), LEARNING['learning']),
    'milestones.start': (
        functools.partial(milestones.start, count=2), (PARAMS,),
        MILESTONES['milestones']),
    'correctness_ranking.start': (
        lambda: correctness_ranking.start(B), (), HISTORY),
    'correctness_ranking.updated': (
        correctness_ranking.updated,
        (correctness_ranking.start(B), ROWS, RIGHT), HISTORY),
    'correctness_ranking.shares': (
        correctness_ranking.shares, (correctness_ranking.start(B), ROWS),
        f32(B)),
    'useful.weighted': (
        useful.weighted(draw), ({'x': VALUES}, OWN, ROWS, KEY),
        {'x': f32(B, Q), 'index': i32(B), 'weight': f32(B)}),
    # Domains.
    'domains.risks': (
        lambda values, of: domains.risks(values, of, C), (SHARES, LABELS),
        (f32(C), f32(C))),
    'domains.irm_penalty': (
        lambda f, y, of: domains.irm_penalty(
            losses.cross_entropy, f, y, of, 2),
        (LOGITS, LABELS, LABELS % 2), f32()),
    'domains.bottleneck_penalty': (
        lambda h, of: domains.bottleneck_penalty(h, of, C), (VALUES, LABELS),
        f32()),
    'domains.rex_penalty': (
        lambda values, of: domains.rex_penalty(values, of, C),
        (SHARES, LABELS), f32()),
    'domains.coral_penalty': (
        lambda h, of: domains.coral_penalty(h, of, C), (VALUES, LABELS), f32()),
    'domains.group_weights': (
        domains.group_weights, (SHARES, SHARES[::-1], .1), f32(B)),
    'domains.fish': (*wrapped(domains.fish(gradient, 2, .1)),
                     gradients(correct=f32(B // 2))),
    # Tasks.
    'maml.adapted': (
        functools.partial(maml.adapted, squares, rates=.1), (PARAMS, VALUES),
        shapes(PARAMS)),
    'maml.path': (
        functools.partial(maml.path, squares, rates=.1, num_steps=3),
        (PARAMS, VALUES),
        (shapes(PARAMS), {'kernel': f32(3, Q), 'bias': f32(3, Q)})),
    'maml.task_losses': (
        lambda *of: maml.task_losses(squares, *of, rates=.1),
        (PARAMS, VALUES, VALUES), f32(B)),
    'maml.meta_loss': (
        lambda *of: maml.meta_loss(squares, *of, .1, first_order=True),
        (PARAMS, VALUES, VALUES), f32()),
    'gaussian_weights.start': (gaussian_weights.start, (PARAMS,),
                               shapes(GAUSSIAN)),
    'gaussian_weights.sample': (gaussian_weights.sample, (KEY, GAUSSIAN),
                                shapes(PARAMS)),
    'gaussian_weights.divergence': (
        gaussian_weights.divergence, (GAUSSIAN,), f32()),
    'task_augmentation.paired': (
        task_augmentation.paired, (KEY, TASK, 2., .5), shapes(PAIRS)),
    'task_augmentation.mixed': (
        task_augmentation.mixed, (KEY, TASK, 2., .5),
        shapes(TASK | {'partner_x': VALUES, 'lam': SHARES})),
    'task_augmentation.effective_partners': (
        task_augmentation.effective_partners, (TASK, .5), f32()),
    'task_augmentation.shifted': (
        task_augmentation.shifted, (KEY, TASK, 1.), shapes(TASK)),
    'task_augmentation.turned': (
        task_augmentation.turned, (KEY, TASK), shapes(TASK)),
    'loki.frechet_mean': (
        loki.frechet_mean, (SHARES[None], np.arange(16.).reshape(2, B)),
        i32(1)),
    # Contrast of projections, and prototypes.
    'contrastive.directions': (contrastive.directions, (VALUES,), f32(B, Q)),
    'contrastive.views': (
        contrastive.views(draw), ({'y': LABELS}, OWN, ROWS, KEY),
        {'y': i32(2 * B), 'index': i32(2 * B)}),
    'contrastive.supervised': (
        contrastive.supervised, (UNIT, LABELS), f32(B)),
    'contrastive.by_label': (
        contrastive.by_label, (UNIT, NAMED, {}), (f32(), {})),
    'contrastive.by_image': (
        contrastive.by_image, (UNIT, NAMED, {}), (f32(), {})),
    'contrastive.taught': (
        contrastive.taught(contrastive.by_label),
        (np.append(np.tile(VALUES, 32), LOGITS, axis=1), NAMED, {}),
        (f32(), {}, {})),
    'palm.sinkhorn': (palm.sinkhorn, (LOGITS,), f32(B, C)),
    'palm.assigned': (
        palm.assigned, (UNIT, LABELS, PROTOTYPES), f32(B, 2)),
    'palm.step': (
        lambda *of: palm.step(*of, kept=1), (UNIT, LABELS, PROTOTYPES),
        (f32(), f32(2, C, Q))),
    'palm.loss_of': (
        palm.loss_of(1, .9), (UNIT, NAMED, {'prototypes': {'head': {
            'prototypes': PROTOTYPES}}}),
        (f32(), {'prototypes': {'head': {'prototypes': f32(2, C, Q)}}})),
    'look.loss': (
        lambda *of: look.loss(*of, 2),
        (UNIT, LABELS, ROWS, UNIT, LABELS), f32(B)),
    'look.memory': (lambda: look.memory(B), (), {
        'bank': f32(B, 64), 'bank_labels': i32(B)}),
    'look.loss_of': (
        look.loss_of(2), (np.tile(UNIT, 32), NAMED, {
            'bank': np.tile(UNIT, 32), 'bank_labels': LABELS}),
        (f32(), {'bank': f32(B, 64), 'bank_labels': i32(B)})),
    'palm.contrast': (palm.contrast, (PROTOTYPES,), f32(2 * C)),
    # Features in order, and networks that teach each other.
    'nested_dropout.probabilities': (
        lambda: nested_dropout.probabilities(C, 2.), (), f32(C)),
    'nested_dropout.truncated': (
        lambda key, z: nested_dropout.truncated(key, z, 2., each=True),
        (KEY, LOGITS), f32(B, C)),
    'nested_dropout.by_number': (
        nested_dropout.by_number, (VALUES, LOGITS[:Q]), f32(Q, B, C)),
    'co_teaching.smallest': (
        co_teaching.smallest, (SHARES, np.float32(.4)), boolean(B)),
    'co_teaching.taught': (
        co_teaching.taught, (SHARES, SHARES[::-1], np.float32(.4)),
        (f32(B), f32(B))),
    # Labels of class and turn.
    'self_label_augmentation.turned': (
        self_label_augmentation.turned(draw),
        ({'x': IMAGES, 'y': LABELS}, OWN, ROWS, KEY),
        {'x': f32(4 * B, 2, 2, 1), 'y': i32(4 * B), 'index': i32(4 * B),
         'turn': i32(4 * B)}),
    'self_label_augmentation.joint': (
        self_label_augmentation.joint, (TURNED, JOINT), f32(B)),
    'self_label_augmentation.multi_task': (
        self_label_augmentation.multi_task, (TURNED, JOINT), f32(B)),
    'self_label_augmentation.distilled': (
        self_label_augmentation.distilled, (
            np.append(TURNED, LOGITS, axis=1), JOINT), f32(B)),
    'self_label_augmentation.single': (
        self_label_augmentation.single, (TURNED,), LOG_P),
    'self_label_augmentation.aggregated': (
        self_label_augmentation.aggregated, (np.stack([TURNED] * 4),), LOG_P),
    # Similarity, distance and magnitude.
    'sdm.similarity': (
        sdm.similarity, (sdm.Bank(VALUES, LABELS, RIGHT), VALUES, LABELS, ROWS),
        (i32(B), f32(B))),
    'sdm.distance': (
        lambda near, seen, labels, counted: sdm.distance(
            near, seen, labels, counted, C),
        (SHARES, SHARES, LABELS, LABELS >= 0), f32(B)),
    'sdm.activation': (sdm.activation, (LOGITS, SHARES, SHARES), LOG_P),
    'sdm.loss': (sdm.loss, (LOGITS, LABELS, SHARES, SHARES), f32(B)),
    'sdm.adapted': (sdm.adapted, (ADAPTOR, VALUES), (f32(B, 2), LOG_P)),
    'sdm.bank_of': (
        sdm.bank_of, (VALUES, LOGITS, LABELS),
        sdm.Bank(f32(B, Q), i32(B), boolean(B))),
    'sdm_adaptor.said': (
        sdm_adaptor.said, (ADAPTOR | {
            'bank': sdm.Bank(VALUES, LABELS, LABELS >= 0),
            'known': (SHARES, LABELS, LABELS >= 0),
            'similar': True, 'distant': True}, VALUES),
        {'log_p': LOG_P, 'q': f32(B), 'd': f32(B)}),
    # Attention over pairs.
    'kronecker_attention.attention': (
        kronecker_attention.attention, (VALUES, (VALUES,) * 2, (LOGITS,) * 2),
        f32(B, C)),
    'kronecker_attention.approximate': (
        lambda *of: kronecker_attention.approximate(*of, 2),
        (VALUES, (VALUES,) * 2, (LOGITS,) * 2), f32(B, C)),
    # In context.
    'in_context.nearest_neighbor': (
        in_context.nearest_neighbor, (VALUES, LABELS), i32(B)),
    'in_context.class_mean': (
        lambda x, y: in_context.class_mean(x, y, C), (VALUES, LABELS), i32(B)),
    'in_context.online_sgd': (
        lambda key, x, y: in_context.online_sgd(key, x, y, C, .1),
        (KEY, VALUES, LABELS), i32(B)),
    # Calibration.
    'calibrators.fit_temperature': (
        calibrators.fit_temperature, (LOGITS, LABELS), {'temperature': f32()}),
    'calibrators.temperature_with_mean_confidence': (
        calibrators.temperature_with_mean_confidence, (LOGITS, .6),
        {'temperature': f32()}),
    'calibrators.apply_temperature': (
        calibrators.apply_temperature, ({'temperature': 2.}, LOGITS), LOG_P),
    'calibrators.class_balanced_weights': (
        calibrators.class_balanced_weights, (LOGITS, LABELS), f32(B)),
    'calibrators.fit_ensemble_temperature': (
        calibrators.fit_ensemble_temperature, (LOGITS, LABELS),
        {'temperature': f32(), 'weights': f32(3)}),
    'calibrators.apply_ensemble_temperature': (
        calibrators.apply_ensemble_temperature,
        ({'temperature': 2., 'weights': np.float32([.5, .3, .2])}, LOGITS),
        LOG_P),
    'calibrators.checked': (calibrators.checked, (LOGITS, LABELS), LOG_P),
    'calibrators.scaled': (calibrators.scaled, (LOGITS, SHARES), LOG_P),
    'calibrators.keeping_top': (
        calibrators.keeping_top, (LOGITS, LOGITS), LOG_P),
    'linear_maps.fit_vector': (
        linear_maps.fit_vector, (LOGITS, LABELS),
        {'weights': f32(C), 'bias': f32(C)}),
    'linear_maps.fit_matrix': (
        linear_maps.fit_matrix, (LOGITS, LABELS),
        {'weights': f32(C, C), 'bias': f32(C)}),
    'linear_maps.fit_dirichlet': (
        linear_maps.fit_dirichlet, (LOGITS, LABELS),
        {'weights': f32(C, C), 'bias': f32(C)}),
    **{f'linear_maps.apply_{name}': (
        functools.partial(fit_and_apply, getattr(linear_maps, name)),
        (LOGITS, LABELS), LOG_P) for name in ('vector', 'matrix', 'dirichlet')},
    'temperature_networks.top_class_features': (
        lambda z: temperature_networks.top_class_features(z, [z, z], 2),
        (LOGITS,), f32(B, 4)),
    'temperature_networks.own_top_classes': (
        temperature_networks.own_top_classes, (LOGITS,), LOG_P),
    'temperature_networks.largest_logits': (
        temperature_networks.largest_logits, (LOGITS,), LOG_P),
    'temperature_networks.log_entropy': (
        temperature_networks.log_entropy, (LOGITS,), f32(B, 1)),
    'temperature_networks.initial': (
        temperature_networks.initial, (KEY, VALUES),
        jax.tree.map(lambda x: f32(*x.shape), FEATURES)),
    'temperature_networks.temperatures': (
        temperature_networks.temperatures, (FEATURES, VALUES), f32(B)),
    'temperature_networks.correctness_aware': (
        functools.partial(fit_and_apply,
                          temperature_networks.correctness_aware),
        (LOGITS, LABELS), LOG_P),
}


class TracedTest(chex.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.named_parameters(
      (name.replace('.', '_'), *case) for name, case in CASES.items())
  def test_what_comes_out(self, function, arguments, want):
    got = self.variant(function)(*arguments)
    chex.assert_tree_all_finite(got)
    chex.assert_trees_all_equal_shapes_and_dtypes(got, want)
    # Integers, such as partners, are equal; floats are up to rounding.
    chex.assert_trees_all_close(got, function(*arguments), rtol=1e-4, atol=1e-5)


def test_every_public_function_is_here():
  found = set()
  modules = [losses] + [
      importlib.import_module(f'assay.methods.{module.name}')
      for module in pkgutil.iter_modules(methods.__path__)]
  for module in modules:
    name = module.__name__.removeprefix('assay.').removeprefix('methods.')
    found |= {f'{name}.{k}' for k, value in vars(module).items()
              if callable(value) and not k.startswith('_')
              and inspect.unwrap(value).__module__ == module.__name__
              and name not in ON_THE_HOST}
  called = {name for name in CASES if name.rsplit('.')[-1] in vars(
      importlib.import_module(
          'assay.losses' if name.startswith('losses.') else
          f'assay.methods.{name.rsplit(".")[0]}'))}
  assert called == set(CASES)
  assert found - ON_THE_HOST - PARTS <= set(CASES)
