"""Collects the tasks of every source in `dataset_builder.sources` and finds them by name."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

from dataset_builder import sources
from dataset_builder.task_spec import TaskSpec
from spectrum_suite.errors import UserError, did_you_mean

WORDS = {
    "all": lambda spec: True,
    "synthetic": lambda spec: not spec.source.files,
    "paper": lambda spec: spec.origin == "paper",
    "ours": lambda spec: spec.origin == "ours",
}
"""Words for groups of tasks, and which tasks they select; `synthetic` tasks need no raw file."""


@functools.cache
def all_tasks() -> tuple[TaskSpec, ...]:
    """Every task of the suite, sorted by name."""
    modules = pkgutil.iter_modules(sources.__path__, f"{sources.__name__}.")
    return collect(importlib.import_module(module.name) for module in modules if not module.ispkg)


def collect(modules: Iterable[ModuleType]) -> tuple[TaskSpec, ...]:
    """The tasks in the ``TASKS`` of the modules, sorted by name.

    Raises:
        UserError: Two modules have a task of the same name, or one has none.
    """
    found: dict[str, tuple[TaskSpec, str]] = {}
    for module in modules:
        if not getattr(module, "TASKS", ()):
            raise UserError(
                f"source {module.__name__!r} has no TASKS: give it some, or move what several sources share to "
                "dataset_builder/sources/shared"
            )
        for spec in module.TASKS:
            if spec.name in found:
                raise UserError(
                    f"task {spec.name!r} is defined in {found[spec.name][1]} and again in {module.__name__}: rename one"
                )
            found[spec.name] = spec, module.__name__
    return tuple(found[name][0] for name in sorted(found))


def get_task(name: str) -> TaskSpec:
    """The task of that name.

    Raises:
        UserError: There is none; the message has the closest name.
    """
    return select_tasks([name], words=False)[0]


def select_tasks(names: Iterable[str], *, words: bool = True) -> tuple[TaskSpec, ...]:
    """The selected tasks, sorted by name, each once.

    Args:
        names: Names of tasks, and the words in :data:`WORDS`.
        words: Whether those words are allowed.

    Raises:
        UserError: A name is neither a task nor a word; the message has the closest one.
    """
    by_name = {spec.name: spec for spec in all_tasks()}
    selected: set[str] = set()
    for name in names:
        if words and name in WORDS:
            selected.update(task for task, spec in by_name.items() if WORDS[name](spec))
        elif name in by_name:
            selected.add(name)
        else:
            known = [*by_name, *WORDS] if words else by_name
            raise UserError(
                f"task {name!r} not found{did_you_mean(name, known)}: "
                "list the tasks with 'python -m dataset_builder list'"
            )
    return tuple(by_name[name] for name in sorted(selected))
