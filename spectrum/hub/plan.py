"""What a push changes: local files and what the Hub has -> one commit. Nothing here asks a Hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from tqdm import tqdm

from spectrum.hub.answers import Repository
from spectrum.hub.card_merge import Ours, merge_card
from spectrum.hub.local_files import LocalFile

CARD = "README.md"

Action = Literal["add", "update", "keep", "delete"]


@dataclass(frozen=True)
class RemoteFile:
    """A file on the Hub.

    Attributes:
        size: Bytes.
        git_oid: Id of its git blob (of the pointer, for a large file).
        sha256: Of the content, for a large file (LFS or xet); None for a small one.
    """

    size: int
    git_oid: str
    sha256: str | None = None

    def holds(self, file: LocalFile) -> bool:
        """Whether the content is the same."""
        if self.size != file.size:
            return False
        return file.git_oid == self.git_oid if self.sha256 is None else file.sha256 == self.sha256


@dataclass(frozen=True)
class Remote:
    """What a repository holds at one commit.

    Attributes:
        commit: Its id; None where there is no repository yet.
        files: By their names.
        texts: The content of those that a plan depends on.
        private: Whether only some may see it.
        restricted: Whether only some may load it: it is private, or gated.
    """

    commit: str | None = None
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    private: bool = False
    restricted: bool = False


@dataclass(frozen=True)
class Publication:
    """What is published of a thing.

    Attributes:
        repository: Where.
        card: The rendered card.
        files: All other files.
        ours: What of the card's metadata is ours, given what is on the Hub.
        owns: Whether a file on the Hub is one that we published, and so goes when it is no longer among ``files``.
        message: The summary of the commit.
        loads: How it is loaded back, and what there must be in it; see :mod:`spectrum.hub.load_back`.
        reads: Further files on the Hub that ``ours`` and ``owns`` depend on.
        tag: The version to mark, if it has one.
        notes: What the user should know, a line each.
        depends_on: Models that must be on the Hub for this one to load.
    """

    repository: Repository
    card: str
    files: tuple[LocalFile, ...]
    ours: Callable[[Remote], Ours]
    owns: Callable[[str, Remote], bool]
    message: str
    loads: tuple[str, ...]
    reads: tuple[str, ...] = ()
    tag: str | None = None
    notes: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """What happens to one file."""

    action: Action
    name: str
    size: int
    file: LocalFile | None = None

    def __str__(self) -> str:
        return f"{self.action:6} {self.size:>14,}  {self.name}"


@dataclass(frozen=True)
class Plan:
    """One commit: a change for each file that is ours, sorted by name."""

    changes: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the Hub has all of it already."""
        return not any(self._real())

    @property
    def upload_bytes(self) -> int:
        """Bytes of the files that are sent."""
        return sum(change.size for change in self._real() if change.file)

    def names(self, action: Action) -> list[str]:
        """The files to which that happens."""
        return [change.name for change in self.changes if change.action == action]

    def operations(self) -> list[CommitOperationAdd | CommitOperationDelete]:
        """What to commit."""
        return [
            change.file.operation() if change.file else CommitOperationDelete(path_in_repo=change.name)
            for change in self._real()
        ]

    def _real(self) -> Iterator[Change]:
        return (change for change in self.changes if change.action != "keep")


def make_plan(publication: Publication, remote: Remote) -> Plan:
    """Compare what is to be published with what is there.

    Raises:
        UserError: The card on the Hub cannot be merged with ours.
    """
    card = merge_card(publication.card, remote.texts.get(CARD), publication.ours(remote))
    wanted = {file.name: file for file in (*publication.files, LocalFile(CARD, card.encode()))}
    files = tqdm(wanted.values(), desc="comparing", unit="file", leave=False, disable=None)
    changes = [_change(file, remote.files.get(file.name)) for file in files]
    for name, there in remote.files.items():
        if name not in wanted and publication.owns(name, remote):
            changes.append(Change("delete", name, there.size))
    return Plan(tuple(sorted(changes, key=lambda change: change.name)))


def _change(file: LocalFile, there: RemoteFile | None) -> Change:
    if there is None:
        return Change("add", file.name, file.size, file)
    return Change("keep" if there.holds(file) else "update", file.name, file.size, file)
