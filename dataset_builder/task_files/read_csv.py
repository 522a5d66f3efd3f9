"""Reads CSV, TSV and other text with separators."""

from __future__ import annotations

import csv
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv as arrow_csv

from dataset_builder.raw import is_cut_off
from dataset_builder.task_files.header import LEAD_ROWS, Header, Rows, header_of
from dataset_builder.task_files.reading import Reading, add_batch, encoding_of, table_of, unreadable, without_mark
from dataset_builder.task_files.table import Encoder, Table
from spectrum_suite.errors import UserError

_BLOCK_BYTES = 1 << 22  # a row must fit in one block
_LEAD_CHARACTERS = 1 << 20  # what the separator and the header are detected from
_SEPARATORS = ",;\t|"
_SAYS_SEPARATOR = "sep="  # what Excel writes and reads before the header


def csv_names(path: Path, reading: Reading) -> list[str]:
    """The names of the columns."""
    return _Text(path, reading).header.names


def csv_rows(path: Path, reading: Reading) -> Rows:
    """The first rows."""
    return _Text(path, reading).rows


def separator(path: Path, reading: Reading) -> str:
    """What separates the fields."""
    return _Text(path, reading).separator


def read_csv(path: Path, names: list[str], reading: Reading) -> Table:
    """Read some columns."""
    if is_cut_off(path):
        raise UserError(f"table {path.name!r} ends inside a quoted field: it is cut off, or a quote is not closed")
    text = _Text(path, reading)
    header, above = text.header, text.above
    skipped: dict[int, str] = {}

    def skip(row: arrow_csv.InvalidRow) -> str:
        number = row.number - above.lines - above.rows
        if number > 0:
            skipped[number] = f"row with {row.actual_columns} fields where the header has {row.expected_columns}"
        return "skip"

    encoders = {name: Encoder(reading.empty) for name in names}
    try:
        batches = arrow_csv.open_csv(
            path,
            # One thread: only then does Arrow number the invalid rows.
            arrow_csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK_BYTES,
                encoding=text.encoding,
                column_names=[name if name in encoders else f"\0{place}" for place, name in enumerate(header.names)],
                skip_rows=above.lines,
                skip_rows_after_names=above.rows,
            ),
            arrow_csv.ParseOptions(newlines_in_values=True, delimiter=text.separator, invalid_row_handler=skip),
            arrow_csv.ConvertOptions(
                include_columns=names,
                column_types=dict.fromkeys(names, pa.dictionary(pa.int32(), pa.string())),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
        for batch in batches:
            add_batch(encoders, batch)
    except (pa.ArrowException, UnicodeError, LookupError, OSError) as error:
        raise unreadable(path, "CSV", error) from error
    return table_of(path, encoders, skipped=skipped, labels=header.labels)


class _Above(NamedTuple):
    """What stands above the data.

    Attributes:
        lines: Lines before the header.
        rows: Rows of the header that are not blank.
    """

    lines: int
    rows: int


class _Text:
    """How a text with separators is read; what is not said is detected from its beginning."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self._path, self._reading = path, reading

    @cached_property
    def encoding(self) -> str:
        """How its characters are written."""
        return encoding_of(self._path, self._reading)

    @cached_property
    def _lines(self) -> list[str]:
        """The first lines."""
        try:
            with self._path.open(encoding=without_mark(self.encoding), newline="") as file:
                return file.read(_LEAD_CHARACTERS).splitlines(keepends=True)
        except (UnicodeError, LookupError) as error:
            raise unreadable(self._path, f"text in {self.encoding}", error) from error

    @cached_property
    def _says_separator(self) -> bool:
        return bool(self._lines) and self._lines[0].lower().startswith(_SAYS_SEPARATOR) and (
            len(self._lines[0].strip()) == len(_SAYS_SEPARATOR) + 1
        )  # fmt: skip

    @cached_property
    def separator(self) -> str:
        """What separates the fields: what is said, else what the first line has most of outside of quotes."""
        if self._reading.separator:
            return self._reading.separator
        if self._says_separator:
            return self._lines[0].strip()[len(_SAYS_SEPARATOR)]
        if self._path.suffix.lower() in (".tsv", ".tab"):
            return "\t"
        first = next((line for line in self._lines[_line(self._reading) :] if line.strip()), "")
        counts = {sign: len(next(csv.reader([first], delimiter=sign), [])) for sign in _SEPARATORS}
        return max(counts, key=counts.__getitem__)

    @cached_property
    def _parsed(self) -> tuple[Rows, list[int]]:
        """The first rows, and the number of the line after which each ends."""
        rows, ends = [], []
        reader = csv.reader(self._lines, delimiter=self.separator)
        for row in reader:
            rows.append([cell.strip() for cell in row])
            ends.append(reader.line_num)
            if len(rows) == LEAD_ROWS:
                break
        if self._says_separator and rows:
            rows[0] = []
        return rows, ends

    @property
    def rows(self) -> Rows:
        """The first rows."""
        return self._parsed[0]

    @cached_property
    def header(self) -> Header:
        """The header."""
        return header_of(self.rows, self._reading.header)

    @property
    def above(self) -> _Above:
        """What Arrow is told to leave out."""
        rows, ends = self._parsed
        first, last = self.header.first, self.header.last
        return _Above(ends[first - 2] if first > 1 else 0, sum(len(row) > 0 for row in rows[first - 1 : last]))


def _line(reading: Reading) -> int:
    """The first line from which the separator is told."""
    return max(reading.header, default=1) - 1
