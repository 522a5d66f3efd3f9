"""POPQUORN: how one person rewrites e-mails, rates comments or e-mails, or answers questions about passages.

Upstream: https://github.com/Jiaxin-Pei/Potato-Prolific-Dataset (LAW 2023). Licence: unstated. A raw row: see
``popquorn.py``. In the table of questions ``user_id`` is empty: there, people are told apart by their demographics.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.people import choose, with_and_without
from dataset_builder.sources.popquorn import POPQUORN, SUB_TASKS, SubTask
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, TaskSpec

_FACTS = ("gender", "race", "age", "occupation", "education")
_MIN_ROWS, _MAX_PEOPLE = 6, 100
_RATINGS = {"offensiveness", "politeness", "difficulty"}
_SCALE = tuple("12345")
_TEXTS = {
    "email_rewriting": (
        "One person rewrites e-mails so that they become more polite. The input is an e-mail, the output the same "
        "person's version of it.",
        "Every output is a politer wording of the e-mail given, and all are by one writer.",
    ),
    "offensiveness": (
        "One person rates how offensive comments from the internet are, from 1 (not offensive at all) to 5 (very "
        "offensive).",
        "Offensiveness ratings of online comments by a single rater: a whole number from 1 = not at all to 5 = very.",
    ),
    "politeness_rating": (
        "One person rates how polite e-mails are, from 1 (not polite at all) to 5 (very polite).",
        "Politeness ratings of e-mails by a single rater: a whole number from 1 = not at all to 5 = very.",
    ),
    "question_answering": (
        "One person answers questions about passages and says how hard each was. The output is JSON: groundtruth is "
        "the answer on record, answer is what the person answered, and difficulty is from 1 (very easy) to 5 (very "
        "hard).",
        "Reading comprehension by a single reader: given passage and question, JSON with the reference answer "
        "(groundtruth), the reader's own answer, and the difficulty that the reader felt, 1 = lowest to 5 = highest.",
    ),
}


def read_people(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per person and sub-task, in the order of the tables and of each person's first row."""
    for task in (task for task in SUB_TASKS if task.path in raw_files):
        draws: dict[str, list[Draw]] = {}
        facts: dict[str, dict[str, str]] = {}
        for person, about, draw in _answers(raw_files[task.path], task):
            if isinstance(draw, Dropped):
                yield draw
            else:
                facts.setdefault(person, about)
                draws.setdefault(person, []).append(draw)
        rated = len(task.out) == 1 and set(task.out.values()) <= _RATINGS
        people, dropped = choose(draws, f"popquorn/{task.folder}", at_least=_MIN_ROWS, at_most=_MAX_PEOPLE)
        yield from dropped
        for person in people:
            descriptions = with_and_without(_TEXTS[task.folder], facts[person])
            options = (_SCALE,) if rated else ()
            yield Example(f"{task.folder}/{person}", descriptions, tuple(draws[person]), options=options)


def _answers(path: Path, task: SubTask) -> Iterator[tuple[str, dict[str, str], Draw | Dropped]]:
    """(person, their facts, draw) for every row."""
    columns = dict.fromkeys(("user_id", *_FACTS, *task.given, *task.out), pl.String)
    for number, cells in enumerate(raw.read_csv(path, columns).iter_rows(named=True), start=1):
        row = {name: (value or "").strip() for name, value in cells.items()}
        about = {name: row[name] for name in _FACTS}
        person = row["user_id"] or ("/".join(about.values()) if task.folder == "question_answering" else "")
        with raw.at_row(path, number):
            draw = _draw(row, task, person)
        yield person, about, draw


def _draw(row: Mapping[str, str], task: SubTask, person: str) -> Draw | Dropped:
    if not person.strip("/"):
        return Dropped("row without a person")
    if not all(row[column] for column in (*task.given, *task.out)):
        return Dropped("row with an empty cell")
    given = {name: row[column] for column, name in task.given.items()}
    out = {name: _rating(row[name]) if name in _RATINGS else row[column] for column, name in task.out.items()}
    return Draw(*(_text(fields) for fields in (given, out)))


def _rating(text: str) -> int:
    if (value := float(text)) not in range(1, 6):
        raise ValueError(f"the rating {text!r} is not a whole number from 1 to 5")
    return int(value)


def _text(fields: Mapping[str, str | int]) -> str:
    return json.dumps(fields, ensure_ascii=False) if len(fields) > 1 else str(next(iter(fields.values())))


TASKS = [
    TaskSpec(
        name="popquorn_individual",
        kind="icl",
        split="train",
        source=POPQUORN,
        group="human_variation",
        summary="How one person rewrites e-mails, rates comments or e-mails, or answers questions.",
        process="one annotator in one of four sub-tasks",
        inputs=("original_email", "text_to_rate", "passage", "question"),
        outputs=("revised_email", "offensiveness", "politeness", "groundtruth", "answer", "difficulty"),
        sequences=Sequences("one"),
        read=read_people,
        domain="Conversation",
        quirks=(
            "Whether and how the person is described differs between people; in the release it is the same for all "
            "of a sub-task. The 100 people of a sub-task are chosen by a stable hash. In the table of questions, "
            "people with the same demographics count as one."
        ),
    ),
]
