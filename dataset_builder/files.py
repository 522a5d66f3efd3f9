"""Finds a source's raw files: in the local folder, at a pinned URL, or says how to get them by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from huggingface_hub import constants

from dataset_builder.download import DownloadError, HostUnreachableError, fetch, file_sha256
from dataset_builder.errors import UserError
from dataset_builder.task_spec import Source, SourceFile, TaskSpec

Status = Literal["built", "partial", "missing"]


@dataclass(frozen=True)
class FoundFiles:
    """What there is of a source's raw files.

    Attributes:
        found: Upstream path -> local path, of the files a task can be built from.
        missing: Upstream path -> why it is not there.
        status: What a task built from them is: ``built`` from all files, ``partial`` from some folders of a divisible
            source, or ``missing`` when it cannot be built.
    """

    found: Mapping[str, Path]
    missing: Mapping[str, str]

    @property
    def status(self) -> Status:
        """What a task built from these files is."""
        if not self.missing:
            return "built"
        return "partial" if self.found else "missing"

    def checksums(self) -> dict[str, str]:
        """Upstream path -> SHA-256 of each file found, in hexadecimal."""
        return {name: file_sha256(path) for name, path in self.found.items()}


def find_files(spec: TaskSpec, sources_dir: Path | None, *, allow_missing: bool = False) -> FoundFiles:
    """Find the raw files of a task: first ``sources_dir/<source.folder>/<upstream path>``, then the pinned URL.

    Checksums are checked for downloads only: a local copy may well be a sample.

    Args:
        spec: The task.
        sources_dir: Where local copies are, or None.
        allow_missing: Whether to go on with what there is; if not, a missing file is an error.

    Raises:
        UserError: A file is missing, or a download is not what it should be; or ``sources_dir`` is no folder.
    """
    if sources_dir is not None and not sources_dir.is_dir():
        raise UserError(f"folder {str(sources_dir)!r} of raw files not found: check '--sources-dir'")
    found = _local(spec.source, sources_dir)
    missing: dict[str, str] = {}
    unreachable = ""
    for file in (file for file in spec.source.files if file.path not in found):
        try:
            found[file.path] = _download(spec.source, file, unreachable)
        except HostUnreachableError as error:
            missing[file.path] = unreachable = str(error)
        except DownloadError as error:
            missing[file.path] = str(error)
    if missing and not allow_missing:
        raise UserError(_how_to_get(spec, missing, sources_dir))
    return FoundFiles(_usable(spec.source, found, missing), missing)


def cache_folder(source: Source, file: SourceFile) -> Path:
    """Where a downloaded file is kept: below ``HF_HOME``, in a folder of its own for each address."""
    address = hashlib.sha256(str(file.url).encode()).hexdigest()[:16]
    return Path(constants.HF_HOME) / "spectrum_suite" / source.name / address


def _local(source: Source, sources_dir: Path | None) -> dict[str, Path]:
    if sources_dir is None:
        return {}
    paths = {file.path: sources_dir / source.folder / file.path for file in source.files}
    return {name: path for name, path in paths.items() if path.is_file()}


def _download(source: Source, file: SourceFile, unreachable: str) -> Path:
    """The local path of a download, cached; ``unreachable`` says why a source is not tried again."""
    if file.url is None:
        raise DownloadError("its upstream has no address to fetch it from")
    path = cache_folder(source, file) / PurePosixPath(file.path).name
    if path.is_file():
        return path
    if constants.is_offline_mode():
        raise DownloadError("HF_HUB_OFFLINE forbids to fetch it")
    if unreachable:
        raise DownloadError(unreachable)
    return fetch(file.url, path, file.sha256)


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
    revision = f", revision {source.revision}" if source.revision else ""
    folder = str(sources_dir) if sources_dir else "SOURCES"
    option = "" if sources_dir else " and give '--sources-dir SOURCES'"
    return (
        f"task {spec.name!r}: file {path!r}{more} of source {source.name!r} not found, and {why}: "
        f"get it from {source.homepage}{revision} (licence: {source.license}), put it at "
        f"'{folder}/{source.folder}/{path}'{option}, or leave the task out with '--allow-missing'"
    )
