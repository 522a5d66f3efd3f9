"""What is published of a built suite: the tasks that may be redistributed, and a card of these alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datasets.config import REPOYAML_FILENAME

from dataset_builder.card import suite_documents
from dataset_builder.licences import FOLDER as LICENCES
from dataset_builder.mixtures import MIXTURES, mixtures
from dataset_builder.recorded_tasks import recorded_task
from dataset_builder.registry import all_tasks
from dataset_builder.suite_folder import REPORT, Record, has_rows
from dataset_builder.task_spec import TaskSpec
from spectrum_suite.errors import UserError
from spectrum_suite.hub.card_merge import Ours
from spectrum_suite.hub.fit_names import fit
from spectrum_suite.hub.local_files import LocalFile, scan_folder
from spectrum_suite.hub.push_plan import CARD, Publication, Remote, Repository
from spectrum_suite.hub.report_shapes import COUNT, Each, Maybe, check_shape
from spectrum_suite.hub.secret_scan import open_parquet
from spectrum_suite.json_files import read_json

_SHARD = re.compile(r"(?P<task>[a-z][a-z0-9_]*)/(?:train|test)-\d{5}-of-(?P<count>\d{5})\.parquet")
_KEYS = {
    "pretty_name", "language", "license", "license_name", "license_link", "size_categories", "source_datasets",
    "task_categories", "nc",
}  # fmt: skip


_BUILD_REPORT = {"seed": int, "versions": Each(str), "tasks": Each({"status": str, "version": str})}
_BUILT = {
    "rows": COUNT, "processes": COUNT, "draws": COUNT, "bytes": COUNT, "dropped": Each(COUNT), "missing": Each(str),
    "max_rows": Maybe(COUNT), "seed": int, "files?": Each({"sha256": str, "rows": COUNT, "bytes": COUNT}),
}  # fmt: skip
"""What the build report says of a task that has rows."""


def dataset_publication(
    folder: Path, repo_id: str, *, include_unlicensed: bool = False, allow_failed: bool = False
) -> Publication:
    """What is published of the suite in ``folder``.

    Args:
        folder: The output folder of ``python -m dataset_builder build``.
        repo_id: Where, ``<org>/<name>``.
        include_unlicensed: Also publish tasks whose source does not say whether it may be redistributed.
        allow_failed: Publish a suite some of whose tasks failed to build; its card says which.

    Raises:
        UserError: The folder is not a built suite, has tasks that failed, lacks files of a task or has others than the
            build wrote, holds what must not be published, or has no task that may be redistributed.
    """
    names = scan_folder(folder)
    report = _build_report(folder)
    failed = _failed(folder, report, allow_failed)
    built = {name: record for name, record in report["tasks"].items() if has_rows(record)}
    specs = {name: recorded_task(name, record) for name, record in built.items()}
    left_out = {name: why for name, spec in specs.items() if (why := _why_not(spec, include_unlicensed))}
    published = {name: record for name, record in built.items() if name not in left_out}
    if not published:
        raise UserError(
            f"no task of {str(folder)!r} may be redistributed: {'; '.join(left_out.values()) or 'it has none'}"
        )
    shards = [file for name, record in published.items() for file in _checked_shards(folder, name, record, names)]
    report = fit(report | {"tasks": dict(sorted((published | failed).items()))})
    version = report["versions"]["suite"]
    texts = suite_documents(folder, report, repo_id)
    card = texts.pop(CARD)
    documents = [LocalFile(name, text.encode()) for name, text in texts.items()]
    return Publication(
        repository=Repository(repo_id, "dataset"),
        card=card,
        files=(LocalFile(REPORT, (json.dumps(report, indent=2) + "\n").encode()), *documents, *shards),
        ours=_ours,
        owns=_owns,
        message=f"Spectrum Suite {version}: {len(published)} tasks",
        kind="dataset",
        expected=(*published, *mixtures(specs[name] for name in published)),
        reads=(REPORT,),
        tag=f"v{version}",
        task_of=_task_of,
        notes=(
            *(f"left out: {name} (failed to build)" for name in failed),
            *left_out.values(),
            *_personal(published),
            *_other_files(names, built, texts),
        ),
    )


def _failed(folder: Path, report: dict[str, Any], allow_failed: bool) -> dict[str, Record]:
    """The tasks that failed to build; raises a UserError when there are some and there may be none."""
    failed = {name: record for name, record in report["tasks"].items() if record["status"] == "failed"}
    if failed and not allow_failed:
        raise UserError(
            f"{len(failed)} task{'s' if len(failed) > 1 else ''} of {str(folder)!r} failed to build "
            f"({', '.join(failed)}): build them again, or publish the others with --allow_failed"
        )
    return failed


def _build_report(folder: Path) -> dict[str, Any]:
    path = folder / REPORT
    if not path.is_file():
        raise UserError(f"folder {str(folder)!r} is not a built suite (it has no {REPORT}): build one, or name one")
    report = read_json(path, "build the suite again")
    check_shape(report, _BUILD_REPORT, str(path))
    if "suite" not in report["versions"]:
        raise UserError(f"suite {str(folder)!r} has no version: build it again; tasks that have not changed are kept")
    for name, record in report["tasks"].items():
        if has_rows(record):
            check_shape(record, _BUILT, str(path), f"tasks.{name}")
        if has_rows(record) and recorded_task(name, record).version != record["version"]:
            raise UserError(
                f"task {name!r} of {str(folder)!r} has version {record['version']}, this checkout knows "
                f"{recorded_task(name, record).version}: build the suite again"
            )
    return report


def _why_not(spec: TaskSpec, include_unlicensed: bool) -> str | None:
    """Why a task is left out, in a line; None if it is not."""
    source = spec.source
    if source.redistributable == "yes" or (source.redistributable == "unknown" and include_unlicensed):
        return None
    why = "forbids redistribution" if source.redistributable == "no" else "does not say whether it may be redistributed"
    more = "" if source.redistributable == "no" else "; --include_unlicensed would publish it"
    return f"left out: {spec.name} (source {source.name!r}, licence {source.license!r}, {why}{more})"


def _checked_shards(folder: Path, task: str, record: Record, names: list[str]) -> list[LocalFile]:
    """The Parquet files of a task, each as the build wrote it.

    Raises:
        UserError: One is missing, or was changed since, or there are too many.
    """
    found = {name: match for name in names if (match := _SHARD.fullmatch(name)) and match["task"] == task}
    counts = {int(match["count"]) for match in found.values()}
    if counts != {len(found)}:
        raise UserError(
            f"task {task!r} of the suite has {len(found)} Parquet files of {counts or 'none'}: build it again"
        )
    if "files" not in record:
        raise UserError(f"task {task!r} of the suite has no checksums in {REPORT}: build it again, in a new folder")
    listed = {f"{task}/{name}": entry for name, entry in record["files"].items()}
    if listed.keys() != found.keys():
        raise UserError(
            f"task {task!r} of the suite has other files than {REPORT} lists: build it again, in a new folder"
        )
    files = [LocalFile(name, folder / name) for name in found]
    for file in files:
        _check_shard(file, listed[file.name])
    if sum(entry["rows"] for entry in listed.values()) != record["rows"]:
        raise UserError(f"the files of task {task!r} do not have the {record['rows']} rows of {REPORT}: build it again")
    return files


def _check_shard(file: LocalFile, listed: Record) -> None:
    """See that a Parquet file is the one that the build wrote."""
    if not file.size:
        raise UserError(f"file {file.name!r} of the suite is empty: build its task again, in a new folder")
    if file.size != listed["bytes"] or file.sha256 != listed["sha256"]:
        raise UserError(
            f"file {file.name!r} of the suite was changed after the build: build its task again, in a new folder"
        )
    with open_parquet(file) as table:
        rows = table.metadata.num_rows
    if rows != listed["rows"]:
        raise UserError(
            f"file {file.name!r} of the suite has {rows} rows, {REPORT} says {listed['rows']}: build it again"
        )


def _personal(published: Mapping[str, Record]) -> Iterator[str]:
    """A line for each kind of cell that looks like data on people."""
    for name, record in published.items():
        for what, cells in record.get("personal", {}).items():
            where = record.get("first", {}).get(what, "")
            yield f"MIND: task {name!r} has {cells} x {what} (first: {where}): make sure that it may be published"


def _other_files(names: list[str], built: dict[str, Record], texts: Mapping[str, str]) -> list[str]:
    """A line for each file of the folder that is not part of the suite."""
    expected = {CARD, REPORT, REPOYAML_FILENAME, *texts}
    known = {
        name
        for name in names
        if name.startswith(f"{LICENCES}/") or ((match := _SHARD.fullmatch(name)) and match["task"] in built)
    }
    return [f"left out: {name} (not part of a suite)" for name in names if name not in expected | known]


def _our_tasks(remote: Remote) -> set[str]:
    """The tasks that a push of ours, this one or an earlier one, may have put on the Hub."""
    names = {spec.name for spec in all_tasks()}
    try:
        return names | set(json.loads(remote.texts.get(REPORT, "{}")).get("tasks", ()))
    except (ValueError, AttributeError):
        return names


def _owns(name: str, remote: Remote) -> bool:
    match = _SHARD.fullmatch(name)
    return match is not None and match["task"] in _our_tasks(remote)


def _task_of(name: str) -> str | None:
    match = _SHARD.fullmatch(name)
    return match["task"] if match else None


def _ours(remote: Remote) -> Ours:
    configs = _our_tasks(remote) | set(MIXTURES)

    def is_ours(entry: Mapping[str, Any]) -> bool:
        return entry.get("config_name") in configs

    return Ours(_KEYS, {"configs": is_ours, "dataset_info": is_ours, "tags": lambda tag: False})
