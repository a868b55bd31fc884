"""Finds data files: the user's folder, then the cache, then the publisher.

A file is used only when its bytes, or the numbers in it, have the checksum
written down in `SOURCES`. Nothing stands in for a missing file, nothing is
unpickled. To know the numbers a reader decodes bytes that nobody vouches for:
it takes one format, holds no more than its limits, and raises whatever it
raises.
"""

from assay.data.files.described import Described
from assay.data.files.readers import (
    read_binary_images,
    read_binary_labels,
    read_cells,
    read_idx,
    read_mat,
    read_npz,
    read_numbers,
    read_questions,
    read_sheet,
    read_shipped,
    read_splits,
    read_text,
    read_zipped_numbers,
)
from assay.data.files.search import (
    array_sha256,
    cache_dir,
    find,
    find_unverified,
    read,
)
from assay.data.files.sources import (
    SOURCES,
    TRAIN_BATCHES,
)
