"""Processes from answers: what one person answers, what is answered to one question, and in which shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dataset_builder.sources.shared.surveys import LETTERS, lettered
from dataset_builder.task_files.answers import Answers, Asked, weights
from dataset_builder.task_files.definition import TaskFile
from dataset_builder.task_files.problems import Problems
from dataset_builder.task_files.sentences import Clause, about, joined
from dataset_builder.task_files.table import NONE, Table
from dataset_builder.task_spec import MIN_DRAWS, Draw, Dropped, Example, Target

_REMEMBERED = 50_000  # inputs and descriptions already written
_FEW = f"answer of a person with fewer than {MIN_DRAWS} answers"
_FEW_OF_PART = f"answer of a person with fewer than {MIN_DRAWS} answers in this part of the table"
_FEW_OF_QUESTION = f"answer to a question with fewer than {MIN_DRAWS} answers"
_NO_INPUT = "answer whose input has no text, since a value is missing"
_SEVERAL_VALUES = "person with several values of a column, of which the first is taken"


class Processes:
    """The processes of a part of a table.

    Args:
        task: The task file.
        table: Its table.
        answers: The answers in it.
        people: Whether a person is part of it.
        questions: Whether a question is.
    """

    def __init__(
        self, task: TaskFile, table: Table, answers: Answers, people: np.ndarray, questions: np.ndarray
    ) -> None:
        self._task, self._table, self._answers = task, table, answers
        self._people, self._questions = people, questions
        self._inputs = Inputs(task, table)
        self._described_as: dict[tuple, tuple[str, ...]] = {}
        described = {name for each in task.descriptions for clause in each for name in clause.names}
        self._described = sorted({*described, *task.about} & set(table.columns))

    def of_people(self) -> Iterator[Example | Dropped]:
        """One process per person, in order of first answers; the draws in order of the table."""
        problems, n_answers = Problems(), self._answers.n_answers()
        for person, rows, questions in self._answers.by_person(self._people, self._questions):
            if len(rows) < MIN_DRAWS:
                few = bool(n_answers[person] < MIN_DRAWS)  # else it is only that others are in another part
                problems.drop(_FEW if few else _FEW_OF_PART, int(self._table.numbers[rows[0]]), rows=len(rows),
                              is_fault=few)  # fmt: skip
                continue
            values = {name: self._value(name, rows, problems) for name in self._described}
            draws, asked = [], []
            for place, row in zip(questions.tolist(), rows.tolist(), strict=True):
                question = self._answers.asked[place]
                if (given := self._inputs.text(question, row)) is None:
                    problems.drop(_NO_INPUT, int(self._table.numbers[row]))
                    continue
                draws.append(Draw(given, self._outputs(question, place, np.array([row]))[0]))
                asked.append(question)
            if draws:
                yield self._example(self._answers.people[person], values, draws, asked)
        yield from problems.items()

    def of_questions(self) -> Iterator[Example | Dropped]:
        """One process per question, in order of first answers; the draws in order of the table."""
        problems = Problems()
        for place, rows in self._answers.by_question(self._people, self._questions):
            if len(rows) < MIN_DRAWS:
                problems.drop(_FEW_OF_QUESTION, int(self._table.numbers[rows[0]]), rows=len(rows),
                              is_fault=False)  # fmt: skip
                continue
            asked = self._answers.asked[place]
            draws = [
                Draw(self._inputs.about_person(row), output)
                for row, output in zip(rows.tolist(), self._outputs(asked, place, rows), strict=True)
            ]
            values = {name: self._table[name].get(rows[0]) for name in self._described if name not in self._task.about}
            values |= {"question": self._inputs.question(asked)}
            yield self._example(asked.key, values, draws, [asked])
        yield from problems.items()

    def shares(self) -> Iterator[Example | Dropped]:
        """One process per question, and per question and value of each column in ``by``."""
        problems = Problems()
        all_weights = weights(self._task, self._table)
        for place, answered in self._answers.by_question(self._people, self._questions):
            asked = self._answers.asked[place]
            if len(asked.options) < 2:  # noqa: PLR2004
                problems.drop("answer to a question without closed answers", int(self._table.numbers[answered[0]]),
                              rows=len(answered))  # fmt: skip
                continue
            counts = all_weights[answered] > 0
            if not counts.all():
                first = answered[np.argmin(counts)]
                problems.drop("answer whose weight is zero, in shares", int(self._table.numbers[first]),
                              rows=int((~counts).sum()), is_fault=False)  # fmt: skip
            rows = answered[counts]
            codes = self._answers.outputs(place, rows)
            for group, chosen in self._groups(rows):
                own, own_codes = rows[chosen], codes[chosen]
                if len(own) < self._task.at_least:
                    what = "answer to a question" + (f" by a group of '{next(iter(group))}'" if group else "")
                    why = f"{what} with fewer than {self._task.at_least} answers"
                    if len(own):
                        problems.drop(why, int(self._table.numbers[own[0]]), rows=len(own), is_fault=False)
                    continue
                total = all_weights[own].sum()
                sums = np.bincount(own_codes, all_weights[own], minlength=len(asked.outputs))
                found = {asked.outputs[code]: float(sums[code] / total) for code in np.unique(own_codes)}
                yield self._target(
                    asked, rows, group, tuple(found.get(option, 0.0) for option in asked.options), len(own)
                )
        yield from problems.items()

    def _groups(self, rows: np.ndarray) -> Iterator[tuple[dict[str, str], np.ndarray]]:
        """Everybody, then the people with each value of each column: {column: value}, and which rows are theirs."""
        yield {}, np.ones(len(rows), bool)
        for name in self._task.by:
            codes = self._table[name].codes[rows]
            column = self._table[name]
            for code in sorted(np.unique(codes[codes != NONE]).tolist(), key=lambda code: column.texts[code]):
                yield {name: column.texts[code]}, codes == code

    def _target(
        self, asked: Asked, rows: np.ndarray, group: Mapping[str, str], shares: tuple[float, ...], n_responses: int
    ) -> Example:
        task = self._task
        options = tuple(LETTERS[: len(asked.options)]) if task.letters else asked.options
        target = Target(self._inputs.text(asked, int(rows[0])), options, shares, n_responses)
        known = [name for name in self._table.columns if name not in task.about]
        values = self._table.row(int(rows[0]), known) | dict(group) | {"question": self._inputs.question(asked)}
        key = "".join(f"/{name}={value}" for name, value in group.items())
        descriptions = self._descriptions(task.populations or task.descriptions, values, group)
        return Example(f"{asked.key}{key}", descriptions, target=target, groups=tuple(group.items()),
                       ordered=asked.ordered)  # fmt: skip

    def _example(self, process: str, values: Mapping[str, Any], draws: list[Draw], asked: list[Asked]) -> Example:
        options = [tuple(LETTERS[: len(each.options)]) if self._task.letters else each.options for each in asked]
        options = options[:1] if len(set(options)) == 1 else options
        return Example(
            process,
            self._descriptions(self._task.descriptions, values, values),
            tuple(draws),
            options=tuple(options) if any(options) else (),
            groups=tuple((name, value) for name in self._task.about if (value := values.get(name))),
        )

    def _descriptions(
        self, wanted: tuple[tuple[Clause, ...], ...], values: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> tuple[str, ...]:
        values = {**values, "about": about(self._task.about, facts)}
        key = tuple(values.items())
        if key not in self._described_as:
            if len(self._described_as) > _REMEMBERED:
                self._described_as.clear()
            texts = (joined(clauses, values) for clauses in wanted)
            self._described_as[key] = tuple(dict.fromkeys(text for text in texts if text))
        return self._described_as[key]

    def _value(self, name: str, rows: np.ndarray, problems: Problems) -> str | None:
        """The first value of a column among a person's rows."""
        column = self._table[name]
        codes = column.codes[rows]
        known = codes[codes != NONE]
        if not len(known):
            return None
        if len(np.unique(known)) > 1 and name in self._task.about:
            problems.mend(_SEVERAL_VALUES, int(self._table.numbers[rows[0]]), name)
        return column.texts[known[0]]

    def _outputs(self, asked: Asked, place: int, rows: np.ndarray) -> list[str]:
        texts = [asked.outputs[code] for code in self._answers.outputs(place, rows).tolist()]
        return [LETTERS[asked.options.index(text)] for text in texts] if self._task.letters else texts


