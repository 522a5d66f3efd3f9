"""Which rows of a table name its columns, and what those rows say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from spectrum_suite.errors import UserError

Rows = Sequence[Sequence[str]]
"""The first rows of a file as it has them, blank ones included."""

LEAD_ROWS = 50
"""Rows in which a header is looked for."""

_IMPORT_ID = '{"ImportId"'  # Qualtrics: names, then questions, then such cells
_NO_NAMES = {"Response", "Open-Ended Response"}  # SurveyMonkey, below each question without columns of its own
_COVERED = 0.8  # share of the columns that a header names
_NUMBER = re.compile(r"[-+]?[\d.,]+%?")


class Header(NamedTuple):
    """What stands above the data.

    Attributes:
        names: Of the columns, in order; empty for one without a name.
        labels: Column -> the question that was asked, where the file says so.
        first: The row with the names, from 1; of several, the first.
        last: The last row above the data.
    """

    names: list[str]
    labels: dict[str, str]
    first: int
    last: int


def header_of(rows: Rows, wanted: Sequence[int] = ()) -> Header:
    """The header of a table.

    Args:
        rows: Its first rows.
        wanted: The numbers of the rows with the names, from 1; none for the first row that is not blank.

    Raises:
        UserError: A wanted row is not there.
    """
    if not wanted:
        filled = list(islice(_filled(rows), 3))
        if not filled:
            return Header([], {}, 1, 1)
        names = [_name(cell) for cell in rows[filled[0]]]
        if len(filled) > 2 and _is_import_ids(rows[filled[2]]):  # noqa: PLR2004
            labels = {name: _name(text) for name, text in zip(names, rows[filled[1]], strict=False) if name and text}
            return Header(names, labels, filled[0] + 1, filled[2] + 1)
        return Header(names, {}, filled[0] + 1, filled[0] + 1)
    if max(wanted) > len(rows):
        raise UserError(f"'header' is row {max(wanted)}, which is not among the first {len(rows)} rows of the table")
    return Header(_joined([rows[number - 1] for number in sorted(wanted)]), {}, min(wanted), max(wanted))


def guess_header(rows: Rows) -> tuple[int, ...]:
    """The rows that seem to name the columns, where that is not the first: titles or merged cells stand above them."""
    filled = list(_filled(rows))
    if not filled:
        return ()
    most = max(_count(rows[place]) for place in filled)
    first = filled[0]
    below = filled[1] if len(filled) > 1 else first
    if below > first and {cell for cell in rows[below] if cell} <= _NO_NAMES:
        return first + 1, below + 1
    if _count(rows[first]) >= min(_COVERED * most, most - 1):
        return ()
    place = next((place for place in filled[1:] if _may_be_header(rows, place, most)), None)
    if place is None:
        return ()
    above = rows[place - 1]
    both = (place, place + 1)
    is_title = _count(above) < 2 and above[0]  # noqa: PLR2004 - merged cells above the first column are seldom
    if _count(above) and not is_title and len(set(names := header_of(rows, both).names)) == len(names):
        return both
    return (place + 1,)


def _filled(rows: Rows) -> Iterator[int]:
    return (place for place, row in enumerate(rows) if any(row))


def _count(row: Sequence[str]) -> int:
    return sum(map(bool, row))


def _may_be_header(rows: Rows, place: int, most: int) -> bool:
    """Whether a row has a name for most columns: no number, and nothing that is found below it."""
    cells = [(column, cell) for column, cell in enumerate(rows[place]) if cell]
    later = {(column, cell) for row in rows[place + 1 :] for column, cell in enumerate(row)}
    return len(cells) >= _COVERED * most and not any(_NUMBER.fullmatch(cell) for _, cell in cells) and later.isdisjoint(
        cells
    )  # fmt: skip


def _is_import_ids(row: Sequence[str]) -> bool:
    return any(row) and all(cell.startswith(_IMPORT_ID) for cell in row if cell)


def _name(cell: str) -> str:
    return " ".join(cell.split())


def _joined(rows: Rows) -> list[str]:
    """``group: name`` of each column; a cell without a text has the group on its left, as merged cells do."""
    *groups, names = rows
    parts = [[_name(cell)] if cell and cell not in _NO_NAMES else [] for cell in names]
    for row in reversed(groups):
        group = ""
        for column, cell in enumerate(row):
            group = _name(cell) or group
            own = column < len(names) and names[column]
            if group and (cell or own):
                parts[column : column + 1] = [[group, *(parts[column] if column < len(parts) else [])]]
    return [": ".join(dict.fromkeys(part)) for part in parts]
