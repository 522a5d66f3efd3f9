"""The rows to train on: training tasks of a built suite, each with its budget of rows."""

from __future__ import annotations

from collections.abc import Sequence

from datasets import (
    Dataset,
    concatenate_datasets,
    get_dataset_split_names,
    load_dataset,
)

from dataset_builder.errors import UserError, did_you_mean
from dataset_builder.seeding import generator
from spectrum.suite import suite_tasks


def load_mixture(suite: str, tasks: Sequence[str], *, seed: int) -> tuple[Dataset, dict[str, int]]:
    """Rows of ``tasks``, each given as ``name`` or ``name=rows`` (so many, chosen at random with ``seed``).

    Args:
        suite: A built suite's folder, or a dataset on a Hub.
        tasks: The tasks; ``all`` is every training task of the suite.
        seed: Chooses the rows where a budget is smaller than the task.

    Returns:
        The rows with columns ``id`` and ``messages``, and how many there are of each task.

    Raises:
        UserError: There is no such suite or task, a task is held out or empty, or a budget is no positive number.
    """
    budgets = _budgets(suite, tasks)
    parts = {task: _rows(suite, task, budget, seed) for task, budget in budgets.items()}
    return concatenate_datasets(list(parts.values())), {task: len(rows) for task, rows in parts.items()}


def _budgets(suite: str, tasks: Sequence[str]) -> dict[str, int | None]:
    known = suite_tasks(suite)
    budgets: dict[str, int | None] = {}
    for entry in tasks:
        name, _, rows = entry.partition("=")
        if rows and not (rows.isdigit() and int(rows)):
            raise UserError(f"task {entry!r}: the budget after '=' is a number of rows, e.g. {name}=500")
        if name != "all" and name not in known:
            raise UserError(f"no task {name!r} in suite {suite!r}{did_you_mean(name, known)}")
        budgets[name] = int(rows) if rows else None
    if "all" in budgets:
        rest = budgets.pop("all")
        budgets = {task: rest for task in known if _split(suite, task) == "train"} | budgets
    if not budgets:
        raise UserError(f"suite {suite!r} has no training task: build some, e.g. with --tasks synthetic")
    return budgets


def _split(suite: str, task: str) -> str:
    return get_dataset_split_names(suite, task)[0]


def _rows(suite: str, task: str, budget: int | None, seed: int) -> Dataset:
    if _split(suite, task) != "train":
        raise UserError(f"task {task!r} is held out for evaluation: train on others")
    rows = load_dataset(suite, task, split="train").select_columns(["id", "messages"])
    if budget is None or budget >= len(rows):
        return rows
    return rows.select(sorted(generator(seed, task).choice(len(rows), size=budget, replace=False).tolist()))
