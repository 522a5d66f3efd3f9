import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dataset_builder.build import BuildOptions, build
from dataset_builder.errors import UserError
from dataset_builder.registry import get_task
from dataset_builder.suite_folder import SUITE_VERSION
from spectrum.hub.answers import Repository
from spectrum.hub.card_merge import Ours, merge_card
from spectrum.hub.dataset import dataset_publication
from spectrum.hub.local_files import LocalFile
from spectrum.hub.metric import metric_publication
from spectrum.hub.plan import Publication, Remote, RemoteFile, make_plan

pytestmark = pytest.mark.hub

REPOSITORY = Path(__file__).parents[3]
FIXTURES = REPOSITORY / "dataset_builder" / "fixtures"
METRIC = REPOSITORY / "metrics" / "spectrum_alignment"
CARD = "---\nlicense: mit\n---\ntext\n"
NOTHING_OURS = Ours(set(), {})


def publication(**files):
    return Publication(
        repository=Repository("org/thing", "dataset"),
        card=CARD,
        files=tuple(LocalFile(name, content) for name, content in files.items()),
        ours=lambda _: NOTHING_OURS,
        owns=lambda name, _: name.startswith("ours"),
        message="all",
        loads=("dataset",),
    )


def small(content):
    return RemoteFile(
        len(content), hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    )


def large(content):
    return RemoteFile(len(content), "0" * 40, hashlib.sha256(content).hexdigest())


def actions(plan):
    return {change.name: change.action for change in plan.changes}


def test_only_what_differs_is_sent():
    card = merge_card(CARD, None, NOTHING_OURS)
    there = {
        "README.md": small(card.encode()),
        "same_small": small(b"1"),
        "same_large": large(b"22"),
        "other_small": small(b"x"),
        "other_large": large(b"yy"),
        "ours_gone": large(b"zzz"),
        "theirs": small(b"people's"),
    }
    local = {"same_small": b"1", "same_large": b"22", "other_small": b"3", "other_large": b"44", "new": b"5"}
    plan = make_plan(publication(**local), Remote("0" * 40, there, {"README.md": card}))
    assert actions(plan) == {
        "README.md": "keep", "new": "add", "other_large": "update", "other_small": "update", "ours_gone": "delete",
        "same_large": "keep", "same_small": "keep",
    }  # fmt: skip
    assert plan.upload_bytes == 1 + 2 + 1
    assert sorted(operation.path_in_repo for operation in plan.operations()) == [
        "new", "other_large", "other_small", "ours_gone",
    ]  # fmt: skip
    assert not plan.is_empty


def test_a_plan_made_after_the_push_is_empty():
    card = merge_card(CARD, None, NOTHING_OURS)
    there = {"README.md": small(card.encode()), "a": large(b"1")}
    assert make_plan(publication(a=b"1"), Remote("0" * 40, there, {"README.md": card})).is_empty


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Tasks of sources that may be passed on, and one that does not say."""
    folder = tmp_path_factory.mktemp("suites") / "mixed"
    tasks = ["coinflip", "polis_vote", "dist_nytimes", "dist_urn"]
    build(tasks, BuildOptions(folder, sources_dir=FIXTURES, allow_missing=True, max_rows=5))
    return folder


def published_files(found):
    return {file.name for file in found.files}


def test_what_may_not_be_passed_on_stays_here(suite):
    assert get_task("dist_nytimes").source.redistributable == "unknown"
    found = dataset_publication(suite, "org/suite")
    assert published_files(found) == {
        "build_report.json", "coinflip/train-00000-of-00001.parquet", "polis_vote/train-00000-of-00001.parquet",
        "dist_urn/test-00000-of-00001.parquet",
    }  # fmt: skip
    (note,) = found.notes
    assert note.startswith("left out: dist_nytimes (source 'nytimes_books', licence 'unstated'")
    assert "nytimes" not in found.card.lower()
    assert "New York" not in found.card
    report = json.loads(next(file.source for file in found.files if file.name == "build_report.json"))
    assert sorted(report["tasks"]) == ["coinflip", "dist_urn", "polis_vote"]
    assert "3 tasks from" in found.card
    assert found.loads[:4] == ("dataset", "coinflip", "dist_urn", "polis_vote")
    assert "train_mixture" in found.loads


def test_what_does_not_say_is_published_on_request(suite):
    found = dataset_publication(suite, "org/suite", include_unlicensed=True)
    assert "dist_nytimes/test-00000-of-00001.parquet" in published_files(found)
    assert found.notes == ()
    assert "A source marked `no` or `unknown` must not be passed on" in found.card


def test_what_must_not_be_passed_on_is_not_published_on_request_either(suite, monkeypatch):
    monkeypatch.setattr("spectrum.hub.dataset.get_task", forbidden)
    found = dataset_publication(suite, "org/suite", include_unlicensed=True)
    assert not any("polis" in name for name in published_files(found))
    assert "may not be passed on)" in found.notes[0]


def forbidden(name):
    """The task, with Polis's terms made stricter."""
    spec = get_task(name)
    return replace(spec, source=replace(spec.source, redistributable="no")) if name == "polis_vote" else spec


