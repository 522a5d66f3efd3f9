"""How a Hub is asked here: with time limits, and with every failure sorted and told in a line."""

from __future__ import annotations

import errno
import json
import logging
import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx2
from huggingface_hub import constants, set_client_factory
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils import parse_ratelimit_headers

from spectrum_suite.errors import UserError

logger = logging.getLogger(__name__)

LONGEST_WAIT_S = 300
"""A Hub that wants to be asked again later than this is not waited for."""

_CONNECT_TIMEOUT_S = 10
_ANSWER_TIMEOUT_S = 60
_CONFLICT = {409, 412}
_PASSING = {408, 425, 429}
_SERVER_FAULT = 500
_FINAL = {501, 505}  # a server that does not know how will not know later either


@dataclass(frozen=True)
class Repository:
    """A repository on a Hub.

    Attributes:
        id: ``<org>/<name>``.
        type: ``dataset``, ``space`` or ``model``.
    """

    id: str
    type: Literal["dataset", "space", "model"]

    def __str__(self) -> str:
        return f"{self.type} {self.id!r}"


@dataclass(frozen=True)
class Failure:
    """What went wrong, and whether it helps to try again.

    Attributes:
        kind: ``conflict`` (somebody else wrote first), ``passing`` (the same request may succeed later) or ``final``.
        line: What to tell the user.
    """

    kind: Literal["conflict", "passing", "final"]
    line: str


def set_time_limits() -> None:
    """Have `huggingface_hub` give up on a silent server, instead of waiting for ever, and leave the talking to us.

    The limit for an answer is 60 s, or what HF_HUB_DOWNLOAD_TIMEOUT says.

    Raises:
        UserError: The environment names a proxy that cannot be used.
    """
    hub_logging.set_verbosity_error()  # it would show addresses with signatures in them
    _client().close()
    set_client_factory(_client)


def failure_of(error: BaseException, repository: Repository) -> Failure | None:
    """Sort an error out of `huggingface_hub`; None for what is not the Hub's (a full disk here, a fault of ours)."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):  # out of a thread that uploads
            return Failure("final", str(cause))
        if (failure := _sorted(cause, repository)) is not None:
            return failure
        cause = cause.__cause__
    if isinstance(error, RuntimeError):  # of hf_xet, which has no errors of its own
        return Failure("passing", f"the upload to {repository} broke off ({error})")
    return None


def _client() -> httpx2.Client:
    try:
        return httpx2.Client(
            timeout=_time_limits(),
            follow_redirects=True,
            event_hooks={"request": [_stay_offline, _limit], "response": [_tell_of_trouble]},
        )
    except (ValueError, ImportError, httpx2.InvalidURL) as error:
        raise UserError(
            f"a proxy of the environment cannot be used ({str(error).splitlines()[0]}): correct HTTPS_PROXY, "
            "HTTP_PROXY and ALL_PROXY"
        ) from error


def _time_limits() -> httpx2.Timeout:
    answer = int(os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT") or _ANSWER_TIMEOUT_S)
    return httpx2.Timeout(answer, connect=min(answer, _CONNECT_TIMEOUT_S))


def _limit(request: httpx2.Request) -> None:
    """Put back the limits that `huggingface_hub` lifts: `repo_info` and listings would be waited for without an end."""
    asked = request.extensions["timeout"]
    limits = _time_limits().as_dict()
    request.extensions["timeout"] = {name: limits[name] if asked[name] is None else asked[name] for name in limits}


def _stay_offline(request: httpx2.Request) -> None:
    if constants.is_offline_mode():
        raise OfflineModeIsEnabled(f"HF_HUB_OFFLINE forbids to ask {request.url.host}")


def _tell_of_trouble(response: httpx2.Response) -> None:
    """Say that the Hub is in trouble, since what follows may be a pause; refuse a long one."""
    status = response.status_code
    if (status not in _PASSING and status < _SERVER_FAULT) or status in _FINAL:
        return
    wait = _asked_wait(response)
    if wait > LONGEST_WAIT_S:
        raise UserError(f"the Hub answers {status} and wants to be left alone for {wait} s: run the command again then")
    logger.info("the Hub answers %d to %s %s", status, response.request.method, response.request.url.path)


def _asked_wait(response: httpx2.Response) -> int:
    """Seconds until the Hub wants to be asked again; 0 where it does not say."""
    limit = parse_ratelimit_headers(response.headers)
    if limit is not None and limit.remaining == 0:
        return limit.reset_in_seconds
    if "retry-after" not in response.headers:
        return 0
    seconds = _seconds(response.headers["retry-after"])
    response.headers["retry-after"] = str(seconds)  # `huggingface_hub` cannot read the other ways to write it
    return seconds


def _seconds(after: str) -> int:
    """What Retry-After says, which is a number of seconds or a date; 0 for anything else."""
    if after.isascii() and after.isdecimal():
        return int(after)
    try:
        date = parsedate_to_datetime(after)
    except ValueError:
        return 0
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(math.ceil((date - datetime.now(UTC)).total_seconds()), 0)


def _sorted(error: BaseException, repository: Repository) -> Failure | None:
    if isinstance(error, OfflineModeIsEnabled):
        return Failure("final", "HF_HUB_OFFLINE forbids to ask the Hub: unset it to publish")
    if isinstance(error, HfHubHTTPError):
        return _sorted_answer(error, repository)
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return Failure("final", f"the Hub's address {constants.ENDPOINT!r} is not one: correct HF_ENDPOINT")
    if isinstance(error, httpx2.TransportError) or _is_broken_connection(error):
        return Failure("passing", f"the Hub at {constants.ENDPOINT} does not answer ({type(error).__name__})")
    if isinstance(error, json.JSONDecodeError):
        return Failure("passing", f"the Hub at {constants.ENDPOINT} answers with something that is no JSON")
    return _sorted_complaint(error, repository) if isinstance(error, ValueError) else None


def _sorted_complaint(error: ValueError, repository: Repository) -> Failure | None:
    """What `huggingface_hub` says by a plain ValueError."""
    said, *more = str(error).splitlines() or [""]
    why = " ".join(more).strip("- ")
    if said.startswith("Invalid metadata in README.md"):
        return Failure("final", f"the Hub does not accept the card of {repository} ({why}): correct its metadata")
    if said.startswith("LFS batch API returned errors"):
        return Failure("final", f"the Hub does not take a file of {repository} ({why})")
    if "improperly formatted" in said or said.startswith("Malformed response"):
        return Failure("passing", f"the Hub at {constants.ENDPOINT} answers with something that makes no sense")
    return None


def _is_broken_connection(error: BaseException) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) and getattr(error, "errno", None) != errno.ENOSPC


def _sorted_answer(error: HfHubHTTPError, repository: Repository) -> Failure:
    status, said = error.response.status_code, error.server_message or error.response.reason_phrase
    if status in _CONFLICT:
        return Failure("conflict", f"somebody else is writing to {repository} ({said}): run the command again")
    if status in _PASSING or (status >= _SERVER_FAULT and status not in _FINAL):
        return Failure("passing", f"the Hub at {constants.ENDPOINT} answers {status} ({said})")
    owner = repository.id.partition("/")[0]
    lines = {
        401: f"the Hub does not accept the token ({said}): log in with 'hf auth login', or set HF_TOKEN",
        403: f"this token may not write to {repository} ({said}): use a token with write access to {owner!r}",
        404: f"the Hub has no {repository}, or hides it from this token ({said}): check '--repo-id'",
    }
    return Failure("final", lines.get(status, f"the Hub refuses what {repository} was sent ({status}, {said})"))
