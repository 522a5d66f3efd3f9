"""Jeopardy!: clues of the quiz show and the responses to them.

Upstream: JEOPARDY_CSV.csv, collected from the J! Archive and passed around as a shared file:
https://www.reddit.com/r/datasets/comments/1uyd0t/200000_jeopardy_questions_in_a_json_file/. Licence: unstated. A raw
row (made up); all names but the first begin with a space (in some copies none does):

    Show Number, Air Date, Round, Category, Value, Question, Answer
    1,2001-02-03,Jeopardy!,"RIVERS","$200","It flows through Exampleville","the Sample"

The whole file: 216,930 clues. In a copy with 19,999 of them, 336 were of other rounds, 948 had a link and 11 came
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.seeding import stable_sample

_PATH = "JEOPARDY_CSV.csv"

JEOPARDY = Source(
    name="jeopardy",
    title="Jeopardy! clues",
    homepage="https://www.reddit.com/r/datasets/comments/1uyd0t/200000_jeopardy_questions_in_a_json_file/",
    license="unstated",
    redistributable="unknown",
    citation="216,930 clues of the J! Archive (j-archive.com), shared on Reddit in 2014",
    folder="jeopardy",
    files=(SourceFile(_PATH),),
)

_ROUNDS = ("Jeopardy!", "Double Jeopardy!")
_LINK = r"(?i)<a\s|https?://"
_MAX_CLUES = 61_000  # in sequences of 64 on average: fewer than the 1000 sequences of the paper's release

_CLUE_TEXTS = (
    "Clues in the style of the quiz show Jeopardy!",
    "Each output is a clue as it is read out on Jeopardy!, a statement to which contestants respond with a question.",
)
_ANSWER_TEXTS = (
    "The input is a clue of the quiz show Jeopardy!, the output the response to it.",
    "Give the correct response to each Jeopardy! clue, in short and not as a question.",
)


def read(raw_files: RawFiles, *, answers: bool) -> Iterator[Example | Dropped]:
    """The table as one process, in upstream order."""
    path = raw_files[_PATH]
    spelled = {name.strip(): name for name in raw.column_names(path)}
    columns = [spelled.get(name, name) for name in ("Round", "Category", "Question", "Answer")]
    table = raw.read_csv(path, dict.fromkeys(columns, pl.String)).rename(str.strip)
    table = table.with_columns(pl.col("Category", "Question", "Answer").str.strip_chars().replace("", None))
    for reason, kept in _filtered(table):
        if len(kept) < len(table):
            yield Dropped(reason, len(table) - len(kept))
        table = kept
    draws = tuple(Draw(clue if answers else None, answer if answers else clue) for clue, answer in table.rows())
    if draws:
        yield Example("all", _ANSWER_TEXTS if answers else _CLUE_TEXTS, draws)


def _filtered(table: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    table = table.filter(pl.col("Round").is_in(_ROUNDS))
    yield "clue of another round than Jeopardy! and Double Jeopardy!", table
    table = table.drop_nulls(["Category", "Question", "Answer"])
    yield "clue without text, answer or category", table
    table = table.filter(~pl.col("Question").str.contains(_LINK))
    yield "clue with a link", table
    table = table.select("Question", "Answer").unique("Question", keep="first", maintain_order=True)
    yield "clue that came before", table
    chosen = stable_sample(map(str, range(len(table))), _MAX_CLUES, "jeopardy")
    table = table[sorted(map(int, chosen))]
    yield f"clue beyond the {_MAX_CLUES} of the task", table


def _task(name: str, summary: str, *, answers: bool) -> TaskSpec:
    return TaskSpec(
        name=f"jeopardy_{name}",
        kind="icl",
        split="train",
        source=JEOPARDY,
        group="capability" if answers else "text_collections",
        summary=summary,
        process="the whole table",
        inputs=("Question",) if answers else (),
        outputs=("Answer",) if answers else ("Question",),
        sequences=Sequences("partition", Mix(64)),
        read=partial(read, answers=answers),
        domain="Culture",
        quirks="A clue that comes again is kept once. Where the paper's release stops after 1000 sequences, ours "
        f"holds a fixed sample of {_MAX_CLUES} clues.",
        version="1.1.0",
    )


TASKS = [
    _task("question_generation", "Clues of the quiz show.", answers=False),
    _task("answer_prediction", "The responses to clues of the quiz show.", answers=True),
]
