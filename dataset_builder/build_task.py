"""Builds one task into the staging folder, and says in one line why it cannot be built."""

from __future__ import annotations

import errno
import logging
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import datasets
from huggingface_hub import constants

from dataset_builder.registry import get_task, including
from dataset_builder.suite_builder import SpectrumSuite
from dataset_builder.suite_folder import Record, SuiteFolder, describe_file
from dataset_builder.task_spec import RawFiles, Source
from spectrum_suite.errors import UserError

logger = logging.getLogger(__name__)

ENDS_THE_BUILD = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Errors after which no other task can be built either."""
_PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    Attributes:
        output: The suite's folder.
        sources_dir: Folder of raw files.
        allow_missing: Build what can be built when raw files are missing.
        num_proc: Tasks built at a time.
        seed: Seed of every random choice.
        max_rows: Rows of each task at most, for a quick look; None for all.
        own: Files with tasks of one's own.
        strict: Stop where something is wrong with rows of their tables, instead of leaving them out.
        licences: ``commercial`` for only tasks of sources whose terms are known to allow commercial use, or ``all``.
    """

    output: Path
    sources_dir: Path | None = None
    allow_missing: bool = False
    num_proc: int = 1
    seed: int = 42
    max_rows: int | None = None
    own: tuple[Path, ...] = ()
    strict: bool = False
    licences: Literal["all", "commercial"] = "all"


@dataclass(frozen=True)
class Job:
    """One task to build; all of it can be sent to another process."""

    task: str
    base: Record  # the part of its record that is known before it is built
    files: RawFiles
    options: BuildOptions


def build_task(job: Job) -> Record:
    """Build one task into staging and return its record; one that cannot be built has a record that says why."""
    with including(job.options.own):
        return _record(job)


def _record(job: Job) -> Record:
    try:
        return _build_rows(job)
    except Exception as error:  # an error in one task, even a bug of ours, must not lose the others
        if isinstance(error, OSError) and error.errno in ENDS_THE_BUILD:
            raise
        logger.debug("task %s failed", job.task, exc_info=True)
        line = publishable(error_line(error, job.task), get_task(job.task).source, job.files, job.options)
        return job.base | {"status": "failed", "error": line}


def error_line(error: Exception, task: str) -> str:
    """What is said of an error; of one that no reader foresees, also where in our code it came up."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        file = f" {str(error.filename)!r}" if error.filename else ""
        return f"task {task!r} cannot be built: file{file}: {error.strerror or error}"
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if str(_PACKAGE) in frame.filename]
    where = f" ({Path(ours[-1].filename).name}, line {ours[-1].lineno})" if ours else ""
    return f"task {task!r} cannot be built: {type(error).__name__}: {error}{where}"


def publishable(line: str, source: Source, files: RawFiles, options: BuildOptions) -> str:
    """A line that names raw files by their place below the sources, not on this machine."""
    for name, path in files.items():
        line = line.replace(f"'{path}'", f"'{source.folder}/{name}'")
    for folder, name in ((options.sources_dir, ""), (constants.HF_HOME, "~cache/"), (Path.home(), "~/")):
        line = line.replace(f"{folder}{os.sep}", name) if folder else line
    return " ".join(line.split())


def _build_rows(job: Job) -> Record:
    """Build one task into staging and return its record.

    Raises:
        UserError: Its raw files cannot be used, or it comes out empty.
        OSError: It cannot be written, or a raw file cannot be read.
    """
    started = time.perf_counter()
    folder = SuiteFolder(job.options.output)
    builder = SpectrumSuite(
        config_name=job.task,
        cache_dir=str(folder.work / "cache"),
        seed=job.options.seed,
        max_rows=job.options.max_rows,
        raw_files=job.files,
        strict=job.options.strict,
    )
    with _bare_errors(job.options.output), _no_bars():
        builder.download_and_prepare(str(folder.work / job.task), file_format="parquet")
    record = job.base | {
        "rows": builder.counts.rows,
        "processes": builder.counts.processes,
        "draws": builder.counts.draws,
        "dropped": dict(builder.counts.dropped),
        "cleaned": dict(sorted(builder.counts.cleaned.items())),
        "personal": dict(builder.counts.personal),
        "first": builder.counts.first,
        "bytes": builder.info.dataset_size,
        "seconds": round(time.perf_counter() - started, 3),
    }
    files = _parquet_files(folder.work / job.task, get_task(job.task).split)
    record["files"] = {name: describe_file(path) for name, path in files.items()}
    folder.finish(job.task, files, record)
    return record


def _parquet_files(written: Path, split: str) -> dict[str, Path]:
    """What `datasets` wrote, under the names that a Hub repository uses."""
    shards = sorted(written.glob("*.parquet"))
    return {f"{split}-{i:05d}-of-{len(shards):05d}.parquet": path for i, path in enumerate(shards)}


@contextmanager
def _bare_errors(output: Path) -> Iterator[None]:
    """Raise the cause that `datasets` wraps: a user's mistake, or the operating system's error with its number."""
    try:
        yield
    except (datasets.exceptions.DatasetGenerationError, OSError) as error:
        cause = _cause(error)
        if isinstance(cause, OSError) and cause.errno:
            raise OSError(cause.errno, os.strerror(cause.errno), cause.filename or str(output)) from None
        raise cause from None


def _cause(error: BaseException) -> BaseException:
    wrapped = None
    if isinstance(error, datasets.exceptions.DatasetGenerationError):
        wrapped = error.__cause__
    elif isinstance(error, OSError) and not error.errno:
        wrapped = error.__context__
    return _cause(wrapped) if wrapped else error


@contextmanager
def _no_bars() -> Iterator[None]:
    """Silence the bars of `datasets`: there is one for the whole build."""
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
