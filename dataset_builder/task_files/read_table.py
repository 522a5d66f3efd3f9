"""Reads the columns of a table that a task uses: CSV, TSV, JSON, Parquet, Excel and SPSS."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from dataset_builder.raw import is_cut_off
from dataset_builder.task_files.table import MISSING, Encoder, Table, check_columns, empty_table
from spectrum_suite.errors import UserError, first_line

_BLOCK_BYTES = 1 << 22  # a row of a CSV file must fit in one block
_ROWS_AT_A_TIME = 65_536
_LEAD_BYTES = 1 << 16  # what the encoding and the separator are told from
_EXACT = 2.0**53  # below, a whole number is the only one that its float may be
_SEPARATORS = ",;\t|"
_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class Reading:
    """How a table is read; what is empty is told from the file.

    Attributes:
        encoding: Of a text file.
        separator: Between the fields of a CSV file.
        sheet: Name of a sheet of an Excel file.
        missing: Texts that mean there is no value.
    """

    encoding: str = ""
    separator: str = ""
    sheet: str = ""
    missing: tuple[str, ...] = MISSING

    @property
    def empty(self) -> frozenset[str]:
        """Texts that mean there is no value; an empty one always does."""
        return frozenset({"", *self.missing})


def column_names(path: Path, reading: Reading) -> list[str]:
    """The names of the columns of a table, in order.

    Raises:
        UserError: It cannot be read.
    """
    return _reader(path).names(path, reading)


def read_table(path: Path, names: Iterable[str], reading: Reading) -> Table:
    """Read some columns of a table.

    Raises:
        UserError: It cannot be read, has no row, or lacks a column.
    """
    names, reader = list(dict.fromkeys(names)), _reader(path)
    if wrong := list(check_columns(path, names, reader.names(path, reading))):
        raise UserError("; ".join(wrong))
    table = reader.read(path, names, reading)
    if not len(table):
        raise empty_table(path)
    return table


@dataclass(frozen=True)
class _Reader:
    names: Callable[[Path, Reading], list[str]]
    read: Callable[[Path, list[str], Reading], Table]


def _reader(path: Path) -> _Reader:
    if not path.is_file():
        raise UserError(f"table {str(path)!r} not found: check its name")
    if reader := _READERS.get(path.suffix.lower()):
        return reader
    raise UserError(f"table {path.name!r} is of no known kind: give one of {', '.join(_READERS)}")


def _unreadable(path: Path, what: str, error: BaseException) -> UserError:
    return UserError(f"table {path.name!r} does not read as {what}: {first_line(error)}; check the file")


# Text with separators


def _encoding(path: Path, reading: Reading) -> str:
    """What was asked for, else what the byte order mark says, else UTF-8 or, where it is not that, Windows-1252."""
    if reading.encoding:
        return reading.encoding
    with path.open("rb") as file:
        lead = file.read(_LEAD_BYTES)
        if marked := next((name for mark, name in _MARKS.items() if lead.startswith(mark)), ""):
            return marked
        file.seek(0)
        while block := file.read(_BLOCK_BYTES):
            block += file.readline()  # no character is cut
            try:
                block.decode("utf-8")
            except UnicodeDecodeError:
                return "cp1252"
    return "utf-8"


def _lines(path: Path, reading: Reading) -> list[str]:
    """The first lines of a text file."""
    encoding = _encoding(path, reading)
    try:
        with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
            return file.read(_LEAD_BYTES).splitlines(keepends=True)
    except (UnicodeError, LookupError) as error:
        raise _unreadable(path, f"text in {encoding}", error) from error


def separator(path: Path, reading: Reading) -> str:
    """What separates the fields of a CSV file: what its first line has most of outside of quotes."""
    if reading.separator:
        return reading.separator
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    first = next((line for line in _lines(path, reading) if line.strip()), "")
    counts = {sign: len(next(csv.reader([first], delimiter=sign), [])) for sign in _SEPARATORS}
    return max(counts, key=counts.__getitem__)


def _csv_names(path: Path, reading: Reading) -> list[str]:
    lines = _lines(path, reading)
    return next((row for row in csv.reader(lines, delimiter=separator(path, reading)) if row), [])


def _read_csv(path: Path, names: list[str], reading: Reading) -> Table:
    if is_cut_off(path):
        raise UserError(f"table {path.name!r} ends inside a quoted field: it is cut off, or a quote is not closed")
    skipped: dict[int, str] = {}

    def skip(row: arrow_csv.InvalidRow) -> str:
        skipped[row.number - 1] = f"row with {row.actual_columns} fields where the header has {row.expected_columns}"
        return "skip"

    encoders = {name: Encoder(reading.empty) for name in names}
    try:
        batches = arrow_csv.open_csv(
            path,
            # One thread: only then does Arrow number the invalid rows.
            arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, encoding=_encoding(path, reading)),
            arrow_csv.ParseOptions(
                newlines_in_values=True, delimiter=separator(path, reading), invalid_row_handler=skip
            ),
            arrow_csv.ConvertOptions(
                include_columns=names,
                column_types=dict.fromkeys(names, pa.dictionary(pa.int32(), pa.string())),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
        for batch in batches:
            _add_batch(encoders, batch)
    except (pa.ArrowException, UnicodeError, LookupError, OSError) as error:
        raise _unreadable(path, "CSV", error) from error
    return _table(path, encoders, skipped=skipped)


def _add_batch(encoders: dict[str, Encoder], batch: pa.RecordBatch) -> None:
    for name, encoder in encoders.items():
        column = batch.column(name)
        if not pa.types.is_dictionary(column.type):
            encoder.add(map(text_of, column.to_pylist()))
            continue
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        encoder.add_coded(list(map(text_of, column.dictionary.to_pylist())), codes)


def _table(path: Path, encoders: dict[str, Encoder], *, skipped: dict[int, str] | None = None, **more: Any) -> Table:
    columns = {name: encoder.column() for name, encoder in encoders.items()}
    read = max((len(column.codes) for column in columns.values()), default=0)
    numbers = np.arange(1, read + 1 + len(skipped or ()))
    if skipped:
        numbers = np.delete(numbers, np.array(list(skipped)) - 1)
    return Table(path, columns, numbers, unreadable=skipped or {}, **more)


# Texts of typed values


def text_of(value: Any) -> str | None:
    """The text of a value: a whole number without a decimal point, a date as ISO 8601 has it, a list as JSON."""
    if value is None or isinstance(value, str) or value != value:  # noqa: PLR0124 - not a number
        return value if isinstance(value, str) else None
    if isinstance(value, list | dict | bool):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return str(value)


# JSON


def _json_rows(path: Path, reading: Reading) -> Iterator[tuple[int, Any]]:
    """(number from 1, value) of each line, or of each item of a file that is one list."""
    encoding = _encoding(path, reading)
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        with path.open(encoding=encoding) as file:
            if path.suffix.lower() == ".json":
                rows = json.load(file)
                if not isinstance(rows, list):
                    raise UserError(f"table {path.name!r} is not a list of objects: give one, or JSON lines (.jsonl)")
                yield from enumerate(rows, start=1)
                return
            for number, line in enumerate(filter(str.strip, file), start=1):
                yield number, _parsed(line)
    except (UnicodeError, LookupError, json.JSONDecodeError) as error:
        raise _unreadable(path, "JSON", error) from error


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _flat(value: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of an object, those of an inner object by ``outer.inner``."""
    for name, field in value.items():
        if isinstance(field, dict):
            yield from _flat(field, f"{before}{name}.")
        yield f"{before}{name}", field


