"""Builds a suite: many tasks in parallel, each with the same bytes whatever else is built."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import json
import multiprocessing
import os
import platform
import signal
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dataset_builder.build_task import ENDS_THE_BUILD, BuildOptions, Job, build_task, error_line, publishable
from dataset_builder.card import suite_documents
from dataset_builder.download import file_sha256
from dataset_builder.files import FoundFiles, MissingFilesError, find_files
from dataset_builder.licences import FOLDER as LICENCES
from dataset_builder.licences import commercial_use
from dataset_builder.recorded_tasks import DEFINITION, definition, recorded_task
from dataset_builder.registry import naming, own_files, select_tasks
from dataset_builder.suite_folder import REPORT, SUITE_VERSION, Record, SuiteFolder, has_rows
from dataset_builder.task_spec import Source, TaskSpec
from spectrum_suite import seeding
from spectrum_suite.errors import UserError
from spectrum_suite.fingerprints import fingerprint, fingerprint_of_bytes

_PACKAGE = Path(__file__).parent
_BYTES_DEPEND_ON = ("datasets", "ftfy", "numpy", "polars", "pyarrow", "pyreadstat")
_DOES_NOT_CHANGE_ROWS = (
    "__main__.py",
    "archives.py",
    "build.py",
    "build_task.py",
    "card.py",
    "commands.py",
    "decision_rows.py",
    "decision_set.py",
    "download.py",
    "export.py",
    "hub_files.py",
    "licences.py",
    "lm_eval_set.py",
    "mixtures.py",
    "preview.py",
    "suite_folder.py",
)


def build(names: Iterable[str], options: BuildOptions) -> dict[str, Any]:
    """Build tasks into the output folder, in addition to those it already has.

    A task that is already there, or was finished by an interrupted build, is reused when its fingerprint
    (version, seed, raw files, code and libraries) is the same and its files are as they were built. A task that cannot
    be built is reported as failed, with the line that says why, and is not in the suite; the others are.

    Args:
        names: Tasks, the words of :data:`dataset_builder.registry.WORDS`, or paths of task files or folders of them.
        options: How to build.

    Returns:
        The build report, as written to ``build_report.json``.

    Raises:
        UserError: A name is unknown, a raw file is missing, the output holds something else, or none of the tasks can
            be built. Nothing is left behind, and the output is unchanged.
    """
    words = list(names)
    options = replace(options, own=tuple(dict.fromkeys((*options.own, *own_files(words).values()))))
    with naming(words, options.own) as tasks:
        return _build(tasks, options)


def fingerprints(names: Iterable[str], options: BuildOptions) -> dict[str, str]:
    """Task -> the fingerprint of all that its rows depend on.

    Args:
        names: As :func:`build` takes them.
        options: How it would be built.

    Raises:
        UserError: A name is unknown, or a raw file is missing.
    """
    with naming(names, options.own) as tasks:
        specs = select_tasks(tasks)
        raw = _find_all(specs, options)
        return {spec.name: _base_record(spec, raw[spec.name], options)["fingerprint"] for spec in specs}


def _build(names: Collection[str], options: BuildOptions) -> dict[str, Any]:
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
            jobs = [Job(n, r, raw[n].files.found, options) for n, r in wanted.items() if n not in carried]
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
            "a worker process died, perhaps for lack of memory: run the same command with a smaller '--num_proc'; "
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
        if getattr(error, "errno", None) in ENDS_THE_BUILD:
            raise
        return _Raw(FoundFiles({}, {}, error=publishable(error_line(error, spec.name), spec.source, {}, options)))


def _base_record(spec: TaskSpec, raw: _Raw, options: BuildOptions) -> Record:
    """What is known of a task before it is built."""
    ingredients = {
        "task": spec.name,
        "version": spec.version,
        "seed": options.seed,
        "max_rows": options.max_rows,
        "files": raw.checksums,
        "code": code_version(),
        "own_code": _own_code(spec),
        "strict": options.strict and spec.source.root is not None,
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
        "personal": {},
        "first": {},
        DEFINITION: definition(spec),
        "verbatim": spec.verbatim or ("written by the builder itself" if spec.generate else ""),
        "bytes": 0,
        "files": {},
        "seconds": 0.0,
    }


@functools.cache
def code_version() -> str:
    """A hash of the code that decides what the rows are: equal for equal code."""
    files = [path for path in sorted(_PACKAGE.rglob("*.py")) if path.name not in _DOES_NOT_CHANGE_ROWS]
    code = (str(path.relative_to(_PACKAGE)).encode() + b"\0" + path.read_bytes() for path in files)
    return fingerprint_of_bytes([*code, Path(seeding.__file__).read_bytes()])


def _own_code(spec: TaskSpec) -> str | None:
    """SHA-256 of the Python file of a source outside of the repository."""
    function = spec.read or spec.generate
    while isinstance(function, functools.partial):
        function = function.func
    path = inspect.getsourcefile(inspect.unwrap(function))
    return file_sha256(Path(path)) if path and _PACKAGE not in Path(path).resolve().parents else None


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
            f"none of the tasks asked for has its raw files ({', '.join(wanted)}): give '--sources_dir', "
            "or build '--tasks synthetic', which needs none"
        )
    for name, record in carried.items():
        try:
            source = recorded_task(name, record).source
        except UserError as error:
            raise UserError(
                f"suite {str(options.output)!r} holds task {name!r}, which this version does not have: "
                "give another '--output'"
            ) from error
        if options.licences == "commercial" and commercial_use(source) != "yes":
            raise UserError(
                f"suite {str(options.output)!r} holds task {name!r}, whose source is not known to allow commercial "
                "use: give another '--output'"
            )
        if record["seed"] != options.seed:
            raise UserError(
                f"suite {str(options.output)!r} holds task {name!r} built with seed {record['seed']}, not "
                f"{options.seed}: give '--seed {record['seed']}', or another '--output'"
            )


def _build_tasks(folder: SuiteFolder, jobs: list[Job]) -> dict[str, Record]:
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


def _known_record(folder: SuiteFolder, job: Job) -> Record | None:
    """The record of a task that needs no work: it is finished in staging, or its raw files cannot be used."""
    if not has_rows(job.base):
        return job.base
    staged = folder.staged_record(job.task)
    return staged if staged and staged["fingerprint"] == job.base["fingerprint"] else None


def _run(jobs: list[Job]) -> Iterator[tuple[str, Record]]:
    """Build each task, several at a time, and yield (name, record) as they finish."""
    workers = min(jobs[0].options.num_proc, len(jobs)) if jobs else 0
    if workers <= 1:
        yield from ((job.task, build_task(job)) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        futures = {pool.submit(build_task, job): job.task for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Exit at once, and quietly, on Ctrl-C and with the parent: what is unfinished is built again next time."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


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
