"""Carry out a push: read what the Hub has, send what differs in one commit, mark the version.

An attempt can be cut off anywhere and made again: what is uploaded before the commit is seen by nobody, the commit is
all or nothing and names the state that it was planned on, and a plan made afterwards has only what is left to do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from spectrum_suite.errors import UserError
from spectrum_suite.hub.connection import MAIN, Hub, Repository, failure_of
from spectrum_suite.hub.push_plan import CARD, MANIFEST, Consent, Plan, Publication, Remote, make_plan
from spectrum_suite.hub.secret_scan import SecretScan, own_tokens, redacted

logger = logging.getLogger(__name__)

ATTEMPTS = 5
PATIENCE_S = 300
"""After so many attempts, or so many seconds, a failing push is given up."""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class PushOptions:
    """How to push.

    Attributes:
        private: Make a new repository private.
        revision: The branch; it is made from ``main`` where there is none.
        create_pr: Open a pull request instead of writing to ``main``.
        message: The summary of the commit, in place of ours.
        overwrite: Replace and delete what no push of ours made, too.
        remove_tasks: Remove tasks that a suite has lost.
    """

    private: bool = False
    revision: str = MAIN
    create_pr: bool = False
    message: str | None = None
    overwrite: bool = False
    remove_tasks: bool = False

    @property
    def consent(self) -> Consent:
        """What may be lost."""
        return Consent(self.overwrite, self.remove_tasks)


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
    check_secrets(publication, options, token)
    return _Push(publication, options, token).run()


def preview(publication: Publication, options: PushOptions, token: str | None) -> tuple[Remote, Plan]:
    """What the Hub has, and what a push would do; nothing is sent."""
    check_secrets(publication, options, token)
    hub = Hub(publication.repository, token)
    remote = _patiently(lambda: hub.read(options.revision, publication.reads), publication.repository, token)
    return remote, make_plan(publication, remote, options.consent)


def check_secrets(publication: Publication, options: PushOptions, token: str | None) -> None:
    """Look through all that would be sent, the words around the files included.

    Raises:
        UserError: There is a secret in it.
    """
    texts = [
        ("the card", publication.card),
        ("the commit message", options.message or publication.message),
        ("the name of the repository", publication.repository.id),
        ("the name of the branch", options.revision),
        ("the name of the tag", publication.tag or ""),
    ]
    SecretScan(token).check(publication.files, texts)


class _Push:
    """One push, of as many attempts as it takes."""

    def __init__(self, publication: Publication, options: PushOptions, token: str) -> None:
        self.publication, self.options = publication, options
        self.hub = Hub(publication.repository, token)
        self.user: str | None = None
        self.committed: str | None = None
        self._told: set[str] = set()

    def run(self) -> Published:
        """Check, commit, tag.

        Raises:
            UserError: It cannot be published. Where something of it is on the Hub, the line says so.
        """
        repository = self.publication.repository
        try:
            _patiently(self._check, repository, self.hub.token)
            published = _patiently(self._attempt, repository, self.hub.token)
        except UserError as error:
            raise UserError(self._after(str(error))) from error
        except BaseException:  # an interruption, or a fault of ours
            if left := self._after("interrupted"):
                logger.info("%s", left)
            raise
        if not self.publication.tag or self.options.revision != MAIN or self.options.create_pr:
            return published
        try:
            note = self._tag(published.commit)
        except UserError as error:
            raise UserError(
                f"{repository} is published, commit {published.commit[:8]}, but tag {self.publication.tag!r} is not "
                f"made ({error}): the same command makes it"
            ) from error
        return replace(published, notes=(note,)) if note else published

    def _after(self, line: str) -> str:
        """Clean up after a failure, and add to its line what is left on the Hub."""
        if self.committed:
            return f"{self.publication.repository} is published, commit {self.committed[:8]}, but: {line}"
        left = self.hub.unmake()
        return f"{line}; {left}" if left else line

    def _check(self) -> None:
        """Refuse, before anything is sent, what can be seen to be wrong."""
        publication, options = self.publication, self.options
        self.user = self.hub.check_writer()
        self.hub.check_models(publication.depends_on)
        remote = self.hub.read(MAIN, publication.reads)
        if options.private and remote.commit and not remote.private:
            raise UserError(
                f"{publication.repository} is public: make it private in its settings, or leave --private out"
            )
        if remote.commit is None:
            plan = make_plan(publication, remote, options.consent)
            self.hub.validate(next(change.file.source for change in plan.changes if change.name == CARD).decode())

    def _attempt(self) -> Published:
        """One go: it has nothing left to do where an earlier one, or somebody else, has done it."""
        remote = self._read(self.options.revision)
        if remote.commit is None:
            self.hub.make(self.options.revision, private=self.options.private)
            remote = self._read(self.options.revision)
        revision = self.options.revision
        plan = self._plan(remote)
        if self.options.create_pr and not plan.is_empty and (request := self._pull_request(remote)):
            revision, remote = request, self._read(request)
            plan = self._plan(remote)
        if plan.is_empty:
            return Published(remote.commit, self.committed is not None, remote.restricted, self._page(revision))
        self._tell(plan)
        new_request = self.options.create_pr and revision == MAIN
        message = self.options.message or self.publication.message
        made = self.hub.commit(plan, remote.commit, message, revision=revision, create_pr=new_request)
        self.committed = made.oid
        self._check_whole(made.oid)
        return Published(made.oid, True, remote.restricted, made.pr_url if new_request else self._page(revision))

    def _page(self, revision: str) -> str | None:
        """The page of the pull request that a revision is, if it is one."""
        return None if revision == self.options.revision else self.hub.pull_request_url(revision)

    def _tag(self, commit: str) -> str | None:
        return _patiently(lambda: self.hub.tag(self.publication.tag, commit), self.hub.repository, self.hub.token)

    def _read(self, revision: str) -> Remote:
        return self.hub.read(revision, self.publication.reads)

    def _plan(self, remote: Remote) -> Plan:
        return make_plan(self.publication, remote, self.options.consent)

    def _pull_request(self, main: Remote) -> str | None:
        """The open pull request of this user that a push of the same kind of thing made, if there is one."""
        for ref in self.hub.open_pull_requests(self.user):
            there = self._read(ref).texts.get(MANIFEST)
            if there is not None and there != main.texts.get(MANIFEST):
                return ref
        return None

    def _tell(self, plan: Plan) -> None:
        """Say, before it is done, what will not be there any more."""
        for line in map(str, plan.losses):
            if line not in self._told:
                logger.info("%s", line)
        self._told |= set(map(str, plan.losses))

    def _check_whole(self, commit: str) -> None:
        """See that a commit of ours holds all of it; a ``.gitignore`` on the Hub leaves files out without a word."""
        plan = self._plan(self._read(commit))
        if not plan.is_empty:
            missing = [change.name for change in plan.changes if change.action != "keep"]
            raise UserError(
                f"the Hub left {', '.join(missing)} out of commit {commit[:8]}: is there a .gitignore in "
                f"{self.publication.repository}? Remove it and run the command again"
            )


def _patiently(act: Callable[[], _Result], repository: Repository, token: str | None) -> _Result:
    """Try again, ever more slowly, while it may help.

    Raises:
        UserError: It does not, or has not for too long.
    """
    started, wait, own = time.monotonic(), 1.0, own_tokens(token)
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
                raise UserError(redacted(failure.line, own)) from error
            logger.info("%s; trying again", redacted(failure.line.partition(": run ")[0], own))
        time.sleep(wait)
        wait *= 2
    raise AssertionError("an attempt returns or raises")
