"""Polis: statements from 20 online town halls, and how each participant voted on them.

Upstream: https://github.com/compdemocracy/openData. Licence: CC BY 4.0, attribution to The Computational Democracy
Project. Raw rows (made up) of a conversation's summary.csv (no header), comments.csv, and votes.csv, where 1 is Agree,
0 Pass and -1 Disagree:

    topic,Bus lanes

    timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body
    1500000000000,Fri Jul 14 02:40:00 UTC 2017,3,8,2,1,1,Buses should run at night.

    timestamp,datetime,comment-id,voter-id,vote
    1500000000001,Fri Jul 14 02:40:00 UTC 2017,3,9,-1

The whole files: 11,082 statements, each with an id of its own in its conversation. The moderators rejected 4,355 of
them (moderated is -1; 0 is not moderated, 1 is accepted), among them copies, tests and noise. Times are in
milliseconds. The columns of bg2050-volunteers are in another order, with some more.

Votes of the 14 conversations whose votes could be read: 269,103. Polis votes for the author when a statement is
written: 2,441 of the 2,570 votes by authors came within 7.01 seconds of it and are Agree or Pass; the other 129 came
117 seconds to months later and may be Disagree. A person may vote on a statement again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.gathered_answers import gathered
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.errors import UserError
from spectrum_suite.seeding import stable_sample

_REVISION = "0bc2ce0f32c673f68da20b57bce15c457aa787b5"

# Conversation -> sha256 of its summary.csv and comments.csv, where known.
CONVERSATIONS: dict[str, tuple[str | None, str | None]] = {
    "15-per-hour-seattle": (
        "7d7c5cb5baf3a4e2f81e041fd53eb12eac5837abf2a9c7b98c1cb0e03a4b2921",
        "23306ea084fbecf5e924e78da03b13cd3ad289e5f9b533b658b8caa59f5c1981",
    ),
    "american-assembly.bowling-green": (None, None),
    "austria-climate.2vkxcncppn.2022-07-07": (None, None),
    "austria-climate.5twd2jsnkf.2022-08-08": (None, None),
    "austria-climate.5tzfrp5eaa.2022-07-07": (None, None),
    "austria-climate.7z7ejpbmv5.2022-08-08": (None, None),
    "austria-climate.9xnndurbfm.2022-07-07": (None, None),
    "bg2050-volunteers": (None, None),
    "brexit-consensus": (
        "1ace30cbb65cca8f090e95e06dae15c4c24bd1328f6bc803108b4facc03c7ebf",
        "f9a341a6acadd8277458ed1ec1280508450dcc53f23cfdad9baf92a538bbd74c",
    ),
    "canadian-electoral-reform": (
        "75d5bf666fec281eb57a256d3179180b39e4da93d3d87b21b67afcf984d00333",
        "f3fca647a6b13e218a454f06a9f8c985a0a7b63d64daf277b6f0916cf6d54a5d",
    ),
    "football-concussions": (
        "d61aaf54a79d4572e18a1e40c258366752167b1a83a8df4b762ce20dbb65b71d",
        "80e4e937e6a308263bdf57eb608b3f6c9c3d1a936819dd554d9d647f63ced291",
    ),
    "london.youth.policing": (
        "1b635595cd0ba41f147064f9f09bc6c136aab497cb01425d76e36b96c98ae8e4",
        "61bdfdc160b0ff59f28d2823d9ccdd3472823df151ba9963f0035f723f7dcba7",
    ),
    "march-on.operation-marchin-orders": (None, None),
    "scoop-hivemind.affordable-housing": (None, None),
    "scoop-hivemind.biodiversity": (None, None),
    "scoop-hivemind.freshwater": (None, None),
    "scoop-hivemind.taxes": (None, None),
    "scoop-hivemind.ubi": (
        "8a17c635bc6685625ba8e59fc14eb5abf15e51dc33b040eef42bae05a17fe313",
        "f47dcf4fde68bd9da3fdff0981e62b6ec5d2673e8e82144fefd4c82ce8953a8e",
    ),
    "ssis.land-bank-farmland.2rumnecbeh.2021-08-01": (None, None),
    "vtaiwan.uberx": (
        "7ea950e1f02a20be471a89628bf90fdd54a32edb3e5578195283a6d8934eb688",
        "719de1220b72e1e2e323109a528f2685ce6e2eea006f7d5fa02c607eccbfa2d8",
    ),
}


def _file(path: str, sha256: str | None = None) -> SourceFile:
    return SourceFile(path, f"https://raw.githubusercontent.com/compdemocracy/openData/{_REVISION}/{path}", sha256)


_CASE_STUDIES = (
    "2014-seattle-15-per-hour", "2018-kentucky", "2022-Austria-Klimarat", "2017-brexit-consensus",
    "2016-canadian-electoral-reform", "2015-football-concussions", "2022-london-youth-policing", "2018-march-on",
    "2017-scoop-hivemind-affordable-housing", "2019-scoop-hivemind-biodiversity", "2017-scoop-hivemind-freshwater",
    "2018-scoop-hivemind-taxes", "2017-scoop-hivemind-ubi", "2021-san-juan-island", "2015-vtaiwan-uberx",
)  # fmt: skip
_ATTRIBUTION = (  # the wording that upstream's README asks for
    "Data was gathered using the Polis software (compdemocracy.org/polis) and is sub-licensed under CC BY 4.0 with "
    "Attribution to The Computational Democracy Project. The data and more information about how the data was "
    "collected can be found at the following link(s): "
    + ", ".join(f"https://compdemocracy.org/case-studies/{name}" for name in _CASE_STUDIES)
)

POLIS = Source(
    name="polis",
    title="Polis open data: online town-hall conversations",
    homepage="https://github.com/compdemocracy/openData",
    license="cc-by-4.0",
    redistributable="yes",
    creators="The Computational Democracy Project",
    attribution=_ATTRIBUTION,
    citation="The Computational Democracy Project, Polis open data, https://github.com/compdemocracy/openData",
    folder="polis",
    revision=_REVISION,
    files=tuple(
        file
        for name, (summary, comments) in CONVERSATIONS.items()
        for file in (
            _file(f"{name}/summary.csv", summary),
            _file(f"{name}/comments.csv", comments),
            _file(f"{name}/votes.csv"),
        )
    ),
    divisible=True,
)

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
    """Each conversation that is present: its name and context (the topic and the facilitator's text, if any)."""
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
            raise raw.bad_row(
                path, row, f"column 'moderated' holds {moderated}, which is not one of {list(_MODERATED)}"
            )
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


_VOTERS = TaskSpec(
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
)

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
    _VOTERS,
    gathered(
        _VOTERS,
        "polis",
        "How the participants of online town halls vote on a statement.",
        "In an online town hall, many people vote on statements: Agree, Disagree or Pass. Each output is the vote of "
        "another participant.",
    ),
]
