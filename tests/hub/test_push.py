"""What a push leaves on a Hub: one commit, what people wrote kept, a tag, and nothing where it is refused."""

import json
import threading
from dataclasses import replace

import pytest
import yaml

from dataset_builder.build import BuildOptions, build
from dataset_builder.suite_folder import SUITE_VERSION
from spectrum_suite.commands import push as push_to_hub
from spectrum_suite.errors import UserError
from spectrum_suite.hub.card_merge import END, Ours
from spectrum_suite.hub.connection import Hub
from spectrum_suite.hub.dataset import dataset_publication
from spectrum_suite.hub.publish import PushOptions, preview, push
from spectrum_suite.hub.push_plan import MANIFEST
from tests.loopback_hub.hub_storage import put

pytestmark = pytest.mark.hub

NAME = "org/spectrum-suite"
TAG = f"v{SUITE_VERSION}"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    old, new = (tmp_path_factory.mktemp("versions") / name for name in ("old", "new"))
    build(["coinflip", "dist_urn"], BuildOptions(old, max_rows=3))
    build(["dist_urn", "described_shares"], BuildOptions(new, max_rows=3))
    return old, new


@pytest.fixture(scope="module")
def old(folders):
    return dataset_publication(folders[0], NAME)


@pytest.fixture(scope="module")
def new(folders):
    return dataset_publication(folders[1], NAME)


def send(publication, hub, **options):
    return push(publication, PushOptions(**options), hub.write_token)


def suite_on(hub):
    return hub.repository("dataset", NAME)


def history(repository, revision="main"):
    return list(repository.history(repository.commit_of(revision)))


def shards(repository, revision="main"):
    return sorted(name for name in repository.files(revision) if name.endswith(".parquet"))


def edit_card(repository, change):
    """Somebody writes into the card in their browser."""
    card = repository.content("README.md").decode()
    entry = repository.objects.add(change(card).encode())
    repository.commit("main", [put("README.md", entry)], title="an edit", description="", author="ada", parent=None)


