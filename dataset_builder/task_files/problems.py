"""What is wrong with the rows of a table: how many have each problem, and where the first of them is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from dataset_builder.task_spec import Dropped, Noted

_SHOWN = 80  # characters of a value


@dataclass
class Problems:
    """Collects what is wrong with the rows of a table, by what it is."""

    _found: dict[str, Dropped] = field(default_factory=dict)

    def drop(
        self, reason: str, row: int, column: str = "", value: str | None = None, *, rows: int = 1, is_fault: bool = True
    ) -> None:
        """Count rows that are left out.

        Args:
            reason: Why.
            row: The number of the first, from 1 below the header.
            column: Where in the row it is.
            value: What is there.
            rows: How many there are.
            is_fault: Whether a strict build stops.
        """
        self._add(Dropped(reason, rows, place(row, column, value), is_fault))

    def mend(
        self, what: str, row: int, column: str = "", value: str | None = None, *, rows: int = 1, is_fault: bool = True
    ) -> None:
        """Count rows in which something was converted; see :meth:`drop`."""
        self._add(Noted(what, rows, place(row, column, value), is_fault))

    def warn(self, what: str, row: int, column: str, *, rows: int) -> None:
        """Count cells that look like data on people. Their values are not shown."""
        self._add(Noted(what, rows, place(row, column), is_personal=True))

    def items(self) -> Iterator[Dropped]:
        """What was found, for the build report."""
        yield from self._found.values()

    def _add(self, item: Dropped) -> None:
        if (before := self._found.get(item.reason)) is not None:
            item = replace(before, rows=before.rows + item.rows)
        self._found[item.reason] = item


def place(row: int, column: str = "", value: str | None = None) -> str:
    """Where a problem is: its row, and its column and value where there is one."""
    shown = "" if value is None else f": {value[:_SHOWN]!r}{'...' if len(value) > _SHOWN else ''}"
    return f"row {row}{f', column {column!r}' if column else ''}{shown}"
