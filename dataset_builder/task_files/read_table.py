"""Reads the columns of a table that a task uses: CSV, TSV, JSON, Parquet, Excel and SPSS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset_builder.task_files.header import LEAD_ROWS, Rows, guess_header, header_of
from dataset_builder.task_files.options import MOST_FOUND
from dataset_builder.task_files.read_csv import csv_names, csv_rows, read_csv
from dataset_builder.task_files.reading import (
    Reading,
    add_batch,
    encoding_of,
    table_of,
    text_of,
    unreadable,
    without_mark,
)
from dataset_builder.task_files.table import Encoder, Table, check_columns, empty_table
from spectrum_suite.errors import UserError

_ROWS_AT_A_TIME = 65_536


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
        guessed = [] if reading.header else list(guessed_header(path, reading))
        hint = (
            f". Row {' and '.join(map(str, guessed))} looks like its header: say 'header: {guessed}'" if guessed else ""
        )
        raise UserError("; ".join(wrong) + hint)
    table = reader.read(path, names, reading)
    if not len(table):
        raise empty_table(path)
    return table


def guessed_header(path: Path, reading: Reading) -> tuple[int, ...]:
    """The rows that seem to name the columns of a table, where that is not the first."""
    rows = _reader(path).rows
    return guess_header(rows(path, reading)) if rows else ()


def sheets(path: Path) -> dict[str, bool]:
    """The sheets of a workbook, and whether each seems to hold a table; nothing for another kind of file."""
    if _reader(path) is not _EXCEL:
        return {}
    return {name: sum(sum(map(bool, row)) > 1 for row in _excel_rows(path, Reading(sheet=name))) > 1
            for name in _book(path).sheet_names}  # fmt: skip


@dataclass(frozen=True)
class _Reader:
    names: Callable[[Path, Reading], list[str]]
    read: Callable[[Path, list[str], Reading], Table]
    rows: Callable[[Path, Reading], Rows] | None = None


def _reader(path: Path) -> _Reader:
    if not path.is_file():
        raise UserError(f"table {str(path)!r} not found: check its name")
    if reader := _READERS.get(path.suffix.lower()):
        return reader
    raise UserError(f"table {path.name!r} is of no known kind: give one of {', '.join(_READERS)}")


# JSON


def _json_rows(path: Path, reading: Reading) -> Iterator[tuple[int, Any]]:
    """(number from 1, value) of each line, or of each item of a file that is one list."""
    try:
        with path.open(encoding=without_mark(encoding_of(path, reading))) as file:
            if path.suffix.lower() == ".json":
                rows = json.load(file)
                if not isinstance(rows, list):
                    raise UserError(f"table {path.name!r} is not a list of objects: give one, or JSON lines (.jsonl)")
                yield from enumerate(rows, start=1)
                return
            for number, line in enumerate(filter(str.strip, file), start=1):
                yield number, _parsed(line)
    except (UnicodeError, LookupError, json.JSONDecodeError) as error:
        raise unreadable(path, "JSON", error) from error


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
            skipped[number] = "line that is not a JSON object"
    return table_of(path, encoders, skipped=skipped)


# Parquet


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, "Parquet", error) from error


def _parquet_names(path: Path, reading: Reading) -> list[str]:
    return [name for field in _parquet(path).schema_arrow for name in _field_names(field)]


def _field_names(field: pa.Field, before: str = "") -> Iterator[str]:
    """A column, after its fields where it holds objects: ``outer.inner``."""
    if pa.types.is_struct(field.type):
        for inner in field.type:
            yield from _field_names(inner, f"{before}{field.name}.")
    yield f"{before}{field.name}"


def _cells(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The cells of a column, or of a field of its objects."""
    if name in batch.schema.names:
        return batch.column(name)
    outer = next(each for each in batch.schema.names if name.startswith(f"{each}."))
    return pc.struct_field(batch.column(outer), name.removeprefix(f"{outer}.").split("."))


def _read_parquet(path: Path, names: list[str], reading: Reading) -> Table:
    encoders = {name: Encoder(reading.empty) for name in names}
    options: dict[str, dict[str, None]] = {}
    try:
        for batch in _parquet(path).iter_batches(_ROWS_AT_A_TIME, columns=names):
            cells = pa.RecordBatch.from_arrays([_cells(batch, name) for name in names], names)
            add_batch(encoders, cells)
            for name in names:
                column = cells.column(name)
                if pa.types.is_dictionary(column.type) and column.type.ordered:
                    texts = ((text_of(value) or "").strip() for value in column.dictionary.to_pylist())
                    options.setdefault(name, {}).update((text, None) for text in texts if text not in reading.empty)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, "Parquet", error) from error
    return table_of(path, encoders, options={name: tuple(texts) for name, texts in options.items()})


# Excel


def _book(path: Path) -> Any:
    import fastexcel  # noqa: PLC0415 - for this kind of table only

    try:
        return fastexcel.read_excel(path)
    except fastexcel.FastExcelError as error:
        raise unreadable(path, "an Excel file", error) from error


