"""A checkpoint is whole, or it is not there, and it knows its run."""

import json

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.training import checkpoints


@pytest.fixture
def run_folder(tmp_path):
    """Checkpoints 2, 4 and 10 of a run with learning rate 1."""
    for step in (2, 4, 10):
        writing = tmp_path / checkpoints.WRITING / f"checkpoint-{step}"
        (writing / "states").mkdir(parents=True)
        (writing / "weights.safetensors").write_bytes(b"w" * step)
        (writing / "states" / "optimizer.pt").write_bytes(b"o" * 100)
        checkpoints.finish(
            writing, tmp_path / f"checkpoint-{step}", {"settings": {"learning_rate": 1.0}, "counts": step}
        )
    return tmp_path


def find(folder, asked="auto", **settings):
    found = checkpoints.find(folder, asked, {"learning_rate": 1.0} | settings)
    return found and found.name


def test_the_last_checkpoint_is_the_one_with_most_steps(run_folder):
    assert find(run_folder) == find(run_folder, None) == "checkpoint-10"
    assert checkpoints.read(run_folder / "checkpoint-4")["counts"] == 4
    assert find(run_folder, "never") is None
    assert find(run_folder / "elsewhere") is None
    assert find(run_folder, str(run_folder / "checkpoint-2")) == "checkpoint-2"


@pytest.mark.parametrize("damage", ["shorter", "gone", "no manifest", "half a manifest", "empty folder"])
def test_one_that_was_cut_short_is_passed_over(run_folder, damage, caplog):
    last = run_folder / "checkpoint-10"
    manifest = last / checkpoints.MANIFEST
    if damage == "shorter":
        (last / "states" / "optimizer.pt").write_bytes(b"o" * 99)
    elif damage == "gone":
        (last / "weights.safetensors").unlink()
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "half a manifest":
        manifest.write_text(manifest.read_text()[:40])
    else:
        last.rename(run_folder / "elsewhere")
        last.mkdir()
    assert find(run_folder) == "checkpoint-4"
    assert "checkpoint-10' is incomplete" in caplog.text
    with pytest.raises(UserError, match="is incomplete"):
        find(run_folder, str(last))


def test_what_was_not_finished_does_not_count(run_folder):
    writing = run_folder / checkpoints.WRITING / "checkpoint-12"
    writing.mkdir(parents=True)
    (writing / "weights.safetensors").write_bytes(b"w")
    assert find(run_folder) == "checkpoint-10"


def test_a_checkpoint_of_other_settings_is_refused(run_folder):
    with pytest.raises(UserError, match=r"is of another run, with learning_rate 1.0 and not 2.0: choose another"):
        find(run_folder, learning_rate=2.0)
    with pytest.raises(UserError, match="with train_on None and not 'all'"):
        find(run_folder, train_on="all")
    assert find(run_folder, "never", learning_rate=2.0) is None


def test_a_checkpoint_of_the_same_name_is_replaced(run_folder):
    writing = run_folder / checkpoints.WRITING / "checkpoint-4"
    writing.mkdir(parents=True)
    (writing / "new").write_text("new")
    checkpoints.finish(writing, run_folder / "checkpoint-4", {"settings": {}, "counts": 5})
    assert sorted(path.name for path in (run_folder / "checkpoint-4").iterdir()) == ["new", checkpoints.MANIFEST]
    assert json.loads((run_folder / "checkpoint-4" / checkpoints.MANIFEST).read_text())["files"] == {"new": 3}
