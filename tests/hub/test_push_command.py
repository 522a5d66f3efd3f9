"""`push_to_hub.py` as a user runs it: what it says, how it ends, and where the token is not."""

import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.loopback_hub.hub_http import INJECTED

pytestmark = pytest.mark.hub

REPOSITORY = Path(__file__).parents[2]
METRIC = ["metric", "metrics/spectrum_alignment", "--repo_id", "org/spectrum_alignment"]


def run(hub, home, *words, **environment):
    return subprocess.run(
        [sys.executable, "push_to_hub.py", *words],
        cwd=REPOSITORY, env=hub.environment(home) | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def contents(folder):
    return [path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()]


def test_a_metric_is_published_and_loaded_back_and_the_token_is_nowhere(hub, tmp_path):
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    ended = run(hub, home, *METRIC, TMPDIR=str(scratch), HF_DEBUG="0")
    assert ended.returncode == 0, ended.stderr
    first, last = ended.stdout.splitlines()
    assert first.startswith("space 'org/spectrum_alignment': published at http://127.0.0.1:")
    assert last == (
        "verified from a clean cache: 2 checks, the last 'spectrum_alignment: 9 lines of its examples computed'"
    )
    assert contents(scratch) == []
    repository = hub.repository("space", "org/spectrum_alignment")
    published = [repository.content(name) for name in repository.files()]
    for text in (ended.stdout.encode(), ended.stderr.encode(), *contents(home), *published):
        assert hub.write_token.encode() not in text


def test_a_thing_that_does_not_load_is_told(hub, tmp_path):
    """The Hub loses the module once it is published."""
    hub.fail("500", path=r"/resolve/\w{40}/spectrum_alignment.py", times=1000)
    home = tmp_path / "home"
    home.mkdir()
    ended = run(hub, home, *METRIC)
    assert ended.returncode == 2
    line = ended.stderr.strip().splitlines()[-1]
    assert line.startswith("error: space 'org/spectrum_alignment' is published, commit ")
    assert "but does not load: " in line
    assert hub.write_token not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["dataset", "nowhere", "--repo_id", "org/suite"], "error: folder 'nowhere' not found: "),
        (["metric", "recipes", "--repo_id", "org/recipes"], "error: folder '"),
    ],
)
def test_a_mistake_ends_in_one_line(hub, tmp_path, words, line):
    ended = run(hub, tmp_path, *words)
    assert ended.returncode == 2
    assert ended.stdout == ""
    (said,) = ended.stderr.splitlines()
    assert said.startswith(line)
    assert not hub.journal.requests
    assert list(tmp_path.iterdir()) == []


TOKEN = "h" + "f_" + "abCDefGHij" * 4
DATASET = ["dataset", "nowhere", "--repo_id"]
MODEL = ["model", "nowhere", "--repo_id", "org/tuned"]


@pytest.mark.parametrize(
    ("words", "environment", "line"),
    [
        ([*DATASET, ""], {}, "error: --repo_id is empty: use ORG/NAME"),
        ([*MODEL, "--dataset", ""], {}, "error: --dataset is empty: use ORG/NAME"),
        ([*MODEL, "--base_model", "base"], {}, "error: repository name 'base' has no owner: use ORG/NAME"),
        ([*METRIC, "--revision", ""], {}, "error: --revision is empty: "),
        (METRIC, {"HF_TOKEN": "hf_ünicode"}, "error: the token has characters in it that no token has: "),
        (METRIC, {"HF_TOKEN": "two words"}, "error: the token has characters in it that no token has: "),
        (METRIC, {"HTTPS_PROXY": "ftp://ada:secret-word@h"}, "error: a proxy of the environment cannot be used ("),
        (METRIC, {"HF_ENDPOINT": "nowhere"}, "error: the Hub's address 'nowhere' is not one: correct HF_ENDPOINT"),
        (
            [*METRIC, "--message", f"by {TOKEN}"],
            {},
            "error: the commit message has an access token in it (Hugging Face)",
        ),
        (
            ["space", "demo", "--repo_id", "org/s", "--base", "embedded:nosuch"],
            {},
            "error: embedded model 'nosuch' not f",
        ),
        ([*MODEL, "--card_only", "."], {}, "error: --card_only '.' is a folder: "),
        (["dataset", f"by-{TOKEN}", "--repo_id", "org/x"], {}, "error: folder 'by-<secret>' not found: "),
    ],
)
def test_every_mistake_ends_in_one_line(hub, tmp_path, words, environment, line):
    ended = run(hub, tmp_path, *words, **environment)
    assert ended.returncode == 2
    (said,) = ended.stderr.splitlines()
    assert said.startswith(line)
    assert TOKEN not in ended.stderr + ended.stdout
    assert "secret-word" not in ended.stderr
    assert not hub.repositories
    assert not [request for request in hub.journal.requests if request.method != "GET"]


INTERRUPTER = """
import os, signal, sys

class Interrupter:
    def find_spec(self, name, *_):
        if name == os.environ["AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupter())
"""


@pytest.mark.parametrize(
    "module", ["huggingface_hub", "detect_secrets", "torch", "spectrum_suite.hub.model", "spectrum_suite.models"]
)
def test_an_interruption_while_modules_load_ends_in_a_line(hub, tmp_path, module):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTER)
    ended = run(hub, tmp_path, *MODEL, PYTHONPATH=str(tmp_path), AT=module)
    assert ended.returncode == 130
    assert ended.stderr == "interrupted: run the same command again to continue\n"


def test_help_comes_at_once(hub, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTER.replace("os.kill", "sys.exit(name) or os.kill"))
    for module in ("huggingface_hub", "torch", "datasets", "pyarrow"):
        assert run(hub, tmp_path, "--help", PYTHONPATH=str(tmp_path), AT=module).returncode == 0


def test_an_end_from_outside_also_ends_the_verification(hub, tmp_path):
    """Its process and its folder, while it waits for a Hub that says nothing."""
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    hub.fail("stall", method="HEAD", path="/resolve/", times=99, seconds=300)
    program = subprocess.Popen(
        [sys.executable, "push_to_hub.py", *METRIC], cwd=REPOSITORY, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=hub.environment(home) | {"TMPDIR": str(scratch)},
    )  # fmt: skip
    try:
        children = []
        while not (children := psutil.Process(program.pid).children(recursive=True)):
            assert program.poll() is None
            time.sleep(0.1)
        program.terminate()
        assert program.wait(30) == 143
        psutil.wait_procs(children, timeout=10)
        assert not [child for child in children if child.is_running()]
        assert list(scratch.iterdir()) == []
    finally:
        program.kill()


def test_what_a_hub_says_is_shown_without_secrets(hub, tmp_path, monkeypatch):
    monkeypatch.setitem(INJECTED, 403, f"no: {hub.write_token} and {TOKEN} and https://ada:secret-word@h.org/x")
    hub.fail("403", path="/commit/")
    ended = run(hub, tmp_path, *METRIC)
    assert ended.returncode == 2
    assert ended.stderr.count("<secret>") == 3
    assert not {hub.write_token, TOKEN, "secret-word"} & set(re.split(r"[\s,:@()]", ended.stderr))
