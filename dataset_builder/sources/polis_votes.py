"""Polis: how each participant of 20 online town halls voted on its statements.

Upstream: https://github.com/compdemocracy/openData. Licence: CC BY 4.0, attribution to The Computational Democracy
Project. A raw row (made up) of a conversation's votes.csv, where 1 is Agree, 0 Pass and -1 Disagree:

    timestamp,datetime,comment-id,voter-id,vote
    1500000000001,Fri Jul 14 02:40:00 UTC 2017,3,9,-1

The whole files (of the 14 conversations whose votes could be read): 269,103 votes. Polis votes for the author when a
statement is written: 2,441 of the 2,570 votes by authors came within 7.01 seconds of it and are Agree or Pass; the
other 129 came 117 seconds to months later and may be Disagree. A person may vote on a statement again.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.polis import Statement, conversations, read_statements, with_context
from dataset_builder.sources.polis_conversations import POLIS
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, TaskSpec
from spectrum_suite.errors import UserError
from spectrum_suite.seeding import stable_sample

VOTES = {1: "Agree", -1: "Disagree", 0: "Pass"}
_MAX_VOTERS, _MIN_VOTES = 500, 4
_AUTOMATIC_MS = 10_000  # from the statement to the vote that Polis casts for its author
_STATEMENTS = {"number": pl.Int64, "author": pl.Int64, "time": pl.Int64, "text": pl.String}
_VOTE_TEXTS = (
    "In an online town hall, one person votes on statements: Agree, Disagree or Pass.",
    "All votes come from the same participant of an online discussion, who answers each statement with Agree, Disagree "
    "or Pass.",
)


def read_votes(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per voter, by conversation and id; the draws in the order of voting."""
    for name, context in conversations(raw_files):
        items = list(read_statements(raw_files, name))
        yield from (item for item in items if isinstance(item, Dropped))
        statements = pl.DataFrame([item for item in items if isinstance(item, Statement)], schema=_STATEMENTS)
        if len(again := statements.filter(pl.col("number").is_duplicated())["number"]):
            path = raw_files[f"{name}/comments.csv"]
            raise UserError(f"raw file {str(path)!r} has two statements {again[0]}; fetch it again from its upstream")
        texts = dict(statements.select("number", "text").rows())
        votes = read_vote_table(raw_files, name)
        for reason, kept in _filtered(votes, statements, name):
            if len(kept) < len(votes):
                yield Dropped(reason, len(votes) - len(kept))
            votes = kept
        for (voter,), group in votes.partition_by("voter-id", as_dict=True, maintain_order=True).items():
            rows = group.select("comment-id", "vote").rows()
            draws = tuple(Draw(texts[number], VOTES[vote]) for number, vote in rows)
            yield Example(f"{name}/{voter}", with_context(_VOTE_TEXTS, context), draws)


def read_vote_table(raw_files: RawFiles, name: str) -> pl.DataFrame:
    """All votes of a conversation, sorted by voter and time; an empty vote is null."""
    path = raw_files[f"{name}/votes.csv"]
    votes = raw.read_csv(path, dict.fromkeys(("timestamp", "comment-id", "voter-id", "vote"), pl.Int64))
    unusable = pl.any_horizontal(pl.col("timestamp", "comment-id", "voter-id").is_null()) | ~pl.col("vote").is_in(
        list(VOTES)
    )
    if len(rows := votes.select(unusable.arg_true()).to_series()):
        raise raw.bad_row(path, rows[0] + 1, "a vote needs a time, a statement, a voter and a code of 1, 0, -1 or none")
    return votes.sort("voter-id", "timestamp", maintain_order=True)


def _filtered(votes: pl.DataFrame, statements: pl.DataFrame, name: str) -> Iterator[tuple[str, pl.DataFrame]]:
    votes = votes.drop_nulls("vote")
    yield "empty vote", votes
    votes = votes.join(statements, left_on="comment-id", right_on="number", how="inner", maintain_order="left")
    yield "vote on a dropped statement", votes
    since = (pl.col("timestamp") - pl.col("time")).abs()
    automatic = (pl.col("voter-id") == pl.col("author")) & (since <= _AUTOMATIC_MS)
    votes = votes.filter(~automatic.fill_null(value=False))
    yield "vote that was cast for the author together with the statement", votes
    votes = votes.unique(["voter-id", "comment-id"], keep="last", maintain_order=True)
    yield "vote that the same person cast again later", votes
    votes = votes.filter(pl.len().over("voter-id") >= _MIN_VOTES)
    yield f"vote by a person with fewer than {_MIN_VOTES}", votes
    ids = votes["voter-id"].unique()
    chosen = stable_sample(map(str, ids), _MAX_VOTERS, name)
    votes = votes.filter(pl.col("voter-id").is_in([voter for voter in ids if str(voter) in chosen]))
    yield f"vote by a person beyond the {_MAX_VOTERS} of a conversation", votes


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
        version="1.1.0",
        quirks="When a person votes on a statement again, the last vote stands, as it does in Polis. Statements that "
        "the moderators rejected, and votes that Polis cast for an author when the statement was written, are left "
        "out; the release keeps both.",
    ),
]
