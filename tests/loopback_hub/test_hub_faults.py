"""What the loopback Hub does wrong on demand, what it refuses, and what it does for many at once."""

import base64
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
import requests

from tests.loopback_hub.hub_cards import card_problems
from tests.loopback_hub.hub_http import byte_range
from tests.loopback_hub.hub_server import Hub

pytestmark = pytest.mark.hub

LARGE = bytes(range(256)) * 100
OID = sha256(LARGE).hexdigest()
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def repository(hub):
    return hub.create("model", "org/thing")


@pytest.fixture
def ask(hub):
    """``ask(method, path, ...)``: one request by ada, tried once."""

    def send(method, path, **more):
        url = path if path.startswith("http") else hub.url + path
        headers = {"Authorization": f"Bearer {hub.write_token}"} if url.startswith(hub.url) else {}
        return requests.request(method, url, headers=headers | more.pop("headers", {}), timeout=10, **more)

    return send


def commit_body(*operations, parent=None, summary="a commit"):
    header = {"summary": summary, "description": ""} | ({"parentCommit": parent} if parent else {})
    lines = [{"key": "header", "value": header}, *({"key": key, "value": value} for key, value in operations)]
    return "".join(json.dumps(line) + "\n" for line in lines)


def text_file(path, text):
    return "file", {"path": path, "content": base64.b64encode(text.encode()).decode(), "encoding": "base64"}


def send_commit(ask, *operations, **more):
    return ask("POST", "/api/models/org/thing/commit/main", data=commit_body(*operations, **more))


def lfs_actions(ask, content=LARGE):
    objects = [{"oid": sha256(content).hexdigest(), "size": len(content)}]
    wanted = {"operation": "upload", "transfers": ["basic"], "objects": objects}
    return ask("POST", "/org/thing.git/info/lfs/objects/batch", json=wanted).json()["objects"][0].get("actions")


@pytest.mark.parametrize("kind", ["500", "503", "429", "401", "507"])
def test_an_injected_status_comes_once_and_nothing_is_done(hub, repository, ask, kind):
    before = dict(repository.refs)
    hub.fail(kind, method="POST", path="/commit/", seconds=3)
    first = send_commit(ask, text_file("a", "text"))
    assert first.status_code == int(kind)
    assert first.headers.get("Retry-After") == ("3" if kind == "429" else None)
    assert repository.refs == before
    assert send_commit(ask, text_file("a", "text")).status_code == 200
    assert [request.status for request in hub.journal.requests] == [int(kind), 200]


def test_a_fault_strikes_those_that_it_is_told_to(hub, repository, ask):
    hub.fail("503", method="GET", path=r"/refs$", at=2, times=2)
    paths = ["/api/models/org/thing", *["/api/models/org/thing/refs"] * 4]
    assert [ask("GET", path).status_code for path in paths] == [200, 200, 503, 503, 200]
    hub.journal.clear()
    assert hub.journal.requests == []


@pytest.mark.parametrize(("kind", "done"), [("reset", False), ("stall", False), ("lost-reply", True)])
def test_a_connection_that_ends(hub, repository, ask, kind, done):
    hub.fail(kind, path="/commit/", seconds=0.2)
    with pytest.raises(requests.ConnectionError):
        send_commit(ask, text_file("a", "text"))
    assert ("a" in repository.files()) == done
    assert [request.status for request in hub.journal.requests] == [None]


def test_a_stall_lasts(hub, repository, ask):
    hub.fail("stall", path="/refs", seconds=60)
    started = time.monotonic()
    with pytest.raises(requests.Timeout):
        requests.get(f"{hub.url}/api/models/org/thing/refs", timeout=0.3)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("where", ["upload", "commit"])
