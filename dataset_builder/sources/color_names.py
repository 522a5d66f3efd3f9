"""Requests for a colour name, held against a long list of them.

Upstream: https://github.com/meodai/color-names. Licence: MIT. A raw row (made up):

    Drowsy Lighthouse,#c2d1a0,x

The whole file: 31,914 names, each once, whatever the case of its letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.requests import coverage_task
from dataset_builder.task_spec import Dropped, RawFiles, Source, SourceFile, TaskSpec

_REVISION = "bc533465ab1db99a8488aef478fa44e2aa5d7849"
_PATH = "src/colornames.csv"

COLOR_NAMES = Source(
    name="color_names",
    title="Large list of colour names",
    homepage="https://github.com/meodai/color-names",
    license="mit",
    redistributable="yes",
    notices=("Copyright (c) 2017 David Aerne",),
    citation="David Aerne, github.com/meodai/color-names",
    folder="color_names",
    revision=_REVISION,
    files=(
        SourceFile(
            _PATH,
            f"https://raw.githubusercontent.com/meodai/color-names/{_REVISION}/{_PATH}",
            "f223ab3211317b517446f18d5be9c678fb28eaaf0ce1cb23f9f1859059e3affc",
        ),
    ),
)


def read_names(raw_files: RawFiles) -> Iterator[str | Dropped]:
    """All names, in upstream order."""
    path = raw_files[_PATH]
    table = raw.read_csv(path, {"name": pl.String, "hex": pl.String})
    for row, (name, code) in enumerate(table.rows(), start=1):
        if not re.fullmatch("#[0-9a-f]{6}", code or ""):
            raise raw.bad_row(path, row, f"column 'hex' holds {code!r}, which is not a colour such as '#c2d1a0'")
        yield (name or "").strip() or Dropped("colour without a name")


def _task(name: str, examples: tuple[str, ...], kind: str) -> TaskSpec:
    return coverage_task(
        name,
        "Give the name of a colour.",
        examples,
        summary=f"Colour names, with {kind} ones as examples.",
        validator="one_of",
        max_new_tokens=8,
        source=COLOR_NAMES,
        valid_items=read_names,
        domain="Culture",
        quirks="An apostrophe may be straight, where the list has a curly one.",
    )


TASKS = [
    _task("cov_color_normal_ex", ("Red", "Blue", "Green"), "basic"),
    _task("cov_color_interesting_ex", ("Electric Pickle", "Moonlit Mauve", "Ghost Whisperer"), "fanciful"),
]
