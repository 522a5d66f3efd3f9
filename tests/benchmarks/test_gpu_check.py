"""The check of a device runs to its end on a CPU, and no part of it takes another with it."""

import json
import math

import pytest

from benchmarks import gpu, gpu_work
from benchmarks.gpu_carry import models, packages
from benchmarks.gpu_page import page
from dataset_builder.build import BuildOptions, build


@pytest.fixture
def settings(model_folder, small_suite, tmp_path):
    """``settings(*options)`` of a check on the CPU, with a tiny model."""

    def make(*options):
        tiny = [
            "--models", str(model_folder("chatml")), "--device", "cpu", "--steps", "2", "--items", "3", "--samples",
            "4", "--rows", "8", "--most_rows", "8", "--matrix", "64", "--steps_of_run", "2",
        ]  # fmt: skip
        found = gpu.parser().parse_args([*tiny, "--output", str(tmp_path / "gpu"), *options])
        found.suite = str(small_suite)
        return found

    return make


@pytest.fixture
def here(monkeypatch):
    """Work is done in this process; ``here[name]`` may be set to a function that does it instead."""
    instead = {}

    def work(clock, name, **given):
        given = {"device": clock.settings.device, "suite": clock.settings.suite} | given
        return instead.get(name, gpu_work.WORK[name])(given)

    monkeypatch.setattr(gpu.Clock, "work", work)
    monkeypatch.setattr(gpu.training, "TASKS", ("coinflip", "described_shares"))
    return instead


def test_the_device_is_compared_with_the_cpu_and_measured(settings, here):
    found = gpu.check(settings("--parts", "losses", "scores", "options"))["parts"]
    of_methods = [value for value in found["losses"].values() if isinstance(value, dict)]
    assert of_methods == [{"n": 2, "largest_difference_nats": 0.0, "within": True}] * 2
    assert "failed" not in found["scores"], found["scores"]
    (of_model,) = (value for value in found["scores"].values() if isinstance(value, dict))
    assert of_model["options"]["within"]
    assert of_model["outputs"]["n"] > 3
    assert of_model["samples"] == {"equal": 1.0, "n": 75, "within": True}
    assert found["options"]["options, ours"]["options"] == found["options"]["options, plain"]["options"] >= 6
    assert found["options"]["samples, ours"]["samples"] == 4


def test_a_wrong_device_is_found_out(settings, here):
    real = gpu_work.WORK["step_losses"]
    calls = []

    def wrong(given):
        calls.append(given["device"])
        found = real(given)
        return {"losses": [loss + (0.2 if len(calls) == 1 else 0) for loss in found["losses"]]}

    here["step_losses"] = wrong
    here["scores"] = lambda given: {"options": [[math.nan]], "outputs": [[0.0]], "samples": ["a", "b" * len(calls)]}
    found = gpu.check(settings("--parts", "losses", "scores"))
    assert [line for line in gpu.failures(found) if "bfloat16" in line]
    (of_model,) = (value for value in found["parts"]["scores"].values() if isinstance(value, dict))
    assert not of_model["options"]["within"]
    assert of_model["outputs"]["within"]


def test_training_is_measured_until_larger_batches_gain_nothing(settings, here):
    speeds = {"ours": {8: 100, 16: 190, 32: 192}, "trl": {8: 50, 16: 51}, "trl_packed": {8: 60, 16: 61}}
    here["throughput"] = lambda given: {
        "trained_tokens_per_wall_second": speeds[given["way"]][given["batch_size"]],
        "parameters": 10, "run_tokens": 1000, "wall_seconds": 2.0,
    }  # fmt: skip
    here["matmul_peak"] = lambda _: {"operations_per_second": 60_000.0}
    found = gpu.check(settings("--parts", "training", "--most_rows", "4096"))["parts"]["training"]
    (of_model,) = (value for value in found.values() if isinstance(value, dict) and "ours" in value)
    assert list(of_model["ours"]) == [8, 16, 32]
    assert list(of_model["trl"]) == [8, 16]
    assert of_model["ratio"] == pytest.approx(192 / 61)
    assert of_model["share_of_peak"] == pytest.approx(6 * 10 * 1000 / 2 / 60_000)


def test_every_way_of_training_is_measured(settings, here, small_suite, model_folder):
    for way in gpu.training.WAYS:
        given = {
            "way": way, "model": str(model_folder("chatml")), "suite": str(small_suite), "device": "cpu", "rows": 8,
            "batch_size": 4, "method": "LoRA",
        }  # fmt: skip
        found = gpu_work.WORK["throughput"](given)
        assert found["trained_tokens"] > 20
        assert found["trained_tokens_per_wall_second"] > 0
        assert found["seen_tokens"] <= found["run_tokens"]


def test_a_part_that_fails_is_named_and_the_others_are_done(settings, here, monkeypatch, capsys):
    def broken(given):
        raise RuntimeError("out of memory")

    here["step_losses"] = broken
    arguments = settings("--parts", "losses", "options")
    found = gpu.check(arguments)
    assert found["parts"]["losses"]["failed"] == "RuntimeError: out of memory"
    assert "options, ours" in found["parts"]["options"]
    kept = json.loads((arguments.output / "gpu.json").read_text())
    assert kept["parts"].keys() == found["parts"].keys()
    with pytest.raises(SystemExit) as stopped:
        gpu.main(arguments)
    assert stopped.value.code == 1
    assert "losses: RuntimeError: out of memory" in capsys.readouterr().err


def test_work_in_a_process_of_its_own_is_stopped_in_time_and_says_why_it_failed():
    python = gpu.sys.executable
    assert gpu.run_command([python, "-c", "pass"], 60) is None
    assert gpu.run_command([python, "-c", "raise SystemExit('no such thing')"], 60) == "exit code 1: no such thing"
    assert gpu.run_command([python, "-c", "import time; time.sleep(60)"], 0.5).startswith("it was stopped after")
    assert gpu.run_command([python, "-c", "pass"], -1) == "no time was left"


def test_the_page_has_every_number(settings, here):
    found = gpu.check(settings("--parts", "options"))
    text = page(found)
    speed = found["parts"]["options"]["options, ours"]["options_per_second"]
    assert f"| options, ours, options_per_second | {speed:.4g} |" in text
    assert found["conditions"]["libraries"]["torch"] in text


def test_what_must_be_carried_has_its_size(model_folder):
    sizes = packages()
    assert next(size for name, size in sizes.items() if name.startswith("torch==")) > 100 * 2**20
    assert any(name.startswith("safetensors==") for name in sizes)
    assert any(name.startswith("fsspec==") for name in sizes), "what requirements need in turn"
    (size,) = models([str(model_folder("chatml"))]).values()
    assert size > 1000


@pytest.mark.slow
def test_the_whole_check_as_it_is_typed(settings, tmp_path):
    arguments = settings("--minutes", "20")
    arguments.suite = str(tmp_path / "suite")  # work in other processes is on the tasks that it names
    build(list(gpu.TASKS), BuildOptions(tmp_path / "suite", max_rows=12))
    found = gpu.check(arguments)
    assert list(found["parts"]) == list(gpu.PARTS)
    assert not gpu.failures(found)
    assert found["parts"]["run"]["training"]["steps"] == 2
    assert "after" in found["parts"]["run"]
