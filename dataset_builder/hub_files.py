"""Fetches raw files from a dataset repository on the Hub, at a pinned revision."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datasets import load_dataset
from datasets.exceptions import DatasetsError
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import logging as hub_logging

from dataset_builder.download import DownloadError, HostUnreachableError
from dataset_builder.task_spec import Source, SourceFile
from spectrum_suite.errors import first_line
from spectrum_suite.hub_errors import UNREACHABLE, refusal

_COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch_from_hub(source: Source, file: SourceFile) -> Path:
    """Download what ``file.path`` matches in the source's repository, into the cache of `huggingface_hub`.

    Returns:
        The local folder that ``file.path`` is relative to.

    Raises:
        DownloadError: The repository is gated and its terms were not accepted, or it, its revision or the file is not
            there.
        HostUnreachableError: The Hub does not answer, or may not be asked, and the files are not cached.
    """
    with _told_apart(source):
        folder = snapshot_download(
            source.hub, repo_type="dataset", revision=source.revision or None, allow_patterns=[file.path]
        )
    return Path(folder)


def fetch_split(source: Source, file: SourceFile) -> Path:
    """Write a split of the source's repository as a Parquet file, once for each commit.

    Returns:
        The local folder that ``file.path`` is relative to.

    Raises:
        DownloadError: The repository, its revision, the configuration or the split is not there or cannot be read.
        HostUnreachableError: The Hub does not answer, or may not be asked.
    """
    with _told_apart(source):
        pinned = _COMMIT.fullmatch(source.revision)
        commit = source.revision if pinned else HfApi().dataset_info(source.hub, revision=source.revision or None).sha
        folder = Path(constants.HF_HOME) / "spectrum_suite" / "splits" / source.hub / commit
        if not (folder / file.path).is_file():
            try:
                rows = load_dataset(source.hub, file.config or None, split=file.split, revision=commit)
            except (DatasetsError, ValueError, OSError) as error:
                raise DownloadError(
                    f"split {file.split!r} of {source.hub!r} cannot be read: {first_line(error)}"
                ) from error
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / f".{file.path}.{os.getpid()}"
            rows.to_parquet(part)
            part.replace(folder / file.path)
    return folder


@contextmanager
def _told_apart(source: Source) -> Iterator[None]:
    """Tell a Hub that refuses the source's repository from one that cannot be asked."""
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity_error()  # readers need the outcome, not each retry
    try:
        yield
    except UNREACHABLE as error:
        raise HostUnreachableError("the Hub cannot be reached (or HF_HUB_OFFLINE forbids asking it)") from error
    except HfHubHTTPError as error:
        reason, remedy = refusal(error, source.revision, "the source's revision")
        raise DownloadError(f"dataset {source.hub!r} {reason} ({remedy})") from error
    finally:
        hub_logging.set_verbosity(verbosity)
