"""Polis: statements from 20 online town halls, and how each participant voted on them.

Upstream: https://github.com/compdemocracy/openData. Licence: CC BY 4.0, attribution to The Computational Democracy
Project. Raw rows (made up) of a conversation's summary.csv (no header), comments.csv and votes.csv:

    topic,Bus lanes
    timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body
    1500000000000,Fri Jul 14 02:40:00 UTC 2017,3,8,2,1,1,Buses should run at night.
    timestamp,datetime,comment-id,voter-id,vote
    1500000000001,Fri Jul 14 02:40:00 UTC 2017,3,9,-1
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from dataset_builder import raw
from dataset_builder.seeding import stable_sample
from dataset_builder.sources.polis_conversations import CONVERSATIONS, POLIS
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec

_NO_WORD_LIMIT = "vtaiwan.uberx"  # Chinese is written without spaces
_MAX_VOTERS, _MIN_VOTES, _MIN_WORDS, _MIN_WORDS_OF_A_TEST = 500, 4, 4, 3
VOTES = {1: "Agree", -1: "Disagree", 0: "Pass"}

_VOTE_TEXTS = (
    "In an online town hall, one person votes on statements: Agree, Disagree or Pass.",
    "All votes come from the same participant of an online discussion, who answers each statement with Agree, Disagree "
    "or Pass.",
)
_COMMENT_TEXTS = (
    "Statements that participants wrote in an online town hall.",
    "Each output is a statement by a participant of the same online discussion.",
)


def read_votes(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per voter, by conversation and id; the draws in the order of voting."""
    for name, context in _conversations(raw_files):
        read = dict(read_statements(raw_files, name))
        yield from (text for text in read.values() if isinstance(text, Dropped))
        statements = {number: text for number, text in read.items() if isinstance(text, str)}
        votes = read_vote_table(raw_files, name)
        for reason, kept in _filtered(votes, list(statements), name):
            if len(kept) < len(votes):
                yield Dropped(reason, len(votes) - len(kept))
            votes = kept
        for (voter,), group in votes.partition_by("voter-id", as_dict=True, maintain_order=True).items():
            rows = group.select("comment-id", "vote").rows()
            draws = tuple(Draw(statements[number], VOTES[vote]) for number, vote in rows)
            yield Example(f"{name}/{voter}", _with_context(_VOTE_TEXTS, context), draws)


def read_vote_table(raw_files: RawFiles, name: str) -> pl.DataFrame:
    """All votes of a conversation, sorted by voter and time; an empty vote is null."""
    path = raw_files[f"{name}/votes.csv"]
    votes = raw.read_csv(path, dict.fromkeys(("timestamp", "comment-id", "voter-id", "vote"), pl.Int64))
    unusable = pl.any_horizontal(pl.col("timestamp", "comment-id", "voter-id").is_null()) | ~pl.col("vote").is_in(
        list(VOTES)
    )
    for row in votes.select(unusable.arg_true()).to_series().head(1):
        raise raw.bad_row(path, row + 1, "a vote needs a time, a statement, a voter and a code of 1, 0, -1 or none")
    return votes.sort("voter-id", "timestamp", maintain_order=True)


def _filtered(votes: pl.DataFrame, statements: list[int], name: str) -> Iterator[tuple[str, pl.DataFrame]]:
    votes = votes.drop_nulls("vote")
    yield "empty vote", votes
    votes = votes.filter(pl.col("comment-id").is_in(statements))
    yield "vote on a dropped statement", votes
    votes = votes.unique(["voter-id", "comment-id"], keep="last", maintain_order=True)
    yield "vote that the same person cast again later", votes
    votes = votes.filter(pl.len().over("voter-id") >= _MIN_VOTES)
    yield f"vote by a person with fewer than {_MIN_VOTES}", votes
    ids = votes["voter-id"].unique()
    chosen = stable_sample(map(str, ids), _MAX_VOTERS, name)
    votes = votes.filter(pl.col("voter-id").is_in([voter for voter in ids if str(voter) in chosen]))
    yield f"vote by a person beyond the {_MAX_VOTERS} of a conversation", votes


def read_comments(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per conversation; the statements in upstream order, repeated ones kept."""
    for name, context in _conversations(raw_files):
        texts = [text for _, text in read_statements(raw_files, name)]
        yield from (text for text in texts if isinstance(text, Dropped))
        if draws := tuple(Draw(None, text) for text in texts if isinstance(text, str)):
            yield Example(name, _with_context(_COMMENT_TEXTS, context), draws)


def _conversations(raw_files: RawFiles) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each conversation that is there: its name and context, that is the topic and the facilitator's text, if any."""
    for name in CONVERSATIONS:
        if (path := raw_files.get(f"{name}/summary.csv")) is not None:
            summary = dict(raw.read_csv(path, {"key": pl.String, "value": pl.String}, has_header=False).rows())
            labels = {"topic": "Topic", "conversation-description": "The facilitator writes"}
            values = {label: (summary.get(key) or "").strip() for key, label in labels.items()}
            yield name, tuple(f"{label}: {value}" for label, value in values.items() if value)


def _with_context(texts: tuple[str, ...], context: tuple[str, ...]) -> tuple[str, ...]:
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
        name="polis_vote",
        kind="icl",
        split="train",
        source=POLIS,
        group="human_variation",
        summary="How one participant of an online town hall votes on statements.",
        process="one voter in one conversation",
        inputs=("comment_text",),
        outputs=("vote_text",),
        options=tuple(VOTES.values()),
        sequences=Sequences("one"),
        read=read_votes,
        languages=("en", "de", "zh"),
        quirks="When a person votes on a statement again, the last vote stands, as it does in Polis.",
    ),
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
