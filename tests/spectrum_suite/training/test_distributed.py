"""Two processes on the CPU train what one does with twice the batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

REPOSITORY = Path(__file__).parents[3]
pytestmark = pytest.mark.slow
DDP = {"ACCELERATE_USE_CPU": "true"}
FSDP = DDP | {
    "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true", "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}  # fmt: skip
"""What `accelerate launch` sets for its processes; by itself it starts only one on a CPU."""


@pytest.fixture
def tune(tiny_model, chatml, small_suite, tmp_path):
    """``tune(name, processes, batch, kind, options)``: a run from the command line; its folder."""
    model = tmp_path / "model"
    tiny_model("llama").save_pretrained(model)
    chatml.save_pretrained(model)

    def run(name, *, processes=1, batch=4, kind=None, options=()):
        output = tmp_path / name
        command = [
            "train_sft.py", "--model_name_or_path", model, "--suite", small_suite, "--output_dir", output,
            "--tasks", "coinflip=8", "described_shares=8", "--max_length", "200", "--use_cpu", "true",
            "--per_device_train_batch_size", batch, "--load_in_4bit", "false", "--lora_dropout", "0.0",
            "--report_to", "none", "--logging_steps", "1", "--max_grad_norm", "0.5", "--learning_rate", "1e-2",
            *options,
        ]  # fmt: skip
        launch = [sys.executable]
        if kind:
            launch += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
            command += ["--ddp_backend", "gloo"]
        found = subprocess.run(
            [*launch, *map(str, command)], cwd=REPOSITORY, env=os.environ | {"HF_HUB_OFFLINE": "1"} | (kind or {}),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr[-3000:]
        return output

    return run


def outcome(output):
    return json.loads((output / "training_report.json").read_text()), load_file(output / "adapter_model.safetensors")


TARGETS = [
    "--objective", "distribution", "--tasks", "coinflip=8", "dist_urn=8", "--allow_held_out", "true",
    "--branching", "1",
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "options"),
    [(DDP, ()), (FSDP, ()), (DDP, TARGETS)],
    ids=["ddp", "fsdp2", "ddp with targets"],
)
def test_two_processes_are_one_with_twice_the_batch(tune, kind, options):
    report, weights = outcome(tune("one", options=options))
    assert report["rows"] == 16  # whole steps: accelerate would fill an incomplete one with the first rows again
    both_report, both_weights = outcome(tune("two", processes=2, batch=2, kind=kind, options=options))
    assert report["steps"] == both_report["steps"] == 4
    for name in ("trained_tokens", "seen_tokens"):
        assert both_report[name] == report[name]
    for one, two in zip(report["log"], both_report["log"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)
    assert weights.keys() == both_weights.keys()
    for name, value in weights.items():
        torch.testing.assert_close(both_weights[name], value, rtol=1e-3, atol=1e-4, msg=name)