def _json_names(path: Path, reading: Reading) -> list[str]:
    names: dict[str, None] = {}
    for number, value in _json_rows(path, reading):
        if isinstance(value, dict):
            names |= dict.fromkeys(name for name, _ in _flat(value))
        if number >= 1000:  # noqa: PLR2004 - fields that begin later are seldom
            break
    return list(names)


def _read_json(path: Path, names: list[str], reading: Reading) -> Table:
    encoders = {name: Encoder(reading.empty) for name in names}
    skipped: dict[int, str] = {}
    number = 0
    for number, value in _json_rows(path, reading):
        if isinstance(value, dict):
            fields = dict(_flat(value))
            for name, encoder in encoders.items():
                encoder.add([text_of(fields.get(name))])
        else:
            skipped[number] = "line that is no JSON object"
    return _table(path, encoders, skipped=skipped)


# Parquet


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, "Parquet", error) from error


def _parquet_names(path: Path, reading: Reading) -> list[str]:
    return list(_parquet(path).schema_arrow.names)


def _read_parquet(path: Path, names: list[str], reading: Reading) -> Table:
    encoders = {name: Encoder(reading.empty) for name in names}
    try:
        for batch in _parquet(path).iter_batches(_ROWS_AT_A_TIME, columns=names):
            _add_batch(encoders, batch)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, "Parquet", error) from error
    return _table(path, encoders)


