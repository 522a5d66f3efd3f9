"""From tokenized rows to batches: a new order of the draws every epoch, as many whole draws as fit, outputs trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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
        """Rows -> ``input_ids``, ``labels`` and ``attention_mask``, each of shape (batch, longest sequence), int64.

        Raises:
            UserError: A row gives a sequence with nothing to train on; the message has its id.
        """
        sequences = [self.sequence(row) for row in rows]
        width = max(len(ids) for ids, _ in sequences)
        batch = {
            "input_ids": [ids + [self.pad_token_id] * (width - len(ids)) for ids, _ in sequences],
            "labels": [labels + [IGNORED] * (width - len(labels)) for _, labels in sequences],
            "attention_mask": [[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in sequences],
        }
        return {name: torch.tensor(values) for name, values in batch.items()}

    def sequence(self, row: dict[str, Any]) -> tuple[list[int], list[int]]:
        """One row -> (token ids, labels), two lists of the same length."""
        rng = generator(self.seed, self.epoch, row["row"])
        count = len(row["outputs"])
        order = rng.permutation(count).tolist() if self.permute else list(range(count))
        described = bool(row["description"]) and rng.random() >= self.description_dropout
        ids, labels, trained = self._fill(row, order, described=described)
        if not trained and row["description"]:  # a single draw: without its description it would teach nothing
            ids, labels, trained = self._fill(row, order, described=True)
        if not trained:
            raise UserError(f"row {row['id']!r} has nothing to train on within {self.max_length} tokens")
        return ids, labels

    def _fill(self, row: dict[str, Any], order: list[int], *, described: bool) -> tuple[list[int], list[int], int]:
        """(token ids, labels, number of trained outputs) of the draws in ``order``, as long as they fit."""
        ids = self.start + (row["description"] if described else [])
        labels = [IGNORED] * len(ids)
        outputs = trained = 0
        for index in order:
            output = row["outputs"][index]
            before = (self.separator if outputs else []) + row["contexts"][index]
            if len(ids) + len(before) + len(output) > self.max_length:
                if trained:
                    break
                continue
            is_target = described or outputs > 0
            ids += before + output
            labels += [IGNORED] * len(before) + (output if is_target else [IGNORED] * len(output))
            outputs += 1
            trained += is_target
        return ids, labels, trained
