"""MultiPICo (LeWiDi 2025): people of many countries say whether the reply to a post is ironic.

Upstream: https://github.com/Le-Wi-Di/le-wi-di.github.io (Casola et al., ACL 2024). Licence: unstated there. Raw rows
(made up), an item and a person; the file of people leaves out the "Ann" of their ids:

    "7": {"text": {"post": "The bus is late again.", "reply": "What a surprise."}, "annotators": "Ann3,Ann4",
          "annotations": {"Ann3": "1", "Ann4": "0"}, "lang": "en",
          "other_info": {"source": "reddit", "level": 1.0, "language_variety": "ie"}, ...}
    "3": {"Age": 31.0, "Gender": "Female", "Ethnicity simplified": "DATA_EXPIRED", "Nationality": "Ireland", ...}

The whole files: in the development split 3,005 items with 15,178 answers by 506 people. Every id is unique.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dataset_builder.sources.shared import lewidi
from dataset_builder.sources.shared.gathered_answers import gathered
from dataset_builder.task_spec import Dropped, Example, RawFiles, Sequences, TaskSpec

_FOLDER = "LeWiDi_3-2025/MP"
_TRAIN, _DEV, _PEOPLE = f"{_FOLDER}/MP_train.json", f"{_FOLDER}/MP_dev.json", f"{_FOLDER}/MP_annotators_meta.json"
_PEOPLE_SHA256 = "8b0e310e21246884847f36d0e5c54de22e6031c11fd7e5e2447cdd884619ea3e"

LEWIDI_MP = lewidi.source(
    "lewidi_mp",
    "MultiPICo irony (LeWiDi 2025)",
    "Casola et al., ACL 2024",
    {_TRAIN: None, _PEOPLE: _PEOPLE_SHA256},
    {_DEV: None, _PEOPLE: _PEOPLE_SHA256},
)

RATINGS = ("0", "1")
_FIELDS = (
    "the source is the platform, the level the depth of the reply in its thread, the language variety the country of "
    "the text, lang its language"
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per person, in the order of the file of people; draws in the order of items."""
    items = raw_files[_TRAIN if _TRAIN in raw_files else _DEV]
    people = {f"Ann{number}": person for number, person in lewidi.read_people(raw_files[_PEOPLE]).items()}
    yield from lewidi.read_by_person(items, people, _answers, _descriptions)


def _answers(item: dict[str, Any]) -> lewidi.Answers:
    text, info = item["text"], item["other_info"]
    given = {
        "post": text["post"],
        "reply": text["reply"],
        "source": str.strip(info["source"]),
        "level": str(int(info["level"])),
        "language_variety": str.strip(info["language_variety"]),
        "lang": item["lang"],
    }
    return lewidi.rated(item, given, RATINGS)


def _descriptions(about: str) -> tuple[str, ...]:
    return (
        "One person reads a post and a reply to it and says whether the reply is ironic: 1 if it is, 0 if it is not. "
        f"Also given: {_FIELDS}.{about}",
        f"Judgements of irony in replies on social media, all by the same annotator (0: not ironic, 1: ironic). In the "
        f"input, {_FIELDS}.{about}",
    )


_PEOPLE_TASK = TaskSpec(
    name="lewidi_mp_irony_detection_individual",
    kind="icl",
    split="train",
    source=LEWIDI_MP,
    group="human_variation",
    summary="Whether one person finds replies on social media ironic.",
    process="one annotator",
    inputs=("post", "reply", "source", "level", "language_variety", "lang"),
    outputs=("irony_rating",),
    options=RATINGS,
    sequences=Sequences("one", 1000),
    read=read,
    domain="Conversation",
    languages=("ar", "de", "en", "es", "fr", "hi", "it", "nl", "pt"),
    quirks="The id of the annotator is in no text; what is unknown of a person is left out.",
    version="1.1.0",
)

TASKS = [
    _PEOPLE_TASK,
    gathered(
        _PEOPLE_TASK,
        "irony",
        "Whether different people find a reply ironic.",
        "Different people read a post and a reply to it and say whether the reply is ironic: 1 if it is, 0 if it is "
        "not. Each output is the answer of another person.",
    ),
]