def test_a_full_disk_leaves_nothing_half_written(hub, repository, ask, where):
    upload = lfs_actions(ask)["upload"]["href"]
    before = sorted(path.name for path in repository.folder.iterdir())
    hub.fail("disk-full", path="^/lfs/" if where == "upload" else "/commit/")
    acts = {
        "upload": lambda: ask("PUT", upload, data=LARGE),
        "commit": lambda: send_commit(ask, text_file("a", "text" * 1000)),
    }
    assert acts[where]().status_code == 507
    assert sorted(path.name for path in repository.folder.iterdir()) == before
    assert repository.files().keys() == {".gitattributes"}
    assert acts[where]().status_code == 200


def test_a_mistake_of_the_server_is_not_hidden():
    hub = Hub()
    hub.create("model", "org/thing").refs["refs/heads/main"] = "lost"
    with pytest.raises(KeyError, match="lost"), hub:
        requests.get(f"{hub.url}/api/models/org/thing", timeout=10)
    assert [request.status for request in hub.journal.requests] == [500]


def test_a_file_by_lfs_must_have_come_and_be_what_it_says(hub, repository, ask):
    actions = lfs_actions(ask)
    operation = ("lfsFile", {"path": "x", "algo": "sha256", "oid": OID, "size": len(LARGE)})
    proof = {"oid": OID, "size": len(LARGE)}
    assert send_commit(ask, operation).status_code == 400
    assert ask("POST", actions["verify"]["href"], json=proof).status_code == 404
    assert ask("PUT", actions["upload"]["href"], data=LARGE[:-1]).status_code == 400
    assert ask("PUT", actions["upload"]["href"], data=iter([LARGE[:9], LARGE[9:]])).status_code == 200  # in chunks
    assert ask("POST", actions["verify"]["href"], json=proof).status_code == 200
    assert send_commit(ask, operation).status_code == 200
    assert lfs_actions(ask) is None
    assert repository.content("x") == LARGE


def test_the_storage_wants_its_signature_and_no_token(hub, repository, ask):
    upload = lfs_actions(ask)["upload"]["href"]
    token = {"Authorization": f"Bearer {hub.write_token}"}
    assert ask("PUT", upload.partition("?")[0], data=LARGE).status_code == 403
    assert ask("PUT", upload.replace(OID, "0" * 64), data=LARGE).status_code == 403
    assert ask("PUT", upload, data=LARGE, headers=token).status_code == 400
    assert ask("PUT", upload, data=LARGE).status_code == 200


@pytest.mark.parametrize(("asked", "expected"), [("0-3", (0, 4)), ("5-", (5, 5)), ("-3", (7, 3)), ("8-99", (8, 2))])
def test_ranges(hub, repository, ask, asked, expected):
    start, length = expected
    send_commit(ask, text_file("a", "0123456789"))
    reply = ask("GET", "/org/thing/resolve/main/a", headers={"Range": f"bytes={asked}"})
    assert (reply.status_code, reply.text) == (206, "0123456789"[start : start + length])
    assert reply.headers["Content-Range"] == f"bytes {start}-{start + length - 1}/10"
    assert byte_range(f"bytes={asked}", 10) == expected


def test_a_range_beyond_the_end(hub, repository, ask):
    send_commit(ask, text_file("a", "0123456789"))
    reply = ask("GET", "/org/thing/resolve/main/a", headers={"Range": "bytes=10-"})
    assert (reply.status_code, reply.headers["Content-Range"]) == (416, "bytes */10")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/x", "a//b", ".git/config", "a/./b", "a\\b", ""])
def test_a_name_that_leads_elsewhere_is_refused(hub, repository, ask, path):
    assert send_commit(ask, text_file(path, "text")).status_code == 400
    files = [{"path": path, "sample": "", "size": 4}]
    assert ask("POST", "/api/models/org/thing/preupload/main", json={"files": files}).status_code == 400
    assert repository.files().keys() == {".gitattributes"}


