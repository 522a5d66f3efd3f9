"""The answers of people to questions, from a table with one row per answer or one row per person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from dataset_builder.task_files.definition import FOUND, OPEN, Question, TaskFile
from dataset_builder.task_files.kept_rows import KeptRows
from dataset_builder.task_files.numbers import numbers
from dataset_builder.task_files.options import (
    MOST_FOUND,
    Resolved,
    codes_of_no_answer,
    in_order,
    resolve_found,
    resolve_listed,
    resolve_open,
)
from dataset_builder.task_files.personal_data import note_personal, personal_ids
from dataset_builder.task_files.problems import Problems
from dataset_builder.task_files.sentences import Clause
from dataset_builder.task_files.table import NONE, Column, Table
from dataset_builder.task_files.table_repairs import without_totals

NO_ANSWER = "cell without an answer"
_NOT_LISTED = "answer that is not among the options"
_RESPELLED = "answer that is spelled otherwise than its option"
_BROKEN = "answer with a line break: is a quote in the file not closed?"
_NO_ANSWER_CODE = "answer that looks like a code for none: add it to 'also_missing', or list the options"
_LONGEST = 20_000
_LONG = f"text of more than {_LONGEST:,} characters"
_MANY = f"question with more than {MOST_FOUND} different answers, taken for an open one: list its options if it is not"


class Asked(NamedTuple):
    """A question.

    Attributes:
        key: A short name of it, unique in the table.
        text: As it was put.
        options: Its answers; empty where any answer is possible.
        ordered: Whether they are an ordered scale.
        outputs: Code -> answer.
    """

    key: str
    text: str
    options: tuple[str, ...]
    ordered: bool
    outputs: Sequence[str]


class Answers(Protocol):
    """Answers by person and by question.

    Attributes:
        people: The id of each person.
        asked: The questions.
    """

    people: Sequence[str]
    asked: Sequence[Asked]

    def by_person(self, people: np.ndarray, questions: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Each of some people, in order of their first answer: the rows of the answers, and their questions.

        Args:
            people: Whether a person is one of them; boolean of shape (people,).
            questions: Whether a question is one of those that count; boolean of shape (questions,).

        Yields:
            The place of the person, row indices and places of questions, both of shape (answers,).
        """

    def n_answers(self) -> np.ndarray:
        """How many answers each person gave; of shape (people,)."""

    def by_question(self, people: np.ndarray, questions: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Each of some questions in order of its first answer, and the rows of its answers."""

    def outputs(self, question: int, rows: np.ndarray) -> np.ndarray:
        """The codes of the answers in some rows to a question."""

    def person(self, rows: np.ndarray) -> np.ndarray:
        """The places of the people of some rows."""


def read_answers(task: TaskFile, table: Table, problems: Problems) -> Answers:
    """The answers that a table holds; those that cannot be used are noted."""
    for number, why in table.unreadable.items():
        problems.drop(why, number)
    note_personal(table, problems)
    return AnswerPerRow(task, table, problems) if task.one_row_per == "answer" else PersonPerRow(task, table, problems)


class AnswerPerRow:
    """A table with one row per answer: person, question, answer."""

    def __init__(self, task: TaskFile, table: Table, problems: Problems) -> None:
        self.people, self._person = person_ids(task, table)
        question, answer = table[task.question], table[task.answer]
        self._question = question.codes
        kept = KeptRows(table, problems)
        if task.person in table.columns:
            without_totals(table, task.person, kept)
        kept.leave_out(self._person != NONE, "row without a person")
        kept.leave_out(question.codes != NONE, "row without a question", task.question)
        kept.leave_out(answer.codes != NONE, NO_ANSWER, task.answer, is_fault=False)
        for name in (task.question, task.answer):
            kept.leave_out(~_is_long(table[name]), _LONG, name)
        _leave_out_weights(task, table, kept)
        resolved = _resolved(task.options, answer, task.answer, kept)
        if task.options == FOUND:
            _note_odd(answer, task.answer, kept)
        self._output = np.append(resolved.places, NONE)[answer.codes]
        kept.leave_out(self._is_first(kept.mask), "further answer of a person to the same question", task.question)
        self._rows = np.flatnonzero(kept.mask)
        self.asked = self._questions(task, question.texts, resolved, table, problems)

    def _is_first(self, kept: np.ndarray) -> np.ndarray:
        """Whether a row is the first kept one with its person and question."""
        rows = np.flatnonzero(kept)
        pairs = self._person[rows].astype(np.int64) * (self._question.max(initial=0) + 1) + self._question[rows]
        first = np.zeros(len(kept), bool)
        first[rows[np.unique(pairs, return_index=True)[1]]] = True
        return first

    def _questions(
        self, task: TaskFile, texts: Sequence[str], resolved: Resolved, table: Table, problems: Problems
    ) -> list[Asked]:
        found = self._found(len(resolved.texts)) if task.options == FOUND else {}
        asked = []
        for place, text in enumerate(texts):
            own = in_order([resolved.texts[code] for code in found.get(place, ())])
            if len(own) > MOST_FOUND:
                first = self._rows[np.argmax(self._question[self._rows] == place)]
                problems.mend(_MANY, int(table.numbers[first]), task.question, text)
            asked.append(Asked(f"{place:05d}", text, _options(task.options, own), task.ordered, resolved.texts))
        return asked

    def _found(self, size: int) -> dict[int, list[int]]:
        """Question -> the codes of the answers to it."""
        found: dict[int, list[int]] = {}
        pairs = np.unique(self._question[self._rows].astype(np.int64) * (size + 1) + self._output[self._rows])
        for question, code in zip((pairs // (size + 1)).tolist(), (pairs % (size + 1)).tolist(), strict=True):
            found.setdefault(question, []).append(code)
        return found

    def by_person(self, people: np.ndarray, questions: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """See :class:`Answers`."""
        rows = self._rows[people[self._person[self._rows]] & questions[self._question[self._rows]]]
        for person, own in _grouped(self._person, rows):
            yield person, own, self._question[own]

    def n_answers(self) -> np.ndarray:
        """See :class:`Answers`."""
        return np.bincount(self._person[self._rows], minlength=len(self.people))

    def by_question(self, people: np.ndarray, questions: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """See :class:`Answers`."""
        rows = self._rows[people[self._person[self._rows]] & questions[self._question[self._rows]]]
        yield from _grouped(self._question, rows)

    def outputs(self, question: int, rows: np.ndarray) -> np.ndarray:
        """See :class:`Answers`."""
        return self._output[rows]

    def person(self, rows: np.ndarray) -> np.ndarray:
        """See :class:`Answers`."""
        return self._person[rows]


class PersonPerRow:
    """A table with one row per person, and a column for each question."""

    def __init__(self, task: TaskFile, table: Table, problems: Problems) -> None:
        self.people, self._person = person_ids(task, table)
        self._output: list[np.ndarray] = []
        self.asked: list[Asked] = []
        kept = KeptRows(table, problems)
        if task.person in table.columns:
            without_totals(table, task.person, kept)
        if task.person:
            kept.leave_out(self._person != NONE, "row without a person")
            first = np.zeros(len(table), bool)
            first[np.unique(self._person, return_index=True)[1]] = True
            kept.leave_out(first, "further row of the same person")
        _leave_out_weights(task, table, kept)
        for question in task.questions:
            self._add(task, question, table, kept.copy(), problems)

    def _add(self, task: TaskFile, question: Question, table: Table, kept: KeptRows, problems: Problems) -> None:
        column = table[question.column]
        kept.leave_out(column.codes != NONE, NO_ANSWER, question.column, is_fault=False)
        kept.leave_out(~_is_long(column), _LONG, question.column)
        options = question.options or task.options
        if options == FOUND:
            _note_odd(column, question.column, kept)
        labelled = table.options.get(question.column, ())
        if options == FOUND and set(column.texts) <= set(labelled):
            options = {text: text for text in labelled}
        resolved = _resolved(options, column, question.column, kept)
        output = np.where(kept.mask, np.append(resolved.places, NONE)[column.codes], NONE)
        own = in_order([resolved.texts[code] for code in np.unique(output[output != NONE])])
        if options == FOUND and len(own) > MOST_FOUND:
            problems.mend(_MANY, int(table.numbers[np.argmax(output != NONE)]), question.column)
        ordered = task.ordered if question.ordered is None else question.ordered
        text = question.text or table.labels.get(question.column) or question.column
        self.asked.append(Asked(question.column, text, _options(options, own), ordered, resolved.texts))
        self._output.append(output)

    def by_person(self, people: np.ndarray, questions: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """See :class:`Answers`."""
        asked = np.flatnonzero(questions)
        for start in range(0, len(self._person), _ROWS_AT_A_TIME):
            outputs = np.stack([self._output[place][start : start + _ROWS_AT_A_TIME] for place in asked], axis=1)
            for offset, answers in enumerate(outputs):
                row = start + offset
                answered = asked[answers != NONE]
                if len(answered) and people[self._person[row]]:
                    yield int(self._person[row]), np.full(len(answered), row), answered

    def n_answers(self) -> np.ndarray:
        """See :class:`Answers`."""
        counts = sum(output != NONE for output in self._output)
        return np.bincount(self._person[counts > 0], counts[counts > 0], minlength=len(self.people)).astype(int)

    def by_question(self, people: np.ndarray, questions: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """See :class:`Answers`."""
        for place in np.flatnonzero(questions):
            rows = np.flatnonzero(self._output[place] != NONE)
            rows = rows[people[self._person[rows]]]
            if len(rows):
                yield int(place), rows

    def outputs(self, question: int, rows: np.ndarray) -> np.ndarray:
        """See :class:`Answers`."""
        return self._output[question][rows]

    def person(self, rows: np.ndarray) -> np.ndarray:
        """See :class:`Answers`."""
        return self._person[rows]


_ROWS_AT_A_TIME = 10_000


def person_ids(task: TaskFile, table: Table) -> tuple[Sequence[str], np.ndarray]:
    """The id of each person, and for each row the place of its person.

    Where the table has no ids, the numbers of the rows are. E-mail addresses and telephone numbers are not kept: they
    would be in every row.
    """
    if not task.person:
        return [str(number) for number in table.numbers.tolist()], np.arange(len(table), dtype=np.int32)
    if not isinstance(task.person, Clause):
        column = table[task.person]
        numbered = [f"person-{place:06d}" for place in range(len(column.texts))]
        return numbered if personal_ids(column) else column.texts, column.codes
    ids: dict[str, int] = {}
    codes = np.empty(len(table), dtype=np.int32)
    for index in range(len(table)):
        text = task.person.text(table.row(index, task.person.names))
        codes[index] = NONE if text is None else ids.setdefault(text, len(ids))
    return list(ids), codes


def _is_long(column: Column) -> np.ndarray:
    """Whether the text of each row is longer than any answer or question may be."""
    return np.array([*(len(text) > _LONGEST for text in column.texts), False])[column.codes]


def _leave_out_weights(task: TaskFile, table: Table, kept: KeptRows) -> None:
    if task.weight:
        kept.leave_out(weights(task, table) >= 0, "weight that is not a number of at least 0", task.weight)


def weights(task: TaskFile, table: Table) -> np.ndarray:
    """The weight of each row; NaN where it is not a finite number."""
    if not task.weight:
        return np.ones(len(table))
    column = table[task.weight]
    return np.append(numbers(column.texts), np.nan)[column.codes]


def _resolved(options: Mapping[str, str] | str, column: Column, name: str, kept: KeptRows) -> Resolved:
    """What the answers of a column mean; those that are none of the options are left out."""
    if isinstance(options, Mapping):
        resolved = resolve_listed(column.texts, options)
    elif options == OPEN:
        resolved = resolve_open(column.texts)
    else:
        used = column.codes[kept.mask & (column.codes != NONE)]
        resolved = resolve_found(column.texts, np.bincount(used, minlength=len(column.texts)))
    kept.leave_out(np.append(resolved.places != NONE, True)[column.codes], _NOT_LISTED, name)
    kept.mend(np.append(resolved.respelled, False)[column.codes], _RESPELLED, name)
    return resolved


def _note_odd(column: Column, name: str, kept: KeptRows) -> None:
    """Note answers that were found and may be none."""
    used = [column.texts[code] for code in np.unique(column.codes[kept.mask & (column.codes != NONE)])]
    odd = {_BROKEN: [text for text in used if "\n" in text], _NO_ANSWER_CODE: codes_of_no_answer(used)}
    for what, texts in odd.items():
        kept.mend(np.array([*(text in texts for text in column.texts), False])[column.codes], what, name)


def _options(options: Mapping[str, str] | str, found: tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(options, Mapping):
        return tuple(dict.fromkeys(options.values()))
    return found if options == FOUND and len(found) <= MOST_FOUND else ()


def _grouped(codes: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(code, its rows in order) of each code among some rows, by the first row that has it."""
    if not len(rows):
        return
    order = rows[np.argsort(codes[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(codes[order], prepend=-2))
    ends = np.append(starts[1:], len(order))
    for group in np.argsort(order[starts], kind="stable"):
        own = order[starts[group] : ends[group]]
        yield int(codes[own[0]]), own
