"""CSC, the Conversational Sarcasm Corpus (LeWiDi 2025): people rate how sarcastic a response in a situation is.

Upstream: https://github.com/Le-Wi-Di/le-wi-di.github.io (Jang and Frassinelli, NAACL 2024). Licence: unstated. A raw
row (made up):

    "101": {"text": {"context": "Steve has burnt the soup. He asks you how it is.", "response": "A feast!"},
            "annotators": "Ann1,Ann2", "annotations": {"Ann1": "6", "Ann2": "4"}, "lang": "en",
            "other_info": {"context+speaker": "1_2"}, ...}

The whole files: in the development split 704 items with 3,186 ratings by 850 people, 80 of whom gave only one. Every id
is unique.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dataset_builder.sources.shared import lewidi
from dataset_builder.sources.shared.gathered_answers import gathered
from dataset_builder.task_spec import Dropped, Example, RawFiles, Sequences, TaskSpec

_FOLDER = "LeWiDi_3-2025/CSC"
_TRAIN, _DEV, _PEOPLE = f"{_FOLDER}/CSC_train.json", f"{_FOLDER}/CSC_dev.json", f"{_FOLDER}/CSC_annotators_meta.json"
_PEOPLE_SHA256 = "06a4b494e6cbb7f4b5636efd7f6174316c3311ab870988bcedbfa4fd3cfac4bd"

LEWIDI_CSC = lewidi.source(
    "lewidi_csc",
    "Conversational Sarcasm Corpus (LeWiDi 2025)",
    "Jang and Frassinelli, NAACL 2024",
    {_TRAIN: None, _PEOPLE: _PEOPLE_SHA256},
    {_DEV: None, _PEOPLE: _PEOPLE_SHA256},
)

RATINGS = ("1", "2", "3", "4", "5", "6")


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per person, in the order of the file of people; draws in the order of items."""
    items = raw_files[_TRAIN if _TRAIN in raw_files else _DEV]
    yield from lewidi.read_by_person(items, lewidi.read_people(raw_files[_PEOPLE]), _answers, _descriptions)


def _answers(item: dict[str, Any]) -> lewidi.Answers:
    given = {"context": item["text"]["context"], "response": item["text"]["response"], "lang": item["lang"]}
    return lewidi.rated(item, given, RATINGS)


def _descriptions(about: str) -> tuple[str, ...]:
    return (
        "One person reads a situation and what somebody said in it, and rates how sarcastic the response is, from 1 "
        f"(not sarcastic at all) to 6 (completely sarcastic).{about}",
        "Ratings of sarcasm by a single annotator. Given are the context of a conversation, the response and its "
        f"language; the rating is a whole number from 1, no sarcasm, to 6, full sarcasm.{about}",
    )


_PEOPLE_TASK = TaskSpec(
    name="lewidi_csc_sarcasm_detection_individual",
    kind="icl",
    split="train",
    source=LEWIDI_CSC,
    group="human_variation",
    summary="How sarcastic one person finds responses in a conversation.",
    process="one annotator",
    inputs=("context", "response", "lang"),
    outputs=("sarcasm_rating",),
    options=RATINGS,
    sequences=Sequences("one", 1000),
    read=read,
    domain="Conversation",
    quirks="The id of the annotator is in no text; what is unknown of a person is left out.",
    version="1.1.0",
)

TASKS = [
    _PEOPLE_TASK,
    gathered(
        _PEOPLE_TASK,
        "sarcasm",
        "How sarcastic different people find a response.",
        "Different people read a situation and what somebody said in it, and rate how sarcastic the response is, from "
        "1 (not at all) to 6 (completely). Each output is the rating of another person.",
    ),
]
