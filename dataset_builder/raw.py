"""Reads raw upstream files, so that a malformed one ends in a line naming the file and the row."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from types import UnionType
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv

from dataset_builder.task_spec import RawFiles
from spectrum_suite.errors import UserError

GUARDED, GUARD = "\x85", chr(0x10FF85)
"""A control character that is an ellipsis in Windows-1252 and white space to Python; and what replaces it until
:mod:`dataset_builder.hygiene` has seen it, so that no reader strips it or splits a line there."""

_GUARDED_BYTES, _GUARDED_ESCAPE = GUARDED.encode(), b"\\u0085"
_BLOCK_BYTES = 1 << 24  # a row must fit in one block of Arrow's CSV reader
_INVALID_ROW = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")


def bad_row(path: Path, row: int, why: str) -> UserError:
    """The error for a row that cannot be used.

    Args:
        path: The raw file.
        row: Number of the row, from 1: the line of a JSON Lines file, the data row (below the header) of a CSV file.
        why: What is wrong with it.
    """
    return UserError(f"raw file {str(path)!r}, row {row}: {why}; fix the row or fetch the file again")


@contextmanager
def at_row(path: Path, row: int) -> Iterator[None]:
    """Turn a ValueError, KeyError, IndexError or TypeError raised while parsing one row into :func:`bad_row`."""
    try:
        yield
    except UserError:
        raise
    except KeyError as error:
        raise bad_row(path, row, f"there is no {error}") from error
    except (ValueError, IndexError, TypeError) as error:
        raise bad_row(path, row, str(error)) from error


def read_csv(
    path: Path, columns: Mapping[str, pl.DataType | type[pl.DataType]], *, has_header: bool = True
) -> pl.DataFrame:
    """Read the named columns of a CSV file, each as its type, in the order of ``columns``.

    Args:
        path: The raw file, in UTF-8 (a byte order mark is skipped).
        columns: Column name -> type. Other columns of the file are left out.
        has_header: Whether the first row names the columns; if not, ``columns`` names all of them in file order.

    Returns:
        One row per data row; an empty field is null.

    Raises:
        UserError: A column is missing, a row has too many or too few fields, a value is not of its type, the text is
            not UTF-8, or there is no row.
    """
    table = _read_strings(path, list(columns), has_header=has_header)
    frame = _guarded(pl.DataFrame(pl.from_arrow(table)))
    if frame.is_empty():
        raise _unusable(path, "holds no row")
    return frame.select(_cast(path, frame[name], dtype) for name, dtype in columns.items())


def column_names(path: Path) -> list[str]:
    """The names in the first row of a CSV file, for sources whose copies differ in them; none in an empty file."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next(csv.reader(file), [])


