"""The files of a push on this side: what a folder holds, what must not leave it, and how contents are compared."""

from __future__ import annotations

import fnmatch
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from huggingface_hub import CommitOperationAdd

from spectrum_suite.errors import UserError

_SECRET_NAMES = (
    ".env", ".env.*", "*.env", ".netrc", "_netrc", ".git-credentials", ".npmrc", ".pypirc", ".htpasswd", "credentials",
    "credentials.*", "secret*", "token", ".token", "*.token", "token.*", "*_token", "*_token.*", "stored_tokens",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.p12", "*.pfx",
)  # fmt: skip
"""Files that hold passwords, keys or tokens, by their names in lower case."""

_ENVIRONMENT = "pyvenv.cfg"  # a folder with it is a virtual environment
_NOT_OURS = {"__pycache__", ".git", "node_modules", "venv", ".venv"}
_BLOCK = 2**20


@dataclass(frozen=True)
class LocalFile:
    """A file to publish: a path on this machine, or content made for the push.

    Attributes:
        name: Its path in the repository.
        source: Where the content is, or the content.

    Raises:
        UserError: The name would be outside the repository, or could not be checked out everywhere.
    """

    name: str
    source: Path | bytes

    def __post_init__(self) -> None:
        path = PurePosixPath(self.name)
        if path.is_absolute() or ".." in path.parts or str(path) != self.name:
            raise UserError(f"file name {self.name!r} leads out of the repository: rename the file")
        if "\\" in self.name or not self.name.isprintable():
            raise UserError(f"file name {self.name!r} has a backslash or an unprintable character: rename the file")

    @property
    def size(self) -> int:
        """Bytes."""
        if isinstance(self.source, bytes):
            return len(self.source)
        with self._readable():
            return self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content, in hexadecimal: the id of a large file on the Hub."""
        return self._digest(hashlib.sha256())

    @cached_property
    def git_oid(self) -> str:
        """SHA-1 of the content as a git blob: the id of a small file on the Hub."""
        return self._digest(hashlib.sha1(f"blob {self.size}\0".encode(), usedforsecurity=False))

    def operation(self) -> CommitOperationAdd:
        """What uploads it; a hash that is known already is not computed again."""
        source = self.source if isinstance(self.source, bytes) else str(self.source)
        operation = CommitOperationAdd(path_in_repo=self.name, path_or_fileobj=source)
        if "sha256" in self.__dict__:
            operation.upload_info.sha256 = bytes.fromhex(self.sha256)
        return operation

    def _digest(self, digest: hashlib._Hash) -> str:
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()

    def blocks(self, size: int = _BLOCK) -> Iterator[bytes]:
        """The content, so many bytes at a time."""
        if isinstance(self.source, bytes):
            yield from (self.source[start : start + size] for start in range(0, len(self.source), size))
            return
        with self._readable(), self.source.open("rb") as file:
            while block := file.read(size):
                yield block

    def read(self, start: int, size: int) -> bytes:
        """At most so many bytes from there."""
        if isinstance(self.source, bytes):
            return self.source[start : start + size]
        with self._readable(), self.source.open("rb") as file:
            file.seek(start)
            return file.read(size)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"file {str(self.source)!r} cannot be read ({error.strerror}): make it readable, and push again"
            ) from error


def scan_folder(folder: Path, *needed: str, what: str = "what is to be published") -> list[str]:
    """The names of all files below a folder, sorted, relative to it, without caches and virtual environments.

    Args:
        folder: The folder.
        needed: Files that must be in it.
        what: What it is the folder of, for messages.

    Raises:
        UserError: There is no such folder, a needed file is missing, or it holds a link or a file of secrets; the file
            is named.
    """
    if not folder.is_dir():
        raise UserError(f"folder {str(folder)!r} not found: give the folder of {what}")
    names = []
    for path in _below(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise UserError(f"{name!r} in {str(folder)!r} is a link: put the file itself in its place, or remove it")
        if _is_secret(path.name):
            raise UserError(f"{name!r} in {str(folder)!r} looks like a file of secrets: move it out of the folder")
        if path.is_file():
            names.append(name)
        elif not path.is_dir():
            raise UserError(f"{name!r} in {str(folder)!r} is neither a file nor a folder: remove it")
    if missing := [name for name in needed if name not in names]:
        raise UserError(f"folder {str(folder)!r} is not {what}: it has no {missing[0]!r}")
    return names


def left_out(names: list[str], sent: set[str], why: str) -> tuple[str, ...]:
    """A line for each file, or folder of files, that is not sent."""
    counts = Counter(name.partition("/")[0] for name in names if name not in sent)
    folders = {name.partition("/")[0] for name in names if "/" in name}
    return tuple(
        f"left out: {top}{f'/ ({count} files)' if top in folders else ''} ({why})"
        for top, count in sorted(counts.items())
    )


def check_python(path: Path) -> None:
    """See that a file, if it is a module, can be read by Python.

    Raises:
        UserError: It cannot.
    """
    if path.suffix != ".py":
        return
    try:
        compile(LocalFile(path.name, path).read(0, path.stat().st_size), path.name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        raise UserError(f"file {str(path)!r} is not valid Python ({getattr(error, 'msg', error)}{where})") from error


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        UserError: It cannot be read, or is not in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"file {str(path)!r} cannot be read ({error.strerror}): put a readable file there") from error
    except UnicodeDecodeError as error:
        raise UserError(f"file {str(path)!r} is not in UTF-8: save it in UTF-8") from error


def _below(folder: Path) -> Iterator[Path]:
    """Everything below a folder, in the order of the names; caches and environments are not looked into."""
    for path in sorted(folder.iterdir()):
        is_folder = path.is_dir() and not path.is_symlink()
        if is_folder and (path.name in _NOT_OURS or (path / _ENVIRONMENT).exists()):
            continue
        yield path
        if is_folder:
            yield from _below(path)


def _is_secret(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in _SECRET_NAMES)
