"""Random numbers that depend on a name and nothing else: not on order, process count, machine or Python's ``hash``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


def generator(*key: str | int) -> np.random.Generator:
    """A NumPy generator seeded by the parts of ``key``, e.g. ``generator(42, "coinflip", 17)``."""
    return np.random.default_rng(np.frombuffer(_digest(key), dtype=np.uint32))


def stable_sample(items: Iterable[str], size: int, key: str) -> set[str]:
    """A pseudo-random subset of at most ``size`` items, the same for the same items and key on every machine."""
    return set(sorted(items, key=lambda item: _digest((key, item)))[:size])


def _digest(key: tuple[str | int, ...]) -> bytes:
    return hashlib.sha256("\x1f".join(map(str, key)).encode(errors="surrogatepass")).digest()
