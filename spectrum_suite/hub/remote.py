"""A repository on a Hub as one user sees it: each question or act is one method, and fails as the client fails."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import httpx2
from huggingface_hub import CommitInfo, HfApi, RepoCard, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff

from spectrum_suite.errors import UserError
from spectrum_suite.hub.answers import Repository
from spectrum_suite.hub.manifest import MANIFEST
from spectrum_suite.hub.plan import CARD, Plan, Remote, RemoteFile

MAIN = "main"

_SPACE_SDK = "gradio"
_NOT_FOUND, _EXISTS, _SERVER_FAULT = 404, 409, 500
_SWITCHED_OFF = {403, 404, 410}
_HIDDEN = 401  # what a Hub answers to strangers in place of 404
_NEW_FILES = {".gitattributes", CARD}


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
