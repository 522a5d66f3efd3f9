"""Tasks that are not in the repository, as a build report describes them.

A suite can so be carried on, carded and published without the files in which they are defined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from dataset_builder.registry import all_tasks
from dataset_builder.suite_folder import Record
from dataset_builder.task_spec import Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.errors import UserError

DEFINITION = "definition"
"""Where the record of such a task has what it is."""

_OF_TASK = (
    "name", "kind", "split", "group", "summary", "process", "inputs", "outputs", "origin", "domain", "languages",
    "output_label", "verbatim", "version", "more_columns", "quirks",
)  # fmt: skip
_OF_SOURCE = tuple(field.name for field in fields(Source) if field.name not in ("files", "other_layouts", "root"))


def definition(spec: TaskSpec) -> dict[str, Any] | None:
    """What a record says of a task that is not in the repository; None of one that is."""
    if any(spec.name == known.name for known in all_tasks()):
        return None
    source = {name: getattr(spec.source, name) for name in _OF_SOURCE}
    source["files"] = [file.path for file in spec.source.files]
    return {name: getattr(spec, name) for name in _OF_TASK} | {"source": source}


def recorded_task(name: str, record: Record) -> TaskSpec:
    """A task of a build report: the repository's, or one as it is described there.

    Raises:
        UserError: It is neither in the repository nor described.
    """
    known = {spec.name: spec for spec in all_tasks()}
    if name in known:
        return known[name]
    described = record.get(DEFINITION)
    try:
        return _spec(described)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise UserError(
            f"task {name!r} of the suite is not one that this version has, and {DEFINITION!r} in its build report does "
            "not say what it is: build it again, in a new folder"
        ) from error


def _spec(described: Mapping[str, Any]) -> TaskSpec:
    source = dict(described["source"])
    files = tuple(SourceFile(str(path)) for path in source.pop("files"))
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in described.items()}
    return TaskSpec(
        **settings
        | {
            "source": Source(**_tuples(source), files=files),
            "sequences": Sequences("one") if described["kind"] == "icl" else None,
            "read": _not_here,
        }
    )


def _tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}


def _not_here(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    raise UserError("the task is known from a build report alone: give the file that it is defined in with --tasks")
