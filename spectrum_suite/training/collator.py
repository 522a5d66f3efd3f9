"""From tokenized rows to batches: a new order of the draws every epoch, as many whole draws as fit, outputs trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, first_trained
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.seeding import generator
from spectrum_suite.training.draw_tree import ROOT, DrawTree
from spectrum_suite.training.option_terms import OptionTerms
from spectrum_suite.training.targets import trie_size

IGNORED = -100
"""The label of a token on which no loss falls."""

PACKED_LENGTH = 512
"""Tokens of a line of several trees, at most. Longer lines would save little padding, and attention grows with them."""

TrainOn = Literal["outputs", "all", "last", "first"]

View = Callable[[dict[str, Any], int], dict[str, Any]]
"""(a tokenized row, the epoch) -> the row as it is seen in this epoch, never longer than it is stored."""


@dataclass
class SpectrumCollator:
    """Makes one sequence of each row: beginning of sequence, description, then draws in random order.

    With probability ``description_dropout`` the description is left out, and the first output is then context. What is
    random depends on the seed, the epoch and the row alone, so that batches do not change with their size or order.

    With probability ``branching`` a draw does not follow the one before it but begins a sequence of its own after the
    description. The sequences of a row are packed as a tree (:mod:`spectrum_suite.training.draw_tree`), in which a
    token attends to its ancestors alone: the loss is that of separate rows, for a fraction of the tokens.

    ``row_branching`` is that probability for each row, in place of one for all.

    A row with a target (:mod:`spectrum_suite.training.targets`) is the trie of its options after its description and
    the examples that fit, with a weight for every token. Without examples its description is always shown.

    With ``packing`` the sequences of a batch share lines of at most ``max_length`` tokens, each with positions and
    attention of its own, so that almost nothing is padded and the loss is the same.

    A row with description ``D`` and draws ``(x1 -> y1)``, ``(x2 -> y2)`` may become, with padding at the right::

        input_ids       bos D x2 y2 sep x1 y1 pad
        labels           .  .  . y2  .   . y1  .       (. is -100)
        attention_mask   1  1  1  1  1   1  1  0

    Attributes:
        start: Token ids in front of every sequence.
        separator: Token ids after every output but the last.
        pad_token_id: The token that fills a batch up.
        max_length: Tokens in a sequence, at most.
        train_on: ``outputs`` with their terminators, as the method has it, or an ablation of it: ``all`` tokens (but
            those of ``start``), or of the outputs only the ``last`` or the ``first`` of each sequence. The output that
            stands in for a dropped description is context, so that ``first`` is then the second.
        targets: Whether rows may have a target; all rows are trees then.
        terms: Terms of the loss on the distribution over options, whose tries then have every option; None for none.
        view: What a plain sequence's row is in an epoch, where its texts change with it; None where they do not.
    """

    start: list[int]
    separator: list[int]
    pad_token_id: int
    max_length: int
    description_dropout: float = 0.2
    branching: float = 0.0
    row_branching: Sequence[float] | None = None
    permute: bool = True
    train_on: TrainOn = "outputs"
    packing: bool = False
    seed: int = 42
    targets: bool = False
    terms: OptionTerms | None = None
    view: View | None = None
    epoch: int = field(default=0, init=False)
    _kept: dict[int, DrawTree] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("description_dropout", "branching"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"--{name} {getattr(self, name)} is not a probability: choose a number from 0 to 1")
        if self.train_on not in get_args(TrainOn):
            raise UserError(f"no --train_on {self.train_on!r}: choose {', '.join(get_args(TrainOn))}")
        if self.trees and self.train_on != "outputs":
            trees = "--objective distribution" if self.targets else "--branching"
            raise UserError(f"--train_on {self.train_on} is for plain sequences: leave {trees} out")

    @property
    def trees(self) -> bool:
        """Whether rows become trees rather than plain sequences."""
        return bool(self.branching or self.row_branching is not None or self.targets)

    @classmethod
    def for_format(cls, text_format: Format, tokenizer: PreTrainedTokenizerBase, **options: Any) -> SpectrumCollator:
        """The collator of rows that were tokenized with ``text_format``; ``options`` are the other attributes."""
        ids = token_encoder(tokenizer, text_format)([text_format.bos, text_format.separator])
        pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        pad = 0 if pad is None else pad  # any token does: nothing attends to it, and no loss falls on it
        return cls(ids[text_format.bos], ids[text_format.separator], pad, **options)

    def set_epoch(self, epoch: int) -> None:
        """Order and dropout are drawn again for each epoch."""
        self.epoch, self._kept = epoch, {}

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Rows -> a batch of tensors of shape (lines, longest line), int64; a line is a row, or holds several.

        Returns:
            ``input_ids``, ``labels``, ``attention_mask`` (0 for padding) and ``groups``, for every label the ``group``
            of its row. Packed lines have ``position_ids`` too, which start from 0 in each sequence. With ``branching``
            the lines are trees, with ``parents`` (-1 where a sequence begins and for padding), ``labels`` of shape
            (lines, most targets in a line) and ``sources``, the index of the token that each target follows; where no
            tree has branches and none shares a line there are no ``parents``. With ``targets`` there are ``weights``,
            how many draws each label counts as, float32; 0 where there is no label.

        Raises:
            UserError: A row gives a sequence with nothing to train on; the message has its id.
        """
        made = [self.tree(row) if self.trees else self.sequence(row) for row in rows]
        groups = [row.get("group", 0) for row in rows]
        lines = self._lines([len(each.ids) for each in made])
        if not self.trees:
            return self._chains(made, groups, lines)
        batch = self._trees(made, groups, lines)
        return batch if self.terms is None else batch | _option_tensors(rows, made, lines, batch["labels"].shape[1])

    def lengths(self, rows: Iterable[dict[str, Any]]) -> list[int]:
        """Tokens that each row is in this epoch: of its sequence, whose draws are counted, or of its tree.

        Trees are kept, as :meth:`keep` does. A :data:`View` does not count: batches are then the same whatever it makes
        of the rows.
        """
        if not self.trees:
            return [self._chosen(row)[-1] for row in rows]
        self._kept = {}  # two windows of trees would take twice the memory
        return self.keep(self.grown(rows))

    def grown(self, rows: Iterable[dict[str, Any]]) -> dict[int, DrawTree]:
        """The trees of rows in this epoch, by the numbers of the rows; another process may make them."""
        return {row["row"]: self._grown(row) for row in rows}

    def keep(self, trees: Mapping[int, DrawTree]) -> list[int]:
        """Keep trees for the batches that their rows are in, until others are kept; returns their numbers of tokens."""
        self._kept = dict(trees)
        return [len(tree.ids) for tree in trees.values()]

    def sequence(self, row: dict[str, Any]) -> Sequenced:
        """The sequence of one row in this epoch; every draw follows the one before it."""
        row = row if self.view is None else self.view(row, self.epoch)
        return self._options_in_line(row) if row.get("options") else self._chain(row)

    def tree(self, row: dict[str, Any]) -> DrawTree:
        """The tree of one row in this epoch; without its description it is a single sequence."""
        return self._kept.pop(row["row"], None) or self._grown(row)

    def _choices(self, row: dict[str, Any]) -> tuple[list[int], bool, np.random.Generator]:
        """The order of the draws, whether the description is shown, and the generator of what follows."""
        rng = generator(self.seed, self.epoch, row["row"])
        count = len(row["outputs"])
        order = rng.permutation(count).tolist() if self.permute else list(range(count))
        return order, bool(row["description"]) and rng.random() >= self.description_dropout, rng

    def _chosen(self, row: dict[str, Any]) -> tuple[list[int], bool, int]:
        """The draws of a sequence in their order, as many as fit; whether the description is shown; and its tokens."""
        order, described, _ = self._choices(row)
        for shown in dict.fromkeys((described, bool(row["description"]))):  # a single draw needs its description
            kept: list[int] = []
            length, first = len(self.start) + len(row["description"]) * shown, first_trained(described=shown)
            for index in order:
                before = len(self.separator) if kept else 0
                before += len(_context(row, index, begins=not kept and not shown))
                if length + before + len(row["outputs"][index]) <= self.max_length:
                    kept.append(index)
                    length += before + len(row["outputs"][index])
                elif len(kept) > first:
                    break
            if len(kept) > first:
                return kept, shown, length
        raise self._too_long(row)

    def _too_long(self, row: dict[str, Any]) -> UserError:
        return UserError(f"row {row['id']!r} has nothing to train on within {self.max_length} tokens")

    def _chain(self, row: dict[str, Any]) -> Sequenced:
        """The draws of a row one after another, with the labels that ``train_on`` asks for."""
        draws, described, _ = self._chosen(row)
        filled, first = Sequenced(), first_trained(described=described)
        filled.add(self.start + (row["description"] if described else []))
        for place, index in enumerate(draws):
            before = self.separator if place else []
            filled.add(before + _context(row, index, begins=place == 0 and not described))
            filled.add(row["outputs"][index], trained=place >= first)
        if self.train_on != "outputs":
            self._relabel(filled)
        return filled

    def _relabel(self, filled: Sequenced) -> None:
        """Labels of an ablation in place of those of all outputs."""
        if self.train_on == "all":
            untrained = max(len(self.start), 1)  # nothing comes before the first token that could predict it
            filled.labels = [IGNORED] * untrained + filled.ids[untrained:]
            return
        begin, end = filled.spans[-1 if self.train_on == "last" else 0]
        filled.labels = [IGNORED] * len(filled.ids)
        filled.labels[begin:end] = filled.ids[begin:end]

    def _grown(self, row: dict[str, Any]) -> DrawTree:
        """The draws of a row as a tree; of one with a target the options, after what comes before them."""
        if row.get("options"):
            tree = DrawTree()
            tree.add_options(
                tree.extend(ROOT, self._before_target(row)),
                row["options"],
                row["weights"],
                every=self.terms is not None,
            )
            if tree.trained_outputs:
                return tree
            raise self._too_long(row)
        order, described, rng = self._choices(row)
        for shown in dict.fromkeys((described, bool(row["description"]))):
            tree = self._branches(row, order, rng, described=shown)
            if tree.trained_outputs:
                return tree
        raise self._too_long(row)

    def _branches(
        self, row: dict[str, Any], order: list[int], rng: np.random.Generator, *, described: bool
    ) -> DrawTree:
        """The draws in ``order``, as long as the tree fits; with a description some begin sequences of their own."""
        branching = self.branching if self.row_branching is None else self.row_branching[row["row"]]
        tree, place = DrawTree(), 0
        end = root = tree.begin(self.start + (row["description"] if described else []))
        for index in order:
            if described and rng.random() < branching:
                end, place = root, 0
            output = row["outputs"][index]
            context = _context(row, index, begins=place == 0 and not described)
            draw = (self.separator if place else []) + context + output
            if tree.size_with(end, draw) <= self.max_length:
                trained = len(output) if place >= first_trained(described=described) else 0
                end, place = tree.add(end, draw, trained), place + 1
            elif tree.trained_outputs:
                break
        return tree

    def _options_in_line(self, row: dict[str, Any]) -> Sequenced:
        """The same for people to look at: the options that count are one after another."""
        line = Sequenced()
        line.add(self._before_target(row))
        for option, weight in zip(row["options"], row["weights"], strict=True):
            if weight:
                line.add(option, trained=True)
        return line

    def _before_target(self, row: dict[str, Any]) -> list[int]:
        """The tokens before a target: the description, the examples in their order as long as they fit, the input."""
        order, described, _ = self._choices(row)
        room = self.max_length - len(row["contexts"][-1])
        counted = row["weights"] if self.terms is None else [1.0] * len(row["options"])
        room -= trie_size(row["options"], counted) if order else 0
        examples: list[int] = []
        for shown in dict.fromkeys((described, True)):
            start = self.start + (row["description"] if shown else [])
            for index in order:
                example = row["contexts"][index] + row["outputs"][index] + self.separator
                if len(start) + len(examples) + len(example) <= room:
                    examples += example
                elif examples:
                    break
            if examples:
                break
        return start + examples + row["contexts"][-1]

    def _lines(self, lengths: list[int]) -> list[list[int]]:
        """Which sequences share a line: each alone, or packed into few lines of much the same length.

        Trees are always packed, for they differ much in length, and their mask is spelled out anyway.
        """
        if not self.packing and not self.trees:
            return [[index] for index in range(len(lengths))]
        longest = max(self.max_length, PACKED_LENGTH) if self.trees else self.max_length
        longest_first = sorted(range(len(lengths)), key=lambda index: -lengths[index])
        fewest = math.ceil(sum(lengths) / longest)
        return next(
            lines
            for lines in (_levelled(longest_first, lengths, count) for count in range(fewest, len(lengths) + 1))
            if max(sum(lengths[index] for index in line) for line in lines) <= longest
        )

    def _chains(self, made: list[Sequenced], groups: list[int], lines: list[list[int]]) -> dict[str, torch.Tensor]:
        ids, labels = [each.ids for each in made], [each.labels for each in made]
        batch = {
            "input_ids": _padded(ids, lines, self.pad_token_id),
            "labels": _padded(labels, lines, IGNORED),
            "attention_mask": _padded([np.ones(len(each)) for each in ids], lines, 0),
            "groups": _padded(_repeated(groups, labels), lines, 0),
        }
        if self.packing:
            batch["position_ids"] = _padded([np.arange(len(each)) for each in ids], lines, 0)
        return batch

    def _trees(self, made: list[DrawTree], groups: list[int], lines: list[list[int]]) -> dict[str, torch.Tensor]:
        begins = [0] * len(made)
        for line in lines:
            for before, index in pairwise(line):
                begins[index] = begins[before] + len(made[before].ids)
        parents = [
            np.where(np.array(tree.parents) == ROOT, ROOT, np.array(tree.parents) + begin)
            for tree, begin in zip(made, begins, strict=True)
        ]
        sources = [np.array(tree.sources) + begin for tree, begin in zip(made, begins, strict=True)]
        targets = [tree.targets for tree in made]
        weights = [tree.weights or [1.0] * len(tree.targets) for tree in made] if self.targets else []
        plain = len(lines) == len(made) and all(tree.is_line for tree in made)  # whose mask need not be spelled out
        return {
            **({"weights": _padded(weights, lines, 0, np.float32)} if self.targets else {}),
            "input_ids": _padded([tree.ids for tree in made], lines, self.pad_token_id),
            **({} if plain else {"parents": _padded(parents, lines, ROOT)}),
            "labels": _padded(targets, lines, IGNORED),
            "sources": _padded(sources, lines, 0),
            "attention_mask": _padded([np.ones(len(tree.ids)) for tree in made], lines, 0),
            "groups": _padded(_repeated(groups, targets), lines, 0),
        }