def metadata(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_everything_comes_in_one_commit(here, old):
    done = send(old, here)
    first, *before = history(suite_on(here))
    assert first.id == done.commit
    assert done.changed
    assert set(before[0].files) == {".gitattributes"}
    assert set(first.files) - {".gitattributes"} == {"README.md", MANIFEST, *(file.name for file in old.files)}
    card = suite_on(here).content("README.md").decode()
    assert {"coinflip", "dist_urn"} < {entry["config_name"] for entry in metadata(card)["configs"]}
    assert suite_on(here).refs[f"refs/tags/{TAG}"] == done.commit


def test_the_same_push_again_makes_no_commit(here, old):
    first = send(old, here)
    second = send(old, here)
    assert (second.commit, second.changed) == (first.commit, False)
    assert len(history(suite_on(here))) == 2


def test_a_second_push_uploads_what_changed_and_removes_what_vanished(here, old, new):
    send(old, here)
    here.journal.clear()
    send(new, here, remove_tasks=True)
    assert shards(suite_on(here)) == [
        "described_shares/train-00000-of-00001.parquet",
        "dist_urn/test-00000-of-00001.parquet",
    ]
    assert len([request for request in here.journal.requests if request.method == "PUT"]) == 1
    report = json.loads(suite_on(here).content("build_report.json"))
    assert sorted(report["tasks"]) == ["described_shares", "dist_urn"]


def test_what_people_wrote_into_the_card_is_kept(here, old, new):
    send(old, here)
    edit_card(
        suite_on(here), lambda card: card.replace("---\n", "---\nviewer: false\n", 1) + "\n## Who uses it\n\nWe do.\n"
    )
    send(new, here, remove_tasks=True)
    card = suite_on(here).content("README.md").decode()
    assert card.endswith(f"{END}\n\n## Who uses it\n\nWe do.\n")
    assert metadata(card)["viewer"] is False
    assert "coinflip" not in card
    assert "described_shares" in [entry["config_name"] for entry in metadata(card)["configs"]]


def test_a_tag_that_is_there_stays(here, old, new):
    first = send(old, here)
    done = send(new, here, remove_tasks=True)
    assert suite_on(here).refs[f"refs/tags/{TAG}"] == first.commit
    assert done.notes == (f"tag '{TAG}' stays at {first.commit[:8]}: a new version of the suite gets a tag of its own",)


def test_a_tag_that_is_missing_is_made_by_the_next_push(here, old):
    done = send(old, here)
    del suite_on(here).refs[f"refs/tags/{TAG}"]
    assert not send(old, here).changed
    assert suite_on(here).refs[f"refs/tags/{TAG}"] == done.commit


def test_a_pull_request_leaves_main_alone(here, old, new):
    first = send(old, here)
    done = send(new, here, remove_tasks=True, create_pr=True)
    assert suite_on(here).refs["refs/heads/main"] == first.commit
    assert done.pull_request.endswith(f"/datasets/{NAME}/discussions/1")
    assert "described_shares/train-00000-of-00001.parquet" in shards(suite_on(here), "refs/pr/1")


def test_a_lost_answer_opens_no_second_pull_request(here, old, new):
    send(old, here)
    here.fail("lost-reply", path="/commit/")
    done = send(new, here, remove_tasks=True, create_pr=True)
    assert done.pull_request.endswith("/discussions/1")
    assert [ref for ref in suite_on(here).refs if ref.startswith("refs/pr/")] == ["refs/pr/1"]


def test_a_branch_is_made_from_main(here, old, new):
    first = send(old, here)
    done = send(new, here, remove_tasks=True, revision="next")
    assert suite_on(here).refs["refs/heads/main"] == first.commit
    assert suite_on(here).refs["refs/heads/next"] == done.commit
    assert history(suite_on(here), "next")[1].id == first.commit
    assert suite_on(here).refs[f"refs/tags/{TAG}"] == first.commit


def test_a_branch_of_a_new_repository(here, old):
    done = send(old, here, revision="next")
    assert suite_on(here).refs["refs/heads/next"] == done.commit
    assert shards(suite_on(here)) == []


def test_the_message_is_that_of_the_commit(here, old):
    send(old, here, message="for the paper")
    assert history(suite_on(here))[0].title == "for the paper"


def test_a_new_repository_may_be_private(here, old):
    assert send(old, here, private=True).restricted
    assert suite_on(here).private


def test_a_public_repository_is_not_taken_for_private(here, old, new):
    first = send(old, here)
    with pytest.raises(UserError, match=r"is public: make it private in its settings, or leave --private out"):
        send(new, here, remove_tasks=True, private=True)
    assert suite_on(here).refs["refs/heads/main"] == first.commit


def test_who_loses_a_race_starts_again_from_the_winner(here, old, new, monkeypatch):
    """Somebody else publishes all of ``old`` between our look and our commit."""
    commit, races = Hub.commit, iter([old])

    def late(self, *arguments, **more):
        for other in races:
            send(other, here, remove_tasks=True)
        return commit(self, *arguments, **more)

    monkeypatch.setattr(Hub, "commit", late)
    done = send(new, here, remove_tasks=True)
    states = [sorted(state.files) for state in history(suite_on(here))]
    assert suite_on(here).refs["refs/heads/main"] == done.commit
    assert [name for name in states[0] if name.endswith(".parquet")] == shards(suite_on(here))
    assert "coinflip/train-00000-of-00001.parquet" in states[1]
    assert "coinflip/train-00000-of-00001.parquet" not in states[0]


def test_two_pushes_at_once_do_not_mix(here, old, new):
    ends = {}

    def run(name, publication):
        try:
            ends[name] = send(publication, here, remove_tasks=True).commit
        except UserError as error:
            ends[name] = str(error)

    threads = [threading.Thread(target=run, args=pair) for pair in (("old", old), ("new", new))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = {tuple(sorted(file.name for file in publication.files)) for publication in (old, new)}
    for state in history(suite_on(here))[:-1]:
        assert tuple(sorted(set(state.files) - {".gitattributes", "README.md", MANIFEST})) in whole
    assert suite_on(here).refs["refs/heads/main"] in ends.values()


def test_a_push_that_never_wins_ends_in_a_line(here, old, new, monkeypatch):
    send(old, here)
    commit = Hub.commit
    stale = suite_on(here).refs["refs/heads/main"]
    edit_card(suite_on(here), lambda card: card + "\n")
    monkeypatch.setattr(
        Hub, "commit", lambda self, plan, parent, *rest, **more: commit(self, plan, stale, *rest, **more)
    )
    with pytest.raises(UserError, match=r"^somebody else is writing to dataset .*: run the command again$"):
        send(new, here, remove_tasks=True)


def test_a_dry_run_only_reads(here, old, new):
    send(old, here)
    here.journal.clear()
    remote, plan = preview(new, PushOptions(remove_tasks=True), here.write_token)
    assert {request.method for request in here.journal.requests} == {"GET"}
    assert plan.names("delete") == ["coinflip/train-00000-of-00001.parquet"]
    assert plan.names("keep") == ["dist_urn/test-00000-of-00001.parquet"]
    assert remote.commit == suite_on(here).refs["refs/heads/main"]


def test_a_dry_run_of_what_is_not_there_needs_no_token(here, old):
    remote, plan = preview(old, PushOptions(), None)
    assert remote.commit is None
    assert len(plan.names("add")) == len(plan.changes) == 5


def test_a_token_for_reading_is_refused(here, old):
    with pytest.raises(UserError, match="this token may only read"):
        push(old, PushOptions(), here.read_token)
    assert not here.repositories


def test_a_token_that_is_not_known_is_refused_and_not_shown(here, old):
    with pytest.raises(UserError, match="the Hub does not accept the token") as caught:
        push(old, PushOptions(), "hf_" + "x" * 34)
    assert "xxx" not in str(caught.value)


def test_the_namespace_of_others_is_refused(here, old):
    with pytest.raises(UserError, match=r"may not write to dataset 'org/spectrum-suite' .* write access to 'org'"):
        push(old, PushOptions(), here.strangers_token)
    assert not here.repositories


def test_a_card_that_the_hub_refuses_is_not_sent(here, old):
    bad = replace(old, card=old.card.replace("license: apache-2.0", "license: no such"), ours=lambda _: Ours(set(), {}))
    assert bad.card != old.card
    with pytest.raises(UserError, match="the Hub does not accept the card"):
        send(bad, here)
    assert not here.repositories


def test_a_model_whose_base_is_not_there_is_refused(here, old):
    with pytest.raises(UserError, match=r"^model 'org/nowhere' is not on the Hub"):
        send(replace(old, depends_on=("org/nowhere",)), here)


def test_a_token_in_a_file_is_refused_by_name(here, old, folders):
    file = old.files[0]
    leaking = replace(old, files=(replace(file, name="notes.md", source=here.write_token.encode()), *old.files))
    with pytest.raises(UserError, match=r"file 'notes.md' has an access token in it"):
        send(leaking, here)
    assert not here.repositories


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--repo_id", "suite"], "repository name 'suite' has no owner: use ORG/NAME"),
        (["--repo_id", "org/../suite"], "repository name 'org/../suite' is not valid: use ORG/NAME"),
        (["--repo_id", "org/a b"], "repository name 'org/a b' is not valid"),
        (["--repo_id", NAME, "--create_pr", "--revision", "next"], "--create_pr opens a pull request to main"),
    ],
)
def test_wrong_arguments_are_refused(folders, words, line):
    with pytest.raises(UserError) as caught:
        push_to_hub.run(push_to_hub.parser().parse_args(["dataset", str(folders[0]), *words]))
    assert str(caught.value).startswith(line)


