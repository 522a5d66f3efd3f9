"""Items from masses of options that an engine reports in other ways than log-probabilities of their texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from datasets import Dataset

from spectrum_suite.evaluation.alignment.item_scores import are_ordered, item_scores, uniform_scores
from spectrum_suite.evaluation.alignment.summarize_alignment import AlignmentItem


def items_of_masses(
    rows: Dataset, masses: Sequence[Sequence[float] | None], refused: Sequence[str | None]
) -> tuple[AlignmentItem, ...]:
    """Compare distributions with their targets; all arguments hold one entry per item.

    Args:
        rows: The items.
        masses: The probability that the model answers with each option, in all at most 1; None if not reported.
        refused: Why it was not reported, if so.
    """
    options, targets, ordered = rows["options"][:], rows["probabilities"][:], are_ordered(rows)
    shares = [
        np.full(len(texts), np.nan) if mass is None else np.array(mass, dtype=float)
        for mass, texts in zip(masses, options, strict=True)
    ]
    scores, uniform = item_scores(targets, shares, ordered), uniform_scores(targets, ordered)
    return tuple(
        AlignmentItem(
            id=item_id,
            options=tuple(options[index]),
            target=tuple(targets[index]),
            log_probs=tuple(_log(share) for share in shares[index].tolist()),
            probabilities=tuple(_normalized(shares[index])),
            scores=scores[index],
            uniform=uniform[index],
            refused=refused[index],
            ordered=ordered[index],
        )
        for index, item_id in enumerate(rows["id"])
    )


def _log(share: float) -> float:
    return math.log(share) if share > 0 else math.nan if math.isnan(share) else -math.inf


def _normalized(shares: np.ndarray) -> list[float]:
    total = shares.sum()
    return (shares / total).tolist() if total > 0 else [math.nan] * len(shares)