def read_parquet(path: Path, columns: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
    """Read the named columns of a Parquet file, each as its type, in the order of ``columns``.

    Raises:
        UserError: The file is not Parquet, a column is missing, a value is not of its type, or there is no row.
    """
    try:
        frame = _guarded(pl.read_parquet(path, columns=list(columns)))
    except pl.exceptions.ColumnNotFoundError as error:
        raise _unusable(path, f"lacks a column it should have: {str(error).splitlines()[0]}") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unusable(path, f"is not valid Parquet: {str(error).splitlines()[0]}") from error
    if frame.is_empty():
        raise _unusable(path, "holds no row")
    return frame.select(_cast(path, frame[name], dtype) for name, dtype in columns.items())


def matching(raw_files: RawFiles, pattern: str) -> list[tuple[str, Path]]:
    """(upstream path, local path) of the raw files whose upstream path matches a glob, sorted; ``*`` spans folders."""
    return sorted((name, path) for name, path in raw_files.items() if fnmatchcase(name, pattern))


def read_json_lines(path: Path, fields: Mapping[str, type | UnionType]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for each line; every object has the given fields with values of their types.

    Raises:
        UserError: A line is not a JSON object, lacks a field or has a value of another type; the text is not UTF-8; or
            there is no line at all.
    """
    line_number = 0
    with path.open("rb") as file:
        for line_number, line in enumerate(file, start=1):
            with at_row(path, line_number):
                row = json.loads(_guarded_json(line).decode("utf-8-sig"))
                _check_fields(row, fields)
            yield line_number, row
    if line_number == 0:
        raise _unusable(path, "holds no row")


def read_json(path: Path) -> Any:
    """Read a file that is one JSON value.

    Raises:
        UserError: The file is empty, is not UTF-8 or is not JSON.
    """
    try:
        return json.loads(_guarded_json(read_text(path).encode()))
    except json.JSONDecodeError as error:
        raise _unusable(path, f"is not JSON: {error}") from error


def read_text(path: Path) -> str:
    """Read a text file in UTF-8; a byte order mark is skipped.

    Raises:
        UserError: The file is empty or not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unusable(path, f"is not UTF-8: {error}") from error
    if not text.strip():
        raise _unusable(path, "is empty")
    return text.replace(GUARDED, GUARD)


def _guarded(frame: pl.DataFrame) -> pl.DataFrame:
    names = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    has = frame.select(pl.col(names).str.contains(GUARDED, literal=True).any()).row(0) if names else ()
    found = [name for name, any_in in zip(names, has, strict=True) if any_in]
    return frame.with_columns(pl.col(found).str.replace_all(GUARDED, GUARD, literal=True)) if found else frame


def _guarded_json(text: bytes) -> bytes:
    """JSON in which the guard replaces the character, whether written as such or escaped."""
    if _GUARDED_BYTES in text:
        text = text.replace(_GUARDED_BYTES, GUARD.encode())
    return text.replace(_GUARDED_ESCAPE, json.dumps(GUARD).strip('"').encode()) if _GUARDED_ESCAPE in text else text


def _unusable(path: Path, why: str) -> UserError:
    return UserError(f"raw file {str(path)!r} {why}; fetch it again from its upstream")


def _read_strings(path: Path, names: list[str], *, has_header: bool) -> pa.Table:
    if is_cut_off(path):
        raise _unusable(path, "ends inside a quoted field: it is truncated")
    try:
        return arrow_csv.read_csv(
            path,
            # One thread: only then does Arrow number the invalid rows.
            arrow_csv.ReadOptions(
                use_threads=False, block_size=_BLOCK_BYTES, column_names=None if has_header else names
            ),
            arrow_csv.ParseOptions(newlines_in_values=True),
            arrow_csv.ConvertOptions(
                include_columns=names,
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowKeyError as error:
        raise _unusable(path, f"lacks a column it should have: {error}") from error
    except pa.ArrowInvalid as error:
        if found := _INVALID_ROW.search(str(error)):
            row, expected, actual = map(int, found.groups())
            raise bad_row(path, row - has_header, f"it has {actual} fields where {expected} are expected") from error
        raise _unusable(path, f"is not valid CSV: {str(error).splitlines()[0]}") from error


def is_cut_off(path: Path) -> bool:
    """Whether the last quote of a CSV file is never closed, which Arrow would take for the end of a field."""
    quotes, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            quotes, last = quotes + block.count(b'"'), block[-1:]
    return quotes % 2 == 1 and last != b"\n"


def _cast(path: Path, column: pl.Series, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    wrong_type = _unusable(path, f"has a column {column.name!r} of type {column.dtype}, not {dtype}")
    if column.dtype.is_nested() and not dtype.is_nested():
        raise wrong_type
    try:
        cast = column.cast(dtype, strict=False)
    except pl.exceptions.PolarsError as error:
        raise wrong_type from error
    bad = (cast.is_null() & column.is_not_null()).arg_true()
    if len(bad):
        value = column[bad[0]]
        raise bad_row(path, bad[0] + 1, f"column {column.name!r} holds {value!r}, which is not {dtype}")
    return cast


def _check_fields(row: object, fields: Mapping[str, type | UnionType]) -> None:
    if not isinstance(row, dict):
        raise TypeError(f"it is not a JSON object but {type(row).__name__}")
    for name, kind in fields.items():
        if not isinstance(row[name], kind):
            wanted = getattr(kind, "__name__", str(kind))
            raise TypeError(f"field {name!r} holds {row[name]!r}, which is not {wanted}")