def _option_tensors(
    rows: Sequence[dict[str, Any]], made: list[DrawTree], lines: list[list[int]], width: int
) -> dict[str, torch.Tensor]:
    """What :func:`spectrum_suite.training.option_terms.option_terms` takes; steps are places among all labels."""
    found = []
    for number, line in enumerate(lines):
        begin = number * width
        for index in line:
            row, tree = rows[index], made[index]
            if tree.option_paths:
                order = row["order"] or range(len(tree.option_paths))
                paths = [[begin + place for place in tree.option_paths[option]] for option in order]
                found.append((paths, [row["weights"][option] for option in order], bool(row["order"])))
            begin += len(tree.targets)
    options = max((len(paths) for paths, _, _ in found), default=1)
    longest = max((len(path) for paths, _, _ in found for path in paths), default=1)
    steps = np.full((len(found), options, longest), -1, dtype=np.int64)
    draws = np.zeros((len(found), options), dtype=np.float32)
    for index, (paths, weights, _) in enumerate(found):
        draws[index, : len(weights)] = weights
        for option, path in enumerate(paths):
            steps[index, option, : len(path)] = path
    ordered = np.array([each for _, _, each in found], dtype=bool)
    return {
        "option_steps": torch.from_numpy(steps),
        "option_draws": torch.from_numpy(draws),
        "option_ordered": torch.from_numpy(ordered),
    }


