"""Repositories of the loopback Hub: files on disk, and commits, branches, tags and pull requests that point at them."""

import base64
import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

PIECE = 1 << 20  # bytes moved at a time
COMMIT_ID = re.compile(r"[0-9a-f]{7,40}")
BAD_NAMES = {"", ".", "..", ".git"}

GIT_ATTRIBUTES = "".join(
    f"{pattern} filter=lfs diff=lfs merge=lfs -text\n"
    for pattern in (
        "*.7z", "*.arrow", "*.bin", "*.bz2", "*.ckpt", "*.gz", "*.h5", "*.joblib", "*.lz4", "*.model", "*.npy", "*.npz",
        "*.onnx", "*.parquet", "*.pickle", "*.pkl", "*.pt", "*.pth", "*.rar", "*.safetensors", "*.tar", "*.tgz",
        "*.xz", "*.zip", "*.zst", "*tfevents*", "*.mp3", "*.wav", "*.mp4",
    )
)  # fmt: skip
"""What every new repository has in ``.gitattributes``: which files are kept by LFS."""


class HubError(Exception):
    """An answer that refuses: a status, what the client reads in the headers, and what else the body holds."""

    def __init__(self, status: int, message: str, code: str | None = None, **body: object):
        super().__init__(message)
        self.status, self.message, self.code, self.body = status, message, code, body


@dataclass(frozen=True)
class Entry:
    """One file of a commit."""

    blob: str
    """Git's id of the content; of the pointer for a file kept by LFS."""
    size: int
    sha256: str | None = None
    """Of the content, for a file kept by LFS."""

    @property
    def etag(self) -> str:
        """What names the content in a cache."""
        return self.sha256 or self.blob


@dataclass(frozen=True)
class Commit:
    """A state of all files, and how it came to be."""

    id: str
    parent: str | None
    files: dict[str, Entry]
    title: str
    description: str
    author: str
    date: datetime


@dataclass
class PullRequest:
    """A branch that asks to be merged into main."""

    number: int
    title: str
    author: str
    base: str
    opened: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: str = "open"
    merged_as: str | None = None

    @property
    def ref(self) -> str:
        """Where its commits are."""
        return f"refs/pr/{self.number}"


Change = Callable[[dict[str, Entry]], None]
"""One operation of a commit, done to the files of its parent."""


def put(path: str, entry: Entry) -> Change:
    """Add or replace a file."""
    check_path(path)
    return lambda files: files.update({path: entry})


def delete(path: str, *, folder: bool = False) -> Change:
    """Remove a file, or all files below a folder."""

    def change(files: dict[str, Entry]) -> None:
        gone = [name for name in files if (name.startswith(path.rstrip("/") + "/") if folder else name == path)]
        if not gone:
            what = "folder" if folder else "file"
            raise HubError(404, f"A {what} with this name doesn't exist: {path}", "EntryNotFound")
        for name in gone:
            del files[name]

    return change


def check_path(path: str) -> None:
    """Refuse a name that no git tree can hold, or that would lead out of it."""
    if BAD_NAMES & set(path.split("/")) or "\\" in path:
        raise HubError(400, f"Invalid path: {path}")


def git_blob_id(pieces: Iterable[bytes], size: int) -> str:
    """The id that git gives a content."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """The text that git holds in place of a file kept by LFS."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def lfs_entry(sha256: str, size: int) -> Entry:
    """The entry of a file kept by LFS."""
    pointer = lfs_pointer(sha256, size)
    return Entry(git_blob_id([pointer], len(pointer)), size, sha256)


def tree_ids(files: dict[str, Entry]) -> dict[str, str]:
    """{folder: git's id of its tree}; the whole is at ``""``."""
    children: dict[str, list[tuple[str, bytes]]] = {"": []}
    for path, entry in files.items():
        *folders, name = path.split("/")
        for depth in range(1, len(folders) + 1):
            children.setdefault("/".join(folders[:depth]), [])
        children["/".join(folders)].append((name, b"100644 %s\0" % name.encode() + bytes.fromhex(entry.blob)))
    ids = {}
    for folder in sorted(children, key=lambda name: (name.count("/"), name), reverse=True):
        if folder:
            continue_in, _, name = folder.rpartition("/")
            ids[folder] = _tree_id(children[folder])
            line = b"40000 %s\0" % name.encode() + bytes.fromhex(ids[folder])
            children[continue_in].append((name + "/", line))  # git sorts a folder as if it ended in a slash
    return ids | {"": _tree_id(children[""])}


