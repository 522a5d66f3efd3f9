"""The rows of a suite's tasks, for tasks of inspect-ai."""

from __future__ import annotations

from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.suite import task_infos, task_rows
from spectrum_suite.suite_rows import check_ids, check_rows

_EVERY = "all"


def rows_of(suite: str, tasks: str, kind: str) -> dict[str, Dataset]:
    """Task -> its rows, for the tasks of a kind that are named.

    Args:
        suite: Folder of a suite, or its id on a Hub.
        tasks: Names with commas between them, or ``all``.
        kind: Of the tasks.

    Raises:
        UserError: There is no such suite or task, or it is of another kind.
    """
    asked = [name.strip() for name in tasks.split(",") if name.strip()]
    infos = task_infos(suite, asked)
    if other := [name for name in asked if name != _EVERY and infos[name].kind != kind]:
        raise UserError(f"task {other[0]!r} is of the kind {infos[other[0]].kind!r}: name tasks of the kind {kind!r}")
    found = {name: task_rows(suite, name) for name, info in infos.items() if info.kind == kind}
    if not found:
        raise UserError(f"suite {suite!r} has no task of the kind {kind!r}: build it with one")
    for name, rows in found.items():
        check_ids(rows, name)
        check_rows(rows, name, kind)
    return found
