"""Builds a suite: many tasks in parallel, each of them the same bytes whatever is built beside it."""

from __future__ import annotations

import errno
import functools
import importlib.metadata
import json
import logging
import multiprocessing
import os
import platform
import signal
import threading
import time
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Literal

import datasets
from huggingface_hub import constants
from tqdm import tqdm

from dataset_builder.card import suite_documents
from dataset_builder.files import FoundFiles, MissingFilesError, find_files
from dataset_builder.licences import FOLDER as LICENCES
from dataset_builder.licences import commercial_use
from dataset_builder.registry import all_tasks, get_task, select_tasks
from dataset_builder.spectrum_suite import SpectrumSuite
from dataset_builder.suite_folder import REPORT, SUITE_VERSION, Record, SuiteFolder, describe_file, has_rows
from dataset_builder.task_spec import RawFiles, Source, TaskSpec
from spectrum_suite.errors import UserError
from spectrum_suite.fingerprints import fingerprint, fingerprint_of_bytes

logger = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parent
_ENDS_THE_BUILD = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""What no other task could be built after either."""
_BYTES_DEPEND_ON = ("datasets", "ftfy", "numpy", "polars", "pyarrow", "pyreadstat")
_DOES_NOT_CHANGE_ROWS = (
    "__main__.py",
    "archives.py",
    "build.py",
    "card.py",
    "download.py",
    "hub_files.py",
    "licences.py",
    "mixtures.py",
    "preview.py",
    "suite_folder.py",
)


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
        licences: ``commercial`` for only tasks of sources whose terms are known to allow commercial use, or ``all``.
    """

    output: Path
    sources_dir: Path | None = None
    allow_missing: bool = False
    num_proc: int = 1
    seed: int = 42
    max_rows: int | None = None
    licences: Literal["all", "commercial"] = "all"


@dataclass(frozen=True)
class _Job:
    """One task to build; all of it can be sent to another process."""

    task: str
    base: Record  # the part of its record that is known beforehand
    files: RawFiles
    options: BuildOptions


def build(names: Iterable[str], options: BuildOptions) -> dict[str, Any]:
    """Build tasks into the output folder, which afterwards holds them besides those it held before.

    A task that is there already, or was finished by an interrupted build, is taken as it is when its fingerprint
    (version, seed, raw files, code and libraries) is the same and its files are as they were built. A task that cannot
    be built is reported as failed, with the line that says why, and is not in the suite; the others are.

    Args:
        names: Tasks, or the words of :data:`dataset_builder.registry.WORDS`.
        options: How to build.

    Returns:
        The build report, as written to ``build_report.json``.

    Raises:
        UserError: A name is unknown, a raw file is missing, the output holds something else, or none of the tasks can
            be built. Nothing is left behind, and the output is as it was.
    """
    names = list(names)
    specs = select_tasks(names)
    if options.licences == "commercial":
        specs = _commercial(specs, names)
    raw = _find_all(specs, options)
    wanted = {spec.name: _base_record(spec, raw[spec.name], options) for spec in specs}
    folder = SuiteFolder(options.output)
    existing = folder.existing_records()
    carried = {
        name: record
        for name, record in existing.items()
        if name not in wanted or (_still_good(record, wanted[name]) and folder.is_as_built(name, record))
    }
    _check_plan(wanted, carried, options)
    try:
        with folder.stage():
            jobs = [_Job(n, r, raw[n].files.found, options) for n, r in wanted.items() if n not in carried]
            built = _build_tasks(folder, jobs)
            _check_any_built(wanted, built | carried)
            records = carried | built
            for name in filter(lambda n: has_rows(carried[n]), carried):
                folder.carry_over(name)
            report = _report(records, options)
            folder.write({REPORT: json.dumps(report, indent=2) + "\n"})
            folder.write(suite_documents(folder.staging, report))
            folder.publish(keep={LICENCES, *(name for name, record in records.items() if has_rows(record))})
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died, perhaps for want of memory: run the same command with a smaller '--num-proc'; "
            "finished tasks are kept"
        ) from error
    return report


@dataclass(frozen=True)
class _Raw:
    """The raw files of a source, and their SHA-256 by their upstream paths."""

    files: FoundFiles
    checksums: Mapping[str, str] = field(default_factory=dict)


