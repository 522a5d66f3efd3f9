"""Several continuations of one prefix in one row: a token attends to its ancestors in a tree, and to nothing else.

Sliding windows are kept by position in the text rather than in the row, so that the numbers are those of plain rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel

ROOT = -1
"""Stands for the token before the first one."""

Step = tuple[int, int]
"""Index of a token in a tree (or ``ROOT``), and a token id that may follow it."""


@dataclass
class TokenTree:
    """Texts as token ids; a common beginning of some of them is there once.

    Attributes:
        ids: Token ids; a token comes after its parent.
        parents: For each token the index of the token before it in its texts, or ``ROOT``.
        offsets: For each token from which a step was asked for, how many tokens after the start of its steps it is.
    """

    ids: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: dict[int, int] = field(default_factory=dict)
    _children: dict[Step, int] = field(default_factory=dict)

    def steps(self, node: int, tokens: Sequence[int]) -> list[Step]:
        """The steps that lead from ``node`` through ``tokens``; all but the last of them become part of the tree."""
        found: list[Step] = []
        for count, token in enumerate(tokens):
            found.append((self._child(*found[-1]) if found else node, token))
            self.offsets[found[-1][0]] = count
        return found

    def text(self, node: int, count: int | None = None) -> list[int]:
        """The last ``count`` tokens up to and with ``node``, or all of them."""
        found: list[int] = []
        while node != ROOT and len(found) != count:
            found.append(self.ids[node])
            node = self.parents[node]
        return found[::-1]

    def extend(self, node: int, tokens: Sequence[int]) -> int:
        """Put ``tokens`` after ``node``, as far as they are not there; returns the index of the last one."""
        for token in tokens:
            node = self._child(node, token)
        return node

    def missing(self, tokens: Sequence[int], node: int = ROOT) -> int:
        """How many of the tokens after ``node`` are not there yet."""
        for shared, token in enumerate(tokens):
            child = self._children.get((node, token))
            if child is None:
                return len(tokens) - shared
            node = child
        return 0

    @property
    def is_line(self) -> bool:
        """Whether it is a single text."""
        return self.parents == list(range(ROOT, len(self.ids) - 1))

    def _child(self, node: int, token: int) -> int:
        child = self._children.get((node, token))
        if child is None:
            child = self._children[node, token] = len(self.ids)
            self.ids.append(token)
            self.parents.append(node)
        return child


def shares_prefixes(model: PreTrainedModel) -> bool:
    """Whether rows that share prefixes have the numbers of plain ones, as far as it was found out on the model."""
    from spectrum_suite.layouts import Layout, proof_of  # noqa: PLC0415  it needs this module

    return proof_of(model).layout is Layout.TREE


def tree_inputs(parents: torch.Tensor, model: PreTrainedModel) -> dict[str, Any]:
    """The attention mask and the positions of rows that are trees.

    Args:
        parents: (rows, length), the index of the token before each, or ``ROOT``; a parent comes before its children.
            A token that is padding has none, and attends to itself, so that no line of the mask is empty.
        model: The model that will get them, with or without an adapter.
    """
    columns = zip(*map(_walk, parents.tolist()), strict=True)
    walk, last, positions = (torch.tensor(column, dtype=torch.int32).to(model.device) for column in columns)
    attends = walk[:, :, None] >= walk[:, None, :]
    attends &= walk[:, :, None] <= last[:, None, :]
    return {"attention_mask": masks_for_model(attends, positions, model), "position_ids": positions.long()}


def _walk(parents: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """A walk over a tree, one branch after another: what is below a token follows it at once.

    Returns:
        For each token its place on the walk, that of the last token below it (its own where none is), and how many
        tokens come before it in its texts.
    """
    below, free, depth = ([0] * (len(parents) + 1) for _ in range(3))  # the last entry, at ``ROOT``, is of them all
    for token in reversed(range(len(parents))):
        below[parents[token]] += below[token] + 1
    walk, depth[ROOT] = [], -1
    for token, parent in enumerate(parents):
        walk.append(free[parent])
        free[parent] += below[token] + 1
        free[token] = walk[-1] + 1
        depth[token] = depth[parent] + 1
    return walk, [place + more for place, more in zip(walk, below, strict=False)], depth[:-1]


def padded_inputs(trees: Sequence[TokenTree], model: PreTrainedModel) -> dict[str, Any]:
    """Tokens of trees that are lines, padded at their ends; a mask where the model takes one."""
    length = max(len(tree.ids) for tree in trees)
    fill = trees[0].ids[0]  # any token does: nothing attends to it
    tokens = torch.tensor([tree.ids + [fill] * (length - len(tree.ids)) for tree in trees], device=model.device)
    return {"input_ids": tokens} | ({"attention_mask": causal_mask(tokens)} if takes(model, "attention_mask") else {})


def causal_mask(tokens: torch.Tensor) -> torch.Tensor:
    """The mask of rows, (rows, length), that are padded at their ends, if at all: all ones.

    No token sees what comes after it, padding included. Zeros there would make `transformers` spell out a mask of
    (rows, 1, length, length), and PyTorch take slower attention than the causal one.
    """
    return torch.ones_like(tokens)


def takes(model: PreTrainedModel, name: str) -> bool:
    """Whether the forward pass of the model has an argument of this name."""
    return name in inspect.signature(core_model(model).forward).parameters


def core_model(model: PreTrainedModel) -> PreTrainedModel:
    """The `transformers` model itself, without the wrapper of an adapter."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def masks_for_model(
    mask: torch.Tensor, positions: torch.Tensor, model: PreTrainedModel
) -> torch.Tensor | dict[str, torch.Tensor]:
    """The mask as the model's layers want it, on its device.

    Args:
        mask: (rows, length, length), true where the first token attends to the second.
        positions: (rows, length), the position of each token in its text.
        model: The model that will get the mask, with or without an adapter.
    """
    config = model.config.get_text_config()
    masks = {"full_attention": mask}
    if window := getattr(config, "sliding_window", None):
        masks["sliding_attention"] = mask
        if mask.shape[-1] > window:
            masks["sliding_attention"] = mask & (positions[:, None, :] > positions[:, :, None] - window)
    attention, dtype = config._attn_implementation, model.dtype
    masks = {kind: _in_heads(found.to(model.device), attention, dtype) for kind, found in masks.items()}
    if getattr(config, "layer_types", None) is None:
        return masks.get("sliding_attention", masks["full_attention"])
    kinds = set(config.layer_types)  # a layer of another kind gets no mask, and may keep texts apart or not
    return {kind: masks.get(kind) for kind in kinds} if len(kinds) > 1 else masks.get(kinds.pop())


def _in_heads(mask: torch.Tensor, attention: str, dtype: torch.dtype) -> torch.Tensor:
    """(rows, length, length) -> (rows, 1, length, length); eager attention adds its mask instead of applying it."""
    mask = mask[:, None]
    return torch.where(mask, 0.0, torch.finfo(dtype).min).to(dtype) if attention == "eager" else mask
