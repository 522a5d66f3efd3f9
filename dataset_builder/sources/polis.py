"""Polis: statements from 20 online town halls (how participants voted on them: ``polis_votes.py``).

Upstream: https://github.com/compdemocracy/openData. Licence: CC BY 4.0, attribution to The Computational Democracy
Project. Raw rows (made up) of a conversation's summary.csv (no header) and comments.csv:

    topic,Bus lanes
    timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body
    1500000000000,Fri Jul 14 02:40:00 UTC 2017,3,8,2,1,1,Buses should run at night.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.polis_conversations import CONVERSATIONS, POLIS
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec

_NO_WORD_LIMIT = "vtaiwan.uberx"  # Chinese is written without spaces
_MIN_WORDS, _MIN_WORDS_OF_A_TEST = 4, 3

_COMMENT_TEXTS = (
    "Statements that participants wrote in an online town hall.",
    "Each output is a statement by a participant of the same online discussion.",
)


def read_comments(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per conversation; the statements in upstream order, repeated ones kept."""
    for name, context in conversations(raw_files):
        texts = [text for _, text in read_statements(raw_files, name)]
        yield from (text for text in texts if isinstance(text, Dropped))
        if draws := tuple(Draw(None, text) for text in texts if isinstance(text, str)):
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


def read_statements(raw_files: RawFiles, name: str) -> Iterator[tuple[int, str | Dropped]]:
    """Id and text of every statement of a conversation, or why it is left out."""
    table = raw.read_csv(raw_files[f"{name}/comments.csv"], {"comment-id": pl.Int64, "comment-body": pl.String})
    for number, body in table.rows():
        text = (body or "").strip()
        words = len(text.split())
        if not text:
            yield number, Dropped("statement without text")
        elif "test" in text.lower() and words < _MIN_WORDS_OF_A_TEST:
            yield number, Dropped(f"test statement with fewer than {_MIN_WORDS_OF_A_TEST} words")
        elif words < _MIN_WORDS and name != _NO_WORD_LIMIT:
            yield number, Dropped(f"statement with fewer than {_MIN_WORDS} words")
        else:
            yield number, text


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
        quirks="Repeated statements are kept as separate draws.",
    ),
]
