"""The closed answers of the outputs of an ``icl`` task: those of a question, never those of all questions together.

A suite's rows carry them in the column ``options``: one list for all outputs of a row, or one for each. Where rows have
no such column, the answers of a question are taken from the rows, if there are enough draws of that very question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Message

MAX_OPTIONS = 64
"""A question with more answers is scored without them: each answer is a continuation of its own, in every place."""

MAX_INFERRED = 12
DRAWS_PER_OPTION = 10

OPEN = "any answer is possible"
TOO_MANY = f"the question has more than {MAX_OPTIONS} answers"
UNTOLD = (
    "the rows have no column 'options', and too few draws of a question, or too many different ones, to tell its "
    "answers: build the suite again, or add the column"
)

Answers = tuple[str, ...]
Question = Hashable


@dataclass(frozen=True)
class ClosedAnswers:
    """The closed answers of every output of some rows.

    Attributes:
        lists: The different lists of answers.
        asked: Per row, for each output the place of its answers among ``lists``; None where it has none.
        without: Why outputs have none -> how many of them.
    """

    lists: tuple[Answers, ...]
    asked: tuple[tuple[int | None, ...], ...]
    without: Mapping[str, int]

    def of_row(self, row: int) -> list[Answers]:
        """The answers of each output of a row; empty where it has none."""
        return [() if place is None else self.lists[place] for place in self.asked[row]]

    def part(self, start: int, stop: int) -> ClosedAnswers:
        """Those of the rows from ``start`` up to ``stop``, with the same places."""
        return ClosedAnswers(self.lists, self.asked[start:stop], self.without)


def closed_answers(rows: Dataset, *, among: Dataset | None = None) -> ClosedAnswers:
    """The closed answers of the outputs of ``rows``.

    Args:
        rows: Rows of an ``icl`` task.
        among: All rows of the task, which tell the answers of a question where there is no column ``options``.

    Raises:
        UserError: The ``options`` of a row are not one list for all of its outputs, or one for each, or an output is
            none of its options.
    """
    if "options" in rows.column_names:
        found = [_checked(row) for row in rows.select_columns(["id", "messages", "options"])]
    else:
        known = _inferred(rows if among is None else among)
        found = [[known.get(question, UNTOLD) for question, _ in _asked(row)] for row in _with_process(rows)]
    places: dict[Answers, int] = {}
    without: Counter[str] = Counter()
    asked = []
    for row in found:
        of_row: list[int | None] = []
        for answers in row:
            reason = answers if isinstance(answers, str) else (TOO_MANY if len(answers) > MAX_OPTIONS else None)
            without.update([reason] if reason else [])
            of_row.append(None if reason else places.setdefault(answers, len(places)))
        asked.append(tuple(of_row))
    return ClosedAnswers(tuple(places), tuple(asked), dict(without))


def shared_answers(options: Sequence[str], rows: Dataset) -> ClosedAnswers:
    """The same answers for every output of ``rows``."""
    counts = [_outputs(messages) for messages in rows["messages"][:]]
    return ClosedAnswers((tuple(options),), tuple((0,) * len(outputs) for outputs in counts), {})


def _checked(row: Mapping[str, Any]) -> list[Answers | str]:
    """The answers of each output of a row by its own column, or why there are none."""
    outputs, lists = _outputs(row["messages"]), row["options"] or []
    if len(lists) not in (0, 1, len(outputs)):
        raise UserError(
            f"row {row['id']!r} has {len(lists)} lists of options for {len(outputs)} outputs: give one for all of "
            "them, or one for each"
        )
    lists = lists * len(outputs) if len(lists) == 1 else lists or [[]] * len(outputs)
    for output, options in zip(outputs, lists, strict=True):
        if options and output not in options:
            raise UserError(f"output {output!r} of row {row['id']!r} is none of its options {list(options)}: add it")
    return [tuple(options) if options else OPEN for options in lists]


def _inferred(rows: Dataset) -> dict[Question, Answers]:
    """Question -> its answers in sorted order, where its draws tell that they are a closed set.

    They do if there are two to twelve different ones, and ten draws or more of each on average.
    """
    counts: dict[Question, Counter[str]] = {}
    for row in _with_process(rows):
        for question, output in _asked(row):
            counts.setdefault(question, Counter())[output] += 1
    return {
        question: tuple(sorted(found))
        for question, found in counts.items()
        if 1 < len(found) <= MAX_INFERRED and found.total() >= DRAWS_PER_OPTION * len(found)
    }


def _with_process(rows: Dataset) -> Iterable[Mapping[str, Any]]:
    return rows.select_columns([name for name in ("messages", "process") if name in rows.column_names])


def _asked(row: Mapping[str, Any]) -> Iterator[tuple[Question, str]]:
    """Each output of a row, and what was asked: the input under its description, or without one the process itself."""
    description = given = None
    for message in row["messages"]:
        match message["role"]:
            case "description":
                description = message["content"]
            case "input":
                given = message["content"]
            case "output":
                yield (description, given, row.get("process") if given is None else None), message["content"]
                given = None


def _outputs(messages: Sequence[Message]) -> list[str]:
    return [message["content"] for message in messages if message["role"] == "output"]