def _commercial(specs: Iterable[TaskSpec], names: Collection[str]) -> list[TaskSpec]:
    """The tasks of sources that allow commercial use; raises a UserError for one of another that was named."""
    kept = [spec for spec in specs if commercial_use(spec.source) == "yes"]
    for spec in specs:
        if spec.name in names and spec not in kept:
            why = "does not allow" if commercial_use(spec.source) == "no" else "does not say that it allows"
            raise UserError(
                f"source {spec.source.name!r} of task {spec.name!r} (licence: {spec.source.license}) {why} commercial "
                "use: leave the task out, or '--licences commercial'"
            )
    return kept


def _find_all(specs: Iterable[TaskSpec], options: BuildOptions) -> dict[str, _Raw]:
    """The raw files of every task; the tasks of a source that need the same files look for them once."""
    unreachable: dict[str, str] = {}
    by_source: dict[Source, _Raw] = {}
    for spec in specs:
        if spec.source not in by_source:
            by_source[spec.source] = _find(spec, options, unreachable)
    return {spec.name: by_source[spec.source] for spec in specs}


def _find(spec: TaskSpec, options: BuildOptions, unreachable: dict[str, str]) -> _Raw:
    """The raw files of a task; files that are damaged or cannot be read do not stop the other tasks.

    Raises:
        MissingFilesError: A file is missing and may not be.
    """
    try:
        found = find_files(spec, options.sources_dir, allow_missing=options.allow_missing, unreachable=unreachable)
        return _Raw(found, found.checksums())
    except MissingFilesError:
        raise
    except (UserError, OSError) as error:
        if getattr(error, "errno", None) in _ENDS_THE_BUILD:
            raise
        return _Raw(FoundFiles({}, {}, error=_publishable(_line(error, spec.name), spec.source, {}, options)))


def _base_record(spec: TaskSpec, raw: _Raw, options: BuildOptions) -> Record:
    """What is known of a task before it is built."""
    ingredients = {
        "task": spec.name,
        "version": spec.version,
        "seed": options.seed,
        "max_rows": options.max_rows,
        "files": raw.checksums,
        "code": code_version(),
        "libraries": {name: importlib.metadata.version(name) for name in _BYTES_DEPEND_ON},
    }
    return {
        "status": raw.files.status,
        "error": raw.files.error,
        "version": spec.version,
        "seed": options.seed,
        "max_rows": options.max_rows,
        "missing": dict(raw.files.missing),
        "fingerprint": fingerprint(ingredients),
        "rows": 0,
        "processes": 0,
        "draws": 0,
        "dropped": {},
        "cleaned": {},
        "verbatim": spec.verbatim or ("written by the builder itself" if spec.generate else ""),
        "bytes": 0,
        "files": {},
        "seconds": 0.0,
    }


@functools.cache
def code_version() -> str:
    """A hash of the code that decides what the rows are: equal for equal code."""
    files = (path for path in sorted(_PACKAGE.rglob("*.py")) if path.name not in _DOES_NOT_CHANGE_ROWS)
    return fingerprint_of_bytes(str(path.relative_to(_PACKAGE)).encode() + b"\0" + path.read_bytes() for path in files)


def _still_good(record: Record, wanted: Record) -> bool:
    return has_rows(record) and (wanted["status"] == "missing" or record["fingerprint"] == wanted["fingerprint"])


def _check_any_built(wanted: dict[str, Record], records: dict[str, Record]) -> None:
    """Raises a UserError when all that is asked for and has its raw files failed."""
    failed = {name: records[name]["error"] for name in wanted if records[name]["status"] == "failed"}
    if failed and not any(has_rows(records[name]) for name in wanted):
        [why, *others] = dict.fromkeys(failed.values())
        if len(failed) > 1:
            tasks = f"{len(failed) - 1} more task{'s' if len(failed) > 2 else ''}"  # noqa: PLR2004
            why += f" (and {tasks} failed{': ' + '; '.join(others) if others else ' for the same reason'})"
        raise UserError(why)


