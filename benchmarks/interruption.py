"""Kills a training run ten times with `kill -9` and compares what it becomes with a run that nobody disturbed.

    python -m benchmarks.interruption --json

A tiny random Llama with an adapter is tuned on a small suite in float32 on the CPU, with dropout, and a checkpoint at
every step. The run is killed at a random moment of a random step, started again with the same settings, and so on;
after the last kill it may end. Every tensor of the adapter and every loss of the log have to be equal to the last bit.
Needs a system that forks (Linux).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import disable_progress_bars
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from dataset_builder.build import BuildOptions, build
from spectrum_suite.commands.tuning import train
from spectrum_suite.embedded_model import resolve_model
from spectrum_suite.errors import exit_on_user_error
from spectrum_suite.training.adaptation import AdaptationConfig
from spectrum_suite.training.arguments import SpectrumArguments, TuningConfig
from spectrum_suite.training.training_report import REPORT

TOKENIZER = "embedded:smollm2-135m"
TASKS = ["coinflip", "described_shares"]
STEPS = 16


def tune(model: str, suite: str, output: str) -> None:
    """One run, or the rest of one."""
    disable_progress_bars()
    arguments = SpectrumArguments(suite=suite, tasks=TASKS, branching=0.3)
    config = TuningConfig(
        output_dir=output, use_cpu=True, report_to="none", max_length=120, per_device_train_batch_size=2,
        gradient_accumulation_steps=2, num_train_epochs=2, max_steps=STEPS, save_strategy="steps", save_steps=1,
        save_total_limit=2, logging_steps=3, disable_tqdm=True, learning_rate=1e-2,
    )  # fmt: skip
    train(arguments, config, AdaptationConfig(model_name_or_path=model, load_in_4bit=False, lora_dropout=0.1))


def start(*arguments: str) -> multiprocessing.Process:
    """A run in a process of its own, which shares what is already imported."""
    process = multiprocessing.get_context("fork").Process(target=tune, args=arguments)
    process.start()
    return process


def last_step(output: Path) -> int:
    """The step of the last checkpoint that has its name."""
    return max((int(path.name.partition("-")[2]) for path in output.glob("checkpoint-*")), default=0)


def kill_at_random(process: multiprocessing.Process, output: Path, moment: random.Random) -> dict[str, Any]:
    """Wait for a checkpoint or two, and for a part of a step; then kill. Says where the run was."""
    target = min(last_step(output) + moment.randint(0, 2), STEPS - 2)
    while process.is_alive() and last_step(output) < target:
        time.sleep(0.005)
    time.sleep(moment.uniform(0, 0.6))
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    writing = (output / "checkpoint.writing").is_dir()
    return {"checkpoint": last_step(output), "while_writing": writing, "exit_code": process.exitcode}


def outcome(output: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """The adapter and the losses of a finished run."""
    log = json.loads((output / REPORT).read_text(encoding="utf-8"))["log"]
    kept = ("step", "loss", "trained_tokens", "seen_tokens", "grad_norm", "learning_rate")
    losses = [{name: entry[name] for name in entry if name in kept or name.startswith("loss/")} for entry in log]
    return load_file(output / "adapter_model.safetensors"), losses


def compare(kills: int, seed: int, folder: Path) -> dict[str, Any]:
    """The undisturbed run and the disturbed one."""
    torch.set_num_threads(1)  # a process that forks may have no threads
    suite, model = str(folder / "suite"), str(folder / "model")
    build(TASKS, BuildOptions(Path(suite), max_rows=16))
    tokenizer = AutoTokenizer.from_pretrained(resolve_model(TOKENIZER))
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(model)
    tokenizer.save_pretrained(model)
    straight, disturbed = folder / "straight", folder / "disturbed"
    start(model, suite, str(straight)).join()
    moment = random.Random(seed)
    killed = [kill_at_random(start(model, suite, str(disturbed)), disturbed, moment) for _ in range(kills)]
    start(model, suite, str(disturbed)).join()
    (expected, losses), (found, found_losses) = outcome(straight), outcome(disturbed)
    equal = expected.keys() == found.keys() and all(torch.equal(found[name], expected[name]) for name in expected)
    return {
        "kills": [each for each in killed if each["exit_code"] == -signal.SIGKILL],
        "steps": STEPS,
        "weights_bit_equal": equal,
        "losses_equal": losses == found_losses,
        "tensors": len(expected),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--output", type=Path, help="write the result to this file")
    parser.add_argument("--kills", type=int, default=10, help="how often the run is killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which it is killed")
    options = parser.parse_args()
    with exit_on_user_error(), tempfile.TemporaryDirectory() as scratch:
        result = compare(options.kills, options.seed, Path(scratch))
        text = json.dumps(result, indent=2)
        if options.output:
            options.output.write_text(text + "\n", encoding="utf-8")
        print(text if options.json else f"bit-equal after {len(result['kills'])} kills: {result['weights_bit_equal']}")
