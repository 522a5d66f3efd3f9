"""Polis: statements from 20 online town halls (how participants voted on them: ``polis_votes.py``).

Upstream: https://github.com/compdemocracy/openData. Licence: CC BY 4.0, attribution to The Computational Democracy
Project. Raw rows (made up) of a conversation's summary.csv (no header) and comments.csv:

    topic,Bus lanes
    timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body
    1500000000000,Fri Jul 14 02:40:00 UTC 2017,3,8,2,1,1,Buses should run at night.

The whole files: 11,082 statements, each with an id of its own in its conversation. The moderators rejected 4,355 of
them (moderated is -1; 0 is not moderated, 1 is accepted), among them copies, tests and noise. Times are in
milliseconds. The columns of bg2050-volunteers stand in another order, with some more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.polis_conversations import CONVERSATIONS, POLIS
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec

_NO_WORD_LIMIT = "vtaiwan.uberx"  # Chinese is written without spaces
_MIN_WORDS, _MIN_WORDS_OF_A_TEST = 4, 3
_MODERATED = (-1, 0, 1, None)
_REJECTED = -1

_COMMENT_TEXTS = (
    "Statements that participants wrote in an online town hall.",
    "Each output is a statement by a participant of the same online discussion.",
)


class Statement(NamedTuple):
    """A statement: its id in the conversation, who wrote it and when (in milliseconds), and what it says."""

    number: int | None
    author: int | None
    time: int | None
    text: str


def read_comments(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per conversation; the statements in upstream order, repeated ones kept."""
    for name, context in conversations(raw_files):
        statements = list(read_statements(raw_files, name))
        yield from (statement for statement in statements if isinstance(statement, Dropped))
        if draws := tuple(Draw(None, one.text) for one in statements if isinstance(one, Statement)):
            yield Example(name, with_context(_COMMENT_TEXTS, context), draws)


def conversations(raw_files: RawFiles) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each conversation that is there: its name and context, that is the topic and the facilitator's text, if any."""
    for name in CONVERSATIONS:
        if (path := raw_files.get(f"{name}/summary.csv")) is not None:
            summary = dict(raw.read_csv(path, {"key": pl.String, "value": pl.String}, has_header=False).rows())
            labels = {"topic": "Topic", "conversation-description": "The facilitator writes"}
            values = {label: (summary.get(key) or "").strip() for key, label in labels.items()}
            yield name, tuple(f"{label}: {value}" for label, value in values.items() if value)


def with_context(texts: tuple[str, ...], context: tuple[str, ...]) -> tuple[str, ...]:
    """Each text alone, followed by one part of the context or all of it, and preceded by all of it."""
    whole = "\n".join(context)
    after = (f"{text}\n{part}" for text in texts for part in (*context, whole))
    before = (f"{whole}\n{text}" for text in texts)
    return tuple(dict.fromkeys((*texts, *after, *before))) if context else texts


def read_statements(raw_files: RawFiles, name: str) -> Iterator[Statement | Dropped]:
    """Every statement of a conversation, in upstream order, or why it is left out."""
    path = raw_files[f"{name}/comments.csv"]
    numbers = ("timestamp", "comment-id", "author-id", "moderated")
    table = raw.read_csv(path, {**dict.fromkeys(numbers, pl.Int64), "comment-body": pl.String})
    for row, (time, number, author, moderated, body) in enumerate(table.rows(), start=1):
        if moderated not in _MODERATED:
            raise raw.bad_row(path, row, f"column 'moderated' holds {moderated}, which is none of {list(_MODERATED)}")
        text = (body or "").strip()
        if why := _why_not(text, moderated, name):
            yield Dropped(why)
        else:
            yield Statement(number, author, time, text)


def _why_not(text: str, moderated: int, name: str) -> str:
    """Why a statement is left out; nothing if it is not."""
    words = len(text.split())
    if moderated == _REJECTED:
        return "statement that the moderators rejected"
    if not text:
        return "statement without text"
    if "test" in text.lower() and words < _MIN_WORDS_OF_A_TEST:
        return f"test statement with fewer than {_MIN_WORDS_OF_A_TEST} words"
    if words < _MIN_WORDS and name != _NO_WORD_LIMIT:
        return f"statement with fewer than {_MIN_WORDS} words"
    return ""


TASKS = [
    TaskSpec(
        name="polis_comment",
        kind="icl",
        split="train",
        source=POLIS,
        group="text_collections",
        summary="Statements that participants of an online town hall wrote.",
        process="one conversation",
        outputs=("comment",),
        sequences=Sequences("partition", Mix(64)),
        read=read_comments,
        languages=("en", "de", "zh"),
        version="1.1.0",
        quirks="Repeated statements are kept as separate draws. Statements that the moderators rejected are left out; "
        "the release keeps them.",
    ),
]
