"""A distribution estimated from answers at temperature 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from datasets import Dataset

from spectrum_suite.evaluation.alignment.estimates import Estimate
from spectrum_suite.evaluation.alignment.summarize_alignment import SMOOTHING, AlignmentItem
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.lm.answers import DrawnOptions
from spectrum_suite.lm.base import LM
from spectrum_suite.metrics.spectrum_alignment import scoring


def by_samples(lm: LM, rows: Dataset, *, settings: EvaluationSettings) -> tuple[AlignmentItem, ...]:
    """Draw answers to each prompt and count the options among them."""
    options: list[list[str]] = rows["options"][:]
    drawn = lm.draw_options(rows["messages"][:], options, settings.n, seed=settings.seed)
    return sampled_items(rows["id"][:], options, rows["probabilities"][:], drawn)


def sampled_items(
    ids: Sequence[str],
    options: Sequence[Sequence[str]],
    targets: Sequence[Sequence[float]],
    drawn: Sequence[DrawnOptions],
) -> tuple[AlignmentItem, ...]:
    """Items with the shares of options among answers; all arguments hold one entry per item."""
    counts = [_counts(found, len(texts)) for found, texts in zip(drawn, options, strict=True)]
    shares = [
        count / len(found.choices) if found.choices else np.full(len(count), np.nan)
        for count, found in zip(counts, drawn, strict=True)
    ]
    scores = scoring.score_items(targets, shares, smoothing=SMOOTHING)
    uniform = scoring.score_items(
        targets, [np.full(len(share), 1 / len(share)) for share in shares], smoothing=SMOOTHING
    )
    return tuple(
        AlignmentItem(
            id=ids[index],
            options=tuple(options[index]),
            target=tuple(targets[index]),
            log_probs=tuple(math.log(share) if share > 0 else -math.inf for share in shares[index].tolist()),
            probabilities=tuple((shares[index] / shares[index].sum()).tolist()),
            scores={name: float(values[index]) for name, values in scores.items()},
            uniform={name: float(values[index]) for name, values in uniform.items()},
        )
        for index in range(len(ids))
    )


def _counts(drawn: DrawnOptions, n_options: int) -> np.ndarray:
    """How many answers are each option, (n_options,)."""
    return np.bincount([choice for choice in drawn.choices if choice is not None], minlength=n_options)


SAMPLES = Estimate("draw_options", by_samples, lambda settings: {"n": settings.n, "seed": settings.seed})