def _sheet(path: Path, reading: Reading, **options: Any) -> pa.RecordBatch:
    import fastexcel  # noqa: PLC0415 - for this kind of table only

    book = _book(path)
    if reading.sheet and reading.sheet not in book.sheet_names:
        raise UserError(f"table {path.name!r} has no sheet {reading.sheet!r}: it has {book.sheet_names}")
    try:
        return book.load_sheet(reading.sheet or 0, header_row=None, **options).to_arrow()
    except fastexcel.FastExcelError as error:
        raise unreadable(path, "an Excel file", error) from error


def _excel_rows(path: Path, reading: Reading) -> Rows:
    rows = _sheet(path, reading, skip_rows=0, n_rows=LEAD_ROWS, dtypes="string").to_pylist()
    return [[(value or "").strip() for value in row.values()] for row in rows]


def _excel_names(path: Path, reading: Reading) -> list[str]:
    return header_of(_excel_rows(path, reading), reading.header).names


def _read_excel(path: Path, names: list[str], reading: Reading) -> Table:
    header = header_of(_excel_rows(path, reading), reading.header)
    places = [header.names.index(name) for name in names]
    # All rows decide of what type a column is: a text below a thousand numbers would be read as an empty cell.
    read = _sheet(path, reading, skip_rows=header.last, use_columns=sorted(places), schema_sample_rows=None)
    encoders = {name: Encoder(reading.empty) for name in names}
    add_batch(encoders, read.select([read.schema.names[i] for i in _ranks(places)]).rename_columns(names))
    return table_of(path, encoders, labels=header.labels)


def _ranks(places: Sequence[int]) -> list[int]:
    """Where each of some columns is among those that were read, which are in the order of the file."""
    order = sorted(places)
    return [order.index(place) for place in places]


# SPSS


def _pyreadstat(path: Path, read: Callable[..., Any], **options: Any) -> Any:
    import pyreadstat  # noqa: PLC0415 - for this kind of table only

    try:
        return read(pyreadstat)(str(path), **options)
    except (pyreadstat.ReadstatError, UnicodeError) as error:
        raise unreadable(path, "an SPSS file", error) from error


def _spss_names(path: Path, reading: Reading) -> list[str]:
    return list(_pyreadstat(path, lambda library: library.read_sav, metadataonly=True)[1].column_names)


def _read_spss(path: Path, names: list[str], reading: Reading) -> Table:
    encoders = {name: Encoder(reading.empty) for name in names}
    header = _pyreadstat(path, lambda library: library.read_sav, metadataonly=True, user_missing=True)[1]
    found: dict[str, set[float]] = {
        name: set()
        for name in names
        if name in header.variable_value_labels and header.readstat_variable_types[name] != "string"
    }
    for start in count(0, _ROWS_AT_A_TIME):
        frame, _ = _pyreadstat(
            path, lambda library: library.read_sav,
            usecols=names, row_offset=start, row_limit=_ROWS_AT_A_TIME, output_format="polars",
        )  # fmt: skip
        for name, encoder in encoders.items():
            labels = header.variable_value_labels.get(name, {})
            encoder.add(text_of(labels.get(value, value)) for value in frame[name])
            if name in found:
                found[name].update(frame[name].drop_nulls().unique())
        if len(frame) < _ROWS_AT_A_TIME:
            break
    return table_of(
        path,
        encoders,
        labels={name: label.strip() for name, label in header.column_names_to_labels.items() if label},
        options={name: _spss_options(header, name, values) for name, values in found.items()},
    )


def _spss_options(header: Any, name: str, found: set[float]) -> tuple[str, ...]:
    """The answers to choose from in the order of their codes: those with labels that do not mean there is no answer,
    and the others that are found, unless they are many, as numbers of years."""
    labels, missing = header.variable_value_labels[name], header.missing_ranges.get(name, [])
    codes = {code for code in labels if not any(each["lo"] <= code <= each["hi"] for each in missing)}
    codes = codes | found if len(codes | found) <= MOST_FOUND else codes
    return tuple(dict.fromkeys(text_of(labels.get(code, code)).strip() for code in sorted(codes)))


_CSV, _JSON = _Reader(csv_names, read_csv, csv_rows), _Reader(_json_names, _read_json)
_EXCEL = _Reader(_excel_names, _read_excel, _excel_rows)
_READERS: dict[str, _Reader] = {
    ".csv": _CSV, ".tsv": _CSV, ".tab": _CSV, ".txt": _CSV, ".jsonl": _JSON, ".ndjson": _JSON, ".json": _JSON,
    ".parquet": _Reader(_parquet_names, _read_parquet), ".xlsx": _EXCEL, ".xls": _EXCEL, ".ods": _EXCEL,
    ".sav": _Reader(_spss_names, _read_spss), ".zsav": _Reader(_spss_names, _read_spss),
}  # fmt: skip


def suffixes() -> Sequence[str]:
    """The endings of the files that can be read."""
    return tuple(_READERS)
