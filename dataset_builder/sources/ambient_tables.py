"""AmbiEnt: what its tasks share whose one process is a whole file.

Upstream, licence and a raw row: see ``ambient.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Any

from dataset_builder import raw
from dataset_builder.sources.ambient import read_rows, source_of
from dataset_builder.task_spec import Draw, Dropped, Example, Group, Mix, RawFiles, Sequences, TaskSpec


def read_table(
    raw_files: RawFiles,
    path: str,
    fields: Mapping[str, type | UnionType],
    draws: Callable[[dict[str, Any]], Iterator[Draw | Dropped]],
    descriptions: tuple[str, ...],
) -> Iterator[Example | Dropped]:
    """A whole file as one process, with the ``draws`` of each row in upstream order."""
    kept: list[Draw] = []
    for number, row in read_rows(raw_files, path, fields):
        with raw.at_row(raw_files[path], number):
            found = list(draws(row))
        yield from (item for item in found if isinstance(item, Dropped))
        kept += [item for item in found if isinstance(item, Draw)]
    if kept:
        yield Example("all", descriptions, tuple(kept))


def draw_of(given: Mapping[str, Any], output: Mapping[str, Any]) -> Draw | Dropped:
    """A draw of these fields: a JSON object, or bare text for a single one."""
    if empty := [name for name, value in {**given, **output}.items() if value == ""]:
        return Dropped(f"empty {empty[0]}")
    return Draw(as_text(given) if given else None, as_text(output))


def as_text(fields: Mapping[str, Any]) -> str:
    """A JSON object, or bare text for a single field."""
    first, *others = fields.values()
    return json.dumps(fields, ensure_ascii=False) if others else first


def whole_table(
    name: str,
    path: str,
    group: Group,
    summary: str,
    read: Callable[[RawFiles], Iterator[Example | Dropped]],
    *,
    inputs: tuple[str, ...] = (),
    outputs: tuple[str, ...],
    options: tuple[str, ...] | None = None,
    quirks: str = "",
) -> TaskSpec:
    """A training task with a whole file as its one process."""
    return TaskSpec(
        name=name,
        kind="icl",
        split="train",
        source=source_of(path),
        group=group,
        summary=summary,
        process="the whole table",
        inputs=inputs,
        outputs=outputs,
        options=options,
        sequences=Sequences("several", Mix(64), count=50),
        read=read,
        quirks=quirks,
    )