def _check_plan(wanted: dict[str, Record], carried: dict[str, Record], options: BuildOptions) -> None:
    if all(record["status"] == "missing" for record in (*wanted.values(), *carried.values())):
        raise UserError(
            f"none of the tasks asked for has its raw files ({', '.join(wanted)}): give '--sources-dir', "
            "or build '--tasks synthetic', which needs none"
        )
    known = {spec.name for spec in all_tasks()}
    for name, record in carried.items():
        if name not in known:
            raise UserError(
                f"suite {str(options.output)!r} holds task {name!r}, which this version does not have: "
                "give another '--output'"
            )
        if options.licences == "commercial" and commercial_use(get_task(name).source) != "yes":
            raise UserError(
                f"suite {str(options.output)!r} holds task {name!r}, whose source is not known to allow commercial "
                "use: give another '--output'"
            )
        if record["seed"] != options.seed:
            raise UserError(
                f"suite {str(options.output)!r} holds task {name!r} built with seed {record['seed']}, not "
                f"{options.seed}: give '--seed {record['seed']}', or another '--output'"
            )


def _build_tasks(folder: SuiteFolder, jobs: list[_Job]) -> dict[str, Record]:
    """Build into staging what an interrupted build has not finished; return the records of all tasks."""
    folder.clear_work()
    done = {job.task: record for job in jobs if (record := _known_record(folder, job))}
    open_jobs = [job for job in jobs if job.task not in done]
    with tqdm(total=len(jobs), initial=len(done), desc="building", unit="task") as bar:
        for name, record in _run(open_jobs):
            done[name] = record
            bar.set_postfix_str(name, refresh=False)
            bar.update()
    return done


def _known_record(folder: SuiteFolder, job: _Job) -> Record | None:
    """The record of a task that needs no work: it is finished in staging, or its raw files cannot be used."""
    if not has_rows(job.base):
        return job.base
    staged = folder.staged_record(job.task)
    return staged if staged and staged["fingerprint"] == job.base["fingerprint"] else None


def _run(jobs: list[_Job]) -> Iterator[tuple[str, Record]]:
    """Build each task, several at a time, and yield (name, record) as they are finished."""
    workers = min(jobs[0].options.num_proc, len(jobs)) if jobs else 0
    if workers <= 1:
        yield from ((job.task, _build_task(job)) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        futures = {pool.submit(_build_task, job): job.task for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Die at once, and quietly, on Ctrl-C and with the parent: what is unfinished is built again next time."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def _build_task(job: _Job) -> Record:
    """Build one task into staging and return its record; one that cannot be built has a record that says why."""
    try:
        return _build_rows(job)
    except Exception as error:  # a fault in one task, be it ours, is no reason to lose the others
        if isinstance(error, OSError) and error.errno in _ENDS_THE_BUILD:
            raise
        logger.debug("task %s failed", job.task, exc_info=True)
        line = _publishable(_line(error, job.task), get_task(job.task).source, job.files, job.options)
        return job.base | {"status": "failed", "error": line}


def _line(error: Exception, task: str) -> str:
    """What is said of an error; of one that no reader foresees, also where in our code it came up."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        file = f" {str(error.filename)!r}" if error.filename else ""
        return f"task {task!r} cannot be built: file{file}: {error.strerror or error}"
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if str(_PACKAGE) in frame.filename]
    where = f" ({Path(ours[-1].filename).name}, line {ours[-1].lineno})" if ours else ""
    return f"task {task!r} cannot be built: {type(error).__name__}: {error}{where}"


def _publishable(line: str, source: Source, files: RawFiles, options: BuildOptions) -> str:
    """A line that names raw files by their place below the sources, not on this machine."""
    for name, path in files.items():
        line = line.replace(f"'{path}'", f"'{source.folder}/{name}'")
    for folder, name in ((options.sources_dir, ""), (constants.HF_HOME, "~cache/"), (Path.home(), "~/")):
        line = line.replace(f"{folder}{os.sep}", name) if folder else line
    return " ".join(line.split())


def _build_rows(job: _Job) -> Record:
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
    )
    with _bare_errors(job.options.output), _no_bars():
        builder.download_and_prepare(str(folder.work / job.task), file_format="parquet")
    record = job.base | {
        "rows": builder.counts.rows,
        "processes": builder.counts.processes,
        "draws": builder.counts.draws,
        "dropped": dict(builder.counts.dropped),
        "cleaned": dict(sorted(builder.counts.cleaned.items())),
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


def _report(records: dict[str, Record], options: BuildOptions) -> dict[str, Any]:
    return {
        "seed": options.seed,
        "licences": options.licences,
        "versions": {
            "suite": SUITE_VERSION,
            "code": code_version(),
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _BYTES_DEPEND_ON},
        },
        "tasks": dict(sorted(records.items())),
    }
