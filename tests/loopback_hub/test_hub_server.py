"""The loopback Hub as `huggingface_hub` finds it, unmodified and in a process of its own."""

# ruff: noqa: PLC0415 - a function that runs in another process imports for itself

import subprocess
from hashlib import sha256

import pytest

from tests.loopback_hub.hub_client import ask
from tests.loopback_hub.hub_server import Hub
from tests.loopback_hub.hub_storage import Entry, git_blob_id, lfs_entry, lfs_pointer, put, tree_ids

pytestmark = pytest.mark.hub

CARD = "---\nlicense: mit\n---\n# A thing\n"
FILES = {
    "README.md": CARD.encode(),
    "empty.txt": b"",
    "sub/numbers.bin": bytes(range(256)) * 40,
    "sub/deep/ä ü%2F.json": b"{}",
    "sub/deep.txt": b"a folder and a file that begin alike",
}


@pytest.fixture
def folder(tmp_path):
    """A folder with small and large files, text and bytes, in folders."""
    for name, content in FILES.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "folder"


def contents(repository, revision="main"):
    names = repository.files(revision).keys() - {".gitattributes"}
    return {name: repository.content(name, revision) for name in names}


def commit(repository, *, delete=(), title="some files", **files):
    """A commit that is made without the wire."""
    changes = [lambda held, name=name: held.pop(name) for name in delete]
    changes += [put(name, repository.objects.add(text.encode())) for name, text in files.items()]
    return repository.commit("main", changes, title=title, description="", author="ada", parent=None)


def upload_twice_and_download(kind, folder):
    from pathlib import Path

    from huggingface_hub import HfApi

    api = HfApi()
    sdk = {"space_sdk": "static"} if kind == "space" else {}
    api.create_repo("org/thing", repo_type=kind, **sdk)
    url = api.create_repo("org/thing", repo_type=kind, exist_ok=True, **sdk)
    where = {"repo_id": "org/thing", "repo_type": kind}
    first, second = (api.upload_folder(**where, folder_path=folder).oid for _ in range(2))
    api.create_tag(**where, tag="v1")
    got = Path(api.snapshot_download(**where, revision="v1"))
    files = {str(path.relative_to(got)): path.read_bytes().hex() for path in got.rglob("*") if path.is_file()}
    listed = {item.path: item.size for item in api.list_repo_tree(**where, recursive=True) if hasattr(item, "size")}
    info = api.repo_info(**where, files_metadata=True)
    return {
        "url": url,
        "unchanged": first == second == info.sha,
        "files": files,
        "listed": listed,
        "siblings": {sibling.rfilename: sibling.size for sibling in info.siblings},
        "license": info.card_data.license,
    }


@pytest.mark.parametrize(
    ("kind", "part_size", "puts"), [("model", 64 << 20, 1), ("dataset", 3000, 4), ("space", 64 << 20, 1)]
)
def test_a_folder_comes_back_whole_and_is_sent_once(tmp_path, folder, kind, part_size, puts):
    card = CARD.replace("license", "sdk: static\nlicense") if kind == "space" else CARD
    (folder / "README.md").write_text(card)
    expected = FILES | {"README.md": card.encode()}
    with Hub(part_size=part_size) as hub:
        seen = ask(hub, tmp_path, upload_twice_and_download, kind, str(folder))
        requests_made = hub.journal.requests
        assert contents(hub.repository(kind, "org/thing")) == expected
    sizes = {name: len(content) for name, content in expected.items()}
    del seen["files"][".gitattributes"], seen["listed"][".gitattributes"], seen["siblings"][".gitattributes"]
    assert {name: bytes.fromhex(content) for name, content in seen["files"].items()} == expected
    assert seen["listed"] == seen["siblings"] == sizes
    assert seen["unchanged"]
    assert seen["license"] == "mit"
    assert seen["url"] == f"{hub.url}/{'' if kind == 'model' else kind + 's/'}org/thing"
    assert len([request for request in requests_made if request.method == "PUT"]) == puts


