"""The rows to train on: training tasks of a built suite, each with its budget of rows, mixed at a temperature.

Rows are draws of processes (``icl`` tasks) or, where they are asked for, have a target (``distribution`` tasks).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from datasets import Dataset, concatenate_datasets

from spectrum_suite.errors import UserError
from spectrum_suite.seeding import generator
from spectrum_suite.suite import TaskInfo, mixture_tasks, task_groups, task_infos, task_rows
from spectrum_suite.training.targets import target_columns

DRAWS, TARGET = "icl", "distribution"
"""Kinds of tasks that can be trained on."""


@dataclass(frozen=True)
class Mixture:
    """What is trained on.

    Attributes:
        rows: Columns ``id`` and ``messages``; None where no row is of draws.
        targets: Rows with a target, with :data:`spectrum_suite.training.targets.TARGET_COLUMNS`; None without any.
        rows_per_task: How many rows there are of each task; the tasks with a target come last.
        groups: Names of the groups of tasks that are in it.
        group_of_row: For every row, those of draws first, the index of its group.
    """

    rows: Dataset | None
    rows_per_task: dict[str, int]
    groups: tuple[str, ...]
    group_of_row: list[int]
    targets: Dataset | None = None


def load_mixture(
    suite: str,
    tasks: Sequence[str],
    *,
    seed: int,
    total: int | None = None,
    temperature: float = 1.0,
    allow_held_out: bool = False,
    with_targets: bool = False,
) -> Mixture:
    """Rows of ``tasks``, each given as ``name`` or ``name=rows`` (so many, chosen at random with ``seed``).

    A mixture of the suite stands for its tasks; ``name=rows`` is then how many rows they have together.

    Args:
        suite: A built suite's folder, or a dataset on a Hub.
        tasks: The tasks; ``all`` is every training task of the suite.
        seed: Chooses the rows where a budget is smaller than the task.
        total: Rows of all tasks together, shared out by :func:`shares`; None takes all that the budgets allow.
        temperature: Of the shares; needs a total.
        allow_held_out: Train on held-out tasks too, when they are named.
        with_targets: Take rows with a target too; ``all`` is then every training task of both kinds.

    Raises:
        UserError: There is no such suite or task, a task is held out or empty, or a number is out of range.
    """
    if temperature <= 0 or (total is not None and total <= 0):
        raise UserError("--rows and --mixing_temperature are positive numbers: 1.0 mixes in proportion to the tasks")
    if temperature != 1 and total is None:
        raise UserError("--mixing_temperature needs --rows: so many rows in all, shared out over the tasks")
    kinds = (DRAWS, TARGET) if with_targets else (DRAWS,)
    tasks, shared = _expanded(suite, tasks)
    infos = task_infos(suite, [entry.partition("=")[0] for entry in tasks])
    budgets = _budgets(suite, tasks, infos, kinds)
    held_out = {task for task in budgets if infos[task].held_out}
    if held_out and not allow_held_out:
        raise UserError(
            f"task {min(held_out)!r} is held out for evaluation: train on others, or force it with "
            "--allow_held_out true"
        )
    for task in budgets:
        if infos[task].kind not in kinds:
            hint = "train on it with --objective distribution" if infos[task].kind == TARGET else "it is for evaluation"
            raise UserError(f"task {task!r} has no draws to train on: {hint}")
    ordered = sorted(budgets, key=lambda task: infos[task].kind == TARGET)  # stable: targets come last
    available = {task: _task(suite, task, infos[task].kind, budgets[task], seed) for task in ordered}
    counts = {task: len(rows) for task, rows in available.items()}
    for names, budget in shared:
        counts |= shares({task: counts[task] for task in names if task in counts}, budget, 1.0)
    if total is not None:
        counts = shares(counts, total, temperature)
    group_of = task_groups(suite)
    names = {task: group_of.get(task, task) for task in counts if counts[task]}
    groups = tuple(sorted(set(names.values())))
    parts = {task: _draw(available[task], counts[task], seed, task) for task in names}
    return Mixture(
        rows=_joined(parts[task] for task in names if infos[task].kind == DRAWS),
        targets=_joined(parts[task] for task in names if infos[task].kind == TARGET),
        rows_per_task={task: counts[task] for task in names},
        groups=groups,
        group_of_row=[groups.index(name) for task, name in names.items() for _ in range(counts[task])],
    )


def shares(available: Mapping[str, int], total: int, temperature: float) -> dict[str, int]:
    """How many rows each task gives: ``total`` in proportion to ``available ** (1 / temperature)``, none twice.

    At 1 tasks count by their rows, at infinity all alike. What a task does not have is shared out over the others.
    """
    weights = {task: (count ** (1 / temperature) if count else 0.0) for task, count in available.items()}
    given: dict[str, float] = {}
    left = float(min(total, sum(available.values())))
    while open_tasks := [task for task in available if task not in given]:
        unit = left / (math.fsum(weights[task] for task in open_tasks) or 1.0)
        full = [task for task in open_tasks if unit * weights[task] >= available[task]]
        given |= (
            {task: available[task] for task in full} if full else {task: unit * weights[task] for task in open_tasks}
        )
        left -= sum(available[task] for task in full)
    rounded = {task: math.floor(share + 1e-9) for task, share in given.items()}
    missing = round(sum(given.values())) - sum(rounded.values())
    for task in sorted(given, key=lambda task: rounded[task] - given[task])[:missing]:
        rounded[task] += 1
    return {task: rounded[task] for task in available}


def _expanded(suite: str, tasks: Sequence[str]) -> tuple[list[str], list[tuple[list[str], int]]]:
    """The entries with the tasks of mixtures in their places, and those that have a budget of rows together."""
    named = {entry.partition("=")[0] for entry in tasks}
    expanded: list[str] = []
    shared: list[tuple[list[str], int]] = []
    for entry in tasks:
        of_mixture = mixture_tasks(suite, entry.partition("=")[0])
        if not of_mixture:
            expanded.append(entry)
            continue
        own = [task for task in of_mixture if task not in named]  # one that is named goes by its own entry
        expanded += own
        if "=" in entry:
            shared.append((own, _number(entry)))
    return expanded, shared


def _number(entry: str) -> int:
    name, _, rows = entry.partition("=")
    if not (rows.isdigit() and int(rows)):
        raise UserError(f"task {entry!r}: the budget after '=' is a number of rows, e.g. {name}=500")
    return int(rows)


def _budgets(
    suite: str, tasks: Sequence[str], infos: Mapping[str, TaskInfo], kinds: Sequence[str]
) -> dict[str, int | None]:
    budgets = {entry.partition("=")[0]: _number(entry) if "=" in entry else None for entry in tasks}
    if "all" in budgets:
        rest = budgets.pop("all")
        budgets = {task: rest for task, info in infos.items() if not info.held_out and info.kind in kinds} | budgets
    if not budgets:
        raise UserError(f"suite {suite!r} has no training task: build some, e.g. with --tasks synthetic")
    return budgets


def _task(suite: str, task: str, kind: str, budget: int | None, seed: int) -> Dataset:
    rows = task_rows(suite, task)
    rows = rows.select_columns(["id", "messages"]) if kind == DRAWS else target_columns(rows)
    return _draw(rows, len(rows) if budget is None else min(budget, len(rows)), seed, task)


def _joined(parts: Iterable[Dataset]) -> Dataset | None:
    found = list(parts)
    return concatenate_datasets(found) if found else None


def _draw(rows: Dataset, count: int, seed: int, task: str) -> Dataset:
    if count == len(rows):
        return rows
    return rows.select(sorted(generator(seed, task).choice(len(rows), size=count, replace=False).tolist()))
