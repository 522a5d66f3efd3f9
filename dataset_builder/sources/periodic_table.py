"""Requests for chemical elements, by symbol or by name.

Upstream: https://github.com/andrejewski/periodic-table. Licence: ISC. A raw row (made up, cut after the third of 20
columns), with the white space of the upstream:

    119, Qz , Quartzium, ...

The whole file: 118 elements, each once and in order; all names of columns but the first begin with a space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.requests import coverage_task
from dataset_builder.task_spec import RawFiles, Source, SourceFile

_REVISION = "822077c676491adc28a63b167ceba3d642f83ffd"
_PATH = "data.csv"
_COLUMNS = {"atomicNumber": pl.Int64, " symbol": pl.String, " name": pl.String}

PERIODIC_TABLE = Source(
    name="periodic_table",
    title="Periodic table",
    homepage="https://github.com/andrejewski/periodic-table",
    license="isc",
    redistributable="yes",
    notices=("Copyright (c) 2017, Chris Andrejewski <christopher.andrejewski@gmail.com>",),
    citation="Chris Andrejewski, github.com/andrejewski/periodic-table",
    folder="periodic_table",
    revision=_REVISION,
    files=(
        SourceFile(
            _PATH,
            f"https://raw.githubusercontent.com/andrejewski/periodic-table/{_REVISION}/{_PATH}",
            "d1f406e05a428c028fc92c34a84f2bdc604239004fbf4905d749f849351df379",
        ),
    ),
)


def read_symbols(raw_files: RawFiles) -> Iterator[str]:
    """The symbols, in upstream order."""
    return (symbol for symbol, _ in _elements(raw_files))


def read_names(raw_files: RawFiles) -> Iterator[str]:
    """The names, in upstream order."""
    return (name for _, name in _elements(raw_files))


def _elements(raw_files: RawFiles) -> Iterator[tuple[str, str]]:
    path = raw_files[_PATH]
    for row, (number, symbol, name) in enumerate(raw.read_csv(path, _COLUMNS).rows(), start=1):
        if number != row:
            raise raw.bad_row(path, row, f"it has element {number}: elements must be in the order of their numbers")
        symbol, name = (symbol or "").strip(), (name or "").strip()  # noqa: PLW2901
        if not (re.fullmatch("[A-Z][a-z]?", symbol) and name):
            raise raw.bad_row(path, row, f"an element needs a symbol and a name, not {symbol!r} and {name!r}")
        yield symbol, name


TASKS = [
    coverage_task(
        "cov_element_symbols",
        "Each output is the symbol of a chemical element.",
        ("Fe", "K", "Xe"),
        summary="Symbols of the 118 chemical elements.",
        validator="one_of_exact",
        max_new_tokens=5,
        source=PERIODIC_TABLE,
        valid_items=read_symbols,
        domain="Sciences",
    ),
    coverage_task(
        "cov_element_names",
        "Each output is the name of a chemical element.",
        ("Helium", "Copper", "Iodine"),
        summary="Names of the 118 chemical elements.",
        validator="element_name",
        max_new_tokens=15,
        source=PERIODIC_TABLE,
        valid_items=read_names,
        domain="Sciences",
        quirks="The spellings aluminium, caesium and sulphur are valid beside those of the table.",
    ),
]
