"""A built suite, or one on a Hub, as tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import get_args

import yaml
from datasets import (
    Dataset,
    get_dataset_config_names,
    get_dataset_split_names,
    load_dataset,
    load_dataset_builder,
)
from datasets.config import REPOYAML_FILENAME
from datasets.exceptions import DatasetsError
from datasets.info import DatasetInfo, DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import validate_repo_id

from dataset_builder.mixtures import MIXTURES
from dataset_builder.suite_folder import REPORT as BUILD_REPORT
from dataset_builder.task_files.definition import SUFFIXES
from dataset_builder.task_spec import Group
from spectrum_suite.content_key import content_key
from spectrum_suite.errors import UserError, did_you_mean, first_line
from spectrum_suite.seeding import generator
from spectrum_suite.shipped import shipped

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


@lru_cache
def located(suite: str) -> str:
    """The folder of a suite, or its name on a Hub; the suite of a task file, or of a folder of them, is built first.

    Raises:
        UserError: A task file is wrong.
    """
    path = Path(shipped(suite)).expanduser()
    is_folder = path.is_dir() and not (path / "README.md").is_file()
    if path.suffix.lower() in SUFFIXES or (is_folder and any(each.suffix in SUFFIXES for each in path.iterdir())):
        from dataset_builder.cached_suite import cached_suite  # noqa: PLC0415 - with the packages of the builder

        return str(cached_suite(path))
    return suite


def suite_tasks(suite: str, asked: Iterable[str] = ()) -> list[str]:
    """The tasks of a suite; raises a UserError where it is not a suite, or lacks one that was asked for."""
    local = Path(located(suite)).expanduser()
    if not local.exists() and not could_be_on_hub(suite):
        raise UserError(f"suite folder {suite!r} not found: build it with 'python -m dataset_builder build'")
    if local.is_dir() and not (local / "README.md").is_file():
        raise UserError(f"suite folder {suite!r} is empty: build it with 'python -m dataset_builder build'")
    try:
        names = _configurations(suite)
    except (DatasetsError, OSError, ValueError, yaml.YAMLError) as error:  # not found, no connection, a damaged card
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"suite {suite!r} cannot be read: {reason}; check its name, or the connection") from error
    known = sorted(name for name in names if name not in MIXTURES)  # a card need not list them in this order
    for task in asked:
        if task not in known:
            raise UserError(
                f"no task {task!r} in suite {suite!r}{did_you_mean(task, known)}: there are {', '.join(known)}"
            )
    return known


def could_be_on_hub(name: str) -> bool:
    """Whether a name may be the id of a repository, ``<org>/<name>``: a path such as ``../suite`` is not."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return name.count("/") == 1


def task_groups(suite: str) -> dict[str, str]:
    """Task -> its group, as the suite's mixtures have it; a task of no mixture is not in it."""
    known = _configurations(suite)
    groups: dict[str, str] = {}
    for group in get_args(Group):
        if group in known:
            groups |= {Path(path).parent.name: group for paths in _data_files(suite, group).values() for path in paths}
    return groups


def mixture_tasks(suite: str, name: str) -> list[str]:
    """The tasks of a mixture of the suite, in order; none where the suite has no mixture of that name."""
    if name not in MIXTURES or name not in _configurations(suite):
        return []
    paths = (path for paths in _data_files(suite, name).values() for path in paths)
    return list(dict.fromkeys(Path(path).parent.name for path in paths))


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


