"""The commands of docs/your-own-data.md, run one after another: from the invented survey to a measured model.

They are run as they stand, but for the model, which is a tiny one with random weights and is trained for two steps.
"""

import json
import shlex
from pathlib import Path

import pytest
import torch

from dataset_builder import commands as builder
from spectrum_suite.commands import evaluate, train
from spectrum_suite.suite import located, task_infos
from tests.documents import REPOSITORY, commands, read
from tests.tiny_models import save_llama
from tests.train_command import COMMON

ALL = [shlex.split(line, comments=True) for line in commands(read(Path("docs/your-own-data.md")))]
PATH = [words for words in ALL if any("food" in word for word in words)]
TASKS = {"food", "food_new_people", "food_new_questions"}
PARTS = ("food_new_people", "food_new_questions")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("own")


@pytest.fixture
def at_home(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(folder / "cache"))
    located.cache_clear()
    yield folder
    located.cache_clear()


def words(command):
    return next(each[2:] for each in PATH if each[:2] == ["spectrum-suite", command] and "my-tasks/food.yaml" in each)


def test_the_path_is_at_most_five_commands():
    assert [each[1] for each in PATH] == ["preview", "new-task", "preview", "train", "evaluate"]


def test_the_survey_becomes_a_task_and_is_shown(at_home, capsys):
    builder.main(["new-task", *words("new-task")], "spectrum-suite")
    builder.main(["preview", *words("preview")], "spectrum-suite")
    shown = capsys.readouterr().out
    assert "dist_food_new_questions" in shown
    assert "look at its rows with 'spectrum-suite preview my-tasks/food.yaml'" in shown
    assert "One person answers the questions" in shown
    infos = task_infos("my-tasks/food.yaml")
    assert set(infos) == {f"{kind}{name}" for kind in ("", "dist_") for name in TASKS}
    assert {name for name, info in infos.items() if not info.held_out} == {"food", "dist_food"}


def test_a_model_is_tuned_and_measured_on_held_out_people_and_questions(at_home, tokenizer_of):
    model = save_llama(at_home / "model", tokenizer_of("chatml"))
    try:
        train.main(
            [*words("train"), *COMMON, "--max_length", "320", "--model_name_or_path", str(model), "--max_steps", "2"]
        )
    finally:
        torch.set_flush_denormal(False)
    evaluate.main([*words("evaluate"), "--limit", "6", "--base", str(model), "--device", "cpu"])
    report = json.loads((at_home / "outputs/food/tuned/report.json").read_text())
    assert set(report["steerability"]) == set(PARTS)
    assert set(report["alignment"]) == {f"dist_{name}" for name in PARTS}
    assert report["failed"] == []
    assert set(report["steerability"]["food_new_people"]["by"]["age"]) <= {"18-29", "30-49", "50-64", "65+"}
    assert (at_home / "outputs/food/tuned/plots/groups-food_new_people.svg").is_file()


def test_the_finished_file_of_the_survey_is_strictly_right_but_for_capitals(tmp_path):
    survey = str(REPOSITORY / "recipes/tasks/food.yaml")
    builder.main(["build", "--tasks", survey, "--output", str(tmp_path / "suite"), "--num_proc", "1"])
    records = json.loads((tmp_path / "suite" / "build_report.json").read_text())["tasks"]
    assert {record["status"] for record in records.values()} == {"built"}
    faults = {reason for record in records.values() for reason in (*record["dropped"], *record["cleaned"])}
    assert {reason for reason in faults if "fewer than" not in reason} == {
        "answer that is spelled otherwise than its option"
    }
