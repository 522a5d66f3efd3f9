"""One process at a time: a lock file that goes with what holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from spectrum_suite.errors import UserError


@contextmanager
def locked(path: Path, *, busy: str) -> Iterator[None]:
    """Hold a lock file.

    Args:
        path: The file; its folder is there.
        busy: What to say where another process holds it.

    Raises:
        UserError: Another process holds it.
        OSError: It cannot be written.
    """
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(busy) from error
    try:
        yield
    finally:
        with suppress(PermissionError, FileNotFoundError):  # Windows deletes no open file, and filelock does it there
            path.unlink()
        lock.release()
