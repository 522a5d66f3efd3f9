"""Which rows make a batch: rows that are equally long in this epoch, in an order of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator

from datasets import Dataset
from torch.utils.data import Sampler

from spectrum_suite.seeding import generator
from spectrum_suite.training.collator import SpectrumCollator

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
    """

    def __init__(self, rows: Dataset, collator: SpectrumCollator, *, batch_size: int, seed: int) -> None:
        self.rows = rows
        self.collator = collator
        self.batch_size = batch_size
        self.seed = seed

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        rng = generator(self.seed, "batches", self.collator.epoch)
        shuffled = rng.permutation(len(self.rows)).tolist()
        for start in range(0, len(shuffled), WINDOW * self.batch_size):
            window = shuffled[start : start + WINDOW * self.batch_size]
            lengths = self.collator.lengths(self.rows.select(window))
            longest_first = [index for _, index in sorted(zip(lengths, window, strict=True), key=lambda pair: -pair[0])]
            whole = len(window) // self.batch_size  # an incomplete batch is the last of the epoch
            order = rng.permutation(whole).tolist()
            if start == 0 and whole:
                order.remove(0)
                order.insert(0, 0)
            for position in [*order, whole]:
                yield from longest_first[position * self.batch_size : (position + 1) * self.batch_size]