def _tree_id(children: list[tuple[str, bytes]]) -> str:
    content = b"".join(line for _, line in sorted(children))
    return hashlib.sha1(b"tree %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def pieces_of(path: Path, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """A file's bytes from ``start``, some at a time."""
    left = path.stat().st_size - start if length is None else length
    with path.open("rb") as file:
        file.seek(start)
        while left > 0 and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece


class Objects:
    """Contents on disk, each under its id; a file is there whole or not at all."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)

    def path(self, entry: Entry) -> Path:
        """Where the content of an entry lies."""
        return self.lfs_path(entry.sha256) if entry.sha256 else self.folder / entry.blob

    def lfs_path(self, sha256: str) -> Path:
        """Where a content kept by LFS lies, or would."""
        return self.folder / f"lfs-{sha256}"

    def part_path(self, sha256: str, number: int) -> Path:
        """Where a part of a content lies until all are there."""
        return self.folder / f"part-{sha256}-{number}"

    def write(self, path: Path, pieces: Iterable[bytes], *, sha256: str | None = None) -> str:
        """Write a file whole and return its sha256.

        Raises:
            HubError: The content is not the one that ``sha256`` names.
        """
        digest = hashlib.sha256()
        unfinished = self.folder / f"unfinished-{secrets.token_hex(8)}"
        try:
            with unfinished.open("wb") as file:
                for piece in pieces:
                    digest.update(piece)
                    file.write(piece)
            if sha256 not in (None, digest.hexdigest()):
                raise HubError(400, f"The content has sha256 {digest.hexdigest()}, not {sha256}")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return digest.hexdigest()

    def add(self, content: bytes) -> Entry:
        """Keep a small file's content."""
        entry = Entry(git_blob_id([content], len(content)), len(content))
        if not self.path(entry).exists():
            self.write(self.path(entry), [content])
        return entry

    def join_parts(self, sha256: str, count: int) -> None:
        """Make a content from its parts, and forget them."""
        parts = [self.part_path(sha256, number) for number in range(1, count + 1)]
        if missing := [number for number, part in enumerate(parts, start=1) if not part.exists()]:
            raise HubError(400, f"Part {missing[0]} of {count} was not uploaded")
        self.write(self.lfs_path(sha256), (piece for part in parts for piece in pieces_of(part)), sha256=sha256)
        for part in parts:
            part.unlink(missing_ok=True)


@dataclass
class Repository:
    """A model, dataset or Space. Commits are made one at a time; readers see a commit whole."""

    kind: str
    name: str
    folder: Path
    author: str
    private: bool = False
    gated: bool = False
    sdk: str | None = None
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    pull_requests: list[PullRequest] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self):
        self.objects = Objects(self.folder)
        attributes = self.objects.add(GIT_ATTRIBUTES.encode())
        first = self._record(None, {".gitattributes": attributes}, "initial commit", "", "system")
        self.refs["refs/heads/main"] = first.id

    def commit_of(self, revision: str) -> Commit:
        """The commit that a branch, a tag, a whole ref or a commit's id names."""
        for ref in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if ref in self.refs:
                return self.commits[self.refs[ref]]
        if COMMIT_ID.fullmatch(revision):
            for commit_id, commit in self.commits.items():
                if commit_id.startswith(revision):
                    return commit
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def history(self, commit: Commit) -> Iterator[Commit]:
        """A commit and those before it, newest first."""
        while True:
            yield commit
            if commit.parent is None:
                return
            commit = self.commits[commit.parent]

    def writable_ref(self, revision: str) -> str:
        """The branch or pull request that a revision names; nothing else can be committed to."""
        for ref in (f"refs/heads/{revision}", revision):
            if ref in self.refs and not ref.startswith("refs/tags/"):
                return ref
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def commit(
        self, revision: str, changes: list[Change], *, title: str, description: str, author: str, parent: str | None
    ) -> Commit:
        """Do all changes as one commit on a branch or pull request.

        Raises:
            HubError: The branch has moved on from ``parent``, or a change cannot be done. The branch is as before.
        """
        with self.lock:
            ref = self.writable_ref(revision)
            head = self._checked_head(self.refs[ref], parent)
            commit = self._record(head, _changed(head.files, changes), title, description, author)
            self.refs[ref] = commit.id
        return commit

    def open_pull_request(
        self, revision: str, changes: list[Change], *, title: str, description: str, author: str, parent: str | None
    ) -> tuple[PullRequest, Commit]:
        """Do all changes as one commit of a new pull request."""
        with self.lock:
            base = self.commits[parent] if parent in self.commits else self.commit_of(revision)
            commit = base
            if changes:
                commit = self._record(base, _changed(base.files, changes), title, description, author)
            request = PullRequest(len(self.pull_requests) + 1, title, author, base.id)
            self.pull_requests.append(request)
            self.refs[request.ref] = commit.id
        return request, commit

    def merge(self, request: PullRequest, author: str) -> Commit:
        """Bring what a pull request changed to main."""
        with self.lock:
            base, head = self.commits[request.base].files, self.commits[self.refs[request.ref]].files
            main = self.commits[self.refs["refs/heads/main"]]
            touched = {path for path in base.keys() | head.keys() if base.get(path) != head.get(path)}
            if any(main.files.get(path) not in (base.get(path), head.get(path)) for path in touched):
                raise HubError(409, "This pull request has conflicts with main")
            files = {path: entry for path, entry in main.files.items() if path not in touched}
            files |= {path: head[path] for path in touched if path in head}
            title = f"{request.title} (#{request.number})"
            commit = self._record(main, files, title, "", author)
            self.refs["refs/heads/main"] = commit.id
            request.status, request.merged_as = "merged", commit.id
        return commit

    def set_ref(self, ref: str, commit: Commit) -> None:
        """Make a branch or tag."""
        with self.lock:
            if ref in self.refs:
                raise HubError(409, f"Reference already exists: {ref}")
            self.refs[ref] = commit.id

    def delete_ref(self, ref: str) -> None:
        """Remove a branch or tag."""
        with self.lock:
            if ref == "refs/heads/main":
                raise HubError(403, "Cannot delete the main branch")
            if self.refs.pop(ref, None) is None:
                raise HubError(404, f"Reference doesn't exist: {ref}", "RevisionNotFound")

    def content(self, path: str, revision: str = "main") -> bytes:
        """A file's bytes."""
        return self.objects.path(self.commit_of(revision).files[path]).read_bytes()

    def files(self, revision: str = "main") -> dict[str, Entry]:
        """The files of a revision."""
        return self.commit_of(revision).files

    def _checked_head(self, head: str, parent: str | None) -> Commit:
        if parent is not None and not head.startswith(parent):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        return self.commits[head]

    def _record(
        self, parent: Commit | None, files: dict[str, Entry], title: str, description: str, author: str
    ) -> Commit:
        date = datetime.now(UTC)
        parent_id = parent.id if parent else None
        parts = [tree_ids(files)[""], parent_id, title, description, author, date.isoformat(), len(self.commits)]
        commit_id = hashlib.sha1(repr(parts).encode(), usedforsecurity=False).hexdigest()
        self.commits[commit_id] = Commit(commit_id, parent_id, files, title, description, author, date)
        return self.commits[commit_id]


def _changed(files: dict[str, Entry], changes: list[Change]) -> dict[str, Entry]:
    """What the files are after all changes."""
    files = dict(files)
    for change in changes:
        change(files)
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    if both := folders & files.keys():
        raise HubError(400, f"Both a file and a folder: {min(both)}")
    return files


def decoded(content: str, encoding: str) -> bytes:
    """The bytes of a file that came in a commit."""
    return base64.b64decode(content) if encoding == "base64" else content.encode()
