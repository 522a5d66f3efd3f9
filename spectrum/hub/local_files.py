"""The files of a push on this side: what a folder holds, what must not leave it, and how contents are compared."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from huggingface_hub import CommitOperationAdd

from dataset_builder.errors import UserError

_SECRET_NAMES = (
    ".env", ".env.*", "*.env", ".netrc", "_netrc", ".git-credentials", ".npmrc", ".pypirc", ".htpasswd", "credentials",
    "credentials.*", "secret*", "token", ".token", "*.token", "token.*", "*_token", "*_token.*", "stored_tokens",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.p12", "*.pfx",
)  # fmt: skip
"""Files that hold passwords, keys or tokens, by their names in lower case."""

_TOKEN = re.compile(rb"\bhf_[A-Za-z0-9]{20,}\b")
_TEXT = {".cfg", ".csv", ".ini", ".jinja", ".json", ".jsonl", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}
_BLOCK = 2**20


@dataclass(frozen=True)
class LocalFile:
    """A file to publish: a path on this machine, or content that was made for the purpose.

    Attributes:
        name: Its path in the repository.
        source: Where the content is, or the content.

    Raises:
        UserError: The name would lie outside the repository, or could not be checked out everywhere.
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
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

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
        for block in self._blocks():
            digest.update(block)
        return digest.hexdigest()

    def _blocks(self) -> Iterator[bytes]:
        if isinstance(self.source, bytes):
            yield self.source
            return
        with self.source.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block


def scan_folder(folder: Path) -> list[str]:
    """The names of all files below a folder, sorted, relative to it. Python's caches are left out.

    Raises:
        UserError: There is no such folder, or it holds a link or a file of secrets, which is then named.
    """
    if not folder.is_dir():
        raise UserError(f"folder {str(folder)!r} not found: give the folder of what is to be published")
    names = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if "__pycache__" in path.parts:
            continue
        if path.is_symlink():
            raise UserError(f"{name!r} in {str(folder)!r} is a link: put the file itself in its place, or remove it")
        if _is_secret(path.name):
            raise UserError(f"{name!r} in {str(folder)!r} looks like a file of secrets: move it out of the folder")
        if path.is_file():
            names.append(name)
        elif not path.is_dir():
            raise UserError(f"{name!r} in {str(folder)!r} is neither a file nor a folder: remove it")
    return names


def refuse_tokens(files: list[LocalFile], token: str | None) -> None:
    """Look for access tokens in the texts among the files.

    Raises:
        UserError: A file has one in it; the file is named, the token is not.
    """
    known = token.encode() if token else None
    for file in files:
        if Path(file.name).suffix not in _TEXT:
            continue
        content = file.source if isinstance(file.source, bytes) else file.source.read_bytes()
        if _TOKEN.search(content) or (known and known in content):
            raise UserError(f"file {file.name!r} has an access token in it: take it out, and revoke the token")


def _is_secret(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in _SECRET_NAMES)
