"""The LM head, computed only where a token is scored.

With a vocabulary of 262,144 the head costs more than the rest of a small model, and its logits more memory than all
else. Whatever a model does to its logits afterwards (soft caps, scales) still happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

HEAD_POSITIONS = 128
"""The LM head runs on at most so many positions at a time (128 x 262,144 logits in float32 are 134 MB)."""

VOCABULARY_PIECE = 1024
"""Rows of the head's weights that a CPU multiplies at a time: few enough to stay in its cache between two products."""

Adjustment = Callable[[torch.Tensor, int], torch.Tensor]
"""Logits of some scored positions, (positions, vocabulary), and the rank of the first of them -> other logits."""


@contextmanager
def in_pieces(head: nn.Module) -> Iterator[None]:
    """Within, a plain LM head on a CPU multiplies its weights piece by piece.

    That takes a fifth less time for few states, because a product of few with many rows otherwise reads the weights
    more than once. A head of another kind (quantized, adapted, with a bias) is left as it is.
    """
    if type(head) is not nn.Linear or head.bias is not None or head.weight.device.type != "cpu":
        yield
        return

    def multiply(states: torch.Tensor) -> torch.Tensor:
        logits = states.new_empty(len(states), len(head.weight))
        for weights, part in zip(head.weight.split(VOCABULARY_PIECE), logits.split(VOCABULARY_PIECE, -1), strict=True):
            torch.mm(states, weights.T, out=part)
        return logits

    head.forward = multiply
    try:
        yield
    finally:
        del head.forward


@contextmanager
def scored_positions(model: nn.Module, positions: torch.Tensor) -> Iterator[None]:
    """Within, the LM head of ``model`` sees only ``positions``, so its logits have shape (positions, vocabulary).

    The selection is a copy and thus contiguous, which a CPU needs for speed.

    Args:
        model: A causal language model, with or without an adapter.
        positions: Boolean tensor of shape (batch, length).
    """

    def select(_: nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (arguments[0][positions], *arguments[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def target_log_probs(
    model: nn.Module,
    inputs: dict[str, Any],
    positions: torch.Tensor,
    lines: torch.Tensor,
    targets: torch.Tensor,
    *,
    adjust: Adjustment | None = None,
) -> torch.Tensor:
    """The log-probability of each target token in nats, with logits for some positions at a time.

    The model is run once and its hidden states are kept. To turn the next of them into logits it is run on a single
    token while its LM head sees them instead, so whatever it does to logits afterwards (soft caps, scales) happens.

    Args:
        model: A causal language model, with or without an adapter.
        inputs: What the model is called with.
        positions: (rows, length), boolean: where the LM head is needed.
        lines: (targets,), ascending: for each target the rank of the position that predicts it, among ``positions``.
        targets: (targets,), token ids.
        adjust: Changes logits before they become probabilities.
    """
    waiting: list[torch.Tensor] = []

    def next_states(_: nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        if not waiting:
            waiting.extend(arguments[0][positions].split(HEAD_POSITIONS))
        return (waiting.pop(0), *arguments[1:])

    found: list[torch.Tensor] = []

    def score(logits: torch.Tensor) -> None:
        first = len(found) * HEAD_POSITIONS
        logits = logits.float() if adjust is None else adjust(logits.float(), first)
        found.append(_step_log_probs(logits, lines - first, targets))

    head = model.get_output_embeddings()
    handle = head.register_forward_pre_hook(next_states)
    try:
        with in_pieces(head):
            score(model(**inputs, use_cache=False).logits)
            while waiting:
                score(model(input_ids=inputs["input_ids"][:1, :1], use_cache=False).logits)
    finally:
        handle.remove()
    return torch.cat(found)


def _step_log_probs(logits: torch.Tensor, lines: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The log-probability of those targets whose lines lie in ``logits``, (positions, vocabulary)."""
    here = (lines >= 0) & (lines < len(logits))
    lines, targets = lines[here].to(logits.device), targets[here].to(logits.device)
    return (logits[lines, targets] - logits.logsumexp(-1)[lines]).cpu()
