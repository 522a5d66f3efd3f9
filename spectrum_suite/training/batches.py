"""Which rows make a batch: rows that are equally long in this epoch, in an order of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler

from spectrum_suite.seeding import generator
from spectrum_suite.training.collator import SpectrumCollator
from spectrum_suite.training.draw_tree import DrawTree

WINDOW = 50
"""Batches that are sorted by length together: few enough to stay random, enough to leave little padding."""


class GroupedByLength(Sampler[int]):
    """Indices of all rows, so that neighbours are of similar length.

    What a row is in an epoch depends on its order of draws, on whether its description is shown, and on how many draws
    fit; so the collator is asked. The longest batch of the epoch's first window comes first: a batch that does not
    fit into memory shows at once.

    Args:
        rows: Tokenized rows.
        collator: Makes the batches, and knows the epoch.
        batch_size: Rows in a step of the optimizer, over all processes.
        seed: Of the order.
        workers: Options of a `DataLoader` whose workers make the collator's trees, which are measured whole; without
            any, this process does.
    """

    def __init__(
        self,
        rows: Dataset,
        collator: SpectrumCollator,
        *,
        batch_size: int,
        seed: int,
        workers: Mapping[str, Any] | None = None,
    ) -> None:
        self.rows = rows
        self.collator = collator
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        rng = generator(self.seed, "batches", self.collator.epoch)
        shuffled = rng.permutation(len(self.rows)).tolist()
        for start, (window, lengths) in enumerate(self._windows(shuffled)):
            longest_first = [index for _, index in sorted(zip(lengths, window, strict=True), key=lambda pair: -pair[0])]
            whole = len(window) // self.batch_size  # an incomplete batch is the last of the epoch
            order = rng.permutation(whole).tolist()
            if start == 0 and whole:
                order.remove(0)
                order.insert(0, 0)
            for position in [*order, whole]:
                yield from longest_first[position * self.batch_size : (position + 1) * self.batch_size]

    def _windows(self, shuffled: Sequence[int]) -> Iterator[tuple[Sequence[int], list[int]]]:
        """The rows of one window after another, and how long each of them is."""
        grown = self._grown(shuffled)
        for window in _parts(shuffled, WINDOW * self.batch_size):
            if grown is None:
                yield window, self.collator.lengths(self.rows.select(window))
            else:
                trees = [each for batch in islice(grown, WINDOW) for each in batch.items()]
                yield window, self.collator.keep(dict(trees))

    def _grown(self, shuffled: Sequence[int]) -> Iterator[dict[int, DrawTree]] | None:
        """The trees of one batch of rows after another, made by workers; None where this process makes them."""
        if not self.workers or not self.collator.trees:
            return None
        return iter(
            DataLoader(
                self.rows,
                batch_sampler=list(_parts(shuffled, self.batch_size)),
                collate_fn=self.collator.grown,
                generator=torch.Generator(),  # and not the one of the model's dropout
                **self.workers,
            )
        )


def _parts(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (indices[start : start + size] for start in range(0, len(indices), size))