def task_versions(suite: str) -> dict[str, str]:
    """Task -> its version, as the build report of a suite on this machine has it; nothing where there is none."""
    path = Path(located(suite)).expanduser() / BUILD_REPORT
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))["tasks"]
        return {task: record["version"] for task, record in tasks.items() if record.get("version")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # of another maker, or without a report
        return {}


def task_rows(suite: str, task: str) -> Dataset:
    """The rows of a task, of whatever kind and split; raises a UserError when there are none that can be read."""
    card = _local_card(suite)
    with _readable(suite, task):
        if card and (tables := card.tables(task)):
            split, paths = tables
            rows = Dataset.from_parquet(paths, split=split, **content_key(paths))
        else:
            rows = next(
                iter(load_dataset(located(suite), task).values())
            )  # asking for the only split by its name takes as long again
    if not len(rows):
        raise UserError(f"task {task!r} of suite {suite!r} is empty: build it again")
    return rows


@contextmanager
def _readable(suite: str, task: str) -> Iterator[None]:
    """Say on one line that a task cannot be read, and why."""
    try:
        yield
    except UserError:
        raise
    except (DatasetsError, OSError, ValueError, TypeError, LookupError, NotImplementedError) as error:
        reason = first_line(error.__cause__ or error)
        raise UserError(
            f"task {task!r} of suite {suite!r} cannot be read: {reason}; check its files, or build it again"
        ) from error


def draw_rows(rows: Dataset, task: str, *, limit: int | None, seed: int) -> Dataset:
    """``rows`` in order, or ``limit`` of them drawn at random.

    The draw depends on the seed, the task and the number of rows alone, so every model sees the same ones; those of a
    smaller limit are among those of a larger one.
    """
    if limit is None or limit >= len(rows):
        return rows
    return rows.select(sorted(generator(seed, task).permutation(len(rows))[:limit].tolist()))


@dataclass(frozen=True)
class _LocalCard:
    """The card of a suite on this machine.

    Attributes:
        folder: The suite's.
        configurations: Name of a task or mixture -> split -> patterns of its files.
        infos: Task -> what the card says of it.
    """

    folder: Path
    configurations: Mapping[str, Mapping[str, Sequence[str]]]
    infos: Mapping[str, DatasetInfo]

    def tables(self, task: str) -> tuple[str, list[str]] | None:
        """The split of a task and the paths of its Parquet files; None where the card does not lead to such."""
        for split, patterns in self.configurations.get(task, {}).items():  # of a task there is one
            paths = sorted(str(path) for pattern in patterns for path in self.folder.glob(pattern))
            if paths and all(path.endswith(".parquet") for path in paths):
                return split, paths
        return None


def _local_card(suite: str) -> _LocalCard | None:
    """The card of a suite on this machine, None for one on a Hub or without a card.

    `datasets` parses the card whenever it loads a task, which for 120 tasks takes a second each time; this parses it
    when it has changed.
    """
    path = Path(located(suite)).expanduser() / "README.md"
    if not path.is_file():
        return None
    files = [path, *(more for more in [path.with_name(REPOYAML_FILENAME)] if more.is_file())]
    return _parsed_card(path, tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files))


@lru_cache(maxsize=4)
def _parsed_card(path: Path, changed: tuple[tuple[int, int], ...]) -> _LocalCard:
    data = DatasetCard.load(path, ignore_metadata_errors=True).data
    more = path.with_name(REPOYAML_FILENAME)
    _update(data, more.read_text(encoding="utf-8") if more.is_file() else "")
    configurations = {
        name: _patterns(configuration.get("data_files"))
        for name, configuration in MetadataConfigs.from_dataset_card_data(data).items()
    }
    return _LocalCard(path.parent, configurations, DatasetInfosDict.from_dataset_card_data(data))


def _update(data: DatasetCardData, text: str) -> None:
    """What a suite says of all its configurations where its card lists some of them only, as `datasets` reads it."""
    for key, value in (yaml.load(text, yaml.CSafeLoader) or {}).items():
        data[key] = value


def _patterns(data_files: object) -> dict[str, list[str]]:
    """Split -> patterns, from a card as the builder writes it; empty where one is written otherwise."""
    patterns: dict[str, list[str]] = {}
    for entry in data_files if isinstance(data_files, list) else ():
        match entry:
            case {"split": str(split), "path": str(path)}:
                patterns[split] = [path]
            case {"split": str(split), "path": [*paths]}:
                patterns[split] = paths
            case _:
                return {}
    return patterns


def _configurations(suite: str) -> list[str]:
    """The names of a suite's tasks and mixtures."""
    card = _local_card(suite)
    return list(card.configurations) if card and card.configurations else get_dataset_config_names(located(suite))


def _data_files(suite: str, configuration: str) -> Mapping[str, Sequence[str]]:
    """Split -> the files of a task or mixture, or patterns for them."""
    card = _local_card(suite)
    if card and (patterns := card.configurations.get(configuration)):
        return patterns
    return load_dataset_builder(located(suite), configuration).config.data_files


def _infos_on_card(suite: str) -> Mapping[str, DatasetInfo]:
    """What the card holds of the tasks, at one look; a card need not hold anything."""
    if card := _local_card(suite):
        return card.infos
    try:
        data = DatasetCard.load(suite).data
        with suppress(EntryNotFoundError, LocalEntryNotFoundError):
            path = hf_hub_download(suite, REPOYAML_FILENAME, repo_type="dataset")
            _update(data, Path(path).read_text(encoding="utf-8"))
        return DatasetInfosDict.from_dataset_card_data(data)
    except (HfHubHTTPError, LocalEntryNotFoundError):  # no card, or offline and only the tables in the cache
        return {}


def _task_info(suite: str, task: str, info: DatasetInfo | None) -> TaskInfo:
    """From the card, or from the files where the card is silent."""
    with _readable(suite, task):
        split = next(iter((info and info.splits) or get_dataset_split_names(located(suite), task)))
    features = (info and info.features) or task_rows(suite, task).features
    for kind, columns in KIND_COLUMNS.items():
        if columns <= set(features):
            return TaskInfo(kind, held_out=split == "test")
    raise UserError(f"task {task!r} of suite {suite!r} has columns of no known kind: {', '.join(features)}")