def test_the_card_loads_the_repository_and_the_tag_is_the_version(suite):
    found = dataset_publication(suite, "org/suite")
    assert 'load_dataset("org/suite", "coinflip"' in found.card
    assert found.tag == f"v{SUITE_VERSION}"


def test_tasks_that_vanished_go_and_files_of_others_stay(suite):
    there = {
        "gone_task/train-00000-of-00002.parquet": large(b"1"),
        "coinflip/train-00000-of-00003.parquet": large(b"2"),
        "theirs/train-00000-of-00001.parquet": large(b"3"),
        "gone_task/notes.md": small(b"4"),
        "img/plot.png": large(b"5"),
    }
    report = json.dumps({"tasks": {"gone_task": {}}})
    plan = make_plan(dataset_publication(suite, "org/suite"), Remote("0" * 40, there, {"build_report.json": report}))
    assert plan.names("delete") == [
        "coinflip/train-00000-of-00003.parquet", "gone_task/train-00000-of-00002.parquet",
    ]  # fmt: skip


def test_a_folder_that_is_no_suite_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match="is no built suite"):
        dataset_publication(tmp_path, "org/suite")


def copy_of(suite, tmp_path):
    return shutil.copytree(suite, tmp_path / "copy")


def test_a_suite_that_lacks_a_file_is_refused(suite, tmp_path):
    folder = copy_of(suite, tmp_path)
    (folder / "dist_urn" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(UserError, match="task 'dist_urn' of the suite has 0 Parquet files of none"):
        dataset_publication(folder, "org/suite")


def test_a_task_with_a_path_for_a_name_is_refused(suite, tmp_path):
    folder = copy_of(suite, tmp_path)
    report = json.loads((folder / "build_report.json").read_text())
    report["tasks"]["../coinflip"] = report["tasks"]["coinflip"]
    (folder / "build_report.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match=r"task '../coinflip' not found"):
        dataset_publication(folder, "org/suite")


def test_files_that_are_no_part_of_a_suite_are_named(suite, tmp_path):
    folder = copy_of(suite, tmp_path)
    (folder / "notes.txt").write_text("x")
    assert "left out: notes.txt (not part of a suite)" in dataset_publication(folder, "org/suite").notes


def test_a_metric_is_published_with_all_its_files():
    found = metric_publication(METRIC, "org/spectrum_alignment")
    assert published_files(found) == {"app.py", "requirements.txt", "scoring.py", "spectrum_alignment.py"}
    assert found.repository.type == "space"
    assert 'evaluate.load("org/spectrum_alignment")' in found.card
    assert "metrics/" not in found.card


@pytest.mark.parametrize(
    ("repo_id", "message"), [("org/alignment", "use '--repo-id org/spectrum_alignment', not 'org/alignment'")]
)
def test_a_metric_under_another_name_is_refused(repo_id, message):
    with pytest.raises(UserError, match=message):
        metric_publication(METRIC, repo_id)


@pytest.mark.parametrize("name", ["app.py", "README.md", "requirements.txt"])
def test_half_a_metric_is_refused(tmp_path, name):
    folder = shutil.copytree(METRIC, tmp_path / "spectrum_alignment")
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"it has no '{name}'"):
        metric_publication(folder, "org/spectrum_alignment")
