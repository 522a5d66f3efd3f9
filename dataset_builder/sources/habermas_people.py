"""Habermas Machine: how one person in the United Kingdom rates statements, and the person's own views.

Upstream: https://github.com/google-deepmind/habermas_machine (doi 10.1126/science.adq2852). Licence of the data: CC BY
4.0. A raw row (made up) of the ratings, to which the opinion is joined (see ``habermas_files.py``):

    worker_id  question.text            question.affirming_statement  ratings.agreement  opinion.text
    w1         Should bells be rung?    Bells should be rung.         [STRONGLY_AGREE]   They wake me, but I like them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import polars as pl

from dataset_builder.sources.habermas_files import HABERMAS, LABELS, read_answers
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec
from spectrum_suite.seeding import stable_sample

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


def _task(name: str, summary: str, outputs: tuple[str, ...], *, opinion: bool) -> TaskSpec:
    return TaskSpec(
        name=f"habermas_individual{name}",
        kind="icl",
        split="test",
        source=HABERMAS,
        group="human_variation",
        summary=summary,
        process="one person",
        inputs=("question.text", "statement"),
        outputs=outputs,
        sequences=Sequences("one", Mix(32)),
        options=None if opinion else tuple(LABELS.values()),
        read=partial(read_people, opinion=opinion),
        version="1.1.0",
        domain="SocialSciences",
    )


TASKS = [
    _task("", "How one person rates statements, with their view.", ("ratings.agreement", "opinion.text"), opinion=True),
    _task("_categorical", "How one person rates statements.", ("ratings.agreement",), opinion=False),
]