class Inputs:
    """What is given in each draw: the sentences of ``input``, else the question."""

    def __init__(self, task: TaskFile, table: Table) -> None:
        self._task, self._table = task, table
        used = {name for clause in task.input for name in clause.names}
        used |= set(task.about) if "about" in used else set()
        self._columns = sorted(used & set(table.columns))
        self._written: dict[Any, str | None] = {}

    def question(self, asked: Asked) -> str:
        """The text of a question, with its lettered options where answers are letters."""
        return lettered(asked.text, asked.options) if self._task.letters else asked.text

    def text(self, asked: Asked, row: int) -> str | None:
        """What is given in the draw of a row."""
        if not self._task.input:
            return self.question(asked)
        return self._remembered((asked.key, *self._codes(row)), row, asked)

    def about_person(self, row: int) -> str | None:
        """What is given where the draws are the answers of different people to one question."""
        return self._remembered(self._codes(row), row, None) if self._task.input else None

    def _codes(self, row: int) -> tuple[int, ...]:
        return tuple(int(self._table[name].codes[row]) for name in self._columns)

    def _remembered(self, key: Any, row: int, asked: Asked | None) -> str | None:
        if key not in self._written:
            if len(self._written) > _REMEMBERED:
                self._written.clear()
            values = self._table.row(row, self._columns)
            if asked is not None:
                values |= {"question": asked.text, "options": list(asked.options)}
            values["about"] = about(self._task.about, self._table.row(row, self._task.about))
            self._written[key] = joined(self._task.input, values)
        return self._written[key]
