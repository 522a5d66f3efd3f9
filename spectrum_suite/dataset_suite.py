"""A dataset as it is, as a suite of one task: its columns are named, and nothing is built.

With options and probabilities the task is of kind ``distribution``, with outputs of kind ``icl``. The suite is kept in
the cache of `datasets`, in a folder named after what it was made of.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from datasets import Features

from dataset_builder.tables import FEATURES, MORE_FEATURES
from dataset_builder.task_spec import Kind
from spectrum_suite.dataset_rows import RowMaker
from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.fingerprints import fingerprint
from spectrum_suite.groups import GROUPS
from spectrum_suite.pinned_dataset import read_pinned

COLUMNS = (
    "id", "messages", "description", "input", "output", "options", "probabilities", "n_responses", "process",
)  # fmt: skip
"""What a column can be."""

_NEEDED = "messages= or input=, with options= and probabilities=; or messages= with outputs; or output="
_APART = (
    ("messages", "input"), ("messages", "description"), ("messages", "output"), ("messages", "process"),
    ("probabilities", "output"), ("probabilities", "process"),
)  # fmt: skip

_HELD_OUT = ("test", "validation", "valid", "val", "dev", "eval")
"""Splits that are not trained on unless one says so."""

_VERSION = 1  # raised when other rows are made of the same dataset
_BATCH = 1000


@dataclass(frozen=True)
class DatasetChoice:
    """A dataset, and what its columns are.

    Attributes:
        name: An id on a Hub, ``hf://datasets/ORG/NAME/FILE``, or a file or folder on this machine.
        split: Of a dataset or folder, or a part of it as in ``test[:100]``; a file has ``train`` alone.
        columns: What a column is, of :data:`COLUMNS` -> its name. Where empty, columns of these very names.
        config: The configuration, where there are several.
        revision: Branch, tag or commit on a Hub.
        groups: Further columns, by which results are distinguished.
    """

    name: str
    split: str
    columns: Mapping[str, str]
    config: str | None = None
    revision: str | None = None
    groups: tuple[str, ...] = ()


def asked_dataset(arguments: Any, groups: Sequence[str] = ()) -> DatasetChoice:
    """What the options ``--dataset``, ``--split``, ``--columns`` and so on of a command name.

    Raises:
        UserError: As :func:`parse_columns`.
    """
    return DatasetChoice(
        arguments.dataset,
        arguments.split,
        parse_columns(arguments.columns),
        arguments.dataset_config,
        arguments.dataset_revision,
        groups=tuple(groups),
    )


@dataclass(frozen=True)
class DatasetSuite:
    """The suite that was made of a dataset.

    Attributes:
        folder: Where it is.
        task: The name of its task.
        source: What reports say of it: ``name``, ``config``, ``split``, ``revision`` (the commit; None for files on
            this machine) and ``columns``.
    """

    folder: Path
    task: str
    source: dict[str, Any]


def parse_columns(words: Iterable[str]) -> dict[str, str]:
    """``messages=prompt,options=answers``, in one word or several, as what a column is -> its name.

    Raises:
        UserError: An entry is malformed, is nothing that a column can be, or occurs twice.
    """
    found: dict[str, str] = {}
    for entry in (part.strip() for word in words for part in word.split(",")):
        what, equals, column = entry.partition("=")
        if not (what and equals and column):
            raise UserError(f"--columns {entry!r}: say what a column is, as in 'input=question,output=answer'")
        if what not in COLUMNS:
            raise UserError(f"--columns {entry!r}: no {what!r}{did_you_mean(what, COLUMNS)}: say {', '.join(COLUMNS)}")
        if what in found:
            raise UserError(f"--columns names {what!r} twice, {found[what]!r} and {column!r}: leave one out")
        found[what] = column
    return found


def dataset_suite(choice: DatasetChoice) -> DatasetSuite:
    """Make the suite of a dataset, or find it in the cache.

    Raises:
        UserError: There is no such dataset, split or column, or its rows are not what they should be.
    """
    data = read_pinned(choice.name, choice.split, config=choice.config, revision=choice.revision)
    columns = _checked_columns(choice, data.rows.column_names)
    kind: Kind = "distribution" if "probabilities" in columns else "icl"
    task = re.sub(r"\W+", "_", Path(choice.name).stem).strip("_") or "dataset"
    source = {"name": choice.name, "config": choice.config, "split": choice.split, "revision": data.revision}
    source |= {"columns": columns}
    made_of = [_VERSION, source, data.content, choice.groups, repr(FEATURES[kind])]
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "spectrum_suite" / fingerprint(made_of)
    if not folder.is_dir():
        split = "test" if choice.split.partition("[")[0] in _HELD_OUT else "train"
        maker = RowMaker(choice.name, task, data.rows, columns, choice.groups)
        _write(folder, maker.rows(kind), task, kind, split)
    return DatasetSuite(folder, task, source)


def _checked_columns(choice: DatasetChoice, names: Sequence[str]) -> dict[str, str]:
    """What each column is, where together they make a task."""
    columns = dict(choice.columns) or {name: name for name in COLUMNS if name in names}
    for column in (*columns.values(), *choice.groups):
        if column not in names:
            hint = did_you_mean(column, names)
            raise UserError(f"dataset {choice.name!r} has no column {column!r}{hint}: there are {', '.join(names)}")
    if lacks := _lacking(columns.keys()):
        of_dataset = "" if choice.columns else f" (dataset {choice.name!r} has {', '.join(names)})"
        raise UserError(f"--columns names {lacks}{of_dataset}: name {_NEEDED}")
    for what, other in _APART:
        if columns.keys() >= {what, other}:
            raise UserError(f"--columns names both {what} and {other}, which do not go together: leave one out")
    if choice.groups and "output" in columns and "process" not in columns:
        raise UserError("--by is about people or questions: name the column that distinguishes them as process=")
    return columns


def _lacking(named: Collection[str]) -> str | None:
    """What is missing for a task."""
    if "probabilities" not in named:
        return None if {"output", "messages"} & set(named) else "neither probabilities nor outputs"
    if "options" not in named:
        return "probabilities but no options"
    return None if set(named) & {"messages", "description", "input"} else "probabilities but no prompt"


def _write(folder: Path, rows: Iterator[dict[str, Any]], task: str, kind: Kind, split: str) -> None:
    """Write a suite in one step; where another process was faster, its folder stays.

    Raises:
        UserError: A row is not what it should be, or there is none.
    """
    schema = Features(FEATURES[kind] | {GROUPS: MORE_FEATURES[GROUPS]}).arrow_schema
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (part / task).mkdir()
        with pq.ParquetWriter(part / task / f"{split}.parquet", schema) as file:
            count = 0
            while batch := list(islice(rows, _BATCH)):
                file.write_table(pa.Table.from_pylist(batch, schema))
                count += len(batch)
        if not count:
            raise UserError("the dataset has no row that can be used: check --split and --columns")
        files = [{"split": split, "path": f"{task}/{split}.parquet"}]
        card = yaml.safe_dump({"configs": [{"config_name": task, "data_files": files}]}, sort_keys=False)
        (part / "README.md").write_text(f"---\n{card}---\n", encoding="utf-8")
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
