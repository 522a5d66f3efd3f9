"""`train_sft.py` in tests: options and data for tiny models, the command in this process, and the report it leaves."""

import json
import runpy
import sys
from pathlib import Path

import torch

REPOSITORY = Path(__file__).parents[1]
COMMON = [
    "--report_to", "none", "--use_cpu", "true", "--logging_steps", "1", "--lora_r", "4", "--max_length", "120",
    "--per_device_train_batch_size", "4", "--dtype", "float32", "--disable_tqdm", "true", "--load_in_4bit", "false",
]  # fmt: skip


def arguments(model, suite, output, *more):
    return ["--model_name_or_path", str(model), "--suite", str(suite), "--output_dir", str(output), *COMMON, *more]


def write_pairs(path, number=6):
    """Instruction data whose instructions no response shares a word with."""
    rows = [
        {"instruction": f"Zebra {'xylophone ' * n}please?", "output": f"The answer is {n} today."}
        for n in range(number)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def report_of(folder):
    return json.loads((folder / "training_report.json").read_text())


def run_train(monkeypatch, capsys, command):
    """What `python train_sft.py` does with a command, in this process: (exit code, stderr)."""
    monkeypatch.setattr(sys, "argv", ["train_sft.py", *map(str, command)])
    capsys.readouterr()
    code = 0
    try:
        runpy.run_path(str(REPOSITORY / "train_sft.py"), run_name="__main__")
    except SystemExit as stopped:
        code = stopped.code
    finally:
        torch.set_flush_denormal(False)
    return code, capsys.readouterr().err
