import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dataset_builder.build import BuildOptions, build
from dataset_builder.recorded_tasks import recorded_task
from dataset_builder.registry import get_task
from dataset_builder.suite_folder import SUITE_VERSION
from spectrum_suite.errors import UserError
from spectrum_suite.hub.card_merge import Ours, merge_card
from spectrum_suite.hub.dataset import dataset_publication
from spectrum_suite.hub.local_files import LocalFile
from spectrum_suite.hub.metric import metric_publication
from spectrum_suite.hub.push_plan import (
    MANIFEST,
    Consent,
    Manifest,
    Publication,
    Remote,
    RemoteFile,
    Repository,
    make_plan,
)

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
        kind="dataset",
    )


def small(content):
    return RemoteFile(
        len(content), hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    )


def large(content):
    return RemoteFile(len(content), "0" * 40, hashlib.sha256(content).hexdigest())


def actions(plan):
    return {change.name: change.action for change in plan.changes}


def listed(**files):
    """The text of a manifest with those files."""
    return Manifest.of("dataset", CARD, [LocalFile(name, content) for name, content in files.items()]).text()


def remote(files, before=None, **texts):
    """A repository with those files, the last push of which made ``before``."""
    card = merge_card(CARD, None, NOTHING_OURS)
    manifest = {} if before is None else {MANIFEST: listed(**before)}
    there = {name: small(text.encode()) for name, text in ({"README.md": card} | manifest).items()}
    return Remote("0" * 40, files | there, {"README.md": card} | manifest | texts)


def test_only_what_differs_is_sent():
    there = {
        "same_small": small(b"1"),
        "same_large": large(b"22"),
        "other_small": small(b"x"),
        "other_large": large(b"yy"),
        "ours_gone": large(b"zzz"),
        "theirs": small(b"people's"),
    }
    before = {"same_small": b"1", "same_large": b"22", "other_small": b"x", "other_large": b"yy", "ours_gone": b"zzz"}
    local = {"same_small": b"1", "same_large": b"22", "other_small": b"3", "other_large": b"44", "new": b"5"}
    plan = make_plan(publication(**local), remote(there, before))
    assert actions(plan) == {
        "README.md": "keep", MANIFEST: "update", "new": "add", "other_large": "update", "other_small": "update",
        "ours_gone": "delete", "same_large": "keep", "same_small": "keep",
    }  # fmt: skip
    assert [(change.action, change.name) for change in plan.losses] == [("delete", "ours_gone")]
    assert sorted(operation.path_in_repo for operation in plan.operations()) == [
        MANIFEST, "new", "other_large", "other_small", "ours_gone",
    ]  # fmt: skip
    assert not plan.is_empty


def test_a_plan_made_after_the_push_is_empty():
    assert make_plan(publication(a=b"1"), remote({"a": large(b"1")}, {"a": b"1"})).is_empty


def test_a_repository_that_no_push_of_ours_made_is_refused_and_says_what_would_go():
    there = remote({"a": small(b"theirs"), "ours_like": large(b"2"), "other": small(b"3")})
    with pytest.raises(UserError) as caught:
        make_plan(publication(a=b"1"), there)
    assert str(caught.value) == (
        "dataset 'org/thing' holds 3 files that no push of ours made (a, other, ours_like): give another --repo_id, or "
        "--overwrite, which would delete ours_like and would replace a"
    )
    plan = make_plan(publication(a=b"1"), there, Consent(overwrite=True))
    assert actions(plan) == {"README.md": "keep", MANIFEST: "add", "a": "replace", "ours_like": "delete"}


def test_a_repository_with_a_card_alone_is_as_good_as_new():
    there = remote({".gitattributes": small(b"*.bin filter=lfs")})
    assert actions(make_plan(publication(a=b"1"), there)) == {"README.md": "keep", MANIFEST: "add", "a": "add"}


@pytest.mark.parametrize(
    "there",
    [
        {"a": small(b"edited"), "gone": small(b"2")},  # would be updated
        {"a": small(b"1"), "gone": large(b"edited")},  # would be deleted
        {"a": small(b"1"), "gone": small(b"2"), "new": small(b"put there by hand")},  # would be replaced
    ],
)
def test_what_somebody_changed_since_is_not_lost(there):
    before = {"a": b"1", "gone": b"2"}
    with pytest.raises(UserError, match=r"^1 files of .* were changed or added since our last push \((a|gone|new)\)"):
        make_plan(publication(a=b"9", new=b"3"), remote(there, before))
    plan = make_plan(publication(a=b"9", new=b"3"), remote(there, before), Consent(overwrite=True))
    assert plan.losses


def test_what_somebody_changed_to_what_we_send_is_kept():
    plan = make_plan(publication(a=b"9"), remote({"a": small(b"9")}, {"a": b"1"}))
    assert actions(plan)["a"] == "keep"


def test_another_kind_of_thing_is_refused():
    found = replace(publication(a=b"1"), kind="space")
    with pytest.raises(UserError, match="holds a dataset, not a space"):
        make_plan(found, remote({"a": small(b"1")}, {"a": b"1"}))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": {"a": 1}}', '{"files": [], "what": 1, "card": 2}'])
