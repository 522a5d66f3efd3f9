"""The commands as they are typed, on a machine with an accelerator."""

import json
import runpy
import sys

import pytest
from safetensors.torch import load_file

from dataset_builder.build import BuildOptions, build
from tests.device.conftest import forget_the_device
from tests.device.simulated_device import NAME
from tests.train_command import COMMON, REPOSITORY, report_of, run_train


def evaluate(monkeypatch, capsys, *command):
    monkeypatch.setattr(sys, "argv", ["evaluate_model.py", *map(str, command)])
    code = 0
    try:
        runpy.run_path(str(REPOSITORY / "evaluate_model.py"), run_name="__main__")
    except SystemExit as stopped:
        code = stopped.code
    return code, capsys.readouterr().err


def without(options, *names):
    pairs = zip(options[::2], options[1::2], strict=True)
    return [word for name, value in pairs if name not in names for word in (name, value)]


def test_tuning_on_the_device_gives_the_cpus_adapter(device, monkeypatch, capsys, model_folder, small_suite, tmp_path):
    common = [
        "--model_name_or_path", model_folder("chatml"), "--suite", small_suite, "--tasks", "coinflip",
        "--max_steps", "2", "--optim", "sgd", "--bf16", "false", "--lora_dropout", "0", *without(COMMON, "--use_cpu"),
    ]  # fmt: skip
    code, err = run_train(monkeypatch, capsys, [*common, "--output_dir", tmp_path / "there"])
    assert code == 0, err
    assert report_of(tmp_path / "there")["device"] == NAME
    forget_the_device()
    monkeypatch.delenv("ACCELERATE_TORCH_DEVICE")
    code, err = run_train(monkeypatch, capsys, [*common, "--use_cpu", "true", "--output_dir", tmp_path / "here"])
    assert code == 0, err
    losses = [[line["loss"] for line in report_of(tmp_path / name)["log"]] for name in ("there", "here")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    mine, other = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("there", "here"))
    assert mine.keys() == other.keys()
    assert max((mine[name] - other[name]).abs().max().item() for name in mine) < 1e-4


@pytest.fixture(scope="module")
def cities(tmp_path_factory):
    """Instruction data whose responses have markers of length, task and language."""
    path = tmp_path_factory.mktemp("data") / "cities.jsonl"
    markers = {"length_tokens": 12, "task": "Explanation", "lang": "English"}
    rows = [
        {
            "id": f"asked/{number}",
            "messages": [
                {"role": "input", "content": f"Tell me about city number {number}."},
                {"role": "output", "content": f"The city has {number} gardens, and a river."},
            ],
            "markers": [markers | {"length_tokens": 12 + number}],
        }
        for number in range(6)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def suite_of_all(tmp_path_factory):
    """A built suite with a task for each desideratum that is measured on a suite."""
    folder = tmp_path_factory.mktemp("suites") / "suite"
    build(list(TASKS.values()), BuildOptions(folder, max_rows=12))
    return folder


TASKS = {"alignment": "dist_urn", "steerability": "coinflip", "coverage": "cov_weekdays_any_format"}
ON_SUITE = ("--generations", "4", "--max_length", "200")
ON_DATA = ("--max_new_tokens", "6", "--format", "chat")


@pytest.mark.parametrize("desideratum", ["alignment", "steerability", "coverage", "markers", "instruction"])
def test_evaluating_on_the_device_gives_the_cpus_numbers(
    device, monkeypatch, capsys, model_folder, suite_of_all, cities, tmp_path, desideratum
):
    on_suite = ("--suite", suite_of_all, "--tasks", TASKS.get(desideratum), *ON_SUITE)
    measured = on_suite if desideratum in TASKS else ("--data", cities, *ON_DATA)
    found = []
    for name in (NAME, "cpu"):
        device.clear()
        command = [
            "--model", model_folder("chatml"), "--desiderata", desideratum, *measured, "--limit", "4",
            "--dtype", "float32", "--device", name, "--output", tmp_path / name,
        ]  # fmt: skip
        code, err = evaluate(monkeypatch, capsys, *command)
        assert code == 0, err
        assert (device.waits > 0) == (name == NAME)
        found.append(json.loads((tmp_path / name / "report.json").read_text())[desideratum])
    there, here = map(numbers, found)
    assert there
    assert there.keys() == here.keys()
    assert there == pytest.approx(here, abs=2e-4, nan_ok=True)


def numbers(content, path=""):
    if isinstance(content, dict):
        content = {name: part for name, part in content.items() if name != "seconds"}
        return {key: value for name, part in content.items() for key, value in numbers(part, f"{path}/{name}").items()}
    if isinstance(content, list):
        return {
            key: value for place, part in enumerate(content) for key, value in numbers(part, f"{path}/{place}").items()
        }
    return {path: content} if isinstance(content, float) else {}
