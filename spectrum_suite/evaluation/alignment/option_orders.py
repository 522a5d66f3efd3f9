"""Items asked with their options in several orders: how often the answer changes, and the mean over orders.

Only a prompt that lists its options one a line can be asked in another order; the others are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from datasets import Dataset

from spectrum_suite.evaluation.alignment.summarize_alignment import AlignmentItem
from spectrum_suite.evaluation.intervals import mean_of, paired_difference
from spectrum_suite.evaluation.report import Section
from spectrum_suite.lm.listed_options import Ordering, flip_rate, orderings
from spectrum_suite.metrics.spectrum_alignment.scoring import score_items, summarize

Score = Callable[[Dataset], Sequence[AlignmentItem]]
"""Rows of a distribution task -> what a model makes of each."""

Asked = tuple[Ordering, AlignmentItem]
"""An item in another order than the one that was given, and what a model makes of it."""


def ask_in_orders(rows: Dataset, orders: int, seed: int, score: Score) -> list[list[Asked]]:
    """For each row its prompt in up to ``orders - 1`` other orders of its options, scored; none where it lists none."""
    others = [orderings(row["messages"], row["options"], orders, seed=seed)[1:] for row in rows]
    asked = [_reordered(row, other) for row, found in zip(rows, others, strict=True) for other in found]
    scored = iter(score(Dataset.from_list(asked)) if asked else ())
    return [list(zip(found, islice(scored, len(found)), strict=True)) for found in others]


def _reordered(row: Mapping[str, Any], other: Ordering) -> dict[str, Any]:
    target = [row["probabilities"][meaning] for meaning in other.meanings]
    return dict(row) | {"messages": list(other.messages), "probabilities": target}


def meant_probabilities(asked: Sequence[Asked]) -> list[list[float]]:
    """Per order the probabilities of what the options meant in the prompt as it was given."""
    found = []
    for other, item in asked:
        back = np.empty(len(other.meanings))
        back[list(other.meanings)] = item.probabilities
        found.append(back.tolist())
    return found


def orders_section(
    items: Sequence[AlignmentItem], orders: Sequence[Sequence[Sequence[float | None]]], *, most: int, smoothing: float
) -> Section:
    """What a report says of the orders.

    Args:
        items: In the order of their prompts.
        orders: Per item and other order the probabilities of :func:`meant_probabilities`; None stands for NaN.
        most: The orders that were asked for, the given one among them.
        smoothing: Of the metrics.

    Returns:
        ``orders`` (as asked for), ``n`` items with another order, ``unlisted`` items whose prompts list no options,
        ``flip_rate`` (``mean``, ``ci95``, ``n``: per item the share of other orders in which another option is the most
        likely one), ``model`` (metric -> ``mean``, ``se``: of the mean distribution over orders, over these items) and
        ``difference`` (metric -> that minus the given order, paired); the last three are None where ``n`` is 0.
    """
    both = [
        (item, np.array([item.probabilities, *found], dtype=float))
        for item, found in zip(items, orders, strict=True)
        if found
    ]
    section = {"orders": most, "n": len(both), "unlisted": len(items) - len(both)}
    if not both:
        return section | dict.fromkeys(("flip_rate", "model", "difference"))
    scores = score_items(
        [item.target for item, _ in both],
        [None if np.isnan(found).any() else found.mean(axis=0) for _, found in both],
        smoothing=smoothing,
    )
    del scores["coverage"]  # the mass outside the options is not averaged
    summary = summarize(scores)
    return section | {
        "flip_rate": mean_of([flip_rate(found) for _, found in both]),
        "model": {name: {"mean": summary[name], "se": summary[f"{name}_se"]} for name in scores},
        "difference": {
            name: paired_difference(values, [item.scores[name] for item, _ in both]) for name, values in scores.items()
        },
    }
