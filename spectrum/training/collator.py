"""From tokenized rows to batches: a new order of the draws every epoch, as many whole draws as fit, outputs trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from dataset_builder.errors import UserError
from dataset_builder.seeding import generator
from spectrum.formats.render import Format
from spectrum.formats.token_ids import token_encoder
from spectrum.training.draw_tree import ROOT, DrawTree

IGNORED = -100
"""The label of a token on which no loss falls."""


@dataclass
class SpectrumCollator:
    """Makes one sequence of each row: beginning of sequence, description, then draws in random order.

    With probability ``description_dropout`` the description is left out, and the first output is then context. What is
    random depends on the seed, the epoch and the row alone, so that batches do not change with their size or order.

    With probability ``branching`` a draw does not follow the one before it but begins a sequence of its own behind the
    description. The sequences of a row are packed as a tree (:mod:`spectrum.training.draw_tree`), in which a token
    attends to its ancestors alone: the loss is that of separate rows, for a fraction of the tokens.

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
            ``input_ids``, ``labels`` and ``attention_mask``. With ``branching`` the rows are trees, with ``parents``
            (-1 for the first token and for padding), ``labels`` of shape (batch, most targets in a row) and
            ``sources``, the index of the token that each target follows.

        Raises:
            UserError: A row gives a sequence with nothing to train on; the message has its id.
        """
        return self._trees(rows) if self.branching else self._chains(rows)

    def _chains(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        sequences = [self.sequence(row) for row in rows]
        return {
            "input_ids": _padded([sequence.ids for sequence in sequences], self.pad_token_id),
            "labels": _padded([sequence.labels for sequence in sequences], IGNORED),
            "attention_mask": _padded([[1] * len(sequence.ids) for sequence in sequences], 0),
        }

    def _trees(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        trees = [self.tree(row) for row in rows]
        return {
            "input_ids": _padded([tree.ids for tree in trees], self.pad_token_id),
            "parents": _padded([tree.parents for tree in trees], ROOT),
            "labels": _padded([tree.targets for tree in trees], IGNORED),
            "sources": _padded([tree.sources for tree in trees], 0),
            "attention_mask": _padded([[1] * len(tree.ids) for tree in trees], 0),
        }

    def length(self, row: dict[str, Any]) -> int:
        """Tokens that ``row`` is in this epoch: of its sequence, or of its tree."""
        return len((self.tree(row) if self.branching else self.sequence(row)).ids)

    def sequence(self, row: dict[str, Any]) -> Sequenced:
        """The sequence of one row in this epoch; every draw follows the one before it."""
        order, described, _ = self._choices(row)
        sequence = self._chain(row, order, described=described)
        if not sequence.trained_outputs and row["description"]:  # a single draw: it needs its description
            sequence = self._chain(row, order, described=True)
        return self._checked(row, sequence)

    def tree(self, row: dict[str, Any]) -> DrawTree:
        """The tree of one row in this epoch; without its description it is a single sequence."""
        order, described, rng = self._choices(row)
        tree = self._tree(row, order, rng, described=described)
        if not tree.trained_outputs and row["description"]:
            tree = self._tree(row, order, rng, described=True)
        return self._checked(row, tree)

    def _choices(self, row: dict[str, Any]) -> tuple[list[int], bool, np.random.Generator]:
        """The order of the draws, whether the description is shown, and the generator of what follows."""
        rng = generator(self.seed, self.epoch, row["row"])
        count = len(row["outputs"])
        order = rng.permutation(count).tolist() if self.permute else list(range(count))
        return order, bool(row["description"]) and rng.random() >= self.description_dropout, rng

    def _checked(self, row: dict[str, Any], found: _Found) -> _Found:
        if not found.trained_outputs:
            raise UserError(f"row {row['id']!r} has nothing to train on within {self.max_length} tokens")
        return found

    def _chain(self, row: dict[str, Any], order: list[int], *, described: bool) -> Sequenced:
        """The draws in ``order``, as long as they fit."""
        filled, first = Sequenced(), True
        filled.add(self.start + (row["description"] if described else []))
        for index in order:
            before = ([] if first else self.separator) + row["contexts"][index]
            output = row["outputs"][index]
            if len(filled.ids) + len(before) + len(output) > self.max_length:
                if filled.trained_outputs:
                    break
                continue
            filled.add(before)
            filled.add(output, trained=described or not first)
            first = False
        return filled

    def _tree(self, row: dict[str, Any], order: list[int], rng: np.random.Generator, *, described: bool) -> DrawTree:
        """The draws in ``order``, as long as the tree fits; with a description some begin sequences of their own."""
        tree = DrawTree()
        root = self.start + (row["description"] if described else [])
        path = root
        for index in order:
            if described and rng.random() < self.branching:
                path = root
            output, first = row["outputs"][index], path is root
            longer = path + ([] if first else self.separator) + row["contexts"][index] + output
            if tree.size_with(longer) > self.max_length:
                if tree.trained_outputs:
                    break
                continue
            tree.add(longer, len(output) if described or not first else 0)
            path = longer
        return tree


@dataclass
class Sequenced:
    """Token ids and labels of one sequence, and how many outputs are trained in it."""

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    trained_outputs: int = 0

    def add(self, ids: list[int], *, trained: bool = False) -> None:
        """Append tokens; a trained piece is one output."""
        self.ids += ids
        self.labels += ids if trained else [IGNORED] * len(ids)
        self.trained_outputs += trained


_Found = TypeVar("_Found", Sequenced, DrawTree)


def _padded(values: list[list[int]], fill: int) -> torch.Tensor:
    width = max(map(len, values))
    return torch.tensor([row + [fill] * (width - len(row)) for row in values])
