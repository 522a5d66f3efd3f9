"""Cross-entropy of trained tokens, several of which may follow the same token, with little of the vocabulary in memory.

From logits it takes the memory of the logits alone. From the states before a frozen LM head it makes a piece of the
logits at a time: with a vocabulary of 262,144 those of a batch are hundreds of megabytes that a CPU writes and reads
several times over, while a piece stays in the cache. What the backward pass needs is gathered on the way: the mean of
the head's rows under the model's distribution, which is the gradient of the normalizer (as in the online softmax of
arXiv 1805.02867).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft.utils.other import TrainableTokensWrapper
from torch import nn

from spectrum_suite.lm_head import HeadView
from spectrum_suite.token_rows import active_rows

PIECE = 2048
"""Rows of the head that are multiplied at a time."""

_ROWS = 64  # of the logits that are exponentiated at a time


class _TokenNLL(torch.autograd.Function):
    """The gradient is written over the logits, which nobody needs by then."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, position_index: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        normalizer = torch.cat([some.logsumexp(-1) for some in logits.split(_ROWS)])
        ctx.save_for_backward(logits, position_index, targets, normalizer)
        return normalizer[position_index] - logits[position_index, targets]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        logits, position_index, targets, normalizer = ctx.saved_tensors
        weight = torch.zeros_like(normalizer).index_add_(0, position_index, gradient)
        found = logits.sub_(normalizer[:, None]).exp_().mul_(weight[:, None])
        return found.index_put_((position_index, targets), -gradient, accumulate=True), None, None


