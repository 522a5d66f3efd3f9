"""A table of texts: a column is kept as its distinct texts and a number per row, so that a million rows are small."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spectrum_suite.errors import UserError, did_you_mean

NONE = -1
"""The code of a cell without a text."""

MISSING = (
    "", "NA", "N/A", "n/a", "N.A.", "n.a.", "#N/A", "NaN", "nan", "NaT", "NULL", "null", "#NULL!", "<NA>",
    "#DIV/0!", "#NAME?", "#NUM!", "#REF!", "#VALUE!", ".", "-", "--", "\N{EN DASH}", "\N{EM DASH}",
)  # fmt: skip
"""Texts that mean there is no value, unless a task says otherwise or lists one of them as an option."""


@dataclass(frozen=True)
class Column:
    """The cells of a column.

    Attributes:
        texts: Its distinct texts, in order of appearance, without white space around them.
        codes: For each row, the place of its text, or ``NONE``; an integer array of shape (rows,).
    """

    texts: Sequence[str]
    codes: np.ndarray

    def get(self, index: int) -> str | None:
        """The text of a row, counted from 0; None where there is none."""
        code = self.codes[index]
        return None if code == NONE else self.texts[code]


@dataclass(frozen=True)
class Table:
    """The columns of a table that a task uses.

    Attributes:
        path: The file.
        columns: Name -> column.
        numbers: The number of each row in the file, from 1 below the header.
        labels: What the file itself says of a column, where it does.
        options: The answers that the file itself lists for a column, in their order, where it does.
        unreadable: Rows that could not be read: number -> why.
    """

    path: Path
    columns: Mapping[str, Column]
    numbers: np.ndarray
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unreadable: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def row(self, index: int, names: Iterable[str]) -> dict[str, str | None]:
        """The texts of some columns in a row, counted from 0."""
        return {name: self.columns[name].get(index) for name in names}


@dataclass
class Encoder:
    """Gathers the cells of a column: every distinct text is kept once.

    Attributes:
        missing: Texts that mean there is no value.
    """

    missing: frozenset[str]
    _places: dict[str | None, int] = field(default_factory=dict)  # raw text -> code
    _texts: dict[str, int] = field(default_factory=dict)
    _codes: array = field(default_factory=lambda: array("i"))

    def code(self, raw: str | None) -> int:
        """The code of a cell with this text."""
        if (found := self._places.get(raw)) is not None:
            return found
        text = (raw or "").strip()
        code = NONE if text in self.missing else self._texts.setdefault(text, len(self._texts))
        self._places[raw] = code
        return code

    def add(self, texts: Iterable[str | None]) -> None:
        """Add cells by their texts."""
        self._codes.extend(map(self.code, texts))

    def add_coded(self, texts: Sequence[str | None], codes: np.ndarray) -> None:
        """Add cells as the places of their texts in a list; a negative place is an empty cell."""
        places = np.array([*map(self.code, texts), NONE], dtype=np.int32)
        self._codes.frombytes(places[codes].astype(np.int32).tobytes())

    def column(self) -> Column:
        """The column of all cells added."""
        return Column(list(self._texts), np.array(self._codes, dtype=np.int32))


def check_columns(path: Path, names: Iterable[str], known: Sequence[str]) -> Iterator[str]:
    """A line for each column that the table does not have, or has twice."""
    for name in dict.fromkeys(names):
        if name not in known:
            shown = ", ".join(map(repr, known[:20])) + (", ..." if len(known) > 20 else "")  # noqa: PLR2004
            yield f"table {path.name!r} has no column {name!r}{did_you_mean(name, known)}: it has {shown}"
        elif known.count(name) > 1:
            yield f"table {path.name!r} has {known.count(name)} columns {name!r}: give each its own name"


def empty_table(path: Path) -> UserError:
    """The error for a table without rows."""
    return UserError(f"table {path.name!r} holds no row: give one with a header and rows below it")
