"""The commands as they are typed, on a machine with an accelerator."""

import json
import runpy
import sys

import pytest
from safetensors.torch import load_file

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


def test_evaluating_on_the_device_gives_the_cpus_numbers(
    device, monkeypatch, capsys, model_folder, small_suite, tmp_path
):
    found = []
    for name in (NAME, "cpu"):
        command = [
            "--model",
            model_folder("chatml"),
            "--suite",
            small_suite,
            "--device",
            name,
            "--dtype",
            "float32",
            "--output",
            tmp_path / name,
        ]
        code, err = evaluate(monkeypatch, capsys, *command, "--limit", "6", "--generations", "4")
        assert code == 0, err
        found.append(json.loads((tmp_path / name / "report.json").read_text()))
    there, here = (numbers(report["alignment"]) for report in found)
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
