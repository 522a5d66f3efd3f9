"""What is Unix's alone is used nowhere: the commands run with it taken away."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spectrum_suite import devices
from tests.train_command import COMMON

ROOT = Path(__file__).parents[1]


def run(*command, cwd=ROOT):
    """The command on a system without what is Unix's alone: (exit code, stdout, stderr)."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    line = [sys.executable, str(ROOT / "tests" / "other_system.py"), *map(str, command)]
    done = subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "command",
    [["train_sft.py"], ["evaluate_model.py"], ["push_to_hub.py"], ["quickstart.py"], ["-m", "dataset_builder"]],
    ids=lambda command: command[-1],
)
def test_help_is_shown(command):
    code, out, err = run(*command, "--help")
    assert code == 0, err
    assert "usage" in out.lower()


def test_a_suite_is_built_twice_a_model_tuned_on_it_and_evaluated(tmp_path, model_folder):
    suite, output, report = tmp_path / "suite", tmp_path / "adapter", tmp_path / "report"
    model = model_folder("chatml")
    for rows in ("4", "5"):
        build = ["build", "--tasks", "coinflip", "dist_urn", "--rows", rows, "--output", suite]
        code, _, err = run("-m", "dataset_builder", *build)
        assert code == 0, err
    tune = ["--model_name_or_path", model, "--suite", suite, "--tasks", "coinflip", "--max_steps", "1", *COMMON]
    code, _, err = run("train_sft.py", *tune, "--output_dir", output)
    assert code == 0, err
    code, _, err = run("evaluate_model.py", "--model", output, "--suite", suite, "--limit", "2", "--output", report)
    assert code == 0, err
    assert json.loads((report / "report.json").read_text())["alignment"]["dist_urn"]["n"] == 2


def test_the_peak_of_memory_is_in_gib_on_every_system(monkeypatch):
    here = devices.peak_process_gib()
    assert 0.01 < here < 100

    class Windows:
        peak_wset = 3 * 2**30

    monkeypatch.setattr(devices.psutil.Process, "memory_info", lambda _: Windows)
    assert devices.peak_process_gib() == 3.0
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "darwin")  # which counts bytes where Linux counts KiB
    assert devices.peak_process_gib() == pytest.approx(here / 1024, abs=0.02)
