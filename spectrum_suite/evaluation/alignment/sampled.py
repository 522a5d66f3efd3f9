"""A distribution estimated from answers at temperature 1, and how precise the estimate is.

Scores of an item are those of the shares of its answers, which are too large by chance alone; what comes with them
is in ``drawn``:

    n, counts, others, reasoning   answers, of them each option, those that are none by reason, characters of reasoning
    by                             whether tokens or whole answers were matched to options
    plug_in, corrected, ci95, perfect, record, p_value   as :mod:`spectrum_suite.metrics.finite_samples` has them

Kullback-Leibler divergences and the cross-entropy are left out: an option that no answer is has a share of 0, and they
would be what the smoothing makes of it. So is Hellinger's distance, of which no unbiased estimate is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from datasets import Dataset

from spectrum_suite.evaluation.alignment.asked_items import items_of_masses
from spectrum_suite.evaluation.alignment.estimates import Estimate
from spectrum_suite.evaluation.alignment.item_scores import SMOOTHING
from spectrum_suite.evaluation.alignment.summarize_alignment import AlignmentItem
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.lm.answers import DrawnOptions
from spectrum_suite.lm.base import LM
from spectrum_suite.metrics.finite_samples import finite_sample
from spectrum_suite.seeding import generator

NO_OPTION = "no answer is an option"
"""Why an item has no number."""

NOT_OF_SHARES = ("kl_target_model", "kl_model_target", "cross_entropy", "hellinger")

_FIRST_ROUND = 32
"""Answers before it is looked whether an interval is narrow enough; then as often as their number has doubled."""


def by_samples(lm: LM, rows: Dataset, *, settings: EvaluationSettings) -> tuple[AlignmentItem, ...]:
    """Draw answers to each prompt, until there are enough, and count the options among them."""
    options: list[list[str]] = rows["options"][:]
    counted = [_Counted(np.zeros(len(texts), dtype=np.int64)) for texts in options]
    going = list(range(len(rows)))
    begun = 0
    while going and begun < settings.n:
        more = settings.n - begun if settings.precision is None else min(begun or _FIRST_ROUND, settings.n - begun)
        some = rows.select(going)
        drawn = lm.draw_options(some["messages"][:], some["options"][:], more, first=begun, seed=settings.seed)
        for place, found in zip(going, drawn, strict=True):
            counted[place] += found
        begun += more
        if settings.precision is not None:
            told = {place: told_of_counts(rows[place], counted[place].counts, settings.seed) for place in going}
            going = [place for place in going if not _narrow(told[place], settings.precision)]
    tells = [told_of_counts(row, each.counts, settings.seed) for row, each in zip(rows, counted, strict=True)]
    return shares_of_answers(rows, [each.as_dict() | told for each, told in zip(counted, tells, strict=True)])


def shares_of_answers(rows: Dataset, drawn: Sequence[Mapping[str, Any]]) -> tuple[AlignmentItem, ...]:
    """Items with the shares of options among answers.

    Args:
        rows: The items.
        drawn: Of each its ``n`` answers, the ``counts`` of its options, and whatever else is said of them.
    """
    shares = [np.array(each["counts"]) / max(each["n"], 1) for each in drawn]
    refused = [None if share.any() else NO_OPTION for share in shares]
    items = items_of_masses(rows, [share.tolist() for share in shares], refused)
    return tuple(
        replace(item, drawn=each, scores=_of_shares(item.scores), uniform=_of_shares(item.uniform))
        for item, each in zip(items, drawn, strict=True)
    )


class _Counted:
    """The answers to one item, counted."""

    def __init__(self, counts: np.ndarray) -> None:
        self.counts = counts
        self.n = 0
        self.others: Counter[str] = Counter()
        self.reasoning = 0
        self.by: str | None = None

    def __iadd__(self, drawn: DrawnOptions) -> _Counted:
        chosen = [choice for choice in drawn.choices if choice is not None]
        self.counts = self.counts + np.bincount(chosen, minlength=len(self.counts))
        self.n += len(drawn.choices)
        self.others.update(drawn.others)
        self.reasoning += drawn.reasoning
        self.by = drawn.by
        return self

    def as_dict(self) -> dict[str, Any]:
        """As an item holds it."""
        others, reasoning = dict(self.others), self.reasoning
        return {"n": self.n, "counts": self.counts.tolist(), "others": others, "reasoning": reasoning, "by": self.by}


def told_of_counts(row: Mapping[str, Any], counts: np.ndarray, seed: int) -> dict[str, Any]:
    """What the counts of an item's options among answers show; ``seed`` is that of the evaluation."""
    found = finite_sample(
        row["probabilities"],
        counts,
        n_responses=row.get("n_responses") or None,
        ordered=bool(row.get("ordered")),
        smoothing=SMOOTHING,
        seed=int(generator(seed, "finite sample", row["id"]).integers(2**31)),
    )
    del found["n"]  # of the answers that are options, as the counts say
    return found


def _narrow(told: Mapping[str, Any], precision: float) -> bool:
    low, high = told["ci95"]["js_divergence"]
    return high - low <= precision


def _of_shares(scores: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if name not in NOT_OF_SHARES}


SAMPLES = Estimate(
    "draw_options",
    by_samples,
    lambda settings: {"n": settings.n, "seed": settings.seed, "precision": settings.precision},
)
