"""The rows to train on: training tasks of a built suite, each with its budget of rows, mixed at a temperature."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datasets import Dataset, concatenate_datasets

from dataset_builder.errors import UserError
from dataset_builder.seeding import generator
from spectrum.suite import TaskInfo, task_groups, task_infos, task_rows


@dataclass(frozen=True)
class Mixture:
    """What is trained on.

    Attributes:
        rows: Columns ``id`` and ``messages``.
        rows_per_task: How many rows there are of each task.
        groups: Names of the groups of tasks that are in it.
        group_of_row: For every row the index of its group.
    """

    rows: Dataset
    rows_per_task: dict[str, int]
    groups: tuple[str, ...]
    group_of_row: list[int]


def load_mixture(
    suite: str,
    tasks: Sequence[str],
    *,
    seed: int,
    total: int | None = None,
    temperature: float = 1.0,
    allow_held_out: bool = False,
) -> Mixture:
    """Rows of ``tasks``, each given as ``name`` or ``name=rows`` (so many, chosen at random with ``seed``).

    Args:
        suite: A built suite's folder, or a dataset on a Hub.
        tasks: The tasks; ``all`` is every training task of the suite.
        seed: Chooses the rows where a budget is smaller than the task.
        total: Rows of all tasks together, shared out by :func:`shares`; None takes all that the budgets allow.
        temperature: Of the shares; needs a total.
        allow_held_out: Train on held-out tasks too, when they are named.

    Raises:
        UserError: There is no such suite or task, a task is held out or empty, or a number is out of range.
    """
    if temperature <= 0 or (total is not None and total <= 0):
        raise UserError("--rows and --mixing_temperature are positive numbers: 1.0 mixes in proportion to the tasks")
    if temperature != 1 and total is None:
        raise UserError("--mixing_temperature needs --rows: so many rows in all, shared out over the tasks")
    infos = task_infos(suite, [entry.partition("=")[0] for entry in tasks])
    budgets = _budgets(suite, tasks, infos)
    held_out = {task for task in budgets if infos[task].held_out}
    if held_out and not allow_held_out:
        raise UserError(
            f"task {min(held_out)!r} is held out for evaluation: train on others, or force it with "
            "--allow_held_out true"
        )
    available = {task: _task(suite, task, budget, seed) for task, budget in budgets.items()}
    counts = {task: len(rows) for task, rows in available.items()}
    if total is not None:
        counts = shares(counts, total, temperature)
    group_of = task_groups(suite)
    names = {task: group_of.get(task, task) for task in counts if counts[task]}
    groups = tuple(sorted(set(names.values())))
    parts = [_draw(available[task], counts[task], seed, task) for task in names]
    group_of_row = [groups.index(name) for task, name in names.items() for _ in range(counts[task])]
    return Mixture(concatenate_datasets(parts), {task: counts[task] for task in names}, groups, group_of_row)


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


def _budgets(suite: str, tasks: Sequence[str], infos: Mapping[str, TaskInfo]) -> dict[str, int | None]:
    budgets: dict[str, int | None] = {}
    for entry in tasks:
        name, _, rows = entry.partition("=")
        if rows and not (rows.isdigit() and int(rows)):
            raise UserError(f"task {entry!r}: the budget after '=' is a number of rows, e.g. {name}=500")
        budgets[name] = int(rows) if rows else None
    if "all" in budgets:
        rest = budgets.pop("all")
        budgets = {task: rest for task, info in infos.items() if not info.held_out} | budgets
    if not budgets:
        raise UserError(f"suite {suite!r} has no training task: build some, e.g. with --tasks synthetic")
    return budgets


def _task(suite: str, task: str, budget: int | None, seed: int) -> Dataset:
    rows = task_rows(suite, task)
    if "n_outputs" not in rows.column_names:
        raise UserError(f"task {task!r} has no draws to train on: it is for evaluation only")
    rows = rows.select_columns(["id", "messages"])
    return _draw(rows, len(rows) if budget is None else min(budget, len(rows)), seed, task)


def _draw(rows: Dataset, count: int, seed: int, task: str) -> Dataset:
    if count == len(rows):
        return rows
    return rows.select(sorted(generator(seed, task).choice(len(rows), size=count, replace=False).tolist()))
