"""Habermas Machine: how people in the United Kingdom answered questions of public policy, and the questions themselves.

Upstream: https://github.com/google-deepmind/habermas_machine (doi 10.1126/science.adq2852), whose Parquet files are in
a storage bucket. Licence of the data: CC BY 4.0. Raw rows (made up) of the ratings, of the survey responses, and of the
bank of questions, which is read where the ratings are missing; some columns left out:

    worker_id  question.id  question.text            question.affirming_statement  ratings.agreement  ...
    w1         S1           Should bells be rung?    Bells should be rung.         [STRONGLY_AGREE]
    w1         S1           (opinion.text) They wake me, but I like them.
    {"id": "S1", "question": "Should bells be rung?", "affirming_statement": "Bells should be rung.", ...}

The whole files: 45,976 ratings, of which 5,805 are mock. A person may rate the statement of a question again, and give
opinions in several rounds: the first of each is used, further ratings are counted. The bank has 5,645 questions, each
once.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import (
    Draw,
    Dropped,
    Example,
    Mix,
    RawFiles,
    Sequences,
    Source,
    SourceFile,
    Target,
    TaskSpec,
)
from spectrum_suite.seeding import stable_sample

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


_BANK = "questions/230118_chinchilla_questions.json"
_BANK_COMMIT = "d5cf67a42aeb79e216dd4bb651a96c827d9c450f"
_BANK_URL = f"https://raw.githubusercontent.com/mhtess/habermas_machine/{_BANK_COMMIT}/{_BANK}"
_QUESTION_TEXTS = (
    "Questions.",
    "Each output is a question.",
    "Questions about politics in the United Kingdom.",
    "Each output is a question of public policy that is put to people who live in the United Kingdom.",
)


def read_questions(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The list of questions as one process, each question once, in upstream order."""
    if _BANK in raw_files:
        texts = _read_bank(raw_files[_BANK])
    else:
        texts = list((yield from read_answers(raw_files))["question.text"].unique(maintain_order=True))
    if texts:
        yield Example("questions", _QUESTION_TEXTS, tuple(Draw(None, text) for text in texts))


def _read_bank(path: Path) -> list[str]:
    items = raw.read_json(path)
    if not isinstance(items, list):
        raise raw.bad_row(path, 1, f"the file is not a JSON list but {type(items).__name__}")
    texts: dict[str, None] = {}
    for row, item in enumerate(items, start=1):
        with raw.at_row(path, row):
            if not (text := str.strip(item["question"])):
                raise ValueError("field 'question' is empty")
        texts[text] = None
    return list(texts)


_MAX_PEOPLE = 2000
_LABEL_LIST = ", ".join(LABELS.values())


def read_people(raw_files: RawFiles, *, opinion: bool) -> Iterator[Example | Dropped]:
    """One process per person, at most 2,000, in order of appearance; draws in upstream order."""
    answers = yield from read_answers(raw_files)
    chosen = stable_sample(answers["worker_id"].unique(), _MAX_PEOPLE, "habermas")
    people = answers.filter(pl.col("worker_id").is_in(list(chosen)))
    if len(people) < len(answers):
        yield Dropped(f"rating by a person beyond {_MAX_PEOPLE}", len(answers) - len(people))
    draws: dict[str, list[Draw]] = {}
    for row in people.iter_rows(named=True):
        draws.setdefault(row["worker_id"], []).append(_draw(row, opinion=opinion))
    for person, answered in draws.items():
        yield Example(person, _descriptions(opinion=opinion), tuple(answered))


def _draw(row: dict[str, str], *, opinion: bool) -> Draw:
    given = {"question.text": row["question.text"], "statement": row["question.affirming_statement"]}
    label = LABELS[row["label"]]
    said = {"ratings.agreement": label, "opinion.text": row["opinion.text"]}
    return Draw(json.dumps(given, ensure_ascii=False), json.dumps(said, ensure_ascii=False) if opinion else label)


