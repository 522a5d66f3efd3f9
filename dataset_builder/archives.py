"""Unpacks downloads: chosen members of an archive, or one compressed file; nothing is written outside the folder."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from dataset_builder.download import MAX_BYTES
from spectrum_suite.errors import UserError

_ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar.bz2")
_COMPRESSED: dict[str, Callable[[Path], IO[bytes]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_CHUNK_BYTES = 1 << 20
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, EOFError, OSError)


def is_packed(url: str, path: str) -> bool:
    """Whether the file at ``url`` must be unpacked to get the file or pattern ``path``."""
    return url.endswith((*_ARCHIVES, *_COMPRESSED)) and PurePosixPath(url).suffix != PurePosixPath(path).suffix


def unpack(packed: Path, pattern: str, folder: Path, max_bytes: int = MAX_BYTES) -> Path:
    """Unpack an archive's members that match ``pattern``, or a compressed file as ``pattern``, below ``folder``.

    The folder appears at once, when everything is in it.

    Args:
        packed: The file; its name gives its format.
        pattern: A path, or a glob of members.
        folder: Where the files appear, under their paths in the archive.
        max_bytes: Largest size of all files together, in bytes.

    Returns:
        ``folder``.

    Raises:
        UserError: The file is damaged, a member's path leads out of the folder, nothing matches, or the files are too
            large.
    """
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as staging:
        part = Path(staging, "files")
        part.mkdir()
        try:
            _write(_members(packed, pattern), part, max_bytes, packed)
        except _DAMAGE as error:
            raise UserError(f"{str(packed)!r} cannot be unpacked ({error}): remove it and fetch it again") from error
        part.rename(folder)
    return folder


def _write(members: Iterator[tuple[str, IO[bytes]]], folder: Path, max_bytes: int, packed: Path) -> None:
    left = max_bytes
    for name, stream in members:
        target = folder / name
        if PurePosixPath(name).is_absolute() or not target.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"archive {str(packed)!r} has a member {name!r} outside its folder: not unpacked")
        target.parent.mkdir(parents=True, exist_ok=True)
        with stream, target.open("xb") as file:
            while chunk := stream.read(_CHUNK_BYTES):
                if (left := left - len(chunk)) < 0:
                    raise UserError(f"archive {str(packed)!r} holds more than {max_bytes} bytes: not unpacked")
                file.write(chunk)
    if left == max_bytes:
        raise UserError(f"archive {str(packed)!r} has none of the expected files: its upstream has changed")


def _members(packed: Path, pattern: str) -> Iterator[tuple[str, IO[bytes]]]:
    """(path in the archive, open file) of every plain file that matches."""
    if packed.name.endswith(".zip"):
        with zipfile.ZipFile(packed) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            yield from ((name, archive.open(name)) for name in names if fnmatchcase(name, pattern))
    elif packed.name.endswith(_ARCHIVES):
        with tarfile.open(packed) as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isfile() and fnmatchcase(name, pattern):
                    yield name, archive.extractfile(member)
    else:
        yield pattern, _COMPRESSED[packed.suffix](packed)
