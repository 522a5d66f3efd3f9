"""`train_sft.py --objective distribution`: targets, alone and beside draws."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from tests.test_train_sft import arguments
from tests.train_command import report_of

MIXED = [
    "--objective", "distribution", "--tasks", "coinflip=6", "dist_urn=10", "--allow_held_out", "true",
    "--save_strategy", "steps", "--save_steps", "1", "--branching", "0.5",
]  # fmt: skip


@pytest.fixture(scope="module")
def command(model_folder, small_suite):
    """``command(output, options)``: of a run on the small suite."""
    return lambda output, *more: arguments(model_folder("chatml"), small_suite, output, *more)


def test_targets_and_draws_are_mixed_in_a_run_that_goes_on_to_the_same_weights(train, command, tmp_path):
    straight, again = tmp_path / "straight", tmp_path / "again"
    code, error = train(*command(straight, *MIXED))
    assert code == 0, error
    report = report_of(straight)
    assert report["rows_per_task"] == {"coinflip": 6, "dist_urn": 10}
    assert (report["rows"], report["steps"], report["draws_too_long"], report["targets_too_long"]) == (16, 4, 0, 0)
    assert (report["objective"], report["target_draws"], report["target_smoothing"]) == ("distribution", 32.0, 0.0)
    assert {"loss/dist_urn", "loss/random_draws"} <= set().union(*report["log"])
    assert all(0 < entry["loss"] < 50 for entry in report["log"])
    page = (straight / "first_rows.html").read_text()
    assert "dist_urn" in page
    shutil.copytree(straight, again)
    for name in ("checkpoint-3", "checkpoint-4", ".spectrum_run.json", "training_report.json"):
        path = again / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    code, error = train(*command(again, *MIXED))
    assert code == 0, error
    assert report_of(again)["sessions"] == 2
    assert report_of(again)["train_loss"] == pytest.approx(report["train_loss"], rel=1e-6)
    one, other = (load_file(folder / "adapter_model.safetensors") for folder in (straight, again))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("change", [["--target_draws", "8"], ["--target_smoothing", "1"]])
def test_another_setting_is_another_run(train, command, tmp_path, change):
    once = [*MIXED, "--max_steps", "1"]
    assert train(*command(tmp_path / "run", *once))[0] == 0
    code, error = train(*command(tmp_path / "run", *once, *change))
    assert code == 2
    assert "is of another run, with " in error


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--objective", "distribution", "--tasks", "coinflip"], "has no row with a target: name a distribution task"),
        (["--objective", "distribution", "--tasks", "dist_urn"], "task 'dist_urn' is held out for evaluation"),
        (["--tasks", "dist_urn", "--allow_held_out", "true"], "train on it with --objective distribution"),
        (["--target_draws", "8"], "--target_draws means nothing to --objective spectrum, but to distribution"),
        ([*MIXED, "--train_on", "all"], "--train_on means nothing to --objective distribution"),
        ([*MIXED, "--target_draws", "0"], "--target_draws is 0.0: give a number above 0"),
        ([*MIXED, "--target_smoothing", "-1"], "--target_smoothing is -1.0: give a number of at least 0"),
        ([*MIXED, "--task_branching", "dist_urn=1"], "no task 'dist_urn' is trained on"),
        ([*MIXED, "--max_length", "20"], "row"),
    ],
)
def test_what_cannot_be_honoured_is_refused_in_a_line(train, command, tmp_path, options, line):
    code, error = train(*command(tmp_path / "run", *options))
    assert code == 2
    assert line in error
    assert "Traceback" not in error


def test_a_report_is_json_without_surprises(train, command, tmp_path):
    """Targets alone, packed: the log and the report have the counts of the tries."""
    alone = ["--objective", "distribution", "--tasks", "dist_urn", "--allow_held_out", "true", "--packing", "true"]
    code, error = train(*command(tmp_path / "run", *alone))
    assert code == 0, error
    text = (tmp_path / "run" / "training_report.json").read_text()
    assert "NaN" not in text
    report = json.loads(text)
    assert 0 < report["trained_tokens"] < report["seen_tokens"]
    assert report["log"][-1]["trained_tokens"] == report["trained_tokens"]