def test_ids_are_those_of_git(tmp_path):
    tree = {**FILES, "sub.txt": b"sorts before sub/ in git, after it in Python", "sub0/x": b"after"}
    del tree["sub/deep/ä ü%2F.json"]
    large = lfs_entry("0" * 64, 12345)
    entries = {name: Entry(git_blob_id([content], len(content)), len(content)) for name, content in tree.items()}
    entries["sub/large"] = large
    for name, content in (tree | {"sub/large": lfs_pointer("0" * 64, 12345)}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)

    def git(*command):
        return subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet")
    git("add", "--all")
    listed = [line.split("\t") for line in git("ls-tree", "-rt", git("write-tree").strip()).splitlines()]
    ids = {name: facts.split()[2] for facts, name in listed}
    assert {name: entry.blob for name, entry in entries.items()} | tree_ids(entries) == ids | {
        "": git("write-tree").strip()
    }


def read_with_each(tokens):
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    def outcome(act, *given):
        try:
            return act(*given) and "fine"
        except HfHubHTTPError as error:
            return f"{error.response.status_code} {type(error).__name__}"

    def outcomes(api):
        found = {
            name: [outcome(api.model_info, f"org/{name}"), outcome(api.hf_hub_download, f"org/{name}", "a")]
            for name in ("open", "closed", "gated", "none")
        }
        return found | {"listed": sorted(model.id for model in api.list_models(author="org"))}

    seen = {reader: outcomes(HfApi(token=token)) for reader, token in tokens.items()}
    return seen | {"role": HfApi(token=tokens["member"]).whoami()["auth"]["accessToken"]["role"]}


def test_who_may_read_what(hub, tmp_path):
    for name in ("open", "closed", "gated"):
        commit(hub.create("model", f"org/{name}"), a="text")
    hub.repository("model", "org/closed").private = True
    hub.repository("model", "org/gated").gated = True
    tokens = {"anybody": False, "stranger": hub.strangers_token, "member": hub.read_token}
    seen = ask(hub, tmp_path, read_with_each, tokens, token="")
    fine, none, hidden = ["fine"] * 2, ["404 RepositoryNotFoundError"] * 2, ["401 RepositoryNotFoundError"] * 2
    open_ones = ["org/gated", "org/open"]
    assert seen == {
        "anybody": {
            "open": fine, "closed": hidden, "gated": ["fine", "401 GatedRepoError"], "none": hidden,
            "listed": open_ones,
        },
        "stranger": {
            "open": fine, "closed": none, "gated": ["fine", "403 GatedRepoError"], "none": none, "listed": open_ones,
        },
        "member": {
            "open": fine, "closed": fine, "gated": fine, "none": none, "listed": ["org/closed", *open_ones],
        },
        "role": "read",
    }  # fmt: skip


def write_with_each(tokens):
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    def status(act):
        try:
            act()
        except HfHubHTTPError as error:
            return error.response.status_code

    def statuses(api):
        acts = {
            "create": lambda: api.create_repo("org/new"),
            "commit": lambda: api.upload_file(repo_id="org/thing", path_in_repo="b", path_or_fileobj=b"b"),
            "tag": lambda: api.create_tag("org/thing", tag="v1"),
            "branch": lambda: api.create_branch("org/thing", branch="other"),
            "hide": lambda: api.update_repo_settings("org/thing", private=True),
            "move": lambda: api.move_repo("org/thing", "eve/thing"),
            "delete": lambda: api.delete_repo("org/thing"),
        }
        return {name: status(act) for name, act in acts.items()}

    return {writer: statuses(HfApi(token=token)) for writer, token in tokens.items()}


def test_nobody_writes_who_may_not(hub, tmp_path):
    repository = hub.create("model", "org/thing")
    commit(repository, a="text")
    before = dict(repository.refs)
    tokens = {"reader": hub.read_token, "stranger": hub.strangers_token, "anybody": False, "forged": "hf_none"}
    seen = ask(hub, tmp_path, write_with_each, tokens, token="")
    expected = {"reader": 403, "stranger": 403, "anybody": 401, "forged": 401}
    acts = ("create", "commit", "tag", "branch", "hide", "move", "delete")
    assert seen == {writer: dict.fromkeys(acts, status) for writer, status in expected.items()}
    assert repository.refs == before
    assert list(hub.repositories) == [("model", "org/thing")]
    assert not repository.private


