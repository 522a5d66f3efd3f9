"""Configurations of several tasks of a kind, so that one call loads a whole training mixture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import get_args

from dataset_builder.licences import commercial_use
from dataset_builder.task_spec import Group, Split, TaskSpec

TARGETS = "dist_train"
"""The mixture of rows with a target to train on: `distribution` tasks that are not held out."""

MIXTURES: dict[str, Callable[[TaskSpec], bool]] = {
    "train_mixture": lambda spec: spec.split == "train",
    "paper_train_mixture": lambda spec: spec.split == "train" and spec.origin == "paper",
    "heldout": lambda spec: spec.split == "test",
    "commercial_train_mixture": lambda spec: spec.split == "train" and commercial_use(spec.source) == "yes",
    "commercial_heldout": lambda spec: spec.split == "test" and commercial_use(spec.source) == "yes",
    TARGETS: lambda spec: spec.split == "train",
    **{group: lambda spec, group=group: spec.group == group for group in get_args(Group)},
}
"""Name of the configuration -> which tasks are in it: `icl` tasks, but `distribution` tasks in :data:`TARGETS`."""

DEFAULT = "train_mixture"
"""What `load_dataset` loads of a suite when no name is given, if the suite has it."""

_WHOLE = {"commercial_train_mixture": "train_mixture", "commercial_heldout": "heldout"}
"""Mixtures that are left out where they would equal the mixture they are part of."""


def mixtures(specs: Iterable[TaskSpec]) -> dict[str, dict[Split, list[TaskSpec]]]:
    """The mixtures of some tasks: name -> split -> its tasks, in order. Empty splits and mixtures are left out."""
    specs = list(specs)
    found: dict[str, dict[Split, list[TaskSpec]]] = {}
    for name, belongs in MIXTURES.items():
        kind = "distribution" if name == TARGETS else "icl"
        for spec in (spec for spec in specs if spec.kind == kind and belongs(spec)):
            found.setdefault(name, {}).setdefault(spec.split, []).append(spec)
    return {name: splits for name, splits in found.items() if splits != found.get(_WHOLE.get(name, ""))}
