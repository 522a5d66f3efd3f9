"""What is wrong with a table or with the file that describes it: a line for each problem, all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dataset_builder.task_spec import Dropped

_SHOWN = 80  # characters of a value


@dataclass
class Found:
    """Rows with the same problem, and where it is first."""

    rows: int = 0
    first: str = ""


@dataclass
class Problems:
    """Collects what is wrong with the rows of a table, by what it is.

    Attributes:
        dropped: Reason -> rows that are left out.
        mended: What was converted -> cells in which it was.
    """

    dropped: dict[str, Found] = field(default_factory=dict)
    mended: dict[str, Found] = field(default_factory=dict)

    def drop(self, reason: str, row: int, column: str = "", value: str | None = None, *, rows: int = 1) -> None:
        """Count rows that are left out; ``row`` is the number of the first, from 1 below the header."""
        _count(self.dropped, reason, place(row, column, value), rows)

    def mend(self, what: str, row: int, column: str = "", value: str | None = None, *, rows: int = 1) -> None:
        """Count cells that were converted."""
        _count(self.mended, what, place(row, column, value), rows)

    def items(self) -> Iterator[Dropped]:
        """What the build report counts: rows that are left out, and cells that were converted."""
        for reason, found in self.dropped.items():
            yield Dropped(reason, found.rows, found.first)
        for what, found in self.mended.items():
            yield Dropped(what, found.rows, found.first, kept=True)


def place(row: int, column: str = "", value: str | None = None) -> str:
    """Where a problem is: its row, and its column and value where there is one."""
    shown = "" if value is None else f": {value[:_SHOWN]!r}{'...' if len(value) > _SHOWN else ''}"
    return f"row {row}{f', column {column!r}' if column else ''}{shown}"


def _count(into: dict[str, Found], what: str, where: str, rows: int) -> None:
    found = into.setdefault(what, Found(first=where))
    found.rows += rows


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names on one line, the first of many."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
