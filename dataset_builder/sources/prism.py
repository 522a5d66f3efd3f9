"""PRISM: conversations of people all over the world with language models, and who these people are (the tables).

Upstream: https://huggingface.co/datasets/HannahRoseKirk/prism-alignment (arXiv 2404.16019). Licence: human texts
CC BY 4.0, model responses CC BY-NC 4.0. Raw lines (made up) of conversations.jsonl and survey.jsonl, shortened:

    {"conversation_id": "c1", "user_id": "user1", "conversation_type": "unguided", "opening_prompt": "Hi!",
     "conversation_history": [{"turn": 0, "role": "user", "content": "Hi!"}, {"turn": 0, "role": "model", "content":
     "Hello!", "score": 71, "if_chosen": true, "within_turn_id": 0}]}
    {"user_id": "user1", "age": "18-24 years old", "gender": "Female", "education": "Vocational", "employment_status":
     "Student", "religion": {"simplified": "No affiliation"}, "location": {"reside_country": "Chile"}}

The whole files: 8,011 conversations and 1,500 people in the survey, every id once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataset_builder import raw
from dataset_builder.task_spec import RawFiles, Source, SourceFile

CONVERSATIONS, SURVEY = "conversations.jsonl", "survey.jsonl"

PRISM = Source(
    name="prism",
    title="The PRISM Alignment Dataset",
    homepage="https://huggingface.co/datasets/HannahRoseKirk/prism-alignment",
    license="human texts CC BY 4.0, model responses CC BY-NC 4.0",
    redistributable="yes",
    creators="Hannah Rose Kirk and others",
    citation="arXiv 2404.16019",
    folder="prism",
    revision="18ab5cfb37456f4ec8cbc00212ce54cf7b1239f6",
    files=(SourceFile(CONVERSATIONS), SourceFile(SURVEY)),
    hub="HannahRoseKirk/prism-alignment",
)

KINDS = {
    "unguided": "Write whatever you like to a language model: there is no topic to keep to.",
    "values guided": "Write to a language model about something that matters to you or touches on what you value.",
    "controversy guided": "Write to a language model about something on which people around you disagree.",
}
_FIELDS = {
    "conversation_id": str,
    "user_id": str,
    "conversation_type": str,
    "opening_prompt": str,
    "conversation_history": list,
}
_FACTS = ("age", "gender", "education", "employment_status")


def read_conversations(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, conversation), whose kind is known and whose opening prompt is stripped."""
    ids: set[str] = set()
    for number, row in raw.read_json_lines(path, _FIELDS):
        with raw.at_row(path, number):
            if row["conversation_type"] not in KINDS:
                raise ValueError(f"the kind of conversation {row['conversation_type']!r} is none of {list(KINDS)}")
            if row["conversation_id"] in ids:
                raise ValueError(f"the id {row['conversation_id']!r} was in an earlier line")
        ids.add(row["conversation_id"])
        yield number, row | {"opening_prompt": row["opening_prompt"].strip()}


def read_people(raw_files: RawFiles) -> dict[str, dict[str, str | None]]:
    """User id -> what the survey tells of the person."""
    path = raw_files[SURVEY]
    people: dict[str, dict[str, str | None]] = {}
    for number, row in raw.read_json_lines(path, {"user_id": str, **dict.fromkeys(_FACTS, str | None)}):
        with raw.at_row(path, number):
            if row["user_id"] in people:
                raise ValueError(f"the user {row['user_id']!r} was in an earlier line")
            people[row["user_id"]] = {
                **{name.replace("_", " "): row[name] for name in _FACTS},
                "country": _part(row["location"], "reside_country"),
                "religion": _part(row["religion"], "simplified"),
            }
    return people


def _part(value: object, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value[name], str | None):
        raise TypeError(f"field {name!r} of the location or the religion is not text")
    return value[name]
