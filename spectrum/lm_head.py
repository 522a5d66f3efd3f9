"""The LM head, computed only where a token is scored.

With a vocabulary of 262,144 the head costs more than the rest of a small model, and its logits more memory than all
else. Whatever a model does to its logits afterwards (soft caps, scales) still happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


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
