"""Community Alignment: reads the first rows of its table, which is too large to be read whole.

Upstream: https://huggingface.co/datasets/facebook/community-alignment-dataset (arXiv 2507.09650). Licence: CC BY 4.0.
A raw row: see ``community_alignment.py``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from dataset_builder import raw
from spectrum_suite.errors import UserError


def read_rows(path: Path, columns: Iterable[str], at_most: int) -> Iterator[tuple[int, dict[str, str] | None]]:
    """Yield (number from 1, row), with values stripped; None for rows beyond so many, which are only counted.

    Raises:
        UserError: One of the rows that are used is damaged. The file may end in the middle of one of the others.
    """
    with path.open("rb") as file:
        reader = csv.reader((line.decode("utf-8-sig") for line in file), strict=True)
        header = _next(reader, path, 0) or []
        if lacking := [name for name in columns if name not in header]:
            raise raw.bad_row(path, 0, f"the header lacks column {lacking[0]!r}")
        for number in count(1):
            try:
                values = _next(reader, path, number)
            except UserError:
                if number <= at_most:
                    raise
                break
            if values is None:
                break
            if number > at_most:
                yield number, None
                continue
            if len(values) != len(header):
                raise raw.bad_row(path, number, f"it has {len(values)} fields where {len(header)} are due")
            yield number, {name: value.strip() for name, value in zip(header, values, strict=True)}
    if number == 1:
        raise raw.bad_row(path, 1, "the file ends before its first row")


def _next(reader: Iterator[list[str]], path: Path, number: int) -> list[str] | None:
    try:
        return next(reader, None)
    except (csv.Error, UnicodeDecodeError) as error:
        raise raw.bad_row(path, number, str(error)) from error
