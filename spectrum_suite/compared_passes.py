"""Short texts, and passes of a model in which one of them is in each layout: alone its numbers are right.

See :mod:`spectrum_suite.layouts`, which compares them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import Cache, PreTrainedModel
from transformers.utils import ModelOutput

from spectrum_suite.lm_head import target_log_probs
from spectrum_suite.tree_attention import ROOT, TokenTree, core_model, padded_inputs, tree_inputs

TARGETS = 16
"""Tokens whose log-probabilities are compared at each position."""

_CACHE_NAMES = ("cache", "past_key_values")  # from transformers 5.24 on, and before
_LIKELY = 20.0  # nats: tokens that are less likely than the likeliest by more hardly ever matter
_OTHER, _SHARED, _SIBLING, _BRANCH, _TAIL = (3, 4, 5, 4, 3)  # tokens of each part of the texts that are compared
_LONGEST = _OTHER + _SHARED + _SIBLING + _BRANCH + _TAIL
_VOCABULARY = 50_000  # the tokens that are compared are among the first

IN_ROW = _OTHER + _SHARED + _SIBLING + _BRANCH
"""Tokens of a row with all of the texts."""

PLACES = (1, 3, 4, 5, 7)
"""Of the text: in the shared part, at its end, and in the branch."""


@dataclass(frozen=True)
class ComparedTexts:
    """The texts that are compared.

    Attributes:
        other: What stands before them in a row.
        shared: The beginning of two texts.
        sibling: How the first continues.
        branch: How the second continues.
        tail: What may stand after it.
        targets: (places, ``TARGETS``), tokens whose log-probabilities are compared at ``PLACES`` of the second text.
        alone: Their log-probabilities where it is alone, of the same shape.
        size: The largest difference that a full leak makes, in nats.
    """

    other: list[int]
    shared: list[int]
    sibling: list[int]
    branch: list[int]
    tail: list[int]
    targets: torch.Tensor
    alone: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    size: float = 0.0

    @classmethod
    def of(cls, model: PreTrainedModel) -> ComparedTexts:
        """Texts for a model, whose tokens have no meaning of their own to it, as padding has."""
        vocabulary = min(core_model(model).config.get_text_config().vocab_size, _VOCABULARY)
        special: set[int] = set()
        for config in (core_model(model).config, core_model(model).config.get_text_config()):
            for name, value in config.to_dict().items():
                if name.endswith(("token_id", "token_index", "token_ids")):
                    special |= set(value) if isinstance(value, list) else {value}
        ordinary = [token for token in range(vocabulary) if token not in special]
        draw = torch.Generator().manual_seed(0)
        order = torch.randperm(len(ordinary), generator=draw).tolist()
        tokens, parts = [ordinary[index] for index in (order * _LONGEST)[:_LONGEST]], []
        for length in (_OTHER, _SHARED, _SIBLING, _BRANCH, _TAIL):
            parts.append(tokens[:length])
            tokens = tokens[length:]
        return cls(*parts, torch.randint(vocabulary, (len(PLACES), TARGETS), generator=draw))

    @property
    def text(self) -> list[int]:
        """The text whose log-probabilities are compared."""
        return self.shared + self.branch

    @property
    def continued(self) -> tuple[list[int], list[int]]:
        """All of it as one text: what stands before, and the tokens that a cache is followed through."""
        return self.other, self.shared + self.sibling + self.branch + self.tail


def far_pass(model: PreTrainedModel, texts: ComparedTexts, length: int) -> torch.Tensor:
    """The text with tokens after it whose positions end with ``length``."""
    ids = torch.tensor([texts.text + texts.tail], device=model.device)
    positions = [*range(len(texts.text)), *range(length - len(texts.tail), length)]
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "position_ids": torch.tensor([positions], device=model.device),
    }
    return _scored(model, inputs, [(0, place) for place in PLACES], texts)


def followed_pass(model: PreTrainedModel, texts: ComparedTexts, fill: int = 0) -> torch.Tensor:
    """The text with so many tokens after it."""
    tree = TokenTree()
    tree.extend(ROOT, texts.text + (texts.sibling * (fill + 1))[:fill])
    return _scored(model, padded_inputs([tree], model), [(0, place) for place in PLACES], texts)


def padded_pass(model: PreTrainedModel, texts: ComparedTexts) -> tuple[torch.Tensor, torch.Tensor]:
    """The text with more after it in a padded row, and the text after all else in a row that is one text."""
    before = texts.other + texts.shared + texts.sibling
    rows = [texts.text + texts.tail, [*before, *texts.branch]]
    trees = [TokenTree() for _ in rows]
    for tree, ids in zip(trees, rows, strict=True):
        tree.extend(ROOT, ids)
    inputs = padded_inputs(trees, model)
    leaked = [len(texts.other) + place if place < _SHARED else len(before) + place - _SHARED for place in PLACES]
    found = _scored(model, inputs, [*((0, place) for place in PLACES), *((1, place) for place in leaked)], texts)
    return found[: len(PLACES)], found[len(PLACES) :]


def tree_pass(model: PreTrainedModel, texts: ComparedTexts, fill: int = 0) -> torch.Tensor:
    """The text in a tree, after another text, a sibling that is longer by ``fill``, and their common beginning."""
    tree = TokenTree()
    tree.extend(ROOT, texts.other)
    start = tree.extend(ROOT, texts.shared)
    tree.extend(start, texts.sibling + (texts.sibling * (fill + 1))[:fill])
    nodes = [start - _SHARED + 1 + place for place in range(_SHARED)]
    end = tree.extend(start, texts.branch)
    nodes += range(end - _BRANCH + 1, end + 1)
    inputs = {"input_ids": torch.tensor([tree.ids], device=model.device)}
    inputs |= tree_inputs(torch.tensor([tree.parents]), model)
    return _scored(model, inputs, [(0, nodes[place]) for place in PLACES], texts)


def pack_pass(model: PreTrainedModel, texts: ComparedTexts, fill: int = 0) -> torch.Tensor:
    """The text in a row after another one, longer by ``fill``, separated by positions."""
    other = texts.other + (texts.sibling * (fill + 1))[:fill]
    tokens = torch.tensor([other + texts.text], device=model.device)
    positions = [*range(len(other)), *range(len(texts.text))]
    inputs = {"input_ids": tokens, "position_ids": torch.tensor([positions], device=model.device)}
    return _scored(model, inputs, [(0, len(other) + place) for place in PLACES], texts)


def continued_pass(model: PreTrainedModel, texts: ComparedTexts) -> torch.Tensor:
    """The logits after each token of :attr:`ComparedTexts.continued`, (tokens, vocabulary), each from the cache before.

    Raises:
        TypeError: The model gives no cache.
    """
    before, tokens = texts.continued
    name, cache = cache_of(model(input_ids=torch.tensor([before], device=model.device), use_cache=True))
    logits = []
    for token in tokens:
        if cache is None:
            raise TypeError("it gives no cache")
        ids = torch.tensor([[token]], device=model.device)
        output = model(input_ids=ids, use_cache=True, **{name: cache})
        name, cache = cache_of(output)
        logits.append(output.logits[0, -1])
    return torch.stack(logits)


def cache_of(output: ModelOutput) -> tuple[str, Cache | None]:
    """The cache of a pass, and its name in what the model returns and takes."""
    name = next((name for name in _CACHE_NAMES if name in output), "")
    return name, output.get(name)


def _scored(
    model: PreTrainedModel, inputs: dict[str, Any], places: list[tuple[int, int]], texts: ComparedTexts
) -> torch.Tensor:
    """The log-probabilities of the targets at places (row, index) that ascend, (places, ``TARGETS``)."""
    positions = torch.zeros(inputs["input_ids"].shape, dtype=torch.bool)
    positions[tuple(zip(*places, strict=True))] = True
    targets = texts.targets.repeat(len(places) // len(PLACES), 1)
    position_index = torch.arange(len(places)).repeat_interleave(TARGETS)
    found = target_log_probs(model, inputs, positions.to(model.device), position_index, targets.flatten())
    return found.view(len(places), TARGETS)


def log_probs_of(logits: torch.Tensor, texts: ComparedTexts) -> torch.Tensor:
    """The log-probabilities of the targets, (places, ``TARGETS``), from the logits of the whole text."""
    found = logits[list(PLACES)].float().log_softmax(-1).cpu()
    return found.gather(-1, texts.targets)


def largest_difference(found: torch.Tensor, right: torch.Tensor) -> float:
    """The largest difference; what both rule out does not differ."""
    return torch.where(found == right, 0.0, found - right).abs().max().item()


def likely_difference(found: torch.Tensor, right: torch.Tensor) -> float:
    """The largest difference in nats between logits, (..., vocabulary), among tokens that ``right`` finds likely.

    It is NaN where a logit is.
    """
    found, right = found.float().log_softmax(-1), right.float().log_softmax(-1)
    likely = ~(right <= right.amax(-1, keepdim=True) - _LIKELY)
    return torch.where(found == right, 0.0, found - right)[likely].abs().max().item()
