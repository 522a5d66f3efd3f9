"""How a push is sent: a repository on a Hub as one user sees it, with time limits and one line for every failure."""

from __future__ import annotations

import errno
import json
import logging
import math
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx2
from huggingface_hub import CommitInfo, HfApi, RepoCard, constants, hf_hub_url, set_client_factory
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff, parse_ratelimit_headers
from huggingface_hub.utils import logging as hub_logging

from spectrum_suite.errors import UserError
from spectrum_suite.hub.push_plan import CARD, MANIFEST, Plan, Remote, RemoteFile, Repository

logger = logging.getLogger(__name__)

MAIN = "main"

LONGEST_WAIT_S = 300
"""A Hub that wants to be asked again later than this is not waited for."""

_SPACE_SDK = "gradio"
_NOT_FOUND, _EXISTS, _SERVER_FAULT = 404, 409, 500
_SWITCHED_OFF = {403, 404, 410}
_HIDDEN = 401  # what a Hub answers to anonymous requests in place of 404
_NEW_FILES = {".gitattributes", CARD}
_CONNECT_TIMEOUT_S = 10
_ANSWER_TIMEOUT_S = 60
_CONFLICT = {409, 412}
_PASSING = {408, 425, 429}
_FINAL = {501, 505}  # a server that does not know how will not know later either


@dataclass
class Hub:
    """A repository on a Hub, as one user sees it: each question or act is a method, and fails as the client fails.

    Attributes:
        repository: Which one.
        token: The user's; None asks anonymously.
    """

    repository: Repository
    token: str | None = field(repr=False)

    def __post_init__(self) -> None:
        self._api = HfApi(token=self.token or False)
        self._where = {"repo_id": self.repository.id, "repo_type": self.repository.type}
        self._made = False

    def check_writer(self) -> str | None:
        """The user's name.

        Raises:
            UserError: The token is for reading only.
        """
        user = self._api.whoami()
        if user.get("auth", {}).get("accessToken", {}).get("role") == "read":
            raise UserError("this token may only read: make one with the role 'write', and set HF_TOKEN to it")
        return user.get("name")

    def check_models(self, names: tuple[str, ...]) -> None:
        """Look for the models that a published one needs.

        Raises:
            UserError: One is not on the Hub, or hidden from this token.
        """
        for name in names:
            try:
                self._api.model_info(name)
            except RepositoryNotFoundError as error:
                if error.response.status_code != _NOT_FOUND:
                    raise
                raise UserError(
                    f"model {name!r} is not on the Hub, or hidden from this token, and {self.repository} does not load "
                    "without it: publish it first, or name another one"
                ) from error

    def read(self, revision: str, texts: tuple[str, ...]) -> Remote:
        """What the repository holds, with the content of ``texts``; an empty :class:`Remote` where there is none."""
        try:
            info = self._api.repo_info(**self._where, revision=revision)
        except RevisionNotFoundError:
            return replace(self.read(MAIN, texts), commit=None) if revision != MAIN else Remote()
        except RepositoryNotFoundError as error:
            if error.response.status_code == _NOT_FOUND or (
                self.token is None and error.response.status_code == _HIDDEN
            ):
                return Remote()
            raise
        entries = self._api.list_repo_tree(**self._where, revision=info.sha, recursive=True)
        files = {entry.path: _remote_file(entry) for entry in entries if isinstance(entry, RepoFile)}
        found = {name: self._text(name, info.sha) for name in (CARD, MANIFEST, *texts) if name in files}
        restricted = bool(info.private or getattr(info, "gated", False))  # a Space is never gated
        return Remote(info.sha, files, found, private=bool(info.private), restricted=restricted)

    def make(self, revision: str, *, private: bool) -> None:
        """Make the repository and the branch, where they are not there."""
        sdk = {"space_sdk": _SPACE_SDK} if self.repository.type == "space" else {}
        if not self._api.repo_exists(**self._where):
            made_before, self._made = self._made, True  # from now on it may be there, even if no answer comes
            try:
                self._api.create_repo(**self._where, private=private, exist_ok=False, **sdk)
            except HfHubHTTPError as error:
                self._made = made_before or error.response.status_code >= _SERVER_FAULT
                if error.response.status_code != _EXISTS:
                    raise
        if revision != MAIN:
            self._api.create_branch(**self._where, branch=revision, exist_ok=True)

    def validate(self, card: str) -> None:
        """Have the Hub look at a card.

        Raises:
            UserError: It does not accept the card's metadata.
        """
        try:
            RepoCard(card, ignore_metadata_errors=False).validate(self.repository.type)
        except HfHubHTTPError:
            raise
        except ValueError as error:
            raise UserError(
                f"the Hub does not accept the card of {self.repository} ({_complaint(error)}): correct its metadata"
            ) from error

    def commit(
        self, plan: Plan, parent: str, message: str, *, revision: str = MAIN, create_pr: bool = False
    ) -> CommitInfo:
        """Upload what is large, then commit everything at once onto ``parent``."""
        return self._api.create_commit(
            **self._where,
            operations=plan.operations(),
            commit_message=message,
            revision=revision,
            create_pr=create_pr,
            parent_commit=parent,
        )

    def tag(self, name: str, commit: str) -> str | None:
        """Mark a version; a tag that is there already stays, with a line that says so."""
        tags = {tag.name: tag.target_commit for tag in self._api.list_repo_refs(**self._where).tags}
        if name not in tags:
            self._api.create_tag(**self._where, tag=name, revision=commit)
        elif tags[name] != commit:
            return f"tag {name!r} stays at {tags[name][:8]}: a new version of the suite gets a tag of its own"
        return None

    def unmake(self) -> str | None:
        """Delete the repository if this object made it and nothing came into it; a line if it must be done by hand.

        What a Hub itself puts into a new repository, at its first commit, does not count.
        """
        if not self._made:
            return None
        try:
            info = self._api.repo_info(**self._where)
            refs = self._api.list_repo_refs(**self._where, include_pull_requests=True)
            heads = {ref.target_commit for ref in (*refs.branches, *refs.tags)}
            is_new = len(self._api.list_repo_commits(**self._where)) == 1 and heads <= {info.sha}
            if is_new and not refs.pull_requests and {each.rfilename for each in info.siblings or ()} <= _NEW_FILES:
                self._api.delete_repo(**self._where)
        except RepositoryNotFoundError:
            return None
        except (HfHubHTTPError, httpx2.HTTPError, OSError):
            return f"{self.repository} was made by this push and may be left empty: delete it at {self.url}"
        return None

    def open_pull_requests(self, author: str | None) -> list[str]:
        """Refs of the pull requests of a user that nobody has merged or closed, the newest first.

        On a Hub that lists no discussions, they are those whose last commit is the user's.
        """
        asked = {"author": author, "discussion_type": "pull_request", "discussion_status": "open"}
        try:
            found = sorted(self._api.get_repo_discussions(**self._where, **asked), key=lambda each: -each.num)
        except HfHubHTTPError as error:
            if error.response.status_code not in _SWITCHED_OFF:
                raise
            return self._pull_requests_by_refs(author)
        mine = (each for each in found if each.is_pull_request and each.author == author)
        return [f"refs/pr/{each.num}" for each in mine if each.status in ("open", "draft")]

    def _pull_requests_by_refs(self, author: str | None) -> list[str]:
        refs = self._api.list_repo_refs(**self._where, include_pull_requests=True).pull_requests or ()
        named = sorted((each.ref for each in refs), key=lambda ref: -int(ref.rpartition("/")[2]))
        return [ref for ref in named if author in self._api.list_repo_commits(**self._where, revision=ref)[0].authors]

    @property
    def url(self) -> str:
        """The page of the repository."""
        prefix = "" if self.repository.type == "model" else f"{self.repository.type}s/"
        return f"{self._api.endpoint}/{prefix}{self.repository.id}"

    def pull_request_url(self, ref: str) -> str:
        """The page of a pull request."""
        return f"{self.url}/discussions/{ref.rpartition('/')[2]}"

    def _text(self, name: str, revision: str) -> str:
        url = hf_hub_url(**self._where, filename=name, revision=revision)
        response = http_backoff("GET", url, headers=build_hf_headers(token=self.token or False))
        hf_raise_for_status(response)
        try:
            return response.content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"file {name!r} in {self.repository} is not in UTF-8: save it in UTF-8 on the Hub"
            ) from error


