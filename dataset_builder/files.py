"""Finds a source's raw files: in the local folder, on the Hub, at a pinned URL, or says how to get them by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from huggingface_hub import constants

from dataset_builder.archives import is_packed, unpack
from dataset_builder.download import DownloadError, HostUnreachableError, fetch, file_sha256
from dataset_builder.hub_files import fetch_from_hub, fetch_split
from dataset_builder.task_spec import Source, SourceFile, TaskSpec
from spectrum_suite.errors import UserError

Status = Literal["built", "partial", "missing", "failed"]


class MissingFilesError(UserError):
    """Raw files are missing; the message says where to get them."""


@dataclass(frozen=True)
class FoundFiles:
    """What there is of a source's raw files.

    Attributes:
        found: Upstream path -> local path, of the files a task can be built from.
        missing: Upstream path -> why it is missing.
        error: Why they cannot be used, in a line; empty where they can.
        status: What a task built from them is: ``built`` from all files, ``partial`` from some folders of a divisible
            source, ``missing`` when it cannot be built, or ``failed`` when the files are not what they should be.
    """

    found: Mapping[str, Path]
    missing: Mapping[str, str]
    error: str = ""

    @property
    def status(self) -> Status:
        """What a task built from these files is."""
        if self.error:
            return "failed"
        if not self.missing:
            return "built"
        return "partial" if self.found else "missing"

    def checksums(self) -> dict[str, str]:
        """Upstream path -> SHA-256 of each file found, in hexadecimal."""
        return {name: file_sha256(path) for name, path in self.found.items()}


def find_files(
    spec: TaskSpec,
    sources_dir: Path | None,
    *,
    allow_missing: bool = False,
    unreachable: dict[str, str] | None = None,
) -> FoundFiles:
    """Find the raw files of a task: below ``sources_dir/<source.folder>``, else on the Hub or at their pinned URL.

    A source may have several layouts: the first that is complete in the folder is taken, else the first that is
    complete with what can be fetched. Checksums are checked for downloads only: a local copy may well be a sample.

    Args:
        spec: The task.
        sources_dir: Where local copies are, or None.
        allow_missing: Whether to continue with the files that are present; if not, a missing file is an error.
        unreachable: Host -> why it is not asked again. Pass the same dictionary for many tasks: a host that does not
            answer is added, and then costs time only once.

    Raises:
        MissingFilesError: A file is missing, or ``sources_dir`` is not a folder.
        UserError: A download is not what it should be.
    """
    if sources_dir is not None and not sources_dir.is_dir() and spec.source.root is None:
        raise MissingFilesError(f"folder {str(sources_dir)!r} of raw files not found: check '--sources_dir'")
    source, unreachable = spec.source, {} if unreachable is None else unreachable
    layouts = (source.files, *source.other_layouts)
    for layout in layouts:
        if all(local := [_local(source, file, sources_dir) for file in layout]):
            return FoundFiles(_merge(local), {})
    attempts = []
    for layout in layouts:
        attempts.append(_gather(source, layout, sources_dir, unreachable))
        if not attempts[-1][1]:
            return FoundFiles(*attempts[-1])
    if not allow_missing:
        raise MissingFilesError(_how_to_get(spec, attempts[0][1], sources_dir))
    return next(
        (FoundFiles(usable, missing) for found, missing in attempts if (usable := _usable(source, found, missing))),
        FoundFiles({}, attempts[0][1]),
    )


def cache_folder(source: Source, file: SourceFile) -> Path:
    """Where a downloaded file is kept: below ``HF_HOME``, in a folder of its own for each address."""
    address = hashlib.sha256(str(file.url).encode()).hexdigest()[:16]
    return Path(constants.HF_HOME) / "spectrum_suite" / source.name / address


def _gather(
    source: Source, layout: tuple[SourceFile, ...], sources_dir: Path | None, unreachable: dict[str, str]
) -> tuple[dict[str, Path], dict[str, str]]:
    """The files of a layout that are present or can be fetched, and those that are missing and why."""
    found: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for file in layout:
        try:
            found |= _local(source, file, sources_dir) or _fetch(source, file, unreachable)
        except DownloadError as error:
            missing[file.path] = str(error)
    return found, missing


def _local(source: Source, file: SourceFile, sources_dir: Path | None) -> dict[str, Path]:
    if source.root is not None:
        return _matches(source.root, file.path)
    return {} if sources_dir is None else _matches(sources_dir / source.folder, file.path)


def _matches(folder: Path, pattern: str) -> dict[str, Path]:
    """Path below the folder -> file, of all that match a pattern, sorted."""
    if not any(sign in pattern for sign in "*?["):
        return {pattern: folder / pattern} if (folder / pattern).is_file() else {}
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.glob(pattern)) if path.is_file()}


def _merge(found: list[dict[str, Path]]) -> dict[str, Path]:
    return {name: path for files in found for name, path in files.items()}


def _fetch(source: Source, file: SourceFile, unreachable: dict[str, str]) -> dict[str, Path]:
    """Fetch a file, or all that a pattern matches; a host that did not answer before is not asked."""
    if file.url is None and not source.hub:
        raise DownloadError("its upstream has no address to fetch it from")
    host = urlsplit(file.url).netloc if file.url else constants.ENDPOINT
    if host in unreachable:
        raise DownloadError(unreachable[host])
    try:
        if file.url is not None:
            folder = _download(source, file, file.url)
        else:
            folder = fetch_split(source, file) if file.split else fetch_from_hub(source, file)
    except HostUnreachableError as error:
        unreachable[host] = str(error)
        raise
    if not (found := _matches(folder, file.path)):
        raise DownloadError(f"nothing at {file.url or source.homepage or source.hub} is called so")
    return found


def _download(source: Source, file: SourceFile, url: str) -> Path:
    """The folder that ``file.path`` is relative to, once it has been fetched and unpacked into the cache."""
    folder = cache_folder(source, file)
    packed = is_packed(url, file.path)
    path = folder / (PurePosixPath(urlsplit(url).path).name if packed else f"files/{file.path}")
    unpacked = folder / f"unpacked-{hashlib.sha256(file.path.encode()).hexdigest()[:16]}"
    if unpacked.is_dir():
        return unpacked
    if not path.is_file() and constants.is_offline_mode():
        raise DownloadError("HF_HUB_OFFLINE forbids fetching it")
    fetch(url, path, file.sha256)
    return unpack(path, file.path, unpacked) if packed else folder / "files"


def _usable(source: Source, found: dict[str, Path], missing: Mapping[str, str]) -> dict[str, Path]:
    """The files to build from: all or nothing, but by folder when the source is divisible."""
    if not source.divisible:
        return {} if missing else found
    incomplete = {PurePosixPath(path).parent for path in missing}
    return {path: local for path, local in found.items() if PurePosixPath(path).parent not in incomplete}


def _how_to_get(spec: TaskSpec, missing: Mapping[str, str], sources_dir: Path | None) -> str:
    source = spec.source
    path, why = next(iter(missing.items()))
    more = f" (and {len(missing) - 1} more files)" if len(missing) > 1 else ""
    if source.root is not None:
        where = f"not found in {str(source.root)!r}" + f", and {why}" * bool(source.hub or source.files[-1].url)
        return f"task {spec.name!r}: file {path!r}{more} {where}: put it there, or check its name"
    revision = f", revision {source.revision}" if source.revision else ""
    folder = str(sources_dir) if sources_dir else "SOURCES"
    option = "" if sources_dir else " and give '--sources_dir SOURCES'"
    return (
        f"task {spec.name!r}: file {path!r}{more} of source {source.name!r} not found, and {why}: "
        f"get it from {source.homepage}{revision} (licence: {source.license}), put it at "
        f"'{folder}/{source.folder}/{path}'{option}, or leave the task out with '--allow_missing'"
    )
