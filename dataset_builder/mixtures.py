"""Configurations that stand for several `icl` tasks, so that one call loads a whole training mixture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import get_args

from dataset_builder.task_spec import Group, Split, TaskSpec

MIXTURES: dict[str, Callable[[TaskSpec], bool]] = {
    "train_mixture": lambda spec: spec.split == "train",
    "paper_train_mixture": lambda spec: spec.split == "train" and spec.origin == "paper",
    "heldout": lambda spec: spec.split == "test",
    **{group: lambda spec, group=group: spec.group == group for group in get_args(Group)},
}
"""Name of the configuration -> which `icl` tasks are in it."""


def mixtures(specs: Iterable[TaskSpec]) -> dict[str, dict[Split, list[TaskSpec]]]:
    """The mixtures of some tasks: name -> split -> its tasks, in order. Empty splits and mixtures are left out."""
    icl = [spec for spec in specs if spec.kind == "icl"]
    found: dict[str, dict[Split, list[TaskSpec]]] = {}
    for name, belongs in MIXTURES.items():
        for spec in filter(belongs, icl):
            found.setdefault(name, {}).setdefault(spec.split, []).append(spec)
    return found
