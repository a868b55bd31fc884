"""Workdirs and kept fits in object stores: `s3://bucket/x`, `gs://bucket/x`.

    bucket    objects by name, read, written and compared
    lease     who holds a name, until it ends or dies
    mirror    a folder on this machine, whose files go there once they are whole

A run works in a folder on this machine, as always, and each file that it
finishes is put into the store before the next one is begun: what is there is at
any time what a local workdir would hold. So a kill, a lost machine and a store
that answers no longer leave what a kill leaves of a local one, and nothing that
is promised of local files depends on what a store promises of names, renames
and times. A put of one object is atomic; a save of many is one once its marker,
put last, is there.

Orbax could write to `gs://` itself, though not to `s3://`: it has no commit
there. Its metadata then go through fsspec or TensorFlow, another client with
other credentials, retries and errors beside TensorStore, which writes arrays.
TensorStore alone knows both stores, retries within bounds and writes on a
condition, and is there with Orbax: nothing is to be installed.
"""

from assay.stores import bucket, lease, mirror, url
from assay.stores.bucket import ABSENT, Bucket
from assay.stores.lease import Held, Lease
from assay.stores.mirror import NEEDED, Mirror, copied, of, written
from assay.stores.url import folder_name, is_url, path

__all__ = ['ABSENT', 'NEEDED', 'Bucket', 'Held', 'Lease', 'Mirror', 'bucket',
           'copied', 'folder_name', 'is_url', 'lease', 'mirror', 'of', 'path',
           'url', 'written']