def _descriptions(*, opinion: bool) -> tuple[str, ...]:
    if not opinion:
        return (
            f"How far does this person agree with the statement? One of: {_LABEL_LIST}.",
            f"Give the person's level of agreement with each statement, which is one of {_LABEL_LIST}.",
        )
    return (
        "Answers of one person who lives in the United Kingdom. The input is a question and a statement that answers "
        "it with yes; the output is how far the person agrees with the statement (ratings.agreement) and what the "
        f"person thinks of the question, in two or three sentences (opinion.text). Levels of agreement: {_LABEL_LIST}.",
        "A resident of the United Kingdom is asked about policy. Given question.text and a statement in favour, "
        f"produce ratings.agreement, one of {_LABEL_LIST}, and opinion.text, the person's own view in a few sentences.",
    )


_individual = partial(
    TaskSpec,
    kind="icl",
    split="test",
    source=HABERMAS,
    group="human_variation",
    process="one person",
    inputs=("question.text", "statement"),
    sequences=Sequences("one", Mix(32)),
    version="1.1.0",
    domain="SocialSciences",
)


_MIN_ANSWERS = 6
_PARTICIPANT, _PROVENANCE, _HUMAN = "ratings.metadata.participant_id", "metadata.provenance", "HUMAN_CITIZEN"
_ITEM = ("question.id", "question.text", "question.affirming_statement", "question.negating_statement")
STEPS = tuple(str(step) for step in range(1, len(LABELS) + 1))


def read_targets(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per question with at least 6 answers, in order of appearance."""
    ratings = read_ratings(raw_files[RATINGS], ("worker_id", _PARTICIPANT, _PROVENANCE, *_ITEM))
    steps = OF_KNOWN_PEOPLE | {
        "rating that no citizen gave": pl.col(_PROVENANCE) == _HUMAN,
        "further rating of a question by the same person": pl.struct("question.id", _PARTICIPANT).is_first_distinct(),
        "rating without a label or a text": none_empty([*_ITEM, _PARTICIPANT, "label"]),
        f"rating of a question with fewer than {_MIN_ANSWERS}": pl.len().over("question.id") >= _MIN_ANSWERS,
    }
    kept = yield from filtered(ratings, steps)
    items = kept.group_by("question.id", maintain_order=True).agg(pl.col(_ITEM[1:]).first(), "label")
    for question, text, affirming, negating, labels in items.rows():
        shares = tuple(labels.count(label) / len(labels) for label in LABELS)
        prompt = f"{text}\nStatement A: {affirming}\nStatement B: {negating}"
        yield Example(question, (_SCALE,), target=Target(prompt, STEPS, shares, n_responses=len(labels)))


_SCALE = (
    "A random resident of the United Kingdom is shown a question with two opposed statements, A and B, and picks a "
    "step between them: 1 = strongly for A, 2 = for A, 3 = somewhat for A, 4 = neutral, 5 = somewhat for B, 6 = for B, "
    "7 = strongly for B. The answer is one number."
)


TASKS = [
    TaskSpec(
        name="habermas_question",
        kind="icl",
        split="test",
        source=replace(HABERMAS, other_layouts=((SourceFile(_BANK, _BANK_URL),),)),
        group="text_collections",
        summary="Questions of public policy that were put to people in the United Kingdom.",
        process="the whole list of questions",
        outputs=("question",),
        sequences=Sequences("partition", Mix(32)),
        read=read_questions,
        domain="SocialSciences",
        quirks="Where the ratings are not there, the questions are all of the bank that they were taken from.",
    ),
    _individual(
        name="habermas_individual",
        summary="How one person rates statements, with their view.",
        outputs=("ratings.agreement", "opinion.text"),
        read=partial(read_people, opinion=True),
    ),
    _individual(
        name="habermas_individual_categorical",
        summary="How one person rates statements.",
        outputs=("ratings.agreement",),
        options=tuple(LABELS.values()),
        read=partial(read_people, opinion=False),
    ),
    TaskSpec(
        name="dist_habermas",
        kind="distribution",
        split="test",
        source=replace(HABERMAS, files=HABERMAS.files[:1]),
        group="human_variation",
        summary="Where residents of the United Kingdom stand between two opposed statements.",
        process="one question with two opposed statements",
        inputs=("question",),
        outputs=("answer",),
        options=STEPS,
        read=read_targets,
        domain="SocialSciences",
        output_label="Answer (Likert 1-7)",
    ),
]
