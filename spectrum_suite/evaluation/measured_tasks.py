"""Which tasks of a suite each desideratum is measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.choices import KINDS
from spectrum_suite.suite import task_infos


def tasks_of(suite: str, tasks: Sequence[str], desiderata: Sequence[str]) -> dict[str, list[str]]:
    """Desideratum -> the tasks of a suite that it is measured on.

    Raises:
        UserError: There is no such suite, task or desideratum, a task is of a kind that is not asked for, or
            none is left.
    """
    for name in desiderata:
        if name not in KINDS:
            raise UserError(f"no desideratum {name!r}: there are {', '.join(KINDS)}")
    infos = task_infos(suite, tasks)
    asked = {name: KINDS[name] for name in desiderata}
    everything = "all" in tasks
    kinds = {task: info.kind for task, info in infos.items() if not everything or info.held_out}
    for task, kind in kinds.items():
        if kind not in asked.values() and not everything:
            raise UserError(f"task {task!r} is of kind {kind!r}, but {_needs(asked)}")
    found = {name: [task for task, kind in kinds.items() if kind == wanted] for name, wanted in asked.items()}
    if not any(found.values()):
        raise UserError(
            f"suite {suite!r} has no task to measure, for {_needs(asked)}: build some with "
            "'python -m dataset_builder build --tasks synthetic'"
        )
    return found


def _needs(asked: Mapping[str, str]) -> str:
    return " and ".join(f"{name} needs {kind} tasks" for name, kind in asked.items())
