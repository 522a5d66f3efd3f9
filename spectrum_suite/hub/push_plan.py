"""How a push is planned: what is published, what the Hub has -> one commit. Nothing here asks a Hub.

The list of what an earlier push made, the manifest, is kept in the repository itself: what is not on it is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Literal

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from tqdm import tqdm

from spectrum_suite.errors import UserError
from spectrum_suite.hub.card_merge import Ours, merge_card
from spectrum_suite.hub.local_files import LocalFile

CARD = "README.md"
MANIFEST = ".push_to_hub.json"

Action = Literal["add", "update", "replace", "keep", "delete"]
"""``update``: a file of an earlier push; ``replace``: one that somebody else put there, or changed."""

_OF_THE_HUB = {".gitattributes"}
_MERGED = {CARD, MANIFEST}
_NAMED = 5
"""So many files are named in a line, the others counted."""

_LARGEST_IN_GIT = 10 * 2**20
"""Bytes above which a Hub keeps a file elsewhere, so that git's id of it is never asked for."""


@dataclass(frozen=True)
class Repository:
    """A repository on a Hub.

    Attributes:
        id: ``<org>/<name>``.
        type: ``dataset``, ``space`` or ``model``.
    """

    id: str
    type: Literal["dataset", "space", "model"]

    def __str__(self) -> str:
        return f"{self.type} {self.id!r}"


@dataclass(frozen=True)
class Listed:
    """A file as it was published.

    Attributes:
        size: Bytes.
        sha256: Of the content.
        git_oid: Id of its git blob; None for a file that git does not hold.
    """

    size: int
    sha256: str
    git_oid: str | None

    @classmethod
    def of(cls, file: LocalFile) -> Listed:
        """How a file that is about to be published is listed."""
        return cls(file.size, file.sha256, file.git_oid if file.size <= _LARGEST_IN_GIT else None)


@dataclass(frozen=True)
class Manifest:
    """What a push made.

    Attributes:
        what: The kind of thing: a suite, a metric, ...
        card: SHA-256 of the card before it was merged with what people wrote.
        files: All other files, by their names.
    """

    what: str
    card: str
    files: Mapping[str, Listed]

    @classmethod
    def of(cls, what: str, card: str, files: Iterable[LocalFile]) -> Manifest:
        """The manifest of what is about to be published."""
        return cls(what, sha256(card.encode()).hexdigest(), {file.name: Listed.of(file) for file in files})

    @classmethod
    def read(cls, text: str | None, repository: Repository) -> Manifest | None:
        """The manifest in a repository; None where there is none.

        Raises:
            UserError: It cannot be read.
        """
        if text is None:
            return None
        try:
            found = json.loads(text)
            files = {
                str(name): Listed(int(entry["size"]), str(entry["sha256"]), entry["git_oid"])
                for name, entry in found["files"].items()
            }
            return cls(str(found["what"]), str(found["card"]), files)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"file {MANIFEST!r} in {repository}, the list of what an earlier push made, cannot be read: restore it "
                "from the repository's history, or delete it and give --overwrite"
            ) from error

    def text(self) -> str:
        """As it is kept."""
        files = {name: asdict(listed) for name, listed in sorted(self.files.items())}
        content = {"made_by": "push_to_hub.py", "what": self.what, "card": self.card, "files": files}
        return json.dumps(content, indent=1) + "\n"


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

    def is_still(self, listed: Listed | None) -> bool:
        """Whether it is as an earlier push made it."""
        if listed is None or self.size != listed.size:
            return False
        return listed.git_oid == self.git_oid if self.sha256 is None else listed.sha256 == self.sha256


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
class Consent:
    """What a user agreed to lose.

    Attributes:
        overwrite: Files that no push of ours made, or that somebody changed since.
        remove_tasks: Tasks of a suite that are on the Hub and no longer in it.
    """

    overwrite: bool = False
    remove_tasks: bool = False


def _no_task(_name: str) -> str | None:
    return None


@dataclass(frozen=True)
class Publication:
    """What is published of a thing.

    Attributes:
        repository: Where.
        card: The rendered card.
        files: All other files.
        ours: What of the card's metadata is ours, given what is on the Hub.
        owns: Whether a file on the Hub is of the kind that we publish, and so goes when a repository that nobody made
            with a push of ours is overwritten. In one of ours, the list of what was published decides.
        message: The summary of the commit.
        kind: What it is: the script of :mod:`spectrum_suite.hub.clean_cache` that verifies it.
        expected: What that script must find in it.
        reads: Further files on the Hub that ``ours`` and ``owns`` depend on.
        tag: The version to mark, if it has one.
        notes: What the user should know, a line each.
        depends_on: Models that must be on the Hub for this one to load.
        task_of: The task that a file holds rows of, if it does.
    """

    repository: Repository
    card: str
    files: tuple[LocalFile, ...]
    ours: Callable[[Remote], Ours]
    owns: Callable[[str, Remote], bool]
    message: str
    kind: str
    expected: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    tag: str | None = None
    notes: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    task_of: Callable[[str], str | None] = _no_task


