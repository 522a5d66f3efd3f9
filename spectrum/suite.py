"""A built suite, or one on a Hub, as tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from datasets import (
    Dataset,
    get_dataset_config_names,
    get_dataset_split_names,
    load_dataset,
    load_dataset_builder,
)
from datasets.exceptions import DatasetsError
from datasets.info import DatasetInfo, DatasetInfosDict
from huggingface_hub import DatasetCard
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from dataset_builder.errors import UserError, did_you_mean
from dataset_builder.mixtures import MIXTURES
from dataset_builder.seeding import generator
from dataset_builder.task_spec import Group

KIND_COLUMNS = {
    "distribution": {"messages", "options", "probabilities"},
    "coverage": {"description", "examples", "validator", "valid_items", "max_new_tokens"},
    "icl": {"messages", "n_outputs"},
}
"""Kind of task -> the columns by which it is known."""


@dataclass(frozen=True)
class TaskInfo:
    """What a suite says of a task.

    Attributes:
        kind: ``icl``, ``distribution`` or ``coverage``.
        held_out: Whether it is held out as a whole.
    """

    kind: str
    held_out: bool


def suite_tasks(suite: str, asked: Iterable[str] = ()) -> list[str]:
    """The tasks of a suite; raises a UserError when it is no suite, or has not all that are asked for."""
    local = Path(suite).expanduser()
    if not local.exists() and not re.fullmatch(r"[\w.-]+/[\w.-]+", suite):
        raise UserError(f"suite folder {suite!r} not found: build it with 'python -m dataset_builder build'")
    if local.is_dir() and not (local / "README.md").is_file():
        raise UserError(f"suite folder {suite!r} is empty: build it with 'python -m dataset_builder build'")
    try:
        names = get_dataset_config_names(suite)
    except (DatasetsError, OSError) as error:  # not found, no permission, no connection
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"suite {suite!r} cannot be read: {reason}; check its name, or the connection") from error
    known = [name for name in names if name not in MIXTURES]
    for task in asked:
        if task not in known:
            raise UserError(
                f"no task {task!r} in suite {suite!r}{did_you_mean(task, known)}: there are {', '.join(known)}"
            )
    return known


def task_groups(suite: str) -> dict[str, str]:
    """Task -> its group, as the suite's mixtures have it; a task of no mixture is not in it."""
    known = get_dataset_config_names(suite)
    groups: dict[str, str] = {}
    for group in get_args(Group):
        if group in known:
            files = load_dataset_builder(suite, group).config.data_files
            groups |= {Path(path).parent.name: group for paths in files.values() for path in paths}
    return groups


def task_infos(suite: str, tasks: Sequence[str] = ("all",)) -> dict[str, TaskInfo]:
    """Task -> what it is, for ``tasks`` or for every task of the suite.

    Raises:
        UserError: There is no such suite or task.
    """
    known = suite_tasks(suite, (task for task in tasks if task != "all"))
    on_card = _infos_on_card(suite)
    return {
        task: _task_info(suite, task, on_card.get(task)) for task in (known if "all" in tasks else dict.fromkeys(tasks))
    }


def task_rows(suite: str, task: str) -> Dataset:
    """The rows of a task, of whatever kind and split; raises a UserError when there are none."""
    rows = next(iter(load_dataset(suite, task).values()))  # the only split: asking for its name reads the card again
    if not len(rows):
        raise UserError(f"task {task!r} of suite {suite!r} is empty: build it again")
    return rows


def draw_rows(rows: Dataset, task: str, *, limit: int | None, seed: int) -> Dataset:
    """``rows`` in order, or ``limit`` of them drawn at random.

    The draw depends on the seed, the task and the number of rows alone, so every model sees the same ones.
    """
    if limit is None or limit >= len(rows):
        return rows
    return rows.select(sorted(generator(seed, task).choice(len(rows), size=limit, replace=False).tolist()))


def _infos_on_card(suite: str) -> Mapping[str, DatasetInfo]:
    """What the card holds of the tasks, at one look; a card need not hold anything."""
    local = Path(suite).expanduser()
    try:
        card = DatasetCard.load(local / "README.md" if local.is_dir() else suite)
    except (HfHubHTTPError, LocalEntryNotFoundError):  # no card, or offline and only the tables in the cache
        return {}
    return DatasetInfosDict.from_dataset_card_data(card.data)


def _task_info(suite: str, task: str, info: DatasetInfo | None) -> TaskInfo:
    """From the card, or from the files where the card is silent."""
    split = next(iter((info and info.splits) or get_dataset_split_names(suite, task)))
    features = (info and info.features) or task_rows(suite, task).features
    for kind, columns in KIND_COLUMNS.items():
        if columns <= set(features):
            return TaskInfo(kind, held_out=split == "test")
    raise UserError(f"task {task!r} of suite {suite!r} has columns of no known kind: {', '.join(features)}")
