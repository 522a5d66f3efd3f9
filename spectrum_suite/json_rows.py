"""Rows of JSON files with every string as it is written.

`datasets` reads JSON with Arrow, which takes strings that look like dates and times for such ("1969-07-20"), and with
pandas where Arrow gives up, which takes "007" for a number. Neither can be configured not to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets import (
    Dataset,
    DownloadManager,
    ReadInstruction,
    Value,
    concatenate_datasets,
    load_dataset_builder,
)
from datasets.packaged_modules.json.json import Json

from spectrum_suite.errors import UserError

_TEMPORAL = ("timestamp", "date", "time", "duration")


def has_dates(feature: Any) -> bool:
    """Whether a feature, or one within it, is a date, a time or a duration."""
    if isinstance(feature, Value):
        return feature.dtype.startswith(_TEMPORAL)
    if isinstance(feature, Mapping):
        return any(map(has_dates, feature.values()))
    return has_dates(feature.feature) if hasattr(feature, "feature") else False


def is_read_by_arrow(path: Path) -> bool:
    """Whether a JSON file is one that Arrow reads: a list, or an object in each line."""
    with path.open("rb") as file:
        line = file.readline().removeprefix(b"\xef\xbb\xbf")
    if line.startswith(b"["):
        return True
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def json_rows(data: str, paths: Iterable[Path], split: str = "train") -> Dataset:
    """The rows of JSON files, each a list of objects, one object, or an object in each line, as one split ``train``.

    Args:
        data: What they are called in messages.
        paths: The files.
        split: ``train``, or a part of it such as ``train[:80%]``.

    Raises:
        UserError: A file is not such JSON, or there is no such split.
    """
    rows = [row for path in paths for row in json_objects(data, path)]
    names = dict.fromkeys(name for row in rows for name in row)
    table = Dataset.from_list([{name: row.get(name) for name in names} for row in rows], on_mixed_types="use_json")
    return _part(data, {"train": table}, split)


def hub_json_rows(data: str, split: str, **which: str) -> Dataset | None:
    """The rows of a split of a folder or of a dataset on a Hub whose files are JSON; None if they are others.

    Args:
        data: The folder or the id.
        split: See :func:`json_rows`.
        which: ``name`` of the configuration and ``revision``, where there is a choice.
    """
    builder = load_dataset_builder(data, **which)
    if not isinstance(builder, Json) or builder.config.field is not None:
        return None
    files = DownloadManager().download_and_extract(
        {name: list(paths) for name, paths in builder.config.data_files.items()}
    )
    return _part(data, {name: json_rows(data, map(Path, paths)) for name, paths in files.items()}, split)


def _part(data: str, splits: Mapping[str, Dataset], split: str) -> Dataset:
    try:
        instructions = ReadInstruction.from_spec(split).to_absolute({name: len(rows) for name, rows in splits.items()})
    except (ValueError, AssertionError) as error:
        raise UserError(f"data {data!r} has no split {split!r}: there are {', '.join(splits)}") from error
    parts = [
        splits[part.splitname].select(range(len(splits[part.splitname]))[part.from_ : part.to]) for part in instructions
    ]
    return parts[0] if len(parts) == 1 else concatenate_datasets(parts)


def json_objects(data: str, path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON file, each as it is written: a list of objects, one object, or an object in each line.

    Raises:
        UserError: It is not such JSON.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"data {data!r} cannot be read: {path.name} is not UTF-8 ({error}); save it as UTF-8"
        ) from error
    try:
        value = json.loads(text)
        rows = value if isinstance(value, list) else [value]
    except ValueError:
        rows = [_line(data, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise UserError(f"data {data!r}, row {number}: it is {type(row).__name__}, not a JSON object; fix the row")
    return rows


def _line(data: str, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise UserError(f"data {data!r} cannot be read: line {number} is not JSON ({error}); fix the line") from error
