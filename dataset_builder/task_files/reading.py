"""How a table is read, and what readers of all kinds of tables share."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dataset_builder.task_files.table import MISSING, Encoder, Table
from spectrum_suite.errors import UserError, first_line

_BLOCK_BYTES = 1 << 22
_LEAD_BYTES = 1 << 16
_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_NULLS = 0.3  # share of bytes that are zero in UTF-16 of Latin letters
_EXACT = 2.0**53  # below, a whole number is the only one that its float may be


@dataclass(frozen=True)
class Reading:
    """How a table is read; what is empty is found from the file.

    Attributes:
        encoding: Of a text file.
        separator: Between the fields of a CSV file.
        sheet: Name of a sheet of an Excel file.
        header: The numbers of the rows of a CSV or Excel file that name its columns, from 1; none for the first.
        missing: Texts that mean there is no value.
    """

    encoding: str = ""
    separator: str = ""
    sheet: str = ""
    header: tuple[int, ...] = ()
    missing: tuple[str, ...] = MISSING

    @property
    def empty(self) -> frozenset[str]:
        """Texts that mean there is no value; an empty one always does."""
        return frozenset({"", *self.missing})


def unreadable(path: Path, what: str, error: BaseException) -> UserError:
    """The error for a table that is not what its name says."""
    return UserError(f"table {path.name!r} cannot be read as {what}: {first_line(error)}; check the file")


def encoding_of(path: Path, reading: Reading) -> str:
    """What was asked for, else what the byte order mark says, else UTF-8 or, where it is not that, Windows-1252."""
    if reading.encoding:
        return reading.encoding
    with path.open("rb") as file:
        lead = file.read(_LEAD_BYTES)
        if marked := next((name for mark, name in _MARKS.items() if lead.startswith(mark)), ""):
            return marked
        if lead.count(0) > _NULLS * len(lead):
            return "utf-16-le" if lead[1::2].count(0) > lead[::2].count(0) else "utf-16-be"
        file.seek(0)
        while block := file.read(_BLOCK_BYTES):
            block += file.readline()  # no character is cut
            try:
                block.decode("utf-8")
            except UnicodeDecodeError:
                return "cp1252"
    return "utf-8"


def without_mark(encoding: str) -> str:
    """The encoding by which Python leaves a byte order mark out."""
    return "utf-8-sig" if encoding == "utf-8" else encoding


def text_of(value: Any) -> str | None:
    """The text of a value: a whole number without a decimal point, a date as ISO 8601 has it, a list as JSON."""
    if value is None or isinstance(value, str) or value != value:  # noqa: PLR0124 - not a number
        return value if isinstance(value, str) else None
    if isinstance(value, list | dict | bool):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.15g}"  # as spreadsheets show it
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return str(value)


def add_batch(encoders: dict[str, Encoder], batch: pa.RecordBatch) -> None:
    """Add the cells of some rows to their columns."""
    for name, encoder in encoders.items():
        column = batch.column(name)
        if not pa.types.is_dictionary(column.type):
            encoder.add(map(text_of, column.to_pylist()))
            continue
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        encoder.add_coded(list(map(text_of, column.dictionary.to_pylist())), codes)


def table_of(path: Path, encoders: dict[str, Encoder], *, skipped: dict[int, str] | None = None, **more: Any) -> Table:
    """The table of the columns that were gathered.

    Args:
        path: The file.
        encoders: Column -> its cells.
        skipped: Rows that could not be read: number -> why.
        **more: What else the file says, see :class:`Table`.
    """
    columns = {name: encoder.column() for name, encoder in encoders.items()}
    read = max((len(column.codes) for column in columns.values()), default=0)
    numbers = np.arange(1, read + 1 + len(skipped or ()))
    if skipped:
        numbers = np.delete(numbers, np.array(list(skipped)) - 1)
    return Table(path, columns, numbers, unreadable=skipped or {}, **more)
