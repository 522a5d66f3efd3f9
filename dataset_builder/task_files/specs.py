"""The tasks of a task file: one for each kind, and for each part that is held out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataset_builder.task_files.answers import read_answers
from dataset_builder.task_files.definition import FetchedTable, TaskFile
from dataset_builder.task_files.joined_tables import read_tables
from dataset_builder.task_files.problems import Problems
from dataset_builder.task_files.processes import Processes
from dataset_builder.task_files.read_definition import read_task_file
from dataset_builder.task_files.shares import examples, read_shares
from dataset_builder.task_files.table import NONE, Table
from dataset_builder.task_files.table_repairs import spelled_alike
from dataset_builder.task_spec import Dropped, Example, RawFiles, Source, SourceFile, TaskSpec
from spectrum_suite.seeding import stable_sample

TRAIN, NEW_PEOPLE, NEW_QUESTIONS = "", "_new_people", "_new_questions"
"""The parts of a task, by what follows its name: held-out people are asked the questions of training, and held-out
questions are put to everybody."""


class Part(NamedTuple):
    """Which of the tasks of a task file one is."""

    kind: str
    held_out: str


def task_specs(path: Path) -> list[TaskSpec]:
    """The tasks of a task file.

    Raises:
        UserError: Something in it is wrong.
    """
    task = read_task_file(path)
    parts = [TRAIN, *([NEW_PEOPLE] if task.people else []), *([NEW_QUESTIONS] if task.held_out_questions else [])]
    source = _source(task)
    return [_spec(task, source, Part(kind, held_out)) for kind in task.kinds for held_out in parts]


def _source(task: TaskFile) -> Source:
    tables = [
        each if isinstance(each, FetchedTable) else FetchedTable(each)
        for each in (task.table, *(join.table for join in task.join))
    ]
    on_hub = next((table for table in tables if table.dataset), tables[0])
    files = [SourceFile(each.path, each.url or None, each.sha256 or None, config=each.config, split=each.split)
             for each in tables]  # fmt: skip
    return Source(
        name=task.source or task.name,
        title=task.title or task.name,
        homepage=task.homepage,
        license=task.licence,
        redistributable=task.redistributable,
        citation=task.citation,
        files=tuple(dict.fromkeys([SourceFile(task.path.name), *files])),
        hub=on_hub.dataset,
        revision=on_hub.revision,
        commercial=task.commercial,
        creators=task.creators,
        attribution=task.attribution,
        root=task.path.parent.resolve(),
    )


_FEWEST = 2  # people or questions that are held out, at least: of a single one, no row would have two draws
_WHO = {
    TRAIN: "",
    NEW_PEOPLE: " Only people who are not in the training part.",
    NEW_QUESTIONS: " Only questions that are not in the training part.",
}


def _spec(task: TaskFile, source: Source, part: Part) -> TaskSpec:
    is_icl = part.kind == "icl"
    prefix = "" if is_icl else "dist_"
    process = "one person" if is_icl and task.process == "person" else "one question"
    return TaskSpec(
        name=f"{prefix}{task.name}{part.held_out}",
        kind=part.kind,
        split="train" if part.held_out == TRAIN and task.split == "train" else "test",
        source=source,
        group=task.group,
        summary=(task.summary or task.title or task.name).rstrip(".") + "." + _WHO[part.held_out],
        process=process,
        inputs=("question",),
        outputs=("answer",),
        sequences=task.sequences if is_icl else None,
        read=partial(read, task, part),
        origin="ours",
        languages=task.languages,
        output_label="Answer",
        version=task.version,
        more_columns=(*(["groups"] if task.about else []), *(["ordered"] if not is_icl and is_ordered(task) else [])),
    )


def read(task: TaskFile, part: Part, raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The processes of a part of a table, and what is left out.

    Raises:
        UserError: The table cannot be read.
    """
    problems = Problems()
    task, table = read_tables(task, raw_files, problems)
    if task.one_row_per == "question":
        yield from _of_shares(task, part, table, problems)
        return
    table = spelled_alike(table, [*filter(None, [task.question]), *task.about], problems)
    answers = read_answers(task, table, problems)
    yield from problems.items()
    keys = [f"{asked.key} {asked.text}" for asked in answers.asked]
    people, questions = _chosen(
        part.held_out, held_out(task, "people", answers.people), held_out(task, "questions", keys)
    )
    processes = Processes(task, table, answers, people, questions)
    if part.kind == "distribution":
        yield from processes.shares()
    else:
        yield from processes.of_people() if task.process == "person" else processes.of_questions()


def is_ordered(task: TaskFile) -> bool:
    """Whether some options of a task are an ordered scale."""
    return task.ordered or any(question.ordered for question in task.questions)


def _of_shares(task: TaskFile, part: Part, table: Table, problems: Problems) -> Iterator[Example | Dropped]:
    shares = read_shares(task, table, problems)
    asked = table[task.question]
    kept = shares.kept & (asked.codes != NONE)
    if missing := np.flatnonzero(shares.kept & (asked.codes == NONE)).tolist():
        problems.drop("row without a question", int(table.numbers[missing[0]]), task.question, rows=len(missing))
    _, questions = _chosen(part.held_out, np.zeros(0, bool), held_out(task, "questions", asked.texts))
    rows = np.flatnonzero(kept)
    yield from examples(task, table, shares, problems, rows[questions[asked.codes[rows]]])
    yield from problems.items()


def held_out(task: TaskFile, what: str, keys: list[str]) -> np.ndarray:
    """Which of the people or questions are held out: always the same ones, whatever their order."""
    share = task.people if what == "people" else task.held_out_questions
    count = max(_FEWEST, round(share * len(keys))) if share else 0
    chosen = stable_sample(keys, count, f"{task.name}/{what}")
    return np.array([key in chosen for key in keys], dtype=bool)


def _chosen(part: str, people: np.ndarray, questions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which people and which questions are in a part."""
    if part == NEW_PEOPLE:
        return people, ~questions
    if part == NEW_QUESTIONS:
        return np.ones(len(people), bool), questions
    return ~people, ~questions
