"""PRISM: how people all over the world open conversations with language models, and which replies they prefer.

Upstream: https://huggingface.co/datasets/HannahRoseKirk/prism-alignment (arXiv 2404.16019). Licence: human texts
CC BY 4.0, model responses CC BY-NC 4.0. Raw lines (made up) of conversations.jsonl and survey.jsonl, shortened:

    {"conversation_id": "c1", "user_id": "user1", "conversation_type": "unguided", "opening_prompt": "Hi!",
     "conversation_history": [{"turn": 0, "role": "user", "content": "Hi!"}, {"turn": 0, "role": "model", "content":
     "Hello!", "score": 71, "if_chosen": true, "within_turn_id": 0}]}
    {"user_id": "user1", "age": "18-24 years old", "gender": "Female", "education": "Vocational", "employment_status":
     "Student", "religion": {"simplified": "No affiliation"}, "location": {"reside_country": "Chile"}}

IssueBench has a copy of the opening prompts without kinds and people, where a prompt that was written several times has
one row, such as this one (made up): ``prism-7,What is a comet?,1``.

The whole files: 8,011 conversations and 1,500 people in the survey, every id once; 7,393 rows for 7,594 prompts in
IssueBench's copy.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.people import choose, with_and_without
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec

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
                raise ValueError(f"the kind of conversation {row['conversation_type']!r} is not one of {list(KINDS)}")
            if row["conversation_id"] in ids:
                raise ValueError(f"the id {row['conversation_id']!r} is repeated")
        ids.add(row["conversation_id"])
        yield number, row | {"opening_prompt": row["opening_prompt"].strip()}


def read_people(raw_files: RawFiles) -> dict[str, dict[str, str | None]]:
    """User id -> what the survey tells of the person."""
    path = raw_files[SURVEY]
    people: dict[str, dict[str, str | None]] = {}
    for number, row in raw.read_json_lines(path, {"user_id": str, **dict.fromkeys(_FACTS, str | None)}):
        with raw.at_row(path, number):
            if row["user_id"] in people:
                raise ValueError(f"the user {row['user_id']!r} is repeated")
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


_OF_PRISM = f"prism/{CONVERSATIONS}"
_OF_ISSUEBENCH = "issuebench/1_dataset_construction/1_preprocessing/clean/prism.csv"
_ISSUEBENCH_REVISION = "730aa088c90fe89d37f2f562ed2e3c3c9a7948a6"

# Paths from the top of --sources_dir: the second layout is in IssueBench's folder.
PRISM_PROMPTS = dataclasses.replace(
    PRISM,
    folder="",
    files=(SourceFile(_OF_PRISM, f"{PRISM.homepage}/resolve/{PRISM.revision}/{CONVERSATIONS}"),),
    other_layouts=(
        (
            SourceFile(
                _OF_ISSUEBENCH,
                "https://raw.githubusercontent.com/paul-rottger/issuebench/"
                f"{_ISSUEBENCH_REVISION}/{_OF_ISSUEBENCH.removeprefix('issuebench/')}",
            ),
        ),
    ),
    hub="",
)

_WITH_KIND = (
    "What people write first to a language model, given what they were asked to do.",
    "The input says what kind of conversation a person was to start; the output is the request to a language model "
    "that fits it.",
)
_WITHOUT_KIND = (
    "What people write first to a language model.",
    "Each output is the request with which somebody starts a conversation with a language model.",
)
_OF_ONE = (
    "What one person writes first to a language model, given what the person was asked to do.",
    "All these openings of conversations with a language model are by the same person; the input says what kind of "
    "conversation it was to be.",
)
_EMPTY = "opening prompt without text"


def read_prompts(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The whole table as one process, in upstream order."""
    if _OF_PRISM in raw_files:
        draws = [
            (row["opening_prompt"], KINDS[row["conversation_type"]], 1)
            for _, row in read_conversations(raw_files[_OF_PRISM])
        ]
    else:
        draws = [(prompt, None, count) for prompt, count in _of_issuebench(raw_files)]
    if empty := sum(count for prompt, _, count in draws if not prompt):
        yield Dropped(_EMPTY, empty)
    kept = tuple(Draw(kind, prompt) for prompt, kind, count in draws if prompt for _ in range(count))
    if kept:
        yield Example("all", _WITH_KIND if _OF_PRISM in raw_files else _WITHOUT_KIND, kept)


