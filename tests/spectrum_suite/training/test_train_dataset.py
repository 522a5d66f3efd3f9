"""Training on a dataset as it is: its rows are those of a suite, and options that mean nothing to it are refused."""

import pytest
from datasets import Dataset

from spectrum_suite.commands.train import read_command_line
from spectrum_suite.dataset_suite import DatasetChoice, dataset_suite, parse_columns
from spectrum_suite.errors import UserError
from spectrum_suite.row_fingerprints import fingerprints_of, trained_fingerprints
from spectrum_suite.suite import task_rows
from tests.train_command import COMMON, report_of

COLUMNS = ["--columns", "process=who,input=ask,output=said"]


@pytest.fixture
def own(tmp_path):
    """A folder with splits ``train`` and ``test``."""
    rows = [{"who": f"p{n // 4}", "ask": f"Question {n % 4}?", "said": "yes"} for n in range(24)]
    for split in ("train", "test"):
        Dataset.from_list(rows).to_json(tmp_path / "own" / f"{split}.jsonl")
    return tmp_path / "own"


def made_of(dataset):
    """The suite that is made of the training split."""
    return str(dataset_suite(DatasetChoice(str(dataset), "train", parse_columns(COLUMNS[1:]))).folder)


@pytest.fixture
def train_on(train, model_folder, tmp_path):
    """``train_on(dataset, *words)``: the code and stderr of a run of one step."""

    def run(dataset, *words):
        model = ["--model_name_or_path", str(model_folder("chatml")), "--output_dir", str(tmp_path / "out")]
        return train(*model, *COMMON, "--max_steps", "1", "--dataset", str(dataset), *words)

    return run


def test_a_model_is_tuned_on_a_dataset_as_it_is(train_on, own, tmp_path, caplog):
    code, error = train_on(own, *COLUMNS)
    assert code == 0, error
    report = report_of(tmp_path / "out")
    assert (report["suite"], report["rows_per_task"]) == (str(own), {"own": 6})
    assert report["dataset"] == {
        "name": str(own), "config": None, "split": "train", "revision": None,
        "columns": {"process": "who", "input": "ask", "output": "said"},
    }  # fmt: skip
    rows = task_rows(made_of(own), "own")
    assert trained_fingerprints(tmp_path / "out" / "training_report.json") == set(fingerprints_of(rows))
    code, error = train_on(own, *COLUMNS)
    assert code == 0, error
    assert "has the result of this very run" in caplog.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "test"], "task 'own' is held out for evaluation"),
        (["--objective", "distribution"], "--objective distribution has no row with a target"),
        (["--split", "dev"], 'Unknown split "dev"'),
        (["--columns", "input=ask,output=answer"], "has no column 'answer': there are who, ask, said"),
    ],
)
def test_what_cannot_be_trained_on_is_said(train_on, own, tmp_path, words, message):
    code, error = train_on(own, *([] if "--columns" in words else COLUMNS), *words)
    assert code == 2
    assert message in error.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_what_a_recipe_says_of_a_suite_does_not_count(train_on, own, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("suite: elsewhere\ntasks: [coinflip]\nalignment_steps: 1\n")
    code, error = train_on(own, *COLUMNS, "--config", recipe)
    assert code == 0, error
    assert report_of(tmp_path / "out")["rows_per_task"] == {"own": 6}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--columns", "output=x"], "--columns is for --dataset"),
        (["--split", "test"], "--split is for --dataset"),
        (["--dataset", "x", "--suite", "y"], "--dataset is trained on in place of a suite: leave --suite out"),
        (["--dataset", "x", "--alignment_steps", "5"], "in place of a suite: leave --alignment_steps out"),
    ],
)
def test_options_that_do_not_go_together(words, message):
    with pytest.raises(UserError, match=message):
        read_command_line(["--model_name_or_path", "some/model", *words])
