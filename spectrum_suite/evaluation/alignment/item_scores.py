"""The metrics of items of a distribution task, those of options in order for the items that have such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import ArrayLike

from spectrum_suite.metrics.spectrum_alignment import scoring

SMOOTHING = 1e-6
"""As in the paper's evaluation; see ``metrics/spectrum_alignment``."""

OF_ORDERED = ("wasserstein", "rps")
"""Metrics that only options in order have; an item without such lacks them."""

Scores = dict[str, float]


def are_ordered(rows: Dataset) -> list[bool]:
    """Of each row whether its options are in order; none is where rows do not say so."""
    return [bool(value) for value in rows["ordered"]] if "ordered" in rows.column_names else [False] * len(rows)


def item_scores(
    targets: Sequence[Sequence[float]], predictions: Sequence[ArrayLike | None], ordered: Sequence[bool]
) -> list[Scores]:
    """Metric -> its value for each item; see :func:`spectrum_suite.metrics.spectrum_alignment.scoring.score_items`."""
    return by_item(scoring.score_items(targets, predictions, smoothing=SMOOTHING, ordered=any(ordered)), ordered)


def by_item(found: Mapping[str, np.ndarray], ordered: Sequence[bool]) -> list[Scores]:
    """What :func:`spectrum_suite.metrics.spectrum_alignment.scoring.score_items` gives, for each item."""
    return [
        {name: float(values[index]) for name, values in found.items() if in_order or name not in OF_ORDERED}
        for index, in_order in enumerate(ordered)
    ]


def uniform_scores(targets: Sequence[Sequence[float]], ordered: Sequence[bool]) -> list[Scores]:
    """The same of the uniform guess."""
    return item_scores(targets, [np.full(len(target), 1 / len(target)) for target in targets], ordered)


def divergences_with_the_rest(items: Sequence[Mapping[str, Any]]) -> list[float]:
    """The Jensen-Shannon divergence of each item (nats), where all that is not an option is one more, of target 0.

    So a model that shares out a thousandth of its probability well is further off than one that shares out all of it
    fairly well.

    Args:
        items: Of a report, each with its ``target``, ``probabilities`` and the ``coverage`` of its options.
    """
    masses = [item["scores"]["coverage"] for item in items]
    found = scoring.score_items(
        [[*item["target"], 0.0] for item in items],
        [
            np.array([*(mass * share if mass else 0.0 for share in item["probabilities"]), max(0.0, 1 - mass)])
            for item, mass in zip(items, masses, strict=True)
        ],
        smoothing=SMOOTHING,
    )
    return found["js_divergence"].tolist()