def test_a_list_that_does_not_read_is_refused(text):
    there = Remote("0" * 40, {"a": small(b"1"), MANIFEST: small(text.encode())}, {MANIFEST: text})
    with pytest.raises(UserError, match="the list of what an earlier push made, cannot be read"):
        make_plan(publication(a=b"1"), there)
    assert make_plan(publication(a=b"2"), there, Consent(overwrite=True)).names("replace") == ["a"]


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Tasks of sources that may be redistributed, and one that does not say."""
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
    assert found.kind == "dataset"
    assert found.expected[:3] == ("coinflip", "dist_urn", "polis_vote")
    assert "train_mixture" in found.expected


def test_what_does_not_say_is_published_on_request(suite):
    found = dataset_publication(suite, "org/suite", include_unlicensed=True)
    assert "dist_nytimes/test-00000-of-00001.parquet" in published_files(found)
    assert found.notes == ()
    assert "A source marked `no` must not be redistributed" in found.card


def test_what_must_not_be_passed_on_is_not_published_on_request_either(suite, monkeypatch):
    monkeypatch.setattr("spectrum_suite.hub.dataset.recorded_task", forbidden)
    found = dataset_publication(suite, "org/suite", include_unlicensed=True)
    assert not any("polis" in name for name in published_files(found))
    assert "forbids redistribution)" in found.notes[0]


def forbidden(name, record):
    """The task, with Polis's terms made stricter."""
    spec = recorded_task(name, record)
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
    found, without = dataset_publication(suite, "org/suite"), Remote("0" * 40, there, {"build_report.json": report})
    with pytest.raises(UserError, match=r"has 1 tasks that this suite does not have \(gone_task\): build them too, or"):
        make_plan(found, without, Consent(overwrite=True))
    plan = make_plan(found, without, Consent(overwrite=True, remove_tasks=True))
    assert plan.names("delete") == [
        "coinflip/train-00000-of-00003.parquet", "gone_task/train-00000-of-00002.parquet",
    ]  # fmt: skip


def test_a_folder_that_is_no_suite_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match="is not a built suite"):
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
    with pytest.raises(UserError, match=r"task '../coinflip' of the suite is not one"):
        dataset_publication(folder, "org/suite")


def test_notices_and_all_configurations_go_along(tmp_path, monkeypatch):
    monkeypatch.setattr("dataset_builder.card.LISTED", 3)
    tasks = ["coinflip", "gsm8k_question", "dist_nytimes", "cov_claude_gerunds"]
    build(tasks, BuildOptions(tmp_path / "suite", sources_dir=FIXTURES, allow_missing=True, max_rows=2))
    found = dataset_publication(tmp_path / "suite", "org/suite")
    files = {file.name: file.source for file in found.files}
    assert {"LICENSES/gsm8k.txt", "LICENSES/verb_forms.txt", ".huggingface.yaml"} <= files.keys()
    assert b"gsm8k_question" in files[".huggingface.yaml"]
    assert b"dist_nytimes" not in files[".huggingface.yaml"]
    assert all("not part of a suite" not in note for note in found.notes)


def test_a_suite_with_failed_tasks_is_published_on_request_only(suite, tmp_path):
    folder = copy_of(suite, tmp_path)
    report = json.loads((folder / "build_report.json").read_text())
    report["tasks"]["jeopardy_answer_prediction"] = report["tasks"]["coinflip"] | {
        "status": "failed", "error": "raw file 'jeopardy/JEOPARDY_CSV.csv', row 3: it is broken", "rows": 0,
    }  # fmt: skip
    (folder / "build_report.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match=r"1 task of .* failed to build \(jeopardy_answer_prediction\).*--allow_failed"):
        dataset_publication(folder, "org/suite")
    found = dataset_publication(folder, "org/suite", allow_failed=True)
    assert "left out: jeopardy_answer_prediction (failed to build)" in found.notes
    assert "could not be built (`build_report.json` says why): `jeopardy_answer_prediction`." in found.card
    published = json.loads(next(file.source for file in found.files if file.name == "build_report.json"))
    assert published["tasks"]["jeopardy_answer_prediction"]["status"] == "failed"
    assert "jeopardy_answer_prediction" not in found.expected


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
    ("repo_id", "message"), [("org/alignment", "use '--repo_id org/spectrum_alignment', not 'org/alignment'")]
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


def test_what_lies_in_the_folder_of_a_metric_beside_its_code_is_not_sent(tmp_path):
    folder = shutil.copytree(METRIC, tmp_path / "spectrum_alignment", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("venv/lib/x.py", "env/pyvenv.cfg", "env/y.py", "model.safetensors", "data/rows.csv", "notes.ipynb"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("x")
    found = metric_publication(folder, "org/spectrum_alignment")
    assert published_files(found) == {"app.py", "requirements.txt", "scoring.py", "spectrum_alignment.py"}
    assert found.notes == (
        "left out: data/ (1 files) (not part of a metric)",
        "left out: model.safetensors (not part of a metric)",
        "left out: notes.ipynb (not part of a metric)",
    )


def test_the_card_of_a_metric_in_another_encoding_ends_in_a_line(tmp_path):
    folder = shutil.copytree(METRIC, tmp_path / "spectrum_alignment")
    (folder / "README.md").write_bytes("---\ntitle: Zürich\n---\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"README.md' is not in UTF-8: save it in UTF-8$"):
        metric_publication(folder, "org/spectrum_alignment")


@pytest.mark.parametrize("name", ["spectrum_alignment.py", "scoring.py", "app.py"])
@pytest.mark.parametrize("content", [b"", b"def f(:", b"\0\0", "x = 'ü'".encode("latin-1")])
def test_code_of_a_metric_that_does_not_read_ends_in_a_line(tmp_path, name, content):
    folder = shutil.copytree(METRIC, tmp_path / "spectrum_alignment")
    (folder / name).write_bytes(content)
    if name == "scoring.py" and not content:
        pytest.skip("a module beside may be empty")
    with pytest.raises(UserError, match=rf"{name}' (is empty|is not valid Python \()"):
        metric_publication(folder, "org/spectrum_alignment")
