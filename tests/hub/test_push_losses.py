"""What a push may delete: files that an earlier push of ours made and nobody touched, and no other unless told."""

import json
from dataclasses import replace

import pytest

from dataset_builder.build import BuildOptions, build
from spectrum_suite.errors import UserError
from spectrum_suite.hub.card_merge import Ours
from spectrum_suite.hub.dataset import dataset_publication
from spectrum_suite.hub.local_files import LocalFile
from spectrum_suite.hub.metric import metric_publication
from spectrum_suite.hub.publish import PushOptions, preview, push
from spectrum_suite.hub.push_plan import MANIFEST, Publication, Repository
from spectrum_suite.hub.rule_adapter_repo import rule_adapter_publication
from spectrum_suite.hub.space import space_publication
from tests.conftest import REPOSITORY
from tests.loopback_hub.hub_storage import put

pytestmark = pytest.mark.hub

SUITE, MODEL = "org/spectrum-suite", "org/precious"


def send(publication, hub, **options):
    return push(publication, PushOptions(**options), hub.write_token)


def write(repository, **files):
    """Somebody puts files there by hand."""
    puts = [put(name, repository.objects.add(content)) for name, content in files.items()]
    repository.commit("main", puts, title="by hand", description="", author="ada", parent=None)


def tuned(*, merged=False):
    """What is published of a model, as `spectrum_suite.hub.model` has it, without the model."""
    names = ["config.json", "model.safetensors"] if merged else ["adapter_config.json", "adapter_model.safetensors"]
    header = json.dumps({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    weights = len(header).to_bytes(8, "little") + header + b"\1"
    return Publication(
        repository=Repository(MODEL, "model"),
        card="---\nlicense: mit\n---\ntext\n",
        files=(LocalFile(names[0], b"{}"), LocalFile(names[1], weights)),
        ours=lambda _: Ours(set(), {}),
        owns=lambda name, _: name.endswith((".json", ".safetensors")),
        message="tuned",
        kind="model",
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    many, few = (tmp_path_factory.mktemp("suites") / name for name in ("many", "few"))
    build(["coinflip", "dist_urn", "described_shares"], BuildOptions(many, max_rows=3))
    build(["dist_urn"], BuildOptions(few, max_rows=3))
    return many, few


THINGS = {
    "model": tuned,
    "rule adapter": lambda: rule_adapter_publication(MODEL),
    "metric": lambda: metric_publication(REPOSITORY / "metrics" / "spectrum_alignment", "org/spectrum_alignment"),
    "space": lambda: space_publication(REPOSITORY / "demo", "org/playground"),
}
PRECIOUS = {
    "config.json": b"{}", "model.safetensors": b"weights", "app.py": b"import gradio", "tools/own.py": b"x = 1",
    "prompt.jinja": b"{{ x }}", "custom_generate/generate.py": b"x = 2", "spectrum_alignment.py": b"x = 3",
}  # fmt: skip


@pytest.mark.parametrize("name", THINGS)
def test_a_repository_of_somebody_else_is_left_alone(here, name):
    publication = THINGS[name]()
    repository = here.create(publication.repository.type, publication.repository.id)
    write(repository, **PRECIOUS)
    before = repository.files()
    with pytest.raises(
        UserError, match=r"holds 7 files that no push of ours made \(.*: give another --repo_id, or --over"
    ):
        send(publication, here)
    assert repository.files() == before


def test_overwriting_tells_every_file_that_goes(here, caplog):
    caplog.set_level("INFO", "spectrum_suite")
    repository = here.create("model", MODEL)
    write(repository, **PRECIOUS | {"adapter_config.json": b"theirs"})
    send(tuned(), here, overwrite=True)
    told = [tuple(line.split()[::2]) for line in caplog.messages]
    assert told == [("replace", "adapter_config.json"), ("delete", "config.json"), ("delete", "model.safetensors")]
    assert repository.content("app.py") == PRECIOUS["app.py"]  # of no kind that a model has
    assert {"config.json", "model.safetensors"}.isdisjoint(repository.files())


def test_what_an_earlier_push_made_goes_and_is_told(here, caplog):
    send(tuned(merged=True), here)
    repository = here.repository("model", MODEL)
    write(repository, **{"notes.md": b"by hand", "config.yaml": b"by hand"})
    caplog.set_level("INFO", "spectrum_suite")
    send(tuned(), here)
    assert [line.split()[0::2] for line in caplog.messages] == [
        ["delete", "config.json"], ["delete", "model.safetensors"]
    ]  # fmt: skip
    assert sorted(repository.files()) == [
        ".gitattributes", MANIFEST, "README.md", "adapter_config.json", "adapter_model.safetensors", "config.yaml",
        "notes.md",
    ]  # fmt: skip


def test_a_file_that_was_changed_since_stays(here):
    send(tuned(merged=True), here)
    repository = here.repository("model", MODEL)
    write(repository, **{"config.json": b'{"edited": true}'})
    with pytest.raises(UserError, match=r"1 files of model 'org/precious' were changed .* \(config.json\): save what"):
        send(tuned(), here)
    assert repository.content("config.json") == b'{"edited": true}'
    send(tuned(), here, overwrite=True)
    assert "config.json" not in repository.files()


def test_rules_do_not_replace_a_model_of_ours(here):
    send(tuned(), here)
    with pytest.raises(UserError, match="holds a model, not a rule_adapter"):
        send(rule_adapter_publication(MODEL), here)


def test_a_suite_that_loses_tasks_asks(here, folders, caplog):
    many, few = (dataset_publication(folder, SUITE) for folder in folders)
    send(many, here)
    repository = here.repository("dataset", SUITE)
    before = repository.files()
    for options in ({}, {"overwrite": True}, {"create_pr": True}):
        with pytest.raises(
            UserError, match=r"has 2 tasks that this suite does not have \(coinflip, described_shares\)"
        ):
            send(few, here, **options)
    with pytest.raises(UserError, match="give --remove_tasks to have them removed"):
        preview(few, PushOptions(), here.write_token)
    assert repository.files() == before
    caplog.set_level("INFO", "spectrum_suite")
    send(few, here, remove_tasks=True)
    assert [line.split()[0::2] for line in caplog.messages] == [
        ["delete", "coinflip/train-00000-of-00001.parquet"], ["delete", "described_shares/train-00000-of-00001.parquet"]
    ]  # fmt: skip


def test_other_shards_of_a_task_are_no_loss(here, folders):
    """A task in one file where it was in two is still there."""
    many, _ = (dataset_publication(folder, SUITE) for folder in folders)
    (shard,) = (file for file in many.files if file.name.startswith("coinflip/"))
    two = tuple(replace(shard, name=f"coinflip/train-0000{n}-of-00002.parquet") for n in range(2))
    send(replace(many, files=(*(file for file in many.files if file is not shard), *two)), here)
    send(many, here)
    assert sum(name.startswith("coinflip/") for name in here.repository("dataset", SUITE).files()) == 1


def test_a_second_pull_request_updates_the_first(here):
    send(tuned(), here)
    repository = here.repository("model", MODEL)
    main = repository.refs["refs/heads/main"]
    first = send(tuned(merged=True), here, create_pr=True)
    again = send(tuned(merged=True), here, create_pr=True)
    changed = tuned(merged=True)
    changed = replace(changed, files=(replace(changed.files[0], source=b'{"a": 1}'), changed.files[1]))
    second = send(changed, here, create_pr=True, message="other words")
    assert [ref for ref in repository.refs if ref.startswith("refs/pr/")] == ["refs/pr/1"]
    assert first.pull_request == again.pull_request == second.pull_request
    assert (again.changed, second.changed) == (False, True)
    assert repository.content("config.json", "refs/pr/1") == b'{"a": 1}'
    assert "adapter_config.json" not in repository.files("refs/pr/1")
    assert repository.refs["refs/heads/main"] == main


def test_a_second_pull_request_is_none_on_a_hub_without_discussions_either(here):
    send(tuned(), here)
    theirs = push(tuned(merged=True), PushOptions(create_pr=True), here.strangers_token)
    here.fail("404", method="GET", path="/discussions", times=99)
    first, again = (send(tuned(merged=True), here, create_pr=True) for _ in range(2))
    assert theirs.pull_request != first.pull_request == again.pull_request
    assert not again.changed


def test_the_pull_request_of_somebody_else_is_not_touched(here):
    send(tuned(), here)
    theirs = push(tuned(merged=True), PushOptions(create_pr=True), here.strangers_token)
    ours = send(tuned(merged=True), here, create_pr=True)
    assert (theirs.pull_request[-2:], ours.pull_request[-2:]) == ("/1", "/2")


def test_a_merged_pull_request_is_not_updated(here):
    send(tuned(), here)
    send(tuned(merged=True), here, create_pr=True)
    repository = here.repository("model", MODEL)
    repository.merge(repository.pull_requests[0], "ada")
    assert send(tuned(), here, create_pr=True).pull_request.endswith("/2")


@pytest.mark.parametrize(
    ("fault", "path", "times"),
    [("403", "/commit/", 1), ("500", "/commit/", 99), ("reset", "/preupload/", 99)],
)
def test_a_failed_push_leaves_no_empty_repository(here, fault, path, times):
    here.fail(fault, path=path, times=times)
    with pytest.raises(UserError):
        send(tuned(), here)
    assert not here.repositories


def test_a_lost_answer_to_making_it_leaves_no_empty_repository(here):
    here.fail("lost-reply", path="/repos/create", times=1)
    here.fail("403", path="/commit/", times=9)
    with pytest.raises(UserError):
        send(tuned(), here)
    assert not here.repositories


def test_an_empty_repository_that_was_there_stays(here):
    here.create("model", MODEL)
    here.fail("403", path="/commit/", times=9)
    with pytest.raises(UserError):
        send(tuned(), here)
    assert list(here.repositories) == [("model", MODEL)]


def test_what_cannot_be_taken_back_is_told(here):
    here.fail("403", path="/commit/", times=9)
    here.fail("500", method="DELETE", times=9)
    with pytest.raises(UserError, match=r"was made by this push and may be left empty: delete it at http://127"):
        send(tuned(), here)


def test_a_tag_that_fails_says_that_the_data_is_published(here):
    here.fail("403", path="/tag/", times=9)
    with pytest.raises(
        UserError, match=r"^model 'org/precious' is published, commit \w{8}, but tag 'v1' is not made \("
    ):
        send(replace(tuned(), tag="v1"), here)
    assert "adapter_config.json" in here.repository("model", MODEL).files()


def test_what_fails_after_the_commit_says_that_it_is_published(here):
    send(tuned(), here)
    here.fail("403", path=r"/revision/\w{40}$", times=99)
    with pytest.raises(UserError, match=r"^model 'org/precious' is published, commit \w{8}, but: "):
        send(tuned(merged=True), here)
