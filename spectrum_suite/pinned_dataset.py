"""A dataset that a user names, read at one commit where it comes from a Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import RemoteEntryNotFoundError

from spectrum_suite.content_key import content_key
from spectrum_suite.errors import UserError
from spectrum_suite.hub_errors import explained
from spectrum_suite.instruction_data import read_data
from spectrum_suite.suite import could_be_on_hub

_ADDRESS = re.compile(r"hf://datasets/(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?(?:/(?P<path>.+))?")
_IN_EVERY_REPOSITORY = ".gitattributes"


@dataclass(frozen=True)
class PinnedDataset:
    """Rows, and from where they are.

    Attributes:
        rows: Of one split.
        revision: The commit on a Hub; None for files on this machine.
        content: What changes with the rows: the commit, or a key of the files.
    """

    rows: Dataset
    revision: str | None
    content: str


def read_pinned(name: str, split: str, *, config: str | None = None, revision: str | None = None) -> PinnedDataset:
    """A split of a dataset.

    Args:
        name: An id on a Hub, ``hf://datasets/ORG/NAME/FILE``, or a file or folder on this machine.
        split: Of a dataset or folder, or a part of it as in ``test[:100]``; a file has ``train`` alone.
        config: The configuration, where there are several.
        revision: Branch, tag or commit on a Hub; by default the latest, or the one in the cache without a connection.

    Raises:
        UserError: There is no such dataset, configuration, split or revision, or it cannot be read.
    """
    path = None
    if name.startswith("hf://"):
        name, revision, path = _parts(name, revision)
    if path:
        local, commit = _download(name, path, revision)
        return PinnedDataset(read_data(local, split), commit, f"{commit} {path}")
    if Path(name).expanduser().exists() or not could_be_on_hub(name):
        return _on_this_machine(name, split, config, revision)
    commit = _commit(name, revision)
    return PinnedDataset(read_data(name, split, config=config, revision=commit), commit, commit)


def _parts(address: str, revision: str | None) -> tuple[str, str | None, str | None]:
    """The id of a dataset, its revision and the path of a file in it, of an address."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise UserError(f"dataset {address!r} is not an address of a dataset: give hf://datasets/ORG/NAME/FILE")
    if revision and found["revision"]:
        raise UserError(f"dataset {address!r} names a revision: leave --dataset_revision out")
    return found["repo"], revision or found["revision"], found["path"]


def _on_this_machine(name: str, split: str, config: str | None, revision: str | None) -> PinnedDataset:
    if revision:
        raise UserError(f"--dataset_revision is for a dataset on a Hub, which {name!r} is not: leave it out")
    rows = read_data(name, split, config=config)
    path = Path(name).expanduser()
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return PinnedDataset(rows, None, content_key(files)["description"])


def _download(name: str, path: str, revision: str | None) -> tuple[str, str]:
    """The path of a file of a dataset on this machine, and its commit; from the cache where there is no connection."""
    with explained("dataset", name, revision, "--dataset_revision"):
        local = hf_hub_download(name, path, repo_type="dataset", revision=revision)
    steps = Path(local).parts
    return local, steps[steps.index("snapshots") + 1]


def _commit(name: str, revision: str | None) -> str:
    """The commit of a dataset; from the cache where there is no connection."""
    try:
        return _download(name, _IN_EVERY_REPOSITORY, revision)[1]
    except UserError as error:
        if not isinstance(error.__cause__, RemoteEntryNotFoundError):
            raise
    with explained("dataset", name, revision, "--dataset_revision"):
        return HfApi().dataset_info(name, revision=revision).sha
