"""Habermas Machine: where people in the United Kingdom stand between two opposed statements.

Upstream: https://github.com/google-deepmind/habermas_machine (doi 10.1126/science.adq2852). Licence of the data: CC BY
4.0. A raw row (made up) of the ratings (see ``habermas_files.py``), some columns left out:

    worker_id  question.text            question.affirming_statement  question.negating_statement    ratings.agreement
    w1         Should bells be rung?    Bells should be rung.         Bells should not be rung.      [STRONGLY_AGREE]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from dataset_builder.sources.habermas_files import (
    HABERMAS,
    LABELS,
    OF_KNOWN_PEOPLE,
    RATINGS,
    filtered,
    none_empty,
    read_ratings,
)
from dataset_builder.task_spec import Dropped, Example, RawFiles, Target, TaskSpec

_MIN_ANSWERS = 6
_PARTICIPANT, _PROVENANCE, _HUMAN = "ratings.metadata.participant_id", "metadata.provenance", "HUMAN_CITIZEN"
_ITEM = ("question.id", "question.text", "question.affirming_statement", "question.negating_statement")
STEPS = tuple(str(step) for step in range(1, len(LABELS) + 1))


def read_targets(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per question with at least 6 answers, in order of appearance."""
    ratings = read_ratings(raw_files[RATINGS], ("worker_id", _PARTICIPANT, _PROVENANCE, *_ITEM))
    steps = OF_KNOWN_PEOPLE | {
        "rating that no citizen gave": pl.col(_PROVENANCE) == _HUMAN,
        "further rating of a question by the same person": pl.struct("question.id", _PARTICIPANT).is_first_distinct(),
        "rating without a label or a text": none_empty([*_ITEM, _PARTICIPANT, "label"]),
        f"rating of a question with fewer than {_MIN_ANSWERS}": pl.len().over("question.id") >= _MIN_ANSWERS,
    }
    kept = yield from filtered(ratings, steps)
    items = kept.group_by("question.id", maintain_order=True).agg(pl.col(_ITEM[1:]).first(), "label")
    for question, text, affirming, negating, labels in items.rows():
        shares = tuple(labels.count(label) / len(labels) for label in LABELS)
        prompt = f"{text}\nStatement A: {affirming}\nStatement B: {negating}"
        yield Example(question, (_SCALE,), target=Target(prompt, STEPS, shares, n_responses=len(labels)))


_SCALE = (
    "A random resident of the United Kingdom is shown a question with two opposed statements, A and B, and picks a "
    "step between them: 1 = strongly for A, 2 = for A, 3 = somewhat for A, 4 = neutral, 5 = somewhat for B, 6 = for B, "
    "7 = strongly for B. The answer is one number."
)


TASKS = [
    TaskSpec(
        name="dist_habermas",
        kind="distribution",
        split="test",
        source=replace(HABERMAS, files=HABERMAS.files[:1]),
        group="human_variation",
        summary="Where residents of the United Kingdom stand between two opposed statements.",
        process="one question with two opposed statements",
        inputs=("question",),
        outputs=("answer",),
        options=STEPS,
        read=read_targets,
        domain="SocialSciences",
        output_label="Answer (Likert 1-7)",
    ),
]
