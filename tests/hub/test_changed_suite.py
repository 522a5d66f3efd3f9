"""A suite that is not as the build left it is refused in a line; what is published is read back to the last file."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from dataset_builder.build import BuildOptions, build
from dataset_builder.suite_folder import describe_file
from spectrum_suite.errors import UserError
from spectrum_suite.hub.dataset import dataset_publication
from spectrum_suite.hub.publish import PushOptions, push
from spectrum_suite.hub.verify import verify
from tests.loopback_hub.hub_storage import put

pytestmark = pytest.mark.hub

SUITE, SHARD = "org/suite", "coinflip/train-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suites") / "suite"
    build(["coinflip", "described_shares", "dist_urn"], BuildOptions(folder, max_rows=20))
    return folder


@pytest.fixture
def suite(built, tmp_path):
    return shutil.copytree(built, tmp_path / "suite")


def shorten(path):
    pq.write_table(pq.read_table(path).slice(0, 7), path)


def zero_bytes(path):
    content = bytearray(path.read_bytes())
    content[500:540] = bytes(40)
    path.write_bytes(content)


def refused(folder):
    with pytest.raises(UserError) as caught:
        dataset_publication(folder, SUITE)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("change", [shorten, zero_bytes, lambda path: path.write_bytes(path.read_bytes() + b"x")])
def test_a_file_that_was_changed_is_refused(suite, change):
    change(suite / SHARD)
    assert refused(suite).startswith(f"file {SHARD!r} of the suite was changed after the build: build its task again")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"{}"])
def test_a_file_that_is_no_parquet_is_refused(suite, content):
    (suite / SHARD).write_bytes(content)
    assert repr(SHARD) in refused(suite)


def test_a_folder_in_place_of_a_file_is_refused(suite):
    (suite / SHARD).unlink()
    (suite / SHARD).mkdir()
    assert refused(suite).startswith("task 'coinflip' of the suite has 0 Parquet files")


def test_a_file_too_many_is_refused(suite):
    for number in range(2):
        shutil.copy(suite / SHARD, suite / "coinflip" / f"train-{number:05d}-of-00002.parquet")
    (suite / SHARD).unlink()
    assert refused(suite).startswith("task 'coinflip' of the suite has other files than build_report.json lists")


def edited(folder, change):
    path = folder / "build_report.json"
    report = json.loads(path.read_text())
    change(report)
    path.write_text(json.dumps(report))
    return refused(folder)


def test_a_report_that_was_made_to_fit_is_refused_too(suite):
    """Checksum of the changed file and its rows: the task then has other rows than it says."""
    shorten(suite / SHARD)

    def fit(report):
        report["tasks"]["coinflip"]["files"] = {(suite / SHARD).name: describe_file(suite / SHARD)}

    assert edited(suite, fit).startswith("the files of task 'coinflip' do not have the 20 rows of build_report.json")


def test_a_report_of_an_earlier_version_asks_for_a_new_build(suite):
    line = edited(suite, lambda report: report["tasks"]["coinflip"].pop("files"))
    assert line.startswith("task 'coinflip' of the suite has no checksums in build_report.json: build it again")


KEYS = ("seed", "versions", "tasks")
OF_A_TASK = ("status", "version", "rows", "processes", "draws", "bytes", "dropped", "missing", "max_rows", "seed")


@pytest.mark.parametrize("key", KEYS)
def test_a_report_without_a_key_ends_in_a_line(suite, key):
    assert key in edited(suite, lambda report: report.pop(key))


@pytest.mark.parametrize("key", OF_A_TASK)
def test_a_report_without_a_key_of_a_task_ends_in_a_line(suite, key):
    assert f"has no entry 'tasks.coinflip.{key}'" in edited(suite, lambda report: report["tasks"]["coinflip"].pop(key))


@pytest.mark.parametrize("wrong", ["many", -3, 1.5, [], {}, True])
@pytest.mark.parametrize("key", ["rows", "files", "version", "dropped", "status"])
def test_a_report_with_a_wrong_kind_ends_in_a_line(suite, key, wrong):
    if key in ("version", "status") and isinstance(wrong, str):
        pytest.skip("a text may be a version")
    if key == "dropped" and wrong == {}:
        pytest.skip("nothing dropped")
    line = edited(suite, lambda report: report["tasks"]["coinflip"].update({key: wrong}))
    assert key in line or "other files" in line


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", '{"ä": 1}'.encode("latin-1")])
def test_a_report_that_is_none_ends_in_a_line(suite, content):
    (suite / "build_report.json").write_bytes(content)
    assert "build_report.json" in refused(suite)


def failing(report):
    report["tasks"]["dist_urn"] = {"status": "failed", "version": report["tasks"]["dist_urn"]["version"], "error": "x"}


def test_a_suite_with_failed_tasks_asks(suite):
    shutil.rmtree(suite / "dist_urn")
    assert "failed to build (dist_urn)" in edited(suite, failing)
    found = dataset_publication(suite, SUITE, allow_failed=True)
    assert "dist_urn" not in found.expected
    assert "dist_urn" in found.card


@pytest.fixture
def published(here, suite, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", here.url)
    publication = dataset_publication(suite, SUITE)
    return publication, push(publication, PushOptions(), here.write_token)


def test_every_file_and_every_configuration_is_read_back(here, published):
    publication, done = published
    lines = verify(publication, done, here.write_token)
    assert "coinflip, train: 20 rows" in lines
    assert "train_mixture, train: 40 rows" in lines
    assert len(lines) == len(publication.expected)


def test_a_file_that_lost_rows_on_the_hub_is_told(here, published, suite):
    """Somebody, or a fault of the Hub, put fewer rows there: the first ones still stream."""
    from dataclasses import replace  # noqa: PLC0415

    publication, done = published
    repository = here.repository("dataset", SUITE)
    shorten(suite / SHARD)
    entry = repository.objects.add((suite / SHARD).read_bytes())
    made = repository.commit(
        "main", [put(SHARD, entry)], title="x", description="", author="ada", parent=None
    )  # fmt: skip
    with pytest.raises(UserError, match=rf"does not load: LookupError: file {SHARD} has 7 rows, not 20"):
        verify(publication, replace(done, commit=made.id), here.write_token)