def work_on_a_repository():
    from pathlib import Path

    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RevisionNotFoundError

    api, seen = HfApi(), {}

    def status(act, kind=HfHubHTTPError):
        try:
            act()
        except kind as error:
            return error.response.status_code

    def committed(*operations, **more):
        return api.create_commit("org/thing", operations=operations, commit_message="work", **more).oid

    start = api.model_info("org/thing").sha
    committed(CommitOperationAdd("a", b"newer"), CommitOperationAdd("data/x.bin", b"\0" * 5000))
    seen["stale"] = status(lambda: committed(CommitOperationAdd("a", b"other"), parent_commit=start))
    committed(CommitOperationCopy("data/x.bin", "copy.bin"), CommitOperationCopy("a", "b"), CommitOperationDelete("c/"))
    seen["after copy"] = api.list_repo_files("org/thing")
    seen["gone"] = status(lambda: committed(CommitOperationDelete("none")), EntryNotFoundError)
    seen["old"] = api.list_repo_files("org/thing", revision=start)
    seen["missing"] = status(lambda: hf_hub_download("org/thing", "none"), EntryNotFoundError)
    seen["no folder"] = status(lambda: list(api.list_repo_tree("org/thing", "none")), EntryNotFoundError)
    seen["no revision"] = status(lambda: api.model_info("org/thing", revision="none"), RevisionNotFoundError)
    seen["paths"] = [info.path for info in api.get_paths_info("org/thing", ["data", "a", "none"])]
    seen["history"] = [commit.title for commit in api.list_repo_commits("org/thing")]
    expanded = api.list_repo_tree("org/thing", expand=True)
    seen["last commits"] = {item.path: item.last_commit.title for item in expanded}

    api.create_tag("org/thing", tag="v1", revision=start)
    api.create_tag("org/thing", tag="v2")
    api.create_tag("org/thing", tag="v2", exist_ok=True)
    seen["tag twice"] = status(lambda: api.create_tag("org/thing", tag="v2"))
    api.delete_tag("org/thing", tag="v2")
    seen["delete no tag"] = status(lambda: api.delete_tag("org/thing", tag="v2"), RevisionNotFoundError)
    api.create_branch("org/thing", branch="side/way", revision="v1")
    committed(CommitOperationAdd("on side", b""), revision="side/way")
    seen["side"] = api.list_repo_files("org/thing", revision="side/way")
    seen["to a tag"] = status(lambda: committed(CommitOperationAdd("x", b""), revision="v1"), RevisionNotFoundError)
    refs = api.list_repo_refs("org/thing")
    seen["refs"] = [sorted(ref.name for ref in refs.branches), [ref.name for ref in refs.tags]]
    seen["v1"] = refs.tags[0].target_commit == start
    api.delete_branch("org/thing", branch="side/way")

    api.update_repo_settings("org/thing", private=True)
    seen["hidden"] = api.model_info("org/thing").private
    api.move_repo("org/thing", "ada/elsewhere")
    seen["moved"] = [api.model_info("org/thing").id, Path(hf_hub_download("org/thing", "a")).read_text()]
    api.delete_repo("ada/elsewhere")
    seen["left"] = api.repo_exists("ada/elsewhere")
    return seen


def test_commits_branches_tags_and_settings(hub, tmp_path):
    repository = hub.create("model", "org/thing")
    commit(repository, a="text", c="to become a folder")
    commit(repository, delete=["c"], title="a folder", **{"c/d": "text"})
    seen = ask(hub, tmp_path, work_on_a_repository)
    assert seen == {
        "stale": 412,
        "after copy": [".gitattributes", "a", "b", "copy.bin", "data/x.bin"],
        "gone": 404,
        "old": [".gitattributes", "a", "c/d"],
        "missing": 404,
        "no folder": 404,
        "no revision": 404,
        "paths": ["data", "a"],
        "history": ["work", "work", "a folder", "some files", "initial commit"],
        "last commits": {".gitattributes": "initial commit", **dict.fromkeys(["a", "b", "copy.bin", "data"], "work")},
        "tag twice": 409,
        "delete no tag": 404,
        "side": [".gitattributes", "a", "c/d", "on side"],
        "to a tag": 404,
        "refs": [["main", "side/way"], ["v1"]],
        "v1": True,
        "hidden": True,
        "moved": ["ada/elsewhere", "newer"],
        "left": False,
    }
    assert not hub.repositories


