"""A distribution estimated from draws that the model writes one after another in a single answer.

They are not independent, as answers of their own are: each can see those before it. So there is no interval and no
test, and no bias is taken out; what a perfect sampler would get with as many draws is reported with the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from spectrum_suite.evaluation.alignment.estimates import Estimate
from spectrum_suite.evaluation.alignment.item_scores import SMOOTHING
from spectrum_suite.evaluation.alignment.sampled import shares_of_answers
from spectrum_suite.evaluation.alignment.summarize_alignment import AlignmentItem
from spectrum_suite.evaluation.alignment.written_json import UnreadableError, options_as_json, read_sequence
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.lm.answers import Answer
from spectrum_suite.lm.base import LM
from spectrum_suite.lm.match_answers import matcher
from spectrum_suite.metrics.finite_samples import perfect_sampler

REQUEST = (
    "What follows describes something that could turn out in several ways, or asks a question that different people "
    "answer differently. Let it happen, or ask {n} people, {n} times in all and each time anew: write the {n} answers "
    "in the order in which they come, as one JSON array of {n} texts, and nothing before or after it. Each is one of "
    "{options}, as often as is likely."
)
"""What is asked for; ``{options}`` are those of the item."""

_TOKENS_BESIDE = 8


def by_sequence(lm: LM, rows: Dataset, *, settings: EvaluationSettings) -> tuple[AlignmentItem, ...]:
    """Ask for ``settings.n`` draws of each item in one answer."""
    options: list[list[str]] = rows["options"][:]
    longest = max(len(option) for texts in options for option in texts)
    answered = lm.answers(
        rows["messages"][:],
        1,
        requests=[REQUEST.format(n=settings.n, options=options_as_json(texts)) for texts in options],
        max_new_tokens=settings.n * (longest + _TOKENS_BESIDE),
        seed=settings.seed,
    )
    return shares_of_answers(rows, [_read(row, answer) for row, (answer,) in zip(rows, answered, strict=True)])


def _read(row: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    """What the answer to an item holds."""
    match, others, texts = matcher(row["options"], row["messages"]), Counter(), []
    try:
        texts = read_sequence(answer)
    except UnreadableError as error:
        others[str(error)] += 1
    places = [match(text) for text in texts]
    others.update(place for place in places if isinstance(place, str))
    chosen = [place for place in places if not isinstance(place, str)]
    perfect = perfect_sampler(
        row["probabilities"], max(len(chosen), 1), ordered=bool(row.get("ordered")), smoothing=SMOOTHING
    )
    return {
        "n": len(texts),
        "counts": np.bincount(chosen, minlength=len(row["options"])).tolist(),
        "others": dict(others),
        "reasoning": answer.reasoning,
        "perfect": perfect if chosen else None,
    }


SEQUENCE = Estimate(
    "answers", by_sequence, lambda settings: {"request": REQUEST, "n": settings.n, "seed": settings.seed}
)