@dataclass(frozen=True)
class Change:
    """What happens to one file."""

    action: Action
    name: str
    size: int
    file: LocalFile | None = None

    def __str__(self) -> str:
        return f"{self.action:7} {self.size:>14,}  {self.name}"


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

    @property
    def losses(self) -> list[Change]:
        """What is on the Hub and will not be there any more."""
        return [change for change in self.changes if change.action in ("delete", "replace")]

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


def make_plan(publication: Publication, remote: Remote, consent: Consent | None = None) -> Plan:
    """Compare what is to be published with what is there.

    Raises:
        UserError: The card on the Hub cannot be merged with ours, or more would be lost than was agreed to.
    """
    consent = consent or Consent()
    card = merge_card(publication.card, remote.texts.get(CARD), publication.ours(remote))
    made = Manifest.of(publication.kind, publication.card, publication.files)
    texts = (LocalFile(CARD, card.encode()), LocalFile(MANIFEST, made.text().encode()))
    wanted = {file.name: file for file in (*publication.files, *texts)}
    before = _manifest(publication, remote, consent)
    files = tqdm(wanted.values(), desc="comparing", unit="file", leave=False, disable=None)
    changes = [_change(file, remote.files.get(file.name), before) for file in files]
    changes += [
        Change("delete", name, there.size)
        for name, there in remote.files.items()
        if name not in {*wanted, *_OF_THE_HUB} and (name in before.files if before else publication.owns(name, remote))
    ]
    plan = Plan(tuple(sorted(changes, key=lambda change: change.name)))
    _check_losses(plan, publication, remote, before, consent)
    return plan


def _change(file: LocalFile, there: RemoteFile | None, before: Manifest | None) -> Change:
    if there is None:
        action: Action = "add"
    elif there.holds(file):
        action = "keep"
    elif file.name in _MERGED or (before and there.is_still(before.files.get(file.name))):
        action = "update"
    else:
        action = "replace"
    return Change(action, file.name, file.size, file)


def _manifest(publication: Publication, remote: Remote, consent: Consent) -> Manifest | None:
    """What an earlier push says that it made."""
    try:
        return Manifest.read(remote.texts.get(MANIFEST), publication.repository)
    except UserError:
        if not consent.overwrite:
            raise
        return None


def _check_losses(
    plan: Plan, publication: Publication, remote: Remote, before: Manifest | None, consent: Consent
) -> None:
    """Refuse what would be lost against the user's will."""
    what, there = publication.kind, publication.repository
    kept = {publication.task_of(file.name) for file in publication.files}
    lost = {publication.task_of(name) for name in plan.names("delete")} - kept - {None}
    if lost and not consent.remove_tasks:
        raise UserError(
            f"{there} has {len(lost)} tasks that this suite does not have ({_some(lost)}): build them too, or give "
            "--remove_tasks to have them removed"
        )
    if consent.overwrite:
        return
    others = remote.files.keys() - _OF_THE_HUB - _MERGED
    if before is None and others:
        raise UserError(
            f"{there} holds {len(others)} files that no push of ours made ({_some(others)}): give another --repo_id, "
            f"or --overwrite, which {_would(plan)}"
        )
    if before and before.what != what:
        raise UserError(
            f"{there} holds a {before.what}, not a {what}: give another --repo_id, or --overwrite, which {_would(plan)}"
        )
    changed = [
        change.name
        for change in plan.losses
        if change.action == "replace" or not remote.files[change.name].is_still(before.files.get(change.name))
    ]
    if before and changed:
        raise UserError(
            f"{len(changed)} files of {there} were changed or added since our last push ({_some(changed)}): save what "
            f"is in them, then give --overwrite, which {_would(plan)}"
        )


def _would(plan: Plan) -> str:
    """What would be lost."""
    said = [
        f"would {verb} {_some(names)}" for verb in ("delete", "replace") if (names := plan.names(verb))
    ]  # fmt: skip
    return " and ".join(said) or "would delete and replace nothing"


def _some(names: Iterable[str | None]) -> str:
    """The first of some names, and how many more there are."""
    known = sorted(filter(None, names))
    more = len(known) - _NAMED
    return ", ".join(known[:_NAMED]) + (f" and {more} more" if more > 0 else "")
