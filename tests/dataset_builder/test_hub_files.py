from types import SimpleNamespace

import httpx2
import pytest
from huggingface_hub import errors

from dataset_builder import hub_files
from dataset_builder.download import DownloadError, HostUnreachableError
from dataset_builder.files import find_files
from dataset_builder.task_spec import Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.errors import UserError

FILES = (SourceFile("data/train-*.parquet"),)


def task(name="movies", **settings):
    source = Source(
        name, "Movies", "https://huggingface.co/datasets/org/movies", "MIT", "yes", "Doe 2020", folder=name,
        revision="abc123", hub="org/movies", **{"files": FILES} | settings,
    )  # fmt: skip
    return TaskSpec(
        name, "icl", "train", source, "text_collections", "Movies.", "a table", ("review",),
        sequences=Sequences("one"), read=lambda files: iter(()),
    )  # fmt: skip


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A stand-in for `snapshot_download`: notes each call, raises ``hub.error`` or gives a folder with two shards."""

    state = SimpleNamespace(error=None, calls=[])

    def snapshot_download(repo, **settings):
        state.calls.append((repo, settings))
        if state.error:
            raise state.error
        for name in ("train-00001.parquet", "train-00000.parquet", "test-00000.parquet"):
            (tmp_path / "snapshot" / "data").mkdir(parents=True, exist_ok=True)
            (tmp_path / "snapshot" / "data" / name).write_text(name)
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(hub_files, "snapshot_download", snapshot_download)
    return state


def test_files_without_an_address_come_from_the_hub_at_the_pinned_revision(hub, tmp_path):
    found = find_files(task(), None)
    assert list(found.found) == ["data/train-00000.parquet", "data/train-00001.parquet"]
    assert found.found["data/train-00001.parquet"].read_text() == "train-00001.parquet"
    settings = {"repo_type": "dataset", "revision": "abc123", "allow_patterns": ["data/train-*.parquet"]}
    assert hub.calls == [("org/movies", settings)]


def test_local_files_are_found_before_the_hub_is_asked(hub, tmp_path):
    (tmp_path / "movies" / "data").mkdir(parents=True)
    (tmp_path / "movies" / "data" / "train-0.parquet").write_text("x")
    assert list(find_files(task(), tmp_path).found) == ["data/train-0.parquet"]
    assert hub.calls == []


def response(status):
    return httpx2.Response(status, request=httpx2.Request("GET", "https://huggingface.co/api"))


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (errors.GatedRepoError("no", response=response(403)), DownloadError, "'org/movies' is gated .accept its terms"),
        (errors.RepositoryNotFoundError("no", response=response(401)), DownloadError, "'org/movies' is neither"),
        (errors.RevisionNotFoundError("no", response=response(404)), DownloadError, "no revision 'abc123'"),
        (errors.RemoteEntryNotFoundError("no", response=response(404)), DownloadError, "has no such file"),
        (errors.HfHubHTTPError("no", response=response(500)), DownloadError, "cannot be read: no"),
        (errors.LocalEntryNotFoundError("no"), HostUnreachableError, "the Hub cannot be reached"),
        (errors.OfflineModeIsEnabled("no"), HostUnreachableError, "HF_HUB_OFFLINE"),
        (httpx2.ConnectError("no"), HostUnreachableError, "the Hub cannot be reached"),
    ],
)
def test_each_way_the_hub_refuses_is_told_apart(hub, error, kind, message):
    hub.error = error
    with pytest.raises(kind, match=message) as raised:
        hub_files.fetch_from_hub(task().source, FILES[0])
    assert type(raised.value) is kind
    with pytest.raises(UserError, match=message):
        find_files(task(), None)


def test_a_hub_that_does_not_answer_is_asked_once_for_all_sources(hub):
    hub.error = httpx2.ConnectError("no")
    unreachable = {}
    for name in ("movies", "books"):
        assert find_files(task(name), None, allow_missing=True, unreachable=unreachable).status == "missing"
    assert len(hub.calls) == 1


def test_a_pattern_that_matches_nothing_is_a_missing_file(hub):
    with pytest.raises(UserError, match="is called so"):
        find_files(task(files=(SourceFile("other/*.parquet"),)), None)


def test_another_layout_is_taken_when_it_is_the_one_that_is_there(hub, tmp_path):
    spec = task(other_layouts=((SourceFile("reviews/*/*.txt"), SourceFile("labels.csv")),))
    (tmp_path / "movies" / "reviews" / "pos").mkdir(parents=True)
    (tmp_path / "movies" / "reviews" / "pos" / "1.txt").write_text("x")
    assert list(find_files(spec, tmp_path).found) == ["data/train-00000.parquet", "data/train-00001.parquet"]
    (tmp_path / "movies" / "labels.csv").write_text("x")
    hub.calls.clear()
    assert list(find_files(spec, tmp_path).found) == ["reviews/pos/1.txt", "labels.csv"]
    assert hub.calls == []
