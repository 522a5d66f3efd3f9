"""A key of what files hold, for the cache of `datasets`, which by itself goes by their paths and times.

A file that is written again keeps its time where times are set to be reproducible (archives, images, `cp --preserve`);
rows of the old one would then be taken for those of the new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_WHOLE_BYTES = 4 << 20  # a file up to this size is read as a whole
_SAMPLES, _SAMPLE_BYTES = 16, 64 << 10


def content_key(paths: Iterable[str | Path]) -> dict[str, str]:
    """An option for `load_dataset` and `Dataset.from_parquet` by which other content is other data.

    Of a large file, its size, its end and samples of its bytes are read: it takes milliseconds, whatever the size.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in map(Path, paths):
        size = path.stat().st_size
        digest.update(f"{path}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= _WHOLE_BYTES:
                digest.update(file.read())
                continue
            for sample in range(_SAMPLES):
                file.seek((size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return {"description": f"content {digest.hexdigest()}"}  # the one setting of every loader that changes no row
