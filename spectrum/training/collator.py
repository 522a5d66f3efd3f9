"""From tokenized rows to batches: a new order of the draws every epoch, as many whole draws as fit, outputs trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from dataset_builder.errors import UserError
from dataset_builder.seeding import generator
from spectrum.formats.render import Format
from spectrum.training.tokenize import token_encoder

IGNORED = -100
"""The label of a token on which no loss falls."""


@dataclass
class SpectrumCollator:
    """Makes one sequence of each row: beginning of sequence, description, then draws in random order.

    With probability ``description_dropout`` the description is left out, and the first output is then context. What is
    random depends on the seed, the epoch and the row alone, so that batches do not change with their size or order.

    With probability ``branching`` a draw does not follow the one before it but begins a sequence of its own behind the
    description. Such sequences lie in one row and share the tokens of the description; ``branches`` says which token
    belongs to which (0 for what they share), and the trainer lets a token attend to its own branch and to what is
    shared. The loss is that of separate rows, for a fraction of the tokens.

    A row with description ``D`` and draws ``(x1 -> y1)``, ``(x2 -> y2)`` may become, with padding at the right::

        input_ids       bos D x2 y2 sep x1 y1 pad
        labels           .  .  . y2  .   . y1  .       (. is -100)
        attention_mask   1  1  1  1  1   1  1  0

    Attributes:
        start: Token ids in front of every sequence.
        separator: Token ids after every output but the last.
        pad_token_id: The token that fills a batch up.
        max_length: Tokens in a sequence, at most.
    """

    start: list[int]
    separator: list[int]
    pad_token_id: int
    max_length: int
    description_dropout: float = 0.2
    branching: float = 0.0
    permute: bool = True
    seed: int = 42
    epoch: int = field(default=0, init=False)

    @classmethod
    def for_format(cls, text_format: Format, tokenizer: PreTrainedTokenizerBase, **options: Any) -> SpectrumCollator:
        """The collator of rows that were tokenized with ``text_format``; ``options`` are the other attributes."""
        ids = token_encoder(tokenizer, text_format)([text_format.bos, text_format.separator])
        pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        return cls(ids[text_format.bos], ids[text_format.separator], pad, **options)

    def set_epoch(self, epoch: int) -> None:
        """Order and dropout are drawn anew for each epoch."""
        self.epoch = epoch

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Rows -> a batch of tensors of shape (batch, longest sequence), int64.

        Returns:
            ``input_ids``, ``labels``, ``attention_mask``, and ``branches`` (-1 for padding) where ``branching`` is on.

        Raises:
            UserError: A row gives a sequence with nothing to train on; the message has its id.
        """
        sequences = [self.sequence(row) for row in rows]
        width = max(len(sequence.ids) for sequence in sequences)

        def padded(values: list[list[int]], fill: int) -> torch.Tensor:
            return torch.tensor([row + [fill] * (width - len(row)) for row in values])

        batch = {
            "input_ids": padded([sequence.ids for sequence in sequences], self.pad_token_id),
            "labels": padded([sequence.labels for sequence in sequences], IGNORED),
            "attention_mask": padded([[1] * len(sequence.ids) for sequence in sequences], 0),
        }
        if self.branching:
            batch["branches"] = padded([sequence.branches for sequence in sequences], -1)
        return batch

    def sequence(self, row: dict[str, Any]) -> Sequenced:
        """The sequence of one row in this epoch."""
        rng = generator(self.seed, self.epoch, row["row"])
        count = len(row["outputs"])
        order = rng.permutation(count).tolist() if self.permute else list(range(count))
        described = bool(row["description"]) and rng.random() >= self.description_dropout
        sequence = self._fill(row, order, rng, described=described)
        if not sequence.trained_outputs and row["description"]:  # a single draw: it needs its description
            sequence = self._fill(row, order, rng, described=True)
        if not sequence.trained_outputs:
            raise UserError(f"row {row['id']!r} has nothing to train on within {self.max_length} tokens")
        return sequence

    def _fill(self, row: dict[str, Any], order: list[int], rng: np.random.Generator, *, described: bool) -> Sequenced:
        """The draws in ``order``, as long as they fit."""
        filled = Sequenced()
        filled.add(self.start + (row["description"] if described else []), branch=0)
        branch, first = 0, True
        for index in order:
            output = row["outputs"][index]
            if described and self.branching and (first or rng.random() < self.branching):
                branch, first = branch + 1, True
            before = ([] if first else self.separator) + row["contexts"][index]
            if len(filled.ids) + len(before) + len(output) > self.max_length:
                if filled.trained_outputs:
                    break
                continue
            filled.add(before, branch=branch)
            filled.add(output, branch=branch, trained=described or not first)
            first = False
        return filled


@dataclass
class Sequenced:
    """Token ids, labels and branches of one sequence, and how many outputs are trained in it."""

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)
    trained_outputs: int = 0

    def add(self, ids: list[int], *, branch: int, trained: bool = False) -> None:
        """Append tokens of one branch; a trained piece is one output."""
        self.ids += ids
        self.labels += ids if trained else [IGNORED] * len(ids)
        self.branches += [branch] * len(ids)
        self.trained_outputs += trained
