"""A push to a Hub that fails at any one of its requests, in any way: main is the old version or the new one, whole."""

import itertools
from dataclasses import dataclass

import pytest

from dataset_builder.build import BuildOptions, build
from spectrum_suite.errors import UserError
from spectrum_suite.hub.dataset import dataset_publication
from spectrum_suite.hub.publish import PushOptions, push
from tests.hub.conftest import wait_for_answers

pytestmark = pytest.mark.hub

SUITE = "org/spectrum-suite"
ONCE = ("500", "503", "429", "disk-full", "reset", "lost-reply", "stall")
PATIENCE_S, STALL_S = 0.3, 1
FOR_EVER = 1000


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Two versions of a suite: in the new one a task is gone, one is new, and one has other rows."""
    old, new = (tmp_path_factory.mktemp("versions") / name for name in ("old", "new"))
    build(["coinflip", "dist_urn"], BuildOptions(old, max_rows=3))
    build(["coinflip", "described_shares"], BuildOptions(new, max_rows=4))
    return dataset_publication(old, SUITE), dataset_publication(new, SUITE)


@dataclass(frozen=True)
class State:
    """A repository as it was: what its refs were, and which contents it had."""

    refs: dict
    commits: dict
    kept: frozenset

    @classmethod
    def of(cls, repository):
        return cls(dict(repository.refs), dict(repository.commits), frozenset(repository.folder.iterdir()))

    def restore(self, repository):
        repository.refs, repository.commits = dict(self.refs), dict(self.commits)
        for path in set(repository.folder.iterdir()) - self.kept:
            path.unlink()


def complaint(publication, hub):
    """What a push says when it fails; nothing if it works."""
    try:
        push(publication, PushOptions(remove_tasks=True), hub.write_token)
    except UserError as error:
        return str(error)
    return ""


def history(repository):
    """The files of every state that main has had, oldest first."""
    return [commit.files for commit in repository.history(repository.commit_of("main"))][::-1]


@dataclass
class Sweep:
    """Pushes the new version onto the old one, each time with another request failing."""

    hub: object
    versions: tuple

    def __post_init__(self):
        old, new = self.versions
        push(old, PushOptions(), self.hub.write_token)
        self.repository = self.hub.repository("dataset", SUITE)
        self.before = State.of(self.repository)
        push(new, PushOptions(remove_tasks=True), self.hub.write_token)
        self.states = history(self.repository)  # empty, old, new
        self.tags = {ref for ref in self.repository.refs if ref.startswith("refs/tags/")}

    def case(self, kind, at, times):
        """A push in which the ``at``-th request fails; whether there was one. Then another, on a Hub that is well."""
        self.before.restore(self.repository)
        self.hub.journal.clear()
        fault = self.hub.fail(kind, at=at, times=times, seconds=STALL_S if kind == "stall" else 0)
        said = complaint(self.versions[1], self.hub)
        if fault.seen < at:
            return False
        assert "\n" not in said
        assert self.hub.write_token not in said
        self.check(done=not said)
        self.hub.journal.clear()
        assert not complaint(self.versions[1], self.hub), (kind, at)
        self.check(done=True)
        return True

    def check(self, *, done):
        """Main has been what it should, in order, and holds every content of it; it is tagged if the push is done."""
        states = history(self.repository)
        assert states == self.states[: len(states)]
        assert len(states) == len(self.states) if done else len(states) >= len(self.states) - 1
        for entry in states[-1].values():
            assert self.repository.objects.path(entry).stat().st_size == entry.size
        if done:
            assert self.tags <= self.repository.refs.keys()

    def cases(self, kind, *, times):
        """How many requests a push has, after each of them failed."""
        if kind == "stall":
            wait_for_answers(PATIENCE_S)
        return len(list(itertools.takewhile(lambda at: self.case(kind, at, times), itertools.count(1))))


@pytest.fixture
def sweep(here, versions):
    return Sweep(here, versions)


@pytest.mark.parametrize("kind", ONCE)
def test_each_request_fails_once(sweep, kind):
    """With the token below, 8 ways to fail at each of some 22 requests."""
    assert sweep.cases(kind, times=1) >= 19


def test_the_token_is_revoked_before_each_request(sweep):
    assert sweep.cases("401", times=FOR_EVER) >= 19
