"""A built suite on disk, and how a new one replaces it atomically.

``build_report.json`` says what the suite holds: ``seed``, ``versions`` and, under ``tasks``, a record for each task:

    status       "built", "partial" (from some folders of a divisible source), "missing" (its raw files) or "failed"
    error        why it failed; only there if it did
    version      of the task; `seed` and `max_rows` are what it was built with
    missing      raw file -> why it is missing
    fingerprint  of all that the rows depend on
    rows, processes, draws, bytes, seconds
    dropped      reason -> raw rows that were left out
    cleaned      what was repaired -> texts in which it was (:mod:`dataset_builder.hygiene`)
    personal     what looks like data on people -> cells of somebody's own table
    first        reason of ``dropped``, ``cleaned`` or ``personal`` -> where the first row is, where that is known
    definition   what the task is; null of the repository's own (:mod:`dataset_builder.recorded_tasks`)
    verbatim     why texts are left unchanged; empty where they are repaired
    files        Parquet file of the task's folder -> {"sha256": in hexadecimal, "rows": int, "bytes": int}
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from dataset_builder.download import file_sha256
from spectrum_suite.errors import UserError
from spectrum_suite.lock import locked

Record = dict[str, Any]
"""What the build report says about one task."""

REPORT = "build_report.json"

SUITE_VERSION = "0.1.0"
"""The version of the suite as a whole: its tag on a Hub."""


def has_rows(record: Record) -> bool:
    """Whether a task has rows in the suite: it is neither missing nor failed."""
    return record["status"] not in ("missing", "failed")


def describe_file(path: Path) -> dict[str, Any]:
    """What the build report says of a Parquet file: its ``sha256``, ``rows`` and ``bytes``."""
    return {"sha256": file_sha256(path), "rows": pq.read_metadata(path).num_rows, "bytes": path.stat().st_size}


class SuiteFolder:
    """The output of a build, and next to it the staging folder ``.<name>.partial`` in which the next one grows.

    A task is finished in staging once its record exists; ``publish`` then swaps the whole folder in.
    """

    def __init__(self, output: Path) -> None:
        self.output = output.resolve()
        self.staging = self.output.with_name(f".{self.output.name}.partial")
        self._previous = self.output.with_name(f".{self.output.name}.previous")
        self._lock = self.output.with_name(f".{self.output.name}.lock")

    def existing_records(self) -> dict[str, Record]:
        """The records of the tasks that the output holds; none when it does not exist or is empty.

        Raises:
            UserError: The output is a file, or a folder with something else in it.
        """
        self._recover()
        if not self.output.exists() or (self.output.is_dir() and not any(self.output.iterdir())):
            return {}
        report = self.output / REPORT
        if not report.is_file():
            raise UserError(
                f"output {str(self.output)!r} exists and is not a built suite (it has no {REPORT}): "
                "give another '--output', or remove it"
            )
        try:
            return json.loads(report.read_text())["tasks"]
        except (ValueError, KeyError) as error:
            raise UserError(f"{str(report)!r} is not a build report: build into another folder") from error

    def is_as_built(self, task: str, record: Record) -> bool:
        """Whether the output has the files of a task as its record lists them; an old record lists none."""
        return all(
            path.is_file() and path.stat().st_size == listed["bytes"] and file_sha256(path) == listed["sha256"]
            for name, listed in record.get("files", {}).items()
            for path in [self.output / task / name]
        )

    @contextmanager
    def stage(self) -> Iterator[None]:
        """Hold the staging folder; remove it when the build fails, keep it when the build is interrupted.

        Raises:
            UserError: Another build holds it, or it cannot be written.
        """
        created = [path for path in self.staging.parents if not path.exists()]
        try:
            with self._held():
                try:
                    yield
                except (UserError, OSError):
                    shutil.rmtree(self.staging)
                    raise
        except (UserError, OSError):
            for path in created:
                with suppress(OSError):  # there is something in it
                    path.rmdir()
            raise

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the lock next to the staging folder, which a system may not let be moved with an open file in it."""
        self._make_staging()
        busy = f"another build is writing {str(self.output)!r}: wait for it, or give another '--output'"
        with locked(self._lock, busy=busy):
            yield

    @property
    def work(self) -> Path:
        """Where tasks are written before they are finished."""
        return self.staging / ".work"

    def clear_work(self) -> None:
        """Remove what an interrupted build left unfinished."""
        shutil.rmtree(self.work, ignore_errors=True)

    def staged_record(self, task: str) -> Record | None:
        """The record of a task that is finished in staging."""
        path = self._record_path(task)
        return json.loads(path.read_text()) if path.is_file() else None

    def finish(self, task: str, files: dict[str, Path], record: Record) -> None:
        """Move the files of a task (name -> path) into staging, then write its record."""
        self._discard(task)
        folder = self.staging / task
        folder.mkdir()
        for name, path in files.items():
            path.rename(folder / name)
        part = self.work / f"{task}.json"
        part.write_text(json.dumps(record))
        self._record_path(task).parent.mkdir(exist_ok=True)
        part.replace(self._record_path(task))

    def carry_over(self, task: str) -> None:
        """Take a task from the output into staging, without copying where the file system can link."""
        self._discard(task)
        shutil.copytree(self.output / task, self.staging / task, copy_function=_link_or_copy)

    def write(self, texts: dict[str, str]) -> None:
        """Write text files (name -> content) into staging."""
        for name, text in texts.items():
            path = self.staging / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def publish(self, keep: Container[str]) -> None:
        """Put the staging folder in the place of the output, with the folders in ``keep`` and no others."""
        for path in self.staging.iterdir():
            if path.is_dir() and path.name not in keep:
                shutil.rmtree(path)
        if self.output.exists():
            self.output.rename(self._previous)
        self.staging.rename(self.output)
        shutil.rmtree(self._previous, ignore_errors=True)

    def _make_staging(self) -> None:
        try:
            self.staging.mkdir(parents=True, exist_ok=True)
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise UserError(
                f"output {str(self.output)!r} cannot be written ({error.strerror}): give another '--output'"
            ) from error

    def _discard(self, task: str) -> None:
        self._record_path(task).unlink(missing_ok=True)
        shutil.rmtree(self.staging / task, ignore_errors=True)

    def _recover(self) -> None:
        """Undo a swap that was interrupted between its two renames."""
        if self._previous.exists() and not self.output.exists():
            self._previous.rename(self.output)
        shutil.rmtree(self._previous, ignore_errors=True)

    def _record_path(self, task: str) -> Path:
        return self.staging / ".records" / f"{task}.json"


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