def _context(row: dict[str, Any], index: int, *, begins: bool) -> list[int]:
    """What asks for an output; some tokenizers write it in another way where it begins a text."""
    return row["starts" if begins and "starts" in row else "contexts"][index]


def _levelled(longest_first: Sequence[int], lengths: Sequence[int], count: int) -> list[list[int]]:
    """So many lines, each index in the one that is the shortest so far: what is padded is the difference of the two."""
    lines: list[list[int]] = [[] for _ in range(count)]
    filled = [0] * count
    for index in longest_first:
        shortest = filled.index(min(filled))
        lines[shortest].append(index)
        filled[shortest] += lengths[index]
    return lines


@dataclass
class Sequenced:
    """Token ids and labels of one sequence, and where the outputs are that can be trained in it.

    Attributes:
        spans: Of each of them the indices of its first token and after its last.
    """

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)

    @property
    def trained_outputs(self) -> int:
        """How many outputs can be trained."""
        return len(self.spans)

    def add(self, ids: list[int], *, trained: bool = False) -> None:
        """Append tokens; a trained piece is one output."""
        if trained:
            self.spans.append((len(self.ids), len(self.ids) + len(ids)))
        self.ids += ids
        self.labels += ids if trained else [IGNORED] * len(ids)


def _repeated(groups: list[int], values: list[list[int]]) -> list[np.ndarray]:
    return [np.full(len(each), group) for group, each in zip(groups, values, strict=True)]


def _padded(
    values: Sequence[Sequence[float] | np.ndarray], lines: list[list[int]], fill: int, dtype: type = np.int64
) -> torch.Tensor:
    """The values of each line one after another, and ``fill`` at its right."""
    width = max(sum(len(values[index]) for index in line) for line in lines)
    padded = np.full((len(lines), width), fill, dtype=dtype)
    for row, line in zip(padded, lines, strict=True):
        end = 0
        for index in line:
            begin, end = end, end + len(values[index])
            row[begin:end] = values[index]
    return torch.from_numpy(padded)
