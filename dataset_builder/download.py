"""Fetches one file from a pinned URL: resumable, checked and atomic."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from spectrum_suite.errors import UserError

MAX_BYTES = 20 * 1024**3
"""No raw file is larger than this; a download that exceeds it is aborted."""

_CHUNK_BYTES = 1 << 16  # a broken connection loses at most so many bytes
_TIMEOUT_S = 30
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class DownloadError(OSError):
    """The file could not be fetched now; the same call may succeed later and resumes where this one stopped."""


class HostUnreachableError(DownloadError):
    """The host did not answer, so nothing else can be fetched from it either."""


def fetch(url: str, path: Path, sha256: str | None = None, max_bytes: int = MAX_BYTES) -> Path:
    """Download ``url`` to ``path``, unless it exists.

    What has arrived is kept next to it as ``<name>.incomplete`` and continued by the next call.

    Args:
        url: An https address (http is allowed for this machine itself).
        path: Where the whole, checked file appears at once.
        sha256: Expected checksum, in hexadecimal.
        max_bytes: Largest file to accept, in bytes.

    Returns:
        ``path``.

    Raises:
        DownloadError: The server does not answer, refuses, or stops in the middle.
        UserError: The address is not https, the file is larger than allowed, or its checksum is another.
    """
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.incomplete")
    try:
        _stream(url, part, max_bytes)
    except requests.HTTPError as error:
        raise DownloadError(f"{url} answers {error.response.status_code}") from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise HostUnreachableError(f"{urlsplit(url).netloc} does not answer") from error
    except requests.RequestException as error:
        raise DownloadError(f"the download of {url} was interrupted ({type(error).__name__})") from error
    if sha256 and file_sha256(part) != sha256:
        part.unlink()
        raise UserError(
            f"the file at {url} does not have the expected checksum (sha256 {sha256}): "
            "its upstream has changed, or the connection was tampered with"
        )
    return part.replace(path)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stream(url: str, part: Path, max_bytes: int) -> None:
    have = part.stat().st_size if part.exists() else 0
    _check_secure(url)
    with requests.get(url, headers=_range_header(have), stream=True, timeout=_TIMEOUT_S) as response:
        _check_secure(response.url)  # where redirects have led
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            _check_nothing_left(response, part, have)
            return
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        have = have if resumed else 0
        _check_size(url, part, have + int(response.headers.get("Content-Length", 0)), max_bytes)
        _write(response, part, have, max_bytes)


def _check_nothing_left(response: requests.Response, part: Path, have: int) -> None:
    if response.headers.get("Content-Range") != f"bytes */{have}":
        part.unlink()
        raise DownloadError(f"the partial download of {response.url} does not match it; it starts over next time")


def _range_header(have: int) -> dict[str, str]:
    # Identity, so that byte offsets are those of the file.
    return {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})


def _write(response: requests.Response, part: Path, have: int, max_bytes: int) -> None:
    length = int(response.headers.get("Content-Length", 0)) or None
    with (
        part.open("ab" if have else "wb") as file,
        tqdm(
            desc=part.stem, initial=have, total=length and have + length, unit="B", unit_scale=True, leave=False
        ) as bar,
    ):
        for chunk in response.iter_content(_CHUNK_BYTES):
            have += len(chunk)
            _check_size(response.url, part, have, max_bytes)
            file.write(chunk)
            bar.update(len(chunk))


def _check_secure(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise UserError(f"{url} is not an https address: raw files are fetched over https only")


def _check_size(url: str, part: Path, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        part.unlink(missing_ok=True)
        raise UserError(f"the file at {url} is larger than {max_bytes} bytes, the limit of a download: get it by hand")
