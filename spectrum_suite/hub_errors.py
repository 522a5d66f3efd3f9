"""What a Hub answers to a download, said in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from httpx2 import TransportError
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from spectrum_suite.errors import UserError, first_line

UNREACHABLE = (OfflineModeIsEnabled, TransportError, LocalEntryNotFoundError)
"""A Hub that could not be asked."""


@contextmanager
def explained(what: str, name: str, revision: str | None, option: str) -> Iterator[None]:
    """Say why a repository cannot be read.

    Args:
        what: What it is: ``model`` or ``dataset``.
        name: Its id, or a path that might have been one.
        revision: Branch, tag or commit that was asked for.
        option: The option that names it.

    Raises:
        UserError: The Hub refused it, or could not be asked.
    """
    try:
        yield
    except UNREACHABLE as error:
        raise UserError(
            f"{what} {name!r} is not on this machine, and the Hub cannot be reached: check the name or the connection"
        ) from error
    except HfHubHTTPError as error:
        reason, remedy = refusal(error, revision, option)
        raise UserError(f"{what} {name!r} {reason}: {remedy}") from error


def refusal(error: HfHubHTTPError, revision: str | None, option: str) -> tuple[str, str]:
    """Why a Hub refuses a repository, as said of it (``is gated``), and what helps; arguments as above."""
    match error:
        case GatedRepoError():
            return "is gated", "accept its terms on the Hub and log in with 'hf auth login'"
        case RevisionNotFoundError():
            return f"has no revision {revision!r}", f"check {option}"
        case RepositoryNotFoundError():
            return "is neither on this machine nor on the Hub", "check the name, and who may read it"
        case RemoteEntryNotFoundError():
            return "has no such file", "check its path"
    return f"cannot be read: {first_line(error)}", "try again later"