def _remote_file(entry: RepoFile) -> RemoteFile:
    return RemoteFile(entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else None)


def _complaint(error: ValueError) -> str:
    """What the Hub says about a card: the messages in its answer, or the error as it is."""
    try:
        return "; ".join(found["message"] for found in json.loads(str(error))["errors"])
    except (ValueError, KeyError, TypeError):
        return str(error).splitlines()[0]


@dataclass(frozen=True)
class Failure:
    """What went wrong, and whether it helps to try again.

    Attributes:
        kind: ``conflict`` (somebody else wrote first), ``passing`` (the same request may succeed later) or ``final``.
        line: What to say to the user.
    """

    kind: Literal["conflict", "passing", "final"]
    line: str


def set_time_limits() -> None:
    """Have `huggingface_hub` give up on a silent server, instead of waiting for ever, and leave its messages to us.

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
        raise OfflineModeIsEnabled(f"HF_HUB_OFFLINE forbids asking {request.url.host}")


def _tell_of_trouble(response: httpx2.Response) -> None:
    """Say that the Hub is in trouble, since what follows may be a pause; refuse a long one."""
    status = response.status_code
    if (status not in _PASSING and status < _SERVER_FAULT) or status in _FINAL:
        return
    wait = _asked_wait(response)
    if wait > LONGEST_WAIT_S:
        raise UserError(f"the Hub answers {status} and asks to wait {wait} s: run the command again after that")
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
        return Failure("final", "HF_HUB_OFFLINE forbids asking the Hub: unset it to publish")
    if isinstance(error, HfHubHTTPError):
        return _sorted_answer(error, repository)
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return Failure("final", f"the Hub's address {constants.ENDPOINT!r} is not one: correct HF_ENDPOINT")
    if isinstance(error, httpx2.TransportError) or _is_broken_connection(error):
        return Failure("passing", f"the Hub at {constants.ENDPOINT} does not answer ({type(error).__name__})")
    if isinstance(error, json.JSONDecodeError):
        return Failure("passing", f"the Hub at {constants.ENDPOINT} answers with something that is not JSON")
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
        404: f"the Hub has no {repository}, or hides it from this token ({said}): check '--repo_id'",
    }
    return Failure("final", lines.get(status, f"the Hub refuses what {repository} was sent ({status}, {said})"))