def test_no_token_is_a_line(here, folders, monkeypatch):
    monkeypatch.setattr(push_to_hub, "get_token", lambda: None)
    monkeypatch.setattr(push_to_hub, "set_time_limits", lambda: None)
    with pytest.raises(UserError, match=r"no token: log in with 'hf auth login', or set HF_TOKEN"):
        push_to_hub.run(push_to_hub.parser().parse_args(["dataset", str(folders[0]), "--repo_id", NAME]))
    assert not here.journal.requests


def test_the_dry_run_shows_every_file(here, folders, old, monkeypatch, caplog):
    monkeypatch.setattr(push_to_hub, "set_time_limits", lambda: None)
    monkeypatch.setattr(push_to_hub, "get_token", lambda: None)
    caplog.set_level("INFO", "spectrum_suite.commands.push")
    push_to_hub.run(push_to_hub.parser().parse_args(["dataset", str(folders[0]), "--repo_id", NAME, "--dry_run"]))
    shown = {tuple(line.split()) for line in caplog.messages}
    for file in old.files:
        assert ("add", f"{file.size:,}", file.name) in shown
    assert caplog.messages[-1].startswith("5 to add, 0 to update, 0 to replace, 0 to delete, 0 to keep; ")
    assert caplog.messages[-1].endswith("nothing was sent")
