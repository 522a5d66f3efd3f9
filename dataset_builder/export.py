"""What tasks are written as besides a suite: built into a folder that does not stay, and written from there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from dataset_builder.build import build
from dataset_builder.build_task import BuildOptions
from dataset_builder.registry import get_task
from dataset_builder.suite_folder import Record, has_rows
from dataset_builder.task_spec import TaskSpec
from spectrum_suite.errors import UserError

Rows = dict[str, int]
"""Task -> its rows, of those that were written."""


@dataclass(frozen=True)
class Export:
    """A way to write tasks.

    Attributes:
        name: What is written, for messages.
        marker: A file by which a folder is known to be one of ours, which may be replaced.
        needs: What a task has to have.
        write: Writes the tasks of a built suite (its folder, the new folder, the build report).
    """

    name: str
    marker: str
    needs: str
    write: Callable[[Path, Path, Mapping[str, Any]], Rows]


def export(how: Export, names: Iterable[str], options: BuildOptions) -> tuple[Rows, dict[str, str]]:
    """Build tasks and write them in another way.

    Args:
        how: In which way.
        names: Tasks, or the words of :data:`dataset_builder.registry.WORDS`.
        options: How to build; the output is what is written.

    Returns:
        Task -> its rows, and task that was left out -> why.

    Raises:
        UserError: As :func:`dataset_builder.build.build`, no task can be written so, or the output holds something
            that was not.
    """
    output = options.output
    if output.exists() and (not output.is_dir() or (any(output.iterdir()) and not (output / how.marker).is_file())):
        raise UserError(f"output {str(output)!r} holds something else than {how.name}: give another '--output'")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as work:
        suite, staging = Path(work) / "suite", Path(work) / "written"
        report = build(names, replace(options, output=suite))
        rows = how.write(suite, staging, report)
        if not rows:
            raise UserError(f"none of these tasks has {how.needs}: name others, such as dist_urn")
        if output.exists():
            shutil.rmtree(output)
        os.replace(staging, output)  # noqa: PTH105
    return rows, {name: _why(record, how) for name, record in report["tasks"].items() if name not in rows}


def built_tasks(report: Mapping[str, Any]) -> Iterator[TaskSpec]:
    """The tasks that have rows."""
    return (get_task(name) for name, record in report["tasks"].items() if has_rows(record))


def task_rows(suite: Path, task: str) -> Iterator[dict[str, Any]]:
    """The rows of a task of a built suite, one after another."""
    for path in sorted((suite / task).glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1000):
            yield from batch.to_pylist()


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files: name -> content."""
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def _why(record: Record, how: Export) -> str:
    if has_rows(record):
        return f"it does not have {how.needs}"
    return record["error"] or f"its raw files are {record['status']}"