def test_what_else_a_commit_cannot_hold(hub, repository, ask):
    send_commit(ask, text_file("a", "text"))
    before = dict(repository.refs)
    refused = [
        send_commit(ask, text_file("b", "text"), text_file("a/b", "a file is no folder")),
        send_commit(ask, text_file("b", "text"), ("deletedFile", {"path": "none"})),
        send_commit(ask, text_file("b", "text"), ("other", {"path": "b"})),
        send_commit(ask, text_file("b", "text"), summary=""),
        send_commit(ask, text_file("b", "x" * (10 << 20) + "x")),
        send_commit(ask, text_file("README.md", "---\nlicense: none\n---\n")),
    ]
    assert [reply.status_code for reply in refused] == [400, 404, 400, 400, 400, 400]
    assert repository.refs == before


def test_what_goes_to_lfs_and_what_is_ignored(hub, repository, ask):
    send_commit(ask, text_file(".gitignore", "*.log\n# notes\nsecret/\n"), text_file("a", "text"))
    sample = base64.b64encode(b"a\0b").decode()
    files = [
        {"path": path, "sample": sample if path == "binary" else "", "size": 11 << 20 if path == "long" else 4}
        for path in ("a", "x/y.parquet", "binary", "long", "x/y.log", "secret/z")
    ]
    reply = ask("POST", "/api/models/org/thing/preupload/main", json={"files": files}).json()["files"]
    assert {file["path"] for file in reply if file["uploadMode"] == "lfs"} == {"x/y.parquet", "binary", "long"}
    assert {file["path"] for file in reply if file["shouldIgnore"]} == {"x/y.log", "secret/z"}
    assert {file["path"]: file["oid"] for file in reply if file["oid"]} == {"a": repository.files()["a"].blob}
    other = ask("POST", "/api/models/org/thing/preupload/main", json={"files": files, "gitIgnore": "a"}).json()
    assert [file["path"] for file in other["files"] if file["shouldIgnore"]] == ["a"]


def test_of_commits_on_one_parent_one_wins_and_none_is_lost_without(hub, repository, ask):
    parent = repository.refs["refs/heads/main"]
    with ThreadPoolExecutor(8) as threads:
        raced = list(threads.map(lambda n: send_commit(ask, text_file(f"a{n}", "x"), parent=parent), range(8)))
        rest = list(threads.map(lambda n: send_commit(ask, text_file(f"b{n}", "x")), range(8)))
    assert sorted(reply.status_code for reply in raced) == [200, *[412] * 7]
    assert {reply.status_code for reply in rest} == {200}
    assert {f"b{n}" for n in range(8)} < repository.files().keys()
    assert len(list(repository.history(repository.commit_of("main")))) == 10


def test_what_is_recorded_holds_no_token(hub, repository, ask):
    ask("PUT", lfs_actions(ask)["upload"]["href"], data=LARGE)
    send_commit(ask, text_file("a", "text"))
    ask("GET", "/org/thing/resolve/main/a", params={"token": hub.write_token})
    assert len(hub.journal.requests) == 4
    assert hub.journal.requests[1].sent == len(LARGE)
    assert hub.write_token not in repr(hub.journal.requests)


def test_every_error_says_what_it_is(hub, repository, ask):
    reply = ask("GET", "/org/thing/resolve/main/none")
    assert (reply.headers["X-Error-Code"], reply.headers["X-Error-Message"]) == ("EntryNotFound", "Entry not found")
    assert reply.headers["X-Request-Id"]
    assert reply.json() == {"error": "Entry not found"}
    assert ask("GET", "/nothing/there/is").status_code == 404
    assert ask("POST", "/api/models/org/thing/commit/main", data="not JSON").status_code == 400


