"""The rows of a dataset whose columns are named, as rows of a task; wrong ones are refused together, each named."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets import ClassLabel, Dataset

from dataset_builder.task_spec import Kind
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Message
from spectrum_suite.groups import GROUPS, groups_text
from spectrum_suite.instruction_data import ROLES
from spectrum_suite.seeding import generator
from spectrum_suite.suite_rows import check_row

logger = logging.getLogger(__name__)

DRAWS = 32
"""Draws in a row of the task at most, where each row of the dataset is a draw."""

_FEWEST = 2  # draws in a row
_SHOWN = 3  # wrong rows in a message

Row = Mapping[str, Any]


class RowMaker:
    """Makes the rows of a task.

    Args:
        name: What the dataset is called in messages.
        task: The task's name.
        dataset: The rows of the dataset.
        columns: What a column is, see :data:`spectrum_suite.dataset_suite.COLUMNS` -> its name.
        groups: Columns that distinguish groups of people or questions.
    """

    def __init__(
        self, name: str, task: str, dataset: Dataset, columns: Mapping[str, str], groups: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.task = task
        self.columns = columns
        self.groups = groups
        self.dataset = dataset.select_columns(list(dict.fromkeys([*columns.values(), *groups])))
        self.classes = {name: of for name, of in dataset.features.items() if isinstance(of, ClassLabel)}

    def rows(self, kind: Kind) -> Iterator[dict[str, Any]]:
        """Rows of a task of kind ``distribution`` or ``icl``, without columns that are not known.

        Raises:
            UserError: At the end, where any row is wrong.
        """
        if kind == "distribution":
            yield from self._one_by_one(kind, self._targeted)
        elif "messages" in self.columns:
            yield from self._one_by_one(kind, self._drawn)
        else:
            yield from self._cut(self._processes())

    def _one_by_one(self, kind: Kind, make: Callable[[Row], dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """A row for each row of the dataset."""
        wrong: list[str] = []
        ids: set[str] = set()
        for number, row in enumerate(self.dataset, start=1):
            given = self._cell(row, "id")
            row_id = f"{self.task}/{number if given is None else given}"
            try:
                made = make(row)
                check_row(made, kind)
                if row_id in ids:
                    raise ValueError(f"its id {row_id!r} is another row's too")  # noqa: TRY301 - as the others are
            except (TypeError, ValueError) as error:
                wrong.append(f"row {number}: {error}")
                continue
            ids.add(row_id)
            yield {"id": row_id, "source": self.name, GROUPS: groups_text(self._groups(row)), **made}
        self._refuse(wrong)

    def _refuse(self, wrong: Sequence[str]) -> None:
        if wrong:
            more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise UserError(
                f"dataset {self.name!r}: {len(wrong)} of {len(self.dataset)} rows are wrong: "
                f"{'; '.join(wrong[:_SHOWN])}{more}"
            )

    def _targeted(self, row: Row) -> dict[str, Any]:
        return {
            "messages": self._prompt(row),
            "options": _texts(self._cell(row, "options")),
            "probabilities": _listed(self._cell(row, "probabilities")),
            "n_responses": _count(self._cell(row, "n_responses")),
        }

    def _drawn(self, row: Row) -> dict[str, Any]:
        messages = self._prompt(row)
        outputs = sum(message["role"] == "output" for message in messages)
        return {"messages": messages, "n_outputs": outputs, "options": _lists(self._cell(row, "options"))}

    def _prompt(self, row: Row) -> list[Message]:
        if "messages" in self.columns:
            return _our_messages(self._cell(row, "messages"))
        return self._messages(row, "description", "input")

    def _messages(self, row: Row, *roles: str) -> list[Message]:
        texts = ((role, _text(self._cell(row, role), role)) for role in roles)
        return [{"role": role, "content": text} for role, text in texts if text is not None]

    def _cell(self, row: Row, what: str) -> Any:
        """What a row holds in a column; None without such a column."""
        return self._value(row, self.columns[what]) if what in self.columns else None

    def _value(self, row: Row, column: str) -> Any:
        """A cell; a class by its name."""
        value = row[column]
        return self.classes[column].int2str(value) if column in self.classes and value is not None else value

    def _groups(self, row: Row) -> dict[str, Any]:
        return {name: self._value(row, name) for name in self.groups}

    def _processes(self) -> dict[str, _Process]:
        """The draws of each process, or of all rows where no column distinguishes processes."""
        found: dict[str, _Process] = {}
        wrong: list[str] = []
        empty = 0
        for number, row in enumerate(self.dataset, start=1):
            try:
                draw, description = self._messages(row, "input", "output"), self._messages(row, "description")
                if not draw or draw[-1]["role"] != "output":
                    empty += 1
                    continue
                options = _lists(self._cell(row, "options"))
                name = str(self._cell(row, "process")) if "process" in self.columns else ""
                process = found.setdefault(name, _Process(description, self._groups(row)))
                process.add(draw, options[0] if options else [], description, self._groups(row))
            except (TypeError, ValueError) as error:
                wrong.append(f"row {number}: {error}")
        self._refuse(wrong)
        if empty:
            logger.warning("%s: %d rows without an output are left out", self.name, empty)
        return found

    def _cut(self, processes: Mapping[str, _Process]) -> Iterator[dict[str, Any]]:
        """Rows of draws in an order by chance, each draw in one of them."""
        alone = 0
        for name, process in processes.items():
            order = generator(self.task, name).permutation(len(process.draws)).tolist()
            for part, start in enumerate(range(0, len(order), DRAWS)):
                chosen = [process.draws[place] for place in order[start : start + DRAWS]]
                if len(chosen) < _FEWEST:
                    alone += 1
                    continue
                options = [options for _, options in chosen]
                row = {
                    "messages": [*process.description, *(message for draw, _ in chosen for message in draw)],
                    "n_outputs": len(chosen),
                    "options": options if any(options) else [],
                }
                try:
                    check_row(row, "icl")
                except (TypeError, ValueError) as error:
                    of = f", process {name!r}" if name else ""
                    raise UserError(f"dataset {self.name!r}{of}: {error}") from error
                row |= {"id": "/".join(filter(None, (self.task, name, str(part)))), "process": name or self.task}
                yield {"source": self.name, GROUPS: groups_text(process.groups), **row}
        if alone:
            logger.warning("%s: %d draws that would be alone in their row are left out", self.name, alone)


@dataclass
class _Process:
    """The draws of a process, each with its closed answers; and what all of them share."""

    description: list[Message]
    groups: dict[str, Any]
    draws: list[tuple[list[Message], list[str]]] = field(default_factory=list)

    def add(
        self, draw: list[Message], options: list[str], description: list[Message], groups: Mapping[str, Any]
    ) -> None:
        """Add a draw; a group that it does not share with those before it is none of the process."""
        if description != self.description:
            raise ValueError(
                "its description is not that of the rows before it: name the column that distinguishes processes as "
                "process=, or leave description= out"
            )
        self.groups = {name: value for name, value in self.groups.items() if groups[name] == value}
        self.draws.append((draw, options))


def _our_messages(cell: Any) -> list[Message]:
    """Messages in our roles; a text is an input."""
    if isinstance(cell, str) and not cell.lstrip().startswith("["):
        return [{"role": "input", "content": cell}]
    found = _listed(cell)
    if not isinstance(found, list) or not all(
        isinstance(each, Mapping) and {"role", "content"} <= each.keys() for each in found
    ):
        raise TypeError(
            f"its messages are {_shown(cell)}: give a text, or a list of messages with 'role' and 'content'"
        )
    return [{"role": ROLES.get(each["role"], each["role"]), "content": each["content"]} for each in found]


def _text(cell: Any, what: str) -> str | None:
    """A text without white space around it, or a number as it is written; None where there is none."""
    if cell is None or isinstance(cell, str):
        return (cell or "").replace("\r\n", "\n").strip() or None
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return str(cell)
    raise TypeError(f"its {what} is {_shown(cell)}, which is not a text")


def _texts(cell: Any) -> Any:
    """A list of texts, as far as it is one."""
    found = _listed(cell)
    if not isinstance(found, list):
        return found
    return [_text(each, "option") if isinstance(each, str | int) else each for each in found]


def _lists(cell: Any) -> Any:
    """The closed answers of outputs: a list of lists, also where one list is for all of them."""
    found = _listed(cell)
    if found is None:
        return []
    if isinstance(found, list) and all(isinstance(each, list) for each in found):
        return [_texts(each) for each in found]
    return [_texts(found)]


def _listed(cell: Any) -> Any:
    """A cell, or the list that it holds as text: JSON, or as Python writes it."""
    if not isinstance(cell, str) or not cell.lstrip().startswith("["):
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        try:
            return ast.literal_eval(cell.strip())
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return cell


def _count(cell: Any) -> int | None:
    """A whole number of answers, also as text."""
    if cell is None or cell == "":
        return None
    try:
        number = float(cell)
    except (TypeError, ValueError) as error:
        raise ValueError(f"its n_responses is {_shown(cell)}, not a number of answers") from error
    if not number.is_integer() or number < 1:
        raise ValueError(f"its n_responses is {_shown(cell)}, not a number of answers")
    return int(number)


def _shown(cell: Any) -> str:
    text = repr(cell)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004
