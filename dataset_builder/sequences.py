"""Cuts the draws of a process into sequences, the rows of the dataset."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataset_builder.task_spec import MAX_DRAWS, Mix, Sequences
from spectrum_suite import seeding


def cut(n_draws: int, how: Sequences, *key: str | int) -> Iterator[np.ndarray]:
    """Yield, for each row, the indices of its draws in the order they are shown.

    Args:
        n_draws: How many draws the process has.
        how: The task's way to cut them.
        *key: Seed of the process, e.g. ``(42, "coinflip", "0017")``. Row r of mode ``several`` depends on the key
            and r only.

    Yields:
        Integer arrays of shape (length,), without repetition within a row.
    """
    if how.mode == "partition":
        yield from _partition(n_draws, how.length, seeding.generator(*key, "partition"))
        return
    for row in range(how.count if how.mode == "several" else 1):
        rng = seeding.generator(*key, "sequence", row)
        yield rng.permutation(n_draws)[: _length(how.length, rng)]


def _partition(n_draws: int, length: int | Mix | None, rng: np.random.Generator) -> Iterator[np.ndarray]:
    order = rng.permutation(n_draws)
    start = 0
    while start < n_draws:
        end = start + _length(length, rng)
        yield order[start:end]
        start = end


def _length(length: int | Mix | None, rng: np.random.Generator) -> int:
    if isinstance(length, Mix):
        length = int(rng.geometric(2 / length.mean) + rng.poisson(length.mean / 2))
    return MAX_DRAWS if length is None else min(length, MAX_DRAWS)