@pytest.mark.parametrize(
    ("kind", "metadata", "problem"),
    [
        ("model", "license: apache-2.0\nbase_model: org/base\nbase_model_relation: adapter", None),
        ("model", "license: nobody-knows", "license"),
        ("model", "base_model: /a/folder", "base_model"),
        ("model", "base_model_relation: cousin", "base_model_relation"),
        ("model", "tags: {a: b}", "tags"),
        ("model", "model-index: {name: x}", "model-index"),
        ("model", "model-index: [{name: x, results: [{task: {}, dataset: {type: a, name: b}}]}]", "task.type"),
        ("model", "model-index: [{name: x, results: [{task: {type: a}}]}]", "dataset.type"),
        (
            "model",
            "model-index: [{name: x, results: [{task: {type: a}, dataset: {type: a, name: b}, metrics: [{type: c}]}]}]",
            "metrics[0].value",
        ),
        ("dataset", "configs: [{config_name: a, data_files: a/*.parquet}]", None),
        ("dataset", "configs: [{config_name: 1}]", "config_name"),
        ("dataset", "configs: [{config_name: a}, {config_name: a}]", "twice"),
        ("dataset", "configs: {config_name: a}", "configs"),
        ("space", "sdk: gradio\ncolorFrom: blue\nlicense: mit", None),
        ("space", "sdk: gradio\ncolorFrom: black", "colorFrom"),
        ("space", "colorFrom: blue", "sdk"),
        ("space", "sdk: static\nshort_description: " + "x" * 61, "short_description"),
        ("model", "a: [", "YAML"),
        ("model", "just text", "object"),
    ],
)
def test_cards(kind, metadata, problem):
    errors, warnings = card_problems(f"---\n{metadata}\n---\n# Card\n", kind)
    assert not warnings
    assert bool(errors) == bool(problem)
    assert all("YAML Metadata Error" in error for error in errors)
    assert not problem or problem in errors[0]


@pytest.mark.parametrize("text", ["# no metadata", "---\n---\n# empty"])
def test_a_card_without_metadata_is_warned_of(text):
    assert card_problems(text, "model") == ([], ["empty or missing yaml metadata in repo card"])


@pytest.fixture
def by_hand():
    """(process of a Hub that was started from the command line, what it says to export)."""
    command = [sys.executable, "-m", "tests.loopback_hub.hub_server", "--port", "0"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        address, token = (process.stdout.readline().split() for _ in range(2))
        yield process, dict(word.split("=") for word in [*address[1:], token[1]])
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_by_hand(by_hand):
    _, given = by_hand
    headers = {"Authorization": f"Bearer {given['HF_TOKEN']}"}
    who = requests.get(f"{given['HF_ENDPOINT']}/api/whoami-v2", headers=headers, timeout=10).json()
    assert (who["name"], [org["name"] for org in who["orgs"]]) == ("ada", ["org"])
    assert given["HF_HUB_DISABLE_XET"] == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
def test_large_files_are_not_held_in_memory(by_hand):
    process, given = by_hand
    piece, count = bytes(1 << 20), 300
    digest = sha256()
    for _ in range(count):
        digest.update(piece)
    large = {"oid": digest.hexdigest(), "size": count << 20}

    def ask(method, path, **more):
        headers = {"Authorization": f"Bearer {given['HF_TOKEN']}"}
        return requests.request(method, given["HF_ENDPOINT"] + path, headers=headers, timeout=60, **more)

    ask("POST", "/api/repos/create", json={"name": "thing", "organization": "org"})
    wanted = {"operation": "upload", "transfers": ["basic"], "objects": [large]}
    batch = ask("POST", "/org/thing.git/info/lfs/objects/batch", json=wanted).json()
    href = batch["objects"][0]["actions"]["upload"]["href"]
    assert requests.put(href, data=(piece for _ in range(count)), timeout=60).status_code == 200
    send_commit(ask, ("lfsFile", {"path": "x", "algo": "sha256", **large}))
    with ask("GET", "/org/thing/resolve/main/x", stream=True) as reply:
        assert sum(len(got) for got in reply.iter_content(1 << 20)) == count << 20
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) < 100 << 10