def read_prompts_by_person(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per person, in the order of their first conversation."""
    people = read_people(raw_files)
    draws: dict[str, list[Draw]] = {}
    for _, row in read_conversations(raw_files[CONVERSATIONS]):
        if row["opening_prompt"]:
            draw = Draw(KINDS[row["conversation_type"]], row["opening_prompt"])
            draws.setdefault(row["user_id"], []).append(draw)
        else:
            yield Dropped(_EMPTY)
    for person, own in draws.items():
        yield Example(person, with_and_without(_OF_ONE, people.get(person, {})), tuple(own))


def _of_issuebench(raw_files: RawFiles) -> Iterator[tuple[str, int]]:
    """(prompt, how often it was written) for each row of IssueBench's copy."""
    path = raw_files[_OF_ISSUEBENCH]
    table = raw.read_csv(path, {"user_prompt": pl.String, "n_duplicates": pl.UInt32})
    if len(bad := table.select((pl.col("n_duplicates").fill_null(0) < 1).arg_true()).to_series()):
        raise raw.bad_row(path, bad[0] + 1, "column 'n_duplicates' is not a number from 1")
    yield from (
        (prompt.strip(), count) for prompt, count in table.with_columns(pl.col("user_prompt").fill_null("")).rows()
    )


def _task(name: str, summary: str, process: str, mean: int, **more: object) -> TaskSpec:
    return TaskSpec(
        name=name,
        kind="icl",
        split="train",
        summary=summary,
        process=process,
        inputs=("conversation_type_description",),
        outputs=("opening_prompt",),
        sequences=Sequences("partition", Mix(mean)),
        domain="Conversation",
        version="1.1.0",
        **more,
    )


_LETTERS = "abcd"
_MIN_CONVERSATIONS, _BEST = 2, 100
_TEXTS = (
    "One person opens conversations with language models, picks the best of four replies (chosen_response: a, b, c or "
    "d) and scores each from 0 (terrible) to 100 (perfect). The output is JSON.",
    "The same person judges four replies to each prompt. As JSON: chosen_response, the letter of the best reply, and "
    "score_a to score_d, how good each is on a scale from 0 to 100.",
)


def read_preferences(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per person with at least two conversations, in the order of their first conversation."""
    people = read_people(raw_files)
    path = raw_files[CONVERSATIONS]
    draws: dict[str, list[Draw]] = {}
    for number, row in read_conversations(path):
        with raw.at_row(path, number):
            draw = _draw(row)
        if isinstance(draw, Dropped):
            yield draw
        else:
            draws.setdefault(row["user_id"], []).append(draw)
    kept, dropped = choose(draws, "prism", at_least=_MIN_CONVERSATIONS)
    yield from dropped
    for person in kept:
        yield Example(person, with_and_without(_TEXTS, people.get(person, {})), tuple(draws[person]))


def _draw(row: dict[str, Any]) -> Draw | Dropped:
    replies = _first_replies(row["conversation_history"])
    texts = [str.strip(reply["content"] or "") for reply in replies]
    if len(texts) != len(_LETTERS) or not all((row["opening_prompt"], *texts)):
        return Dropped("conversation without a prompt or four replies")
    scores = [reply["score"] for reply in replies]
    if None in scores:
        return Dropped("conversation with a reply without a score")
    if not all(type(score) is int and 0 <= score <= _BEST for score in scores):
        raise ValueError(f"the scores {scores} are not whole numbers from 0 to {_BEST}")
    chosen = [letter for letter, reply in zip(_LETTERS, replies, strict=True) if reply["if_chosen"]]
    if len(chosen) != 1:
        return Dropped("conversation without one chosen reply")
    given = {"opening_prompt": row["opening_prompt"]} | _lettered("response", texts)
    output = {"chosen_response": chosen[0]} | _lettered("score", scores)
    return Draw(json.dumps(given, ensure_ascii=False), json.dumps(output))


def _first_replies(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The models' replies of the first turn, by position."""
    first = min((message["turn"] for message in history), default=0)
    replies = [message for message in history if message["role"] == "model" and message["turn"] == first]
    return sorted(replies, key=lambda reply: reply["within_turn_id"])


def _lettered(name: str, values: Sequence[Any]) -> dict[str, Any]:
    return {f"{name}_{letter}": value for letter, value in zip(_LETTERS, values, strict=True)}


TASKS = [
    _task(
        "prism_prompts",
        "How people open conversations with language models.",
        "the whole table",
        128,
        source=PRISM_PROMPTS,
        group="text_collections",
        read=read_prompts,
        quirks="From IssueBench's copy, if that is all there is, the prompts come without the kind of conversation.",
    ),
    _task(
        "prism_prompts_individual",
        "How one person opens conversations with language models.",
        "one person",
        96,
        source=PRISM,
        group="human_variation",
        read=read_prompts_by_person,
        quirks="Whether and how the person is described differs between people.",
    ),
    TaskSpec(
        name="prism_individual_preferences",
        kind="icl",
        split="train",
        source=PRISM,
        group="human_variation",
        summary="Which of four replies one person chooses, and how the person scores each.",
        process="one person",
        inputs=("opening_prompt", *_lettered("response", _LETTERS)),
        outputs=("chosen_response", *_lettered("score", _LETTERS)),
        sequences=Sequences("partition", Mix(20)),
        read=read_preferences,
        domain="Conversation",
        quirks=(
            "Descriptions name what is known of the person, which the release leaves as an unfilled gap; whether and "
            "how a person is described differs between people."
        ),
        version="1.1.0",
    ),
]
