"""Is this input from elsewhere? Scores that are fitted on known examples.

    detector = ood_scores.knn.fit(features, labels)
    limit = ood_scores.threshold(detector.score(held_out), rate=0.05)
    alarms = detector.score(new) < limit     5 % false alarms, as promised

Every score is **higher for what is known** (in distribution) and lower for what
is from elsewhere, as `metrics.detection` and `metrics.selective` take it. It
is a `Score`, a pair of pure functions: `fit` gives a frozen `Detector`, whose
`score` gives one number for each example, [N] float64, which does not depend
on the other examples that are scored with it. All is on the host, in blocks of
rows, so memory stays bounded; arrays come from any framework.

| score | fit | score | higher for known |
| :-- | :-- | :-- | :-- |
| `msp` | | logits | largest softmax probability |
| `max_logit` | | logits | largest logit |
| `energy` | | logits | T logsumexp(l / T) |
| `entropy` | | logits | sum of p log p |
| `gen` | | logits | - sum of p^g (1 - p)^g over the top classes |
| `mahalanobis` | features, labels | features | - distance to a class mean |
| `relative_mahalanobis` | features, labels | features | less that of all |
| `ssd` | features | features | - distance to the mean, normalized |
| `knn` | features | features | - distance to the k-th neighbor |
| `prototypes` | features, labels | features | largest cosine |
| `gmm` | features, labels | features | log-density, mixtures by class |
| `residual` | features | features | - norm outside the main space |
| `vim` | features, logits, (head) | features, logits | energy - residual |
| `react` | features, head | features | energy of clipped features |
| `ash` | head | features | energy of each row's largest features |
| `dice` | features, head | features | energy by the largest weights |
| `she` | features, labels, logits | features, logits | z . class mean |
| `likelihood` | | log_p, (mask) | sum over tokens |
| `normalized_likelihood` | | log_p, (mask) | mean over tokens |
| `likelihood_ratio` | | log_p, reference_log_p, (mask) | sum |
| `normalized_likelihood_ratio` | | the same | mean over tokens |

    features: z, [N, D] float, finite: what the last layer reads, or any other.
    labels: [N] int >= 0; what needs none takes them all the same.
    logits: l, [N, C] float, finite; not probabilities.
    head: (weights [D, C], bias [C] or None), logits = z @ weights + bias.
    log_p: [N, T] float, log-probability of each token; mask: [N, T], 1 where a
      token counts.

`Score.fits_on` and `Score.reads` are these names. What else a function of a
score takes (k, percentiles, ...) is a setting: `knn.fit(features, k=10)`. Fit
on training examples in evaluation mode without augmentation, and choose
settings on known examples only, never on those that are to be found.

Example:
  >>> import numpy as np
  >>> from assay.methods import ood_scores
  >>> features = np.array([[1., .1], [1., .2], [.1, 1.], [.2, 1.]])
  >>> detector = ood_scores.knn.fit(features, k=1)
  >>> detector.score([[1., .15], [-1., -1.]]).round(2)  # known, from elsewhere
  array([-0.05, -1.88])
"""

from assay.methods.ood_scores.activations import ash, dice, react, she
from assay.methods.ood_scores.alarms import p_values, threshold
from assay.methods.ood_scores.detectors import Detector, Score, plain
from assay.methods.ood_scores.gaussians import (
    mahalanobis,
    relative_mahalanobis,
    ssd,
)
from assay.methods.ood_scores.logits import energy, entropy, gen, max_logit, msp
from assay.methods.ood_scores.mixtures import gmm
from assay.methods.ood_scores.neighbors import knn, prototypes
from assay.methods.ood_scores.subspaces import residual, vim
from assay.methods.ood_scores.tokens import (
    likelihood,
    likelihood_ratio,
    normalized_likelihood,
    normalized_likelihood_ratio,
)