# Excel


def _sheet(path: Path, reading: Reading, **options: Any) -> Any:
    import fastexcel  # noqa: PLC0415 - for this kind of table only

    try:
        book = fastexcel.read_excel(path)
        if reading.sheet and reading.sheet not in book.sheet_names:
            raise UserError(f"table {path.name!r} has no sheet {reading.sheet!r}: it has {book.sheet_names}")
        return book.load_sheet(reading.sheet or 0, **options)
    except fastexcel.FastExcelError as error:
        raise _unreadable(path, "an Excel file", error) from error


def _excel_names(path: Path, reading: Reading) -> list[str]:
    row = _sheet(path, reading, header_row=None, n_rows=1, dtypes="string").to_arrow().to_pylist()
    return [str(value) for value in row[0].values() if value is not None] if row else []


def _read_excel(path: Path, names: list[str], reading: Reading) -> Table:
    encoders = {name: Encoder(reading.empty) for name in names}
    _add_batch(encoders, _sheet(path, reading, use_columns=names).to_arrow())
    return _table(path, encoders)


# SPSS


def _pyreadstat(path: Path, read: Callable[..., Any], **options: Any) -> Any:
    import pyreadstat  # noqa: PLC0415 - for this kind of table only

    try:
        return read(pyreadstat)(str(path), **options)
    except (pyreadstat.ReadstatError, UnicodeError) as error:
        raise _unreadable(path, "an SPSS file", error) from error


def _spss_names(path: Path, reading: Reading) -> list[str]:
    return list(_pyreadstat(path, lambda library: library.read_sav, metadataonly=True)[1].column_names)


def _read_spss(path: Path, names: list[str], reading: Reading) -> Table:
    encoders = {name: Encoder(reading.empty) for name in names}
    header = None
    for start in count(0, _ROWS_AT_A_TIME):
        frame, header = _pyreadstat(
            path, lambda library: library.read_sav,
            usecols=names, row_offset=start, row_limit=_ROWS_AT_A_TIME, output_format="polars",
        )  # fmt: skip
        for name, encoder in encoders.items():
            labels = header.variable_value_labels.get(name, {})
            encoder.add(text_of(labels.get(value, value)) for value in frame[name])
        if len(frame) < _ROWS_AT_A_TIME:
            break
    return _table(
        path,
        encoders,
        labels={name: label.strip() for name, label in header.column_names_to_labels.items() if label},
        options={
            name: tuple(dict.fromkeys(str(labels[code]).strip() for code in sorted(labels)))
            for name, labels in header.variable_value_labels.items()
            if name in names and header.readstat_variable_types[name] != "string"
        },
    )


_CSV, _JSON = _Reader(_csv_names, _read_csv), _Reader(_json_names, _read_json)
_EXCEL = _Reader(_excel_names, _read_excel)
_READERS: dict[str, _Reader] = {
    ".csv": _CSV, ".tsv": _CSV, ".tab": _CSV, ".txt": _CSV, ".jsonl": _JSON, ".ndjson": _JSON, ".json": _JSON,
    ".parquet": _Reader(_parquet_names, _read_parquet), ".xlsx": _EXCEL, ".xls": _EXCEL, ".ods": _EXCEL,
    ".sav": _Reader(_spss_names, _read_spss), ".zsav": _Reader(_spss_names, _read_spss),
}  # fmt: skip


def suffixes() -> Sequence[str]:
    """The endings of the files that can be read."""
    return tuple(_READERS)
