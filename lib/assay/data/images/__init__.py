"""Small images: known sets, what is made of them, and batches.

`load` gives a set as published; `subset`, `long_tail`, `noisy_labels` and
`dominoes` make others of it; `draw_from` gives the batches of a split.
"""

from assay.data.images.batches import (
    channel_statistics,
    draw_from,
)
from assay.data.images.make import (
    choose,
    dominoes,
    long_tail,
    noisy_labels,
    pad_to,
    subset,
)
from assay.data.images.sets import (
    IMAGES,
    PARTS,
    TEST_ONLY,
    class_names,
    is_own,
    label,
    load,
    load_test,
    pairs_sha256,
)
