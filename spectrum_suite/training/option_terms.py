"""Optional terms of the loss on the distribution over a row's options, which the trie gives exactly.

The probability of an option is the product over its steps in the trie, its end included, divided by the sum over all
options of the row. With shares ``p`` of the target and ``q`` of the model, and options in order where they have one:

    Brier   sum over options of (q - p)^2
    RPS     mean over all options but the last of (Q - P)^2, where Q and P are cumulative sums
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class OptionTerms:
    """How much each term counts relative to the cross-entropy of a draw, in nats.

    Attributes:
        brier: Of the Brier score.
        rps: Of the ranked probability score, for rows whose options are ordered or numbers.
    """

    brier: float = 0.0
    rps: float = 0.0


def order_of(options: Sequence[str], *, ordered: bool = False) -> list[int]:
    """The indices of options from one end of their scale to the other; empty where they are not a scale.

    Args:
        options: Of a row. Numbers are a scale from the lowest to the highest, wherever they are listed.
        ordered: Whether the row says that they are listed in order, as words such as "often" and "always" may be.
    """
    if ordered:
        return list(range(len(options)))
    try:
        numbers = [float(option) for option in options]
    except ValueError:
        return []
    return sorted(range(len(numbers)), key=numbers.__getitem__)


def option_terms(
    nats: torch.Tensor, steps: torch.Tensor, draws: torch.Tensor, ordered: torch.Tensor, terms: OptionTerms
) -> torch.Tensor:
    """The terms of some rows, each times the draws that its row counts as, summed.

    Args:
        nats: (targets,), minus the log-probability of each step.
        steps: (rows, options, steps), the targets that each option passes through; -1 is padding.
        draws: (rows, options), how many draws each option counts as; 0 for padding.
        ordered: (rows,), whether its options are in an order.
        terms: How much each counts.
    """
    padding, there = steps < 0, steps[..., 0] >= 0
    log_probs = -nats[steps.clamp(min=0)].masked_fill(padding, 0).sum(-1)
    found = log_probs.masked_fill(~there, -torch.inf).softmax(-1)
    total = draws.sum(-1)
    wanted = draws / total[:, None]
    brier = (found - wanted).square().sum(-1)
    inner = (there.sum(-1) - 1).clamp(min=1)
    rps = ((found - wanted).cumsum(-1) * there).square().sum(-1) / inner  # the last sum is 0
    return (total * (terms.brier * brier + terms.rps * rps * ordered)).sum()
