"""Compares the memory that `train` and `evaluate` announce with what they take: the command's line, and its peak.

    python -m benchmarks.memory --output benchmarks/results/memory.json
    python -m benchmarks.memory --models smollm2-135m --ways lora --desiderata steerability

Each cell is one command in a process of its own, on a CPU: a model (both embedded ones) is trained for a few steps as a
LoRA adapter (`lora`), as one on a base in 4 bits (`4bit`) and with all of its weights (`full`), and what was trained is
evaluated, each desideratum by itself. `estimated_gib` is what the command says before it loads the model, `peak_gib`
the largest resident memory of the whole process as the operating system reports it, and `ratio` the first over the
second. A cell that fails keeps its last line, and the others run. Results are written after every cell.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
MODELS = ("gemma-3-270m", "smollm2-135m")
TASKS = {"alignment": "dist_urn", "steerability": "coinflip", "coverage": "cov_weekdays_any_format"}
WAYS = {
    "lora": ("--load_in_4bit", "false"),
    "4bit": ("--load_in_4bit", "true"),
    "full": ("--use_peft", "false", "--load_in_4bit", "false"),
}
SAID = re.compile(r"takes about (?P<total>[\d.]+) GiB of memory at its peak \((?P<parts>[^)]*)\)")
LINE = re.compile(r"(?P<name>\w+) (?P<size>[\d.]+)")

# no import of torch here: a process that is started by a large one is taken by Linux to have been as large itself


def commands(
    models: Sequence[str], ways: Sequence[str], desiderata: Sequence[str], folder: Path
) -> Iterator[tuple[str, list[str]]]:
    """(name of the cell, its command), what is trained before what is evaluated."""
    suite = str(folder / "suite")
    for model in models:
        for way in ways:
            trained = str(folder / model / way)
            yield (
                f"{model}/{way}/train",
                ["train_sft.py", "--model_name_or_path", f"embedded:{model}", "--suite", suite, "--tasks", "coinflip",
                 "--output_dir", trained, "--max_steps", "3", "--per_device_train_batch_size", "4",
                 "--max_length", "512", "--report_to", "none", "--use_cpu", "true", "--save_strategy", "no",
                 *WAYS[way]],
            )  # fmt: skip
            for desideratum in desiderata:
                yield (
                    f"{model}/{way}/{desideratum}",
                    ["evaluate_model.py", "--model", trained, "--suite", suite, "--desiderata", desideratum,
                     "--tasks", TASKS[desideratum], "--limit", "16", "--generations", "8", "--device", "cpu",
                     "--output", f"{trained}-{desideratum}", *(["--load_in_4bit"] if way == "4bit" else [])],
                )  # fmt: skip


def run(command: Sequence[str], log: Path) -> dict[str, Any]:
    """What a command says that it takes, and what it took."""
    with log.open("w") as said:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, *command], cwd=REPOSITORY, stdout=said, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    text = log.read_text()
    if status:
        return {"failed": text.strip().splitlines()[-1] if text.strip() else f"status {status}"}
    peak = usage.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    found = SAID.search(" ".join(text.split()))
    if found is None:
        return {"failed": "no estimate was said", "peak_gib": round(peak, 3)}
    estimate, parts = total(found)
    return {
        "estimated_gib": round(estimate, 2),
        "peak_gib": round(peak, 3),
        "ratio": round(estimate / peak, 3),
        "parts_gib": parts,
    }


def total(found: re.Match[str]) -> tuple[float, dict[str, float]]:
    """The estimate, to the digits of its parts where these add up to it: loading may take more than they do."""
    parts = {part["name"]: float(part["size"]) for part in LINE.finditer(found["parts"])}
    said = float(found["total"])
    return (sum(parts.values()) if abs(sum(parts.values()) - said) < 0.1 else said), parts


def main(models: Sequence[str], ways: Sequence[str], desiderata: Sequence[str], output: Path | None) -> dict[str, Any]:
    """All cells, one after another."""
    cells: dict[str, Any] = {}
    result = {"machine": f"{os.cpu_count()} cores, {platform.machine()}", "cells": cells}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build = ["-m", "dataset_builder", "build", "--tasks", *TASKS.values(), "--rows", "64"]
        subprocess.run(  # noqa: S603
            [sys.executable, *build, "--output", str(folder / "suite")], cwd=REPOSITORY, check=True
        )
        for name, command in commands(models, ways, desiderata, folder):
            cells[name] = run(command, folder / "log")
            print(name, cells[name], flush=True)
            if output:
                output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--desiderata", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--output", type=Path, help="a JSON file for the result")
    arguments = parser.parse_args()
    main(arguments.models, arguments.ways, arguments.desiderata, arguments.output)