def token_nll(logits: torch.Tensor, position_index: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Minus the log-probability of each target, in nats, shape (targets,).

    The backward pass takes the memory of ``logits`` for their gradient, so it runs once, and the logits are no longer
    what they were.

    Args:
        logits: (positions, vocabulary), float32.
        position_index: (targets,), the position that each target follows; several may follow the same.
        targets: (targets,), token ids.
    """
    return _TokenNLL.apply(logits, position_index, targets)


@dataclass(frozen=True)
class FrozenHead:
    """The weights of an LM head that are not trained, but for some rows.

    Attributes:
        weight: (vocabulary, width), frozen.
        token_ids: (trained,), the tokens whose rows of ``weight`` are replaced.
        rows: (trained, width), the rows in their place, which may be trained.
    """

    weight: torch.Tensor
    token_ids: torch.Tensor
    rows: torch.Tensor

    @classmethod
    def of(cls, head: nn.Module) -> FrozenHead | None:
        """The weights of a plain head on a CPU, with or without rows that an adapter trains; None for any other."""
        rows = token_ids = None
        if isinstance(head, TrainableTokensWrapper):
            head = head.token_adapter
            active = active_rows(head, head.active_adapters)
            if active is None:
                return None
            token_ids, rows = active
            head = head.base_layer
        if type(head) is not nn.Linear or head.bias is not None:
            return None
        if head.weight.device.type != "cpu" or head.weight.requires_grad:
            return None
        if rows is None or token_ids is None:
            rows, token_ids = head.weight.new_empty(0, head.in_features), torch.empty(0, dtype=torch.long)
        return cls(head.weight, token_ids, rows)

    def token_nll(self, states: torch.Tensor, position_index: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Minus the log-probability of each target token, in nats, shape (targets,), float32.

        Args:
            states: (positions, width), what the head would be given.
            position_index: (targets,), the position that each target follows; several may follow the same.
            targets: (targets,), token ids.
        """
        dtype = self.weight.dtype
        return _HeadNLL.apply(
            states.to(dtype), self.rows.to(dtype), self.weight, self.token_ids, position_index, targets
        )


@contextmanager
def states_before(head: nn.Module, positions: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """Within, a model makes no logits: its head puts the states at ``positions`` into the list that is yielded.

    Args:
        head: Of the model.
        positions: Boolean tensor of shape (batch, length).
    """
    found: list[torch.Tensor] = []

    def keep(states: torch.Tensor) -> torch.Tensor:
        found.append(states[positions])
        return states.new_empty(0)

    head.forward = keep
    try:
        yield found
    finally:
        del head.forward


@torch.no_grad()
def logits_are_plain(model: nn.Module) -> bool:
    """Whether the logits of a model are what its head makes, neither capped nor scaled nor cut afterwards."""
    given: list[torch.Tensor] = []

    def keep(states: torch.Tensor) -> torch.Tensor:
        given.append(states)
        return states

    view = HeadView(model)
    tokens = torch.arange(1, 9, device=model.device)[None]  # more than one: that of padding may be all zeros
    with torch.random.fork_rng(devices=[]):  # what training draws next stays what it was
        logits = view(keep, input_ids=tokens, use_cache=False).logits
    return view.sees_head and torch.equal(logits, model.get_output_embeddings()(given[0]))


class _HeadNLL(torch.autograd.Function):
    """The order of the sum over the vocabulary is that of the pieces, then the replaced rows."""

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any,
        states: torch.Tensor,
        rows: torch.Tensor,
        weight: torch.Tensor,
        token_ids: torch.Tensor,
        position_index: torch.Tensor,
        targets: torch.Tensor,
    ) -> torch.Tensor:
        softmax = _OnlineSoftmax(states)
        logits_of_targets = states.new_empty(len(targets), dtype=torch.float32)
        for start in range(0, len(weight), PIECE):
            piece = weight[start : start + PIECE]
            logits = states.mm(piece.T).float()
            replaced = token_ids[(token_ids >= start) & (token_ids < start + len(piece))] - start
            logits[:, replaced] = -torch.inf
            here = (targets >= start) & (targets < start + len(piece))
            logits_of_targets[here] = logits[position_index[here], targets[here] - start]
            softmax.add(logits, piece)
        if len(token_ids):
            logits = states.mm(rows.T).float()
            matches = targets[:, None] == token_ids
            here = matches.any(-1)
            logits_of_targets[here] = logits[position_index[here], matches[here].int().argmax(-1)]
            softmax.add(logits.clone(), rows)
        normalizer = softmax.normalizer()
        if len(token_ids):
            ctx.row_probabilities = (logits - normalizer[:, None]).exp_()
        ctx.save_for_backward(states, rows, weight, token_ids, position_index, targets, softmax.mean())
        return normalizer[position_index] - logits_of_targets

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, rows, weight, token_ids, position_index, targets, mean = ctx.saved_tensors
        by_line = torch.zeros(len(states)).index_add_(0, position_index, gradient)
        matches = targets[:, None] == token_ids
        target_rows = weight[targets]
        if len(token_ids):
            target_rows = torch.where(matches.any(-1, keepdim=True), rows[matches.int().argmax(-1)], target_rows)
        of_states = mean.mul_(by_line[:, None]).index_add_(0, position_index, target_rows.float() * -gradient[:, None])
        of_rows = None
        if ctx.needs_input_grad[1]:
            of_logits = ctx.row_probabilities * by_line[:, None]
            of_logits.index_add_(0, position_index, matches.float() * -gradient[:, None])
            of_rows = of_logits.T.mm(states.float()).to(rows.dtype)
        return of_states.to(states.dtype), of_rows, None, None, None, None


class _OnlineSoftmax:
    """Normalizer and mean row of a softmax over a vocabulary that comes in pieces."""

    def __init__(self, states: torch.Tensor) -> None:
        self.highest = torch.full((len(states), 1), -torch.inf)
        self.total = torch.zeros(len(states), 1)
        self.rows = torch.zeros(states.shape, dtype=torch.float32)

    def add(self, logits: torch.Tensor, weight: torch.Tensor) -> None:
        """Take a piece in: logits of shape (positions, piece), which are overwritten, and its rows (piece, width)."""
        highest = torch.maximum(self.highest, logits.amax(-1, keepdim=True))
        shrunk = (self.highest - highest).exp_()
        logits.sub_(highest).exp_()
        self.total.mul_(shrunk).add_(logits.sum(-1, keepdim=True))
        self.rows.mul_(shrunk).add_(logits.to(weight.dtype).mm(weight))
        self.highest = highest

    def normalizer(self) -> torch.Tensor:
        """The logarithm of the sum of exponentials, (positions,)."""
        return (self.highest + self.total.log()).squeeze(-1)

    def mean(self) -> torch.Tensor:
        """The mean of the rows under the softmax, (positions, width)."""
        return self.rows / self.total
