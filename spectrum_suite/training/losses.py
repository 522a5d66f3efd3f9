"""Cross-entropy of many targets, some behind the same token, with one matrix of the vocabulary in memory."""

from __future__ import annotations

from typing import Any

import torch

_LINES = 64  # of the logits that are exponentiated at a time


class _Nats(torch.autograd.Function):
    """The gradient is written over the logits, which nobody needs any more by then."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, lines: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        normalizer = torch.cat([some.logsumexp(-1) for some in logits.split(_LINES)])
        ctx.save_for_backward(logits, lines, targets, normalizer)
        return normalizer[lines] - logits[lines, targets]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        logits, lines, targets, normalizer = ctx.saved_tensors
        weight = torch.zeros_like(normalizer).index_add_(0, lines, gradient)
        found = logits.sub_(normalizer[:, None]).exp_().mul_(weight[:, None])
        return found.index_put_((lines, targets), -gradient, accumulate=True), None, None


def target_nats(logits: torch.Tensor, lines: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Minus the log-probability of each target, in nats, shape (targets,).

    The backward pass takes the memory of ``logits`` for their gradient, so it runs once, and the logits are no longer
    what they were.

    Args:
        logits: (positions, vocabulary), float32.
        lines: (targets,), the position that each target follows; several may follow the same.
        targets: (targets,), token ids.
    """
    return _Nats.apply(logits, lines, targets)
