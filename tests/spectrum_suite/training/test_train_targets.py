"""`train_sft.py --objective distribution`: targets, alone and beside draws."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from dataset_builder.build import BuildOptions, build
from spectrum_suite.errors import UserError
from spectrum_suite.training.mixture import load_mixture
from tests.spectrum_suite.decisions.decision_rows import write_lines
from tests.train_command import arguments, report_of

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
    for path in list(again.iterdir()):  # as if it had been killed after the second step
        if path.is_dir() and path.name != "checkpoint-2":
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
    code, error = train(*command(again, *MIXED))
    assert code == 0, error
    assert report_of(again)["sessions"] == 2
    assert report_of(again)["train_loss"] == pytest.approx(report["train_loss"], rel=1e-6)
    one, other = (load_file(folder / "adapter_model.safetensors") for folder in (straight, again))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture(scope="module")
def suite_with_targets(tmp_path_factory):
    """A suite of draws, two tasks to train on with a target, and a held-out one; 12 rows each."""
    folder = tmp_path_factory.mktemp("suites") / "with-targets"
    tasks = ["described_shares", "dist_train_coinflip", "dist_train_shares", "dist_urn"]
    build(tasks, BuildOptions(folder, max_rows=12))
    return folder


def test_the_mixture_of_targets_is_mixed_with_draws(train, model_folder, suite_with_targets, tmp_path):
    tasks = ["--tasks", "described_shares=7", "dist_train=5", "--objective", "distribution", "--branching", "1"]
    code, error = train(*arguments(model_folder("chatml"), suite_with_targets, tmp_path / "run", *tasks))
    assert code == 0, error
    rows = report_of(tmp_path / "run")["rows_per_task"]
    assert rows.pop("described_shares") == 7
    assert sorted(rows) == ["dist_train_coinflip", "dist_train_shares"]
    assert sorted(rows.values()) == [2, 3]


def test_everything_is_what_an_objective_can_train_on(suite_with_targets):
    suite = str(suite_with_targets)
    draws = load_mixture(suite, ["all"], seed=1)
    assert (draws.rows_per_task, draws.targets) == ({"described_shares": 12}, None)
    both = load_mixture(suite, ["all=4"], seed=1, with_targets=True)
    assert both.rows_per_task == {"described_shares": 4, "dist_train_coinflip": 4, "dist_train_shares": 4}
    assert [row["id"].partition("/")[0] for row in both.targets] == ["dist_train_coinflip"] * 4 + [
        "dist_train_shares"
    ] * 4
    assert [both.groups[group] for group in both.group_of_row[::4]] == [
        "random_draws", "dist_train_coinflip", "dist_train_shares",
    ]  # fmt: skip
    own = load_mixture(suite, ["dist_train=5", "dist_train_shares=9"], seed=1, with_targets=True)
    assert own.rows_per_task == {"dist_train_coinflip": 5, "dist_train_shares": 9}
    assert own.rows is None
    total = load_mixture(suite, ["dist_train", "described_shares"], seed=1, total=9, with_targets=True)
    assert total.rows_per_task == {"described_shares": 3, "dist_train_coinflip": 3, "dist_train_shares": 3}


@pytest.mark.parametrize(
    ("tasks", "line"),
    [
        (["dist_train=none"], "task 'dist_train=none': the budget after '=' is a number of rows"),
        (["dist_train="], "task 'dist_train=': the budget after '=' is a number of rows"),
        (["heldout"], "no task 'heldout' in suite"),
        (["dist_urn"], "task 'dist_urn' is held out"),
    ],
)
def test_what_no_mixture_is_made_of_is_refused(suite_with_targets, tasks, line):
    with pytest.raises(UserError, match=line):
        load_mixture(str(suite_with_targets), tasks, seed=1, with_targets=True)


def test_targets_are_no_draws(suite_with_targets):
    with pytest.raises(UserError, match=r"'dist_train_.*' has no draws to train on: train on it with --objective dist"):
        load_mixture(str(suite_with_targets), ["dist_train"], seed=1)


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


def test_rows_of_decisions_are_trained_on_alone_and_beside_a_suite(train, command, tmp_path):
    data = write_lines(tmp_path / "typed.jsonl")
    options = ["--objective", "distribution", "--data", str(data), "--data_split", "test"]
    code, error = train(*command(tmp_path / "alone", *options))
    assert code == 0, error
    report = report_of(tmp_path / "alone")
    assert report["rows_per_task"] == {"typed": 4}
    assert "desk_2/team" in (tmp_path / "alone" / "first_rows.html").read_text()
    code, error = train(*command(tmp_path / "both", *options, "--tasks", "coinflip=4"))
    assert code == 0, error
    both = report_of(tmp_path / "both")
    assert both["rows_per_task"] == {"coinflip": 4, "typed": 4}
    assert {"loss/random_draws", "loss/typed"} <= set().union(*both["log"]), both["log"]


def test_rows_of_another_shape_are_named(train, command, tmp_path):
    (tmp_path / "pairs.jsonl").write_text('{"instruction": "Hi", "output": "Ho"}\n')
    options = ["--objective", "distribution", "--data", str(tmp_path / "pairs.jsonl")]
    code, error = train(*command(tmp_path / "run", *options))
    assert code == 2
    assert "row 1 has no 'id': rows of decisions have id, state, questions and gold" in error
