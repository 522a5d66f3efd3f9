"""Fetches raw files from a dataset repository on the Hub, at a pinned revision."""

from __future__ import annotations

from pathlib import Path

import httpx2
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import logging as hub_logging

from dataset_builder.download import DownloadError, HostUnreachableError
from dataset_builder.task_spec import Source, SourceFile


def fetch_from_hub(source: Source, file: SourceFile) -> Path:
    """Download what ``file.path`` matches in the source's repository, into the cache of `huggingface_hub`.

    Returns:
        The local folder that ``file.path`` is relative to.

    Raises:
        DownloadError: The repository is gated and its terms were not accepted, or it, its revision or the file is not
            there.
        HostUnreachableError: The Hub does not answer, or may not be asked, and the files are not cached.
    """
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity_error()  # readers need the outcome, not each retry
    try:
        folder = snapshot_download(
            source.hub, repo_type="dataset", revision=source.revision or None, allow_patterns=[file.path]
        )
    except GatedRepoError as error:
        raise DownloadError("its terms must be accepted on its page first, then log in with 'hf auth login'") from error
    except RevisionNotFoundError as error:
        raise DownloadError(f"the Hub has no revision {source.revision!r} of {source.hub!r}") from error
    except RepositoryNotFoundError as error:
        raise DownloadError(f"the Hub has no dataset {source.hub!r}, or hides it from you: 'hf auth login'") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, httpx2.TransportError) as error:
        raise HostUnreachableError("the Hub does not answer (or HF_HUB_OFFLINE forbids asking it)") from error
    except HfHubHTTPError as error:
        raise DownloadError(f"the Hub answers {error.response.status_code}") from error
    finally:
        hub_logging.set_verbosity(verbosity)
    return Path(folder)