def propose_changes():
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    proposed = [
        api.create_commit("org/thing", operations=[add], commit_message=f"Change {add.path_in_repo}", create_pr=True)
        for add in (CommitOperationAdd("a", b"proposed"), CommitOperationAdd("large.bin", b"\0" * 100))
    ]
    api.upload_file(repo_id="org/thing", path_in_repo="b", path_or_fileobj=b"more", revision="refs/pr/1")
    try:
        api.merge_pull_request("org/thing", 1)
    except HfHubHTTPError as error:
        refused = error.response.status_code
    empty = api.create_pull_request("org/thing", "Nothing yet")
    refs = api.list_repo_refs("org/thing", include_pull_requests=True).pull_requests
    return {
        "revisions": [info.pr_revision for info in proposed],
        "urls": [info.pr_url for info in proposed],
        "refused": refused,
        "files": api.list_repo_files("org/thing", revision="refs/pr/1"),
        "refs": {ref.ref: ref.target_commit for ref in refs},
        "discussions": [[found.num, found.title, found.status] for found in api.get_repo_discussions("org/thing")],
        "empty": empty.git_reference,
    }


def test_a_stranger_may_propose_and_the_owner_merges(hub, tmp_path):
    repository = hub.create("model", "org/thing")
    base = commit(repository, a="text")
    seen = ask(hub, tmp_path, propose_changes, token=hub.strangers_token)
    assert contents(repository) == {"a": b"text"}
    assert seen["revisions"] == ["refs/pr/1", "refs/pr/2"]
    assert seen["urls"] == [f"{hub.url}/org/thing/discussions/{number}" for number in (1, 2)]
    assert seen["refused"] == 403
    assert seen["files"] == [".gitattributes", "a", "b"]
    assert seen["refs"] == {f"refs/pr/{number}": repository.refs[f"refs/pr/{number}"] for number in (1, 2, 3)}
    assert seen["discussions"] == [[1, "Change a", "open"], [2, "Change large.bin", "open"], [3, "Nothing yet", "open"]]
    assert seen["empty"] == "refs/pr/3"
    assert repository.refs["refs/pr/3"] == base.id
    repository.merge(repository.pull_requests[0], "ada")
    repository.merge(repository.pull_requests[1], "ada")
    assert contents(repository) == {"a": b"proposed", "b": b"more", "large.bin": bytes(100)}


def list_many(count):
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    operations = [CommitOperationAdd(f"{n % 7}/{n:04}.txt", str(n).encode()) for n in range(count)]
    api.create_commit("org/thing", operations=operations, commit_message="many", repo_type="dataset")
    where = {"repo_id": "org/thing", "repo_type": "dataset"}
    return {
        "files": api.list_repo_files(**where),
        "expanded": [item.path for item in api.list_repo_tree(**where, path_in_repo="3", expand=True)],
    }


def test_long_listings_come_in_pages(hub, tmp_path):
    hub.create("dataset", "org/thing")
    seen = ask(hub, tmp_path, list_many, 2203)
    expected = sorted(f"{n % 7}/{n:04}.txt" for n in range(2203))
    assert seen["files"] == [".gitattributes", *expected]
    assert seen["expanded"] == [name for name in expected if name.startswith("3/")]
    asked = [request.path for request in hub.journal.requests if "/tree/" in request.path]
    assert asked.count("/api/datasets/org/thing/tree/main") == 3  # 2204 files and 7 folders, 1000 a page
    assert asked.count("/api/datasets/org/thing/tree/main/3") == 7  # 315 files, 50 a page


def download_what_breaks_off():
    from hashlib import sha256
    from pathlib import Path

    from huggingface_hub import hf_hub_download

    return sha256(Path(hf_hub_download("org/thing", "large.bin")).read_bytes()).hexdigest()


def test_a_download_that_breaks_off_goes_on_where_it_was(hub, tmp_path):
    """The client keeps what it got in pieces of 10 MiB, so half of the file is more than one."""
    content = b"".join(n.to_bytes(4, "big") for n in range(6 << 20))
    oid = sha256(content).hexdigest()
    repository = hub.create("model", "org/thing")
    repository.objects.write(repository.objects.lfs_path(oid), [content])
    large = put("large.bin", lfs_entry(oid, len(content)))
    repository.commit("main", [large], title="a large file", description="", author="ada", parent=None)
    hub.fail("cut", method="GET", path="^/lfs/")
    assert ask(hub, tmp_path, download_what_breaks_off) == oid
    got = [request for request in hub.journal.requests if request.path.startswith("/lfs/")]
    assert [request.status for request in got] == [200, 206]
