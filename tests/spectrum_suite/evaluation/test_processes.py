"""Two processes on the CPU that share an evaluation, started as `accelerate launch` starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spectrum_suite.commands import evaluate as evaluate_model
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.processes import Processes
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.evaluation.work import ROWS
from tests.tiny_models import COLORS, DICE, DRAWS, LETTERS, item, save_model, save_suite

REPOSITORY = Path(__file__).parents[3]
MANY = [item(f"many/{n}", f"Number {n}?", ["one", "two"], [0.5, 0.5]) for n in range(ROWS + 3)]
DESIDERATA = ("steerability", "coverage", "alignment")


@pytest.fixture(scope="module")
def words(tmp_path_factory, tokenizer_of):
    """The command's options but for the output."""
    model = save_model(tmp_path_factory.mktemp("model"), tokenizer_of("llama3"))
    tasks = {"colors": COLORS, "dice": DICE, "draws": DRAWS, "letters": LETTERS, "many": MANY}
    suite = save_suite(tmp_path_factory.mktemp("suite"), **tasks)
    return ["--model", str(model), "--suite", str(suite), "--generations", "6", "--device", "cpu"]


def launch(words, output, count=2):
    """The command in so many processes; returns what it said."""
    launcher = ["accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--num_processes", str(count)]
    return subprocess.run(
        [sys.executable, "-m", *launcher, "--main_process_port", "0", "evaluate_model.py", *words, "--output", output],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def without_times(value):
    """A report without what two equal runs differ in."""
    if isinstance(value, dict):
        return {name: without_times(inner) for name, inner in value.items() if name not in ("seconds", "processes")}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def test_two_processes_give_the_numbers_of_one_and_go_on_where_they_were(words, tmp_path):
    run = launch(words, tmp_path / "two")
    assert run.returncode == 0, run.stderr
    evaluate_model.run(evaluate_model.read([*words, "--output", str(tmp_path / "one")]))
    two, one = read_report(tmp_path / "two"), read_report(tmp_path / "one")
    assert (two["settings"]["processes"], one["settings"]["processes"]) == (2, 1)
    for desideratum in DESIDERATA:
        assert two[desideratum]
        assert without_times(two[desideratum]) == without_times(one[desideratum])
    assert two["alignment"]["many"]["n"] == ROWS + 3
    names = {path.name for path in (tmp_path / "two" / "tasks").iterdir()}
    assert names == {path.name for path in (tmp_path / "one" / "tasks").iterdir()}
    assert {"alignment-many-0.json", f"alignment-many-{ROWS}.json", "coverage-letters-both.json"} <= names
    assert run.stderr.count("report, tables and plots are in") == 1

    lost = tmp_path / "two" / "tasks" / f"alignment-many-{ROWS}.json"
    others = {path: path.stat().st_mtime_ns for path in lost.parent.iterdir() if path != lost}
    before = json.loads(lost.read_text())
    lost.unlink()
    again = launch(words, tmp_path / "two")
    assert again.returncode == 0, again.stderr
    assert f"{len(others)} of {len(others) + 1} parts are kept from an earlier run" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in others} == others
    assert json.loads(lost.read_text())["items"] == before["items"]


@pytest.mark.slow
def test_a_mistake_is_told_once(words, tmp_path):
    run = launch([*words, "--tasks", "colours"], tmp_path / "out")
    assert run.returncode != 0
    assert run.stderr.count("no task 'colours'") == 1
    assert not (tmp_path / "out").exists()


def test_a_single_process_works_in_order():
    alone = Processes()
    assert alone.from_main(lambda: 3) == 3
    assert list(alone.rounds([3, 1])) == [([3], 3), ([1], 1)]
    assert list(alone.gather(6)) == [6]
    with pytest.raises(UserError, match="not 3"):
        list(alone.gather(UserError("not 3")))


def test_a_round_has_an_item_for_each_process():
    assert list(Processes(1, 2).rounds([3, 1, 4])) == [([3, 1], 1), ([4], None)]
