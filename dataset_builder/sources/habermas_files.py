"""Habermas Machine: what its tasks share, the files on how people in the United Kingdom answered policy questions.

Upstream: https://github.com/google-deepmind/habermas_machine (doi 10.1126/science.adq2852), whose Parquet files are in
a storage bucket. Licence of the data: CC BY 4.0. Raw rows (made up) of the ratings and of the survey responses,
some columns left out:

    worker_id  question.id  question.text            question.affirming_statement  ratings.agreement  ...
    w1         S1           Should bells be rung?    Bells should be rung.         [STRONGLY_AGREE]
    w1         S1           (opinion.text) They wake me, but I like them.

The whole files: 45,976 ratings, of which 5,805 are mock. A person may rate the statement of a question again, and give
opinions in several rounds: the first of each stands, further ratings are counted.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from pathlib import Path

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import Dropped, RawFiles, Source, SourceFile

RATINGS, OPINIONS = "hm_all_position_statement_ratings.parquet", "hm_all_round_survey_responses.parquet"
_BUCKET = "https://storage.googleapis.com/habermas_machine/datasets"

HABERMAS = Source(
    name="habermas",
    title="Habermas Machine survey data (United Kingdom)",
    homepage="https://github.com/google-deepmind/habermas_machine",
    license="cc-by-4.0",
    redistributable="yes",
    creators="Michael Henry Tessler and others, Copyright 2024 DeepMind Technologies Limited",
    citation="Tessler et al. 2024, Science 386, doi 10.1126/science.adq2852",
    folder="habermas",
    files=(SourceFile(RATINGS, f"{_BUCKET}/{RATINGS}"), SourceFile(OPINIONS, f"{_BUCKET}/{OPINIONS}")),
)

LABELS = {
    "STRONGLY_AGREE": "Strongly Agree",
    "AGREE": "Agree",
    "SOMEWHAT_AGREE": "Somewhat Agree",
    "NEUTRAL": "Neutral",
    "SOMEWHAT_DISAGREE": "Somewhat Disagree",
    "DISAGREE": "Disagree",
    "STRONGLY_DISAGREE": "Strongly Disagree",
}
_MOCK = "MOCK"
_KEY, _OPINION = ("worker_id", "question.id"), "opinion.text"
_TEXTS = ("question.text", "question.affirming_statement")

OF_KNOWN_PEOPLE = {
    "mock rating": pl.col("label").ne_missing(_MOCK),
    "rating without a person": pl.col("worker_id").str.len_chars() > 0,
}
"""Why a rating is left out -> which ones stay."""


def read_ratings(path: Path, columns: Iterable[str]) -> pl.DataFrame:
    """The named columns of text and ``label``, the agreement in upstream's spelling (null where there is none)."""
    agreement, columns = "ratings.agreement", tuple(columns)
    table = raw.read_parquet(path, {**dict.fromkeys(columns, pl.String), agreement: pl.List(pl.String)})
    table = table.with_columns(pl.col(columns).str.strip_chars(), pl.col(agreement).list.first().alias("label"))
    bad = (pl.col(agreement).list.len() > 1) | ~pl.col("label").is_in([*LABELS, _MOCK])
    if len(rows := table.select(bad.arg_true()).to_series()):
        why = f"column {agreement!r} holds {table[agreement][rows[0]].to_list()!r}, which is not one known label"
        raise raw.bad_row(path, rows[0] + 1, why)
    return table.drop(agreement)


def filtered(table: pl.DataFrame, steps: Mapping[str, pl.Expr]) -> Generator[Dropped, None, pl.DataFrame]:
    """Yield what each step drops; return the rows that stay."""
    for reason, stays in steps.items():
        kept = table.filter(stays)
        if len(kept) < len(table):
            yield Dropped(reason, len(table) - len(kept))
        table = kept
    return table


def none_empty(columns: Iterable[str]) -> pl.Expr:
    """Whether all columns of text have some."""
    return pl.all_horizontal(pl.col(columns).str.len_chars() > 0)


def read_answers(raw_files: RawFiles) -> Generator[Dropped, None, pl.DataFrame]:
    """Yield what is left out; return ratings with opinions, one row per person and question, in upstream order."""
    opinions = raw.read_parquet(raw_files[OPINIONS], dict.fromkeys((*_KEY, _OPINION), pl.String))
    opinions = opinions.with_columns(pl.all().str.strip_chars()).filter(none_empty([_OPINION]))
    opinions = opinions.unique(_KEY, keep="first", maintain_order=True)
    ratings = read_ratings(raw_files[RATINGS], (*_KEY, *_TEXTS))
    steps = OF_KNOWN_PEOPLE | {
        "further rating of a question by the same person": pl.struct(_KEY).is_first_distinct(),
        "rating without a label, an opinion or a text": none_empty(["question.id", *_TEXTS, "label", _OPINION]),
    }
    joined = ratings.join(opinions, on=_KEY, how="left", maintain_order="left")
    return (yield from filtered(joined, steps))
