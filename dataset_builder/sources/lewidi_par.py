"""Paraphrase judgements (LeWiDi 2025): four people rate how alike two questions are and give their reasons.

Upstream: https://github.com/Le-Wi-Di/le-wi-di.github.io. Licence: unstated. A raw row (made up); the explanations are
in the order of the annotators:

    "101": {"text": {"Question1": "How do I bake bread?", "Question2": "What is bread made of?"},
            "annotators": "Ann1,Ann2", "annotations": {"Ann1": "-3", "Ann2": "0"}, "lang": "en",
            "other_info": {"explanations": ["How to do it, or with what.", "Both are about bread."]}, ...}

The whole file: 400 items with 1,600 ratings by four people. Every id is unique.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from dataset_builder.sources.shared import lewidi
from dataset_builder.sources.shared.gathered_answers import gathered
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, TaskSpec

_FOLDER = "LeWiDi_3-2025/Paraphrase"
_ITEMS, _PEOPLE = f"{_FOLDER}/Paraphrase_train.json", f"{_FOLDER}/Paraphrase_annotators_meta.json"

LEWIDI_PAR = lewidi.source(
    "lewidi_par",
    "Paraphrase judgements (LeWiDi 2025)",
    "Learning With Disagreements, shared task of 2025",
    {_ITEMS: None, _PEOPLE: "a5d56635ea516288e26e162cd5599db95b3fa89dad24fee4f6d5a37ec125a0e4"},
)

RATINGS = tuple(map(str, range(-5, 6)))


def read(raw_files: RawFiles, *, reasons: bool) -> Iterator[Example | Dropped]:
    """One process per person, in the order of the file of people; draws in the order of items."""
    yield from lewidi.read_by_person(
        raw_files[_ITEMS],
        lewidi.read_people(raw_files[_PEOPLE]),
        partial(_answers, reasons=reasons),
        partial(_descriptions, reasons=reasons),
    )


def _answers(item: dict[str, Any], *, reasons: bool) -> lewidi.Answers:
    text = item["text"]
    given = {"question1": text["Question1"], "question2": text["Question2"], "lang": item["lang"]}
    answers = lewidi.rated(item, given, RATINGS)
    if not reasons:
        return answers
    said = _reasons(item)
    return [(person, _with_reason(draw, said.get(person, ""))) for person, draw in answers]


def _reasons(item: dict[str, Any]) -> dict[str, str]:
    """Person -> explanation; nothing where there is not one for each person, since whose is missing is not told."""
    people, explanations = item["annotators"].split(","), item["other_info"]["explanations"]
    if len(people) != len(explanations):
        return {}
    return {person: str.strip(reason) for person, reason in zip(people, explanations, strict=True)}


def _with_reason(draw: Draw | Dropped, reason: str) -> Draw | Dropped:
    if isinstance(draw, Dropped):
        return draw
    if not reason:
        return Dropped("rating without an explanation")
    output = {"paraphrase_rating": int(draw.output), "explanation": reason}
    return Draw(draw.input, json.dumps(output, ensure_ascii=False))


def _descriptions(about: str, *, reasons: bool) -> tuple[str, ...]:
    also = ", with a short reason" if reasons else ""
    return (
        "One person compares two questions and rates how far the one paraphrases the other, as a whole number from -5 "
        f"(they ask for different things) to 5 (they ask for the very same){also}.{about}",
        "Judgements of paraphrase by a single annotator. Given are two questions and their language; the rating goes "
        f"from -5, not a paraphrase at all, to 5, a full paraphrase{also}.{about}",
    )


_individual = partial(
    TaskSpec,
    kind="icl",
    split="train",
    source=LEWIDI_PAR,
    group="human_variation",
    process="one annotator",
    inputs=("question1", "question2", "lang"),
    sequences=Sequences("partition", 20),
    quirks="The id of the annotator is in no text.",
    version="1.1.0",
)

_RATINGS_TASK = _individual(
    name="lewidi_par_paraphrase_detection_individual_categorical",
    summary="How one person rates paraphrases.",
    outputs=("paraphrase_rating",),
    options=RATINGS,
    read=partial(read, reasons=False),
)

TASKS = [
    _individual(
        name="lewidi_par_paraphrase_detection_individual",
        summary="How one person rates and explains paraphrases.",
        outputs=("paraphrase_rating", "explanation"),
        read=partial(read, reasons=True),
    ),
    _RATINGS_TASK,
    gathered(
        _RATINGS_TASK,
        "paraphrase",
        "How far different people find a question to be a paraphrase of another.",
        "Different people compare two questions and rate how far the one paraphrases the other, as a whole number from "
        "-5 (they ask for different things) to 5 (they ask for the same). Each output is the rating of another person.",
    ),
]
