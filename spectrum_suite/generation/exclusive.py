"""Options as events that exclude one another, where one option may be the beginning of another."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from spectrum_suite.errors import UserError
from spectrum_suite.generation.logprobs import TokenIds


def exclusive_log_probs(log_probs: torch.Tensor, token_ids: Sequence[TokenIds]) -> torch.Tensor:
    """Take from each option the probability of the listed longer options that continue it, token by token.

    The log-probability of the text ``1`` is that of all answers that begin with it, so where ``10`` is listed too and
    begins with the same token, the mass of ``10`` is in both, and the sum over the options may exceed 1. What is left
    here are the masses of events that exclude one another: "begins with ``10``" and "begins with ``1`` but not with
    ``10``". The sum never exceeds 1. Options that continue no other keep their log-probability.

    Args:
        log_probs: (n_options,), in nats.
        token_ids: The tokens of each option.

    Returns:
        (n_options,), in float64 and in nats; ``-inf`` where nothing is left.

    Raises:
        UserError: Two options are the same tokens.
    """
    position = {ids: index for index, ids in enumerate(token_ids)}
    if len(position) < len(token_ids):
        raise UserError("two options of an item are the same tokens: list each answer once and add up its shares")
    left = log_probs.to(torch.float64, copy=True)
    for ids, index in position.items():
        # only the longest listed option that this one continues: shorter ones lose its mass with that one's
        shorter = next((position[ids[:end]] for end in range(len(ids) - 1, 0, -1) if ids[:end] in position), None)
        if shorter is not None:
            share = torch.exp(log_probs[index].double() - left[shorter])
            left[shorter] += torch.log1p(-share.clamp(max=1))
    return left
