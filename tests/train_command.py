"""`train_sft.py` on tiny models: options that tests share, the command in this process, and what it leaves."""

import json
import runpy
import sys
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

REPOSITORY = Path(__file__).parents[1]
COMMON = [
    "--report_to", "none", "--use_cpu", "true", "--logging_steps", "1", "--lora_r", "4", "--max_length", "120",
    "--per_device_train_batch_size", "4", "--dtype", "float32", "--disable_tqdm", "true", "--load_in_4bit", "false",
]  # fmt: skip


def save_llama(folder, tokenizer):
    """A Llama of two layers with random weights and this tokenizer, as a checkpoint."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, initializer_range=0.2, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


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
