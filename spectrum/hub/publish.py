"""Carry out a push: read what the Hub has, send what differs in one commit, mark the version.

An attempt can be cut off anywhere and made again: what is uploaded before the commit is seen by nobody, the commit is
all or nothing and names the state that it was planned on, and a plan made afterwards has only what is left to do.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from huggingface_hub import CommitInfo, HfApi, RepoCard, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff

from dataset_builder.errors import UserError
from spectrum.hub.answers import Repository, failure_of
from spectrum.hub.local_files import refuse_tokens
from spectrum.hub.plan import CARD, Plan, Publication, Remote, RemoteFile, make_plan

logger = logging.getLogger(__name__)

MAIN = "main"
ATTEMPTS = 5
PATIENCE_S = 300
"""After so many attempts, or so many seconds, a failing push is given up."""

_SPACE_SDK = "gradio"
_NOT_FOUND = 404
_HIDDEN = 401  # what a Hub answers to strangers in place of 404
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class PushOptions:
    """How to push.

    Attributes:
        private: Make a new repository private.
        revision: The branch; it is made from ``main`` where there is none.
        create_pr: Open a pull request instead of writing to ``main``.
        message: The summary of the commit, in place of ours.
    """

    private: bool = False
    revision: str = MAIN
    create_pr: bool = False
    message: str | None = None


@dataclass(frozen=True)
class Published:
    """Where a thing is now.

    Attributes:
        commit: The commit that holds it.
        changed: Whether this push made that commit.
        restricted: Whether only some may load it: it is private, or gated.
        pull_request: Its address, if one was opened.
        notes: What the user should know, a line each.
    """

    commit: str
    changed: bool
    restricted: bool = False
    pull_request: str | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Hub:
    """A repository on a Hub, as one user sees it.

    Attributes:
        repository: Which one.
        token: The user's; None asks as a stranger.
    """

    repository: Repository
    token: str | None = field(repr=False)

    def __post_init__(self) -> None:
        self._api = HfApi(token=self.token or False)
        self._where = {"repo_id": self.repository.id, "repo_type": self.repository.type}
        self._pull_requests: set[str] | None = None

    def check_writer(self) -> None:
        """Ask who the user is.

        Raises:
            UserError: The token is for reading only.
        """
        token = self._api.whoami().get("auth", {}).get("accessToken", {})
        if token.get("role") == "read":
            raise UserError("this token may only read: make one with the role 'write', and set HF_TOKEN to it")

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
        found = {name: self._text(name, info.sha) for name in (CARD, *texts) if name in files}
        restricted = bool(info.private or getattr(info, "gated", False))  # a Space is never gated
        return Remote(info.sha, files, found, private=bool(info.private), restricted=restricted)

    def make(self, revision: str, *, private: bool) -> None:
        """Make the repository and the branch, where they are not there."""
        sdk = {"space_sdk": _SPACE_SDK} if self.repository.type == "space" else {}
        self._api.create_repo(**self._where, private=private, exist_ok=True, **sdk)
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

    def commit(self, plan: Plan, parent: str, options: PushOptions, message: str) -> CommitInfo:
        """Upload what is large, then commit everything at once onto ``parent``."""
        return self._api.create_commit(
            **self._where,
            operations=plan.operations(),
            commit_message=options.message or message,
            revision=options.revision,
            create_pr=options.create_pr,
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

    def new_pull_requests(self) -> list[str]:
        """Refs of the pull requests that were opened since this was asked first."""
        refs = self._api.list_repo_refs(**self._where, include_pull_requests=True)
        there = {request.ref for request in refs.pull_requests}
        self._pull_requests = there if self._pull_requests is None else self._pull_requests
        return sorted(there - self._pull_requests)

    def pull_request_url(self, ref: str) -> str:
        """The page of a pull request."""
        prefix = "" if self.repository.type == "model" else f"{self.repository.type}s/"
        return f"{self._api.endpoint}/{prefix}{self.repository.id}/discussions/{ref.rpartition('/')[2]}"

    def _text(self, name: str, revision: str) -> str:
        url = hf_hub_url(**self._where, filename=name, revision=revision)
        response = http_backoff("GET", url, headers=build_hf_headers(token=self.token or False))
        hf_raise_for_status(response)
        try:
            return response.content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"file {name!r} in {self.repository} is no UTF-8 text: correct it on the Hub") from error


def push(publication: Publication, options: PushOptions, token: str) -> Published:
    """Publish a thing: whole, or not at all.

    Args:
        publication: What, and where.
        options: How.
        token: Of a user who may write there.

    Raises:
        UserError: It cannot be published, or the Hub keeps failing; the repository is then as it was or as it should
            be.
    """
    refuse_tokens([*publication.files], token)
    hub = Hub(publication.repository, token)
    _patiently(lambda: _check(hub, publication, options), publication.repository)
    return _patiently(lambda: _attempt(hub, publication, options), publication.repository)


def preview(publication: Publication, options: PushOptions, token: str | None) -> tuple[Remote, Plan]:
    """What the Hub has, and what a push would do; nothing is sent."""
    refuse_tokens([*publication.files], token)
    hub = Hub(publication.repository, token)
    remote = _patiently(lambda: hub.read(options.revision, publication.reads), publication.repository)
    return remote, make_plan(publication, remote)


def _check(hub: Hub, publication: Publication, options: PushOptions) -> None:
    """Refuse, before anything is sent, what can be seen to be wrong."""
    hub.check_writer()
    hub.check_models(publication.depends_on)
    remote = hub.read(MAIN, publication.reads)
    if options.private and remote.commit and not remote.private:
        raise UserError(f"{publication.repository} is public: make it private in its settings, or leave --private out")
    if remote.commit is None:
        plan = make_plan(publication, remote)
        hub.validate(next(change.file.source for change in plan.changes if change.name == CARD).decode())


def _attempt(hub: Hub, publication: Publication, options: PushOptions) -> Published:
    """One go: it has nothing left to do where an earlier one, or somebody else, has done it."""
    remote = hub.read(options.revision, publication.reads)
    if remote.commit is None:
        hub.make(options.revision, private=options.private)
        remote = hub.read(options.revision, publication.reads)
    if options.create_pr and (done := _opened_before(hub, publication)):
        return done
    plan = make_plan(publication, remote)
    commit, pull_request = remote.commit, None
    if not plan.is_empty:
        made = hub.commit(plan, remote.commit, options, publication.message)
        commit, pull_request = made.oid, made.pr_url
        _check_whole(hub, publication, commit)
    notes = []
    if publication.tag and options.revision == MAIN and not options.create_pr:
        notes.append(hub.tag(publication.tag, commit))
    return Published(commit, not plan.is_empty, remote.restricted, pull_request, tuple(filter(None, notes)))


def _opened_before(hub: Hub, publication: Publication) -> Published | None:
    """The pull request of an attempt whose answer got lost."""
    for ref in hub.new_pull_requests():
        remote = hub.read(ref, publication.reads)
        if remote.commit and make_plan(publication, remote).is_empty:
            return Published(remote.commit, True, remote.restricted, hub.pull_request_url(ref))
    return None


def _check_whole(hub: Hub, publication: Publication, commit: str) -> None:
    """See that a commit of ours holds all of it; a ``.gitignore`` on the Hub would leave files out without a word."""
    plan = make_plan(publication, hub.read(commit, publication.reads))
    if not plan.is_empty:
        missing = [*plan.names("add"), *plan.names("update")]
        raise UserError(
            f"the Hub left {', '.join(missing)} out of commit {commit[:8]}: is there a .gitignore in "
            f"{publication.repository}? Remove it and run the command again"
        )


def _patiently(act: Callable[[], _Result], repository: Repository) -> _Result:
    """Try again, ever more slowly, while it may help.

    Raises:
        UserError: It does not, or has not for too long.
    """
    started, wait = time.monotonic(), 1.0
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return act()
        except UserError:
            raise
        except Exception as error:
            failure = failure_of(error, repository)
            if failure is None:
                raise
            tired = attempt == ATTEMPTS or time.monotonic() - started > PATIENCE_S
            if failure.kind == "final" or tired:
                raise UserError(failure.line) from error
            logger.info("%s; trying again", failure.line.partition(": run ")[0])
        time.sleep(wait)
        wait *= 2
    raise AssertionError("an attempt returns or raises")


def _remote_file(entry: RepoFile) -> RemoteFile:
    return RemoteFile(entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else None)


def _complaint(error: ValueError) -> str:
    """What the Hub says about a card: the messages in its answer, or the error as it is."""
    try:
        return "; ".join(found["message"] for found in json.loads(str(error))["errors"])
    except (ValueError, KeyError, TypeError):
        return str(error).splitlines()[0]
