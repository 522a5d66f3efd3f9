"""`train_sft.py` on instruction data: the objectives of implicit instruction tuning."""

import re

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from tests.train_command import COMMON, report_of, write_pairs


def implicit_arguments(model, objective, data, output, *more):
    """The command of a run with an objective on instruction data, in the paper's format and schedule."""
    command = ["--model_name_or_path", str(model), "--objective", objective, "--data", str(data), "--format", "tags"]
    schedule = ["--lr_scheduler_type", "cosine", "--warmup_steps", "0.25", "--num_train_epochs", "2"]
    return [*command, "--output_dir", str(output), *schedule, *COMMON, *more]


def test_the_response_view_trains_on_response_tokens_only(train, tokenizer_of, model_folder, tmp_path):
    """From the command line: with whatever instructions, the run is the same, and its text holds none of them."""
    losses = []
    for name in ("one", "other"):
        data = write_pairs(tmp_path / f"{name}.jsonl")
        if name == "other":
            data.write_text(data.read_text().replace("xylophone", "violin").replace("Zebra", "Gnu"))
        code, error = train(*implicit_arguments(model_folder("llama3"), "response", data, tmp_path / name))
        assert code == 0, error
        losses.append([entry["loss"] for entry in report_of(tmp_path / name)["log"]])
    assert losses[0] == losses[1]
    tokenizer = tokenizer_of("llama3")
    pieces = [f"The answer is {n} today.{tokenizer.eos_token}" for n in range(6)]
    tokens = sum(len(tokenizer(piece, add_special_tokens=False).input_ids) for piece in pieces)
    report = report_of(tmp_path / "one")
    assert report["trained_tokens"] == 2 * tokens
    prompt = tokenizer(f"{tokenizer.bos_token}<|user|>\n\n<|assistant|>\n", add_special_tokens=False).input_ids
    assert report["seen_tokens"] == 2 * (tokens + 6 * len(prompt))
    page = re.sub("<.*?>", "", (tmp_path / "one" / "first_rows.html").read_text())
    assert "today" in page
    assert "Zebra" not in page
    assert "xylophone" not in page


def test_equal_seeds_give_equal_runs(train, model_folder, tmp_path):
    data, weights, curves = write_pairs(tmp_path / "pairs.jsonl"), [], []
    for name, seed in (("one", 7), ("again", 7), ("other", 8)):
        command = ["--seed", seed, "--use_peft", "false", "--data_limit", "5"]
        code, error = train(*implicit_arguments(model_folder("llama3"), "instruction", data, tmp_path / name, *command))
        assert code == 0, error
        weights.append(load_file(tmp_path / name / "model.safetensors"))
        curves.append([entry["loss"] for entry in report_of(tmp_path / name)["log"]])
    assert curves[0] == curves[1] != curves[2]
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())
    assert not all(torch.equal(weight, weights[2][name]) for name, weight in weights[0].items())


def test_the_report_of_an_objective_says_its_own_settings(train, model_folder, tmp_path):
    data = write_pairs(tmp_path / "pairs.jsonl")
    command = implicit_arguments(model_folder("llama3"), "single_task", data, tmp_path / "out", "--lora_r", "2")
    code, error = train(*command, "--format", "meaningless_tags")
    assert code == 0, error
    report = report_of(tmp_path / "out")
    assert (report["objective"], report["format"], report["adaptation"]) == ("single_task", "meaningless_tags", "LoRA")
    assert report["rows_per_task"] == {"pairs": 6}
    assert not {"suite", "tasks", "branching"} & report.keys()
    rates = [entry["learning_rate"] for entry in report["log"]]
    assert rates == pytest.approx([0.0, 5e-4, 3.75e-4, 1.25e-4])  # one step of warm-up, then half a cosine
    template = AutoTokenizer.from_pretrained(tmp_path / "out").apply_chat_template
    assert template([{"role": "input", "content": "Hi"}], tokenize=False, add_generation_prompt=True) == (
        "<|begin_of_text|><|A|>\nHi\n<|B|>\n"
    )


def test_a_checkpoint_of_other_data_is_refused(train, model_folder, tmp_path):
    data = write_pairs(tmp_path / "pairs.jsonl")
    command = ["--save_strategy", "steps", "--save_steps", "1", "--max_steps", "1"]
    run = implicit_arguments(model_folder("llama3"), "instruction", data, tmp_path / "out", *command)
    assert train(*run)[0] == 0
    data.write_text(data.read_text().replace("Zebra", "Gnu"))
    code, error = train(*run)
    assert code == 2
    assert "is of another run, with rows_fingerprint" in error
