"""`push_to_hub.py` as a user runs it: what it says, how it ends, and where the token is not."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.hub

REPOSITORY = Path(__file__).parents[2]
METRIC = ["metric", "metrics/spectrum_alignment", "--repo-id", "org/spectrum_alignment"]


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
        "loaded back from the Hub in a clean cache: 2 checks, the last "
        "'spectrum_alignment: 9 lines of its examples computed'"
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
        (["dataset", "nowhere", "--repo-id", "org/suite"], "error: folder 'nowhere' not found: "),
        (["metric", "recipes", "--repo-id", "org/recipes"], "error: folder '"),
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
