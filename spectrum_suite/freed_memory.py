"""Memory that tensors on a CPU have freed, given back to the operating system where the C library keeps it.

glibc serves tensors of up to 32 MiB from one heap. Batches of many sizes leave holes there that the next ones do not
fit, and the heap grows to several times what ever lives at once: before glibc 2.38, freed places were hardly reused for
aligned memory (https://sourceware.org/bugzilla/show_bug.cgi?id=14581).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import psutil

GROWTH = 1.1
"""Times what a batch needed, beyond which memory is given back: the next batch pays for that with page faults."""


class FreedMemory:
    """Keeps a process at about the memory that its largest batch needs."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._needed = 0
        self._no_holes = True

    def after_batch(self) -> None:
        """Give freed memory back if the process has grown beyond what a batch needed that began without holes."""
        if (trim := malloc_trim()) is None:
            return
        now = self._process.memory_info().rss
        if self._no_holes:
            self._needed, self._no_holes = max(self._needed, now), False
        elif now > GROWTH * self._needed:
            trim(0)
            self._no_holes = True


@cache
def malloc_trim() -> Callable[[int], int] | None:
    """The function of glibc that gives freed pages back; None for another C library."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # macOS and musl have none, and Windows no library without a name
        return None
