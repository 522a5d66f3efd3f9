"""Items from the masses of options that an engine tells by other ways than log-probabilities of their texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from spectrum_suite.evaluation.alignment.summarize_alignment import SMOOTHING, AlignmentItem
from spectrum_suite.metrics.spectrum_alignment import scoring


def items_of_masses(
    ids: Sequence[str],
    options: Sequence[Sequence[str]],
    targets: Sequence[Sequence[float]],
    masses: Sequence[Sequence[float] | None],
    refused: Sequence[str | None],
) -> tuple[AlignmentItem, ...]:
    """Compare distributions with their targets; all arguments hold one entry per item.

    Args:
        ids: Of the items.
        options: Their options.
        targets: Their true distributions.
        masses: The probability that the model answers with each option, in all at most 1; None where it was not told.
        refused: Why it was not told, if so.
    """
    shares = [
        np.full(len(texts), np.nan) if mass is None else np.array(mass, dtype=float)
        for mass, texts in zip(masses, options, strict=True)
    ]
    scores = scoring.score_items(targets, shares, smoothing=SMOOTHING)
    guesses = [np.full(len(texts), 1 / len(texts)) for texts in options]
    uniform = scoring.score_items(targets, guesses, smoothing=SMOOTHING)
    return tuple(
        AlignmentItem(
            id=ids[index],
            options=tuple(options[index]),
            target=tuple(targets[index]),
            log_probs=tuple(_log(share) for share in shares[index].tolist()),
            probabilities=tuple(_normalized(shares[index])),
            scores={name: float(values[index]) for name, values in scores.items()},
            uniform={name: float(values[index]) for name, values in uniform.items()},
            refused=refused[index],
        )
        for index in range(len(ids))
    )


def _log(share: float) -> float:
    return math.log(share) if share > 0 else math.nan if math.isnan(share) else -math.inf


def _normalized(shares: np.ndarray) -> list[float]:
    total = shares.sum()
    return (shares / total).tolist() if total > 0 else [math.nan] * len(shares)
