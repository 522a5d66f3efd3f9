"""`train_sft.py` from its command line to the folder that it leaves."""

import functools
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import load_dataset
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

from spectrum.formats.render import get_format
from spectrum.training.collator import IGNORED, SpectrumCollator
from spectrum.training.tokenize import tokenize_rows

REPOSITORY = Path(__file__).parents[1]
COMMON = [
    "--report_to", "none", "--use_cpu", "true", "--logging_steps", "1", "--lora_r", "4", "--max_length", "120",
    "--per_device_train_batch_size", "4", "--dtype", "float32", "--disable_tqdm", "true", "--load_in_4bit", "false",
]  # fmt: skip


@pytest.fixture(scope="module")
def model_folder(tokenizer_of, tmp_path_factory):
    """``model_folder(family)``: a tiny random model with that tokenizer."""

    @functools.cache
    def save(family):
        folder = tmp_path_factory.mktemp(family)
        tokenizer = tokenizer_of(family)
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, initializer_range=0.2, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="module")
def chatml_model(model_folder):
    return model_folder("chatml")


def arguments(model, suite, output, *more):
    return ["--model_name_or_path", str(model), "--suite", str(suite), "--output_dir", str(output), *COMMON, *more]


@pytest.fixture
def train(monkeypatch, capsys):
    """Runs the script in this process as `python train_sft.py` does, and returns (exit code, stderr)."""

    def run(*command):
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

    return run


@pytest.fixture(scope="module")
def trained(chatml_model, small_suite, tmp_path_factory):
    """The folder of a finished run."""
    output = tmp_path_factory.mktemp("run") / "tuned"
    command = arguments(chatml_model, small_suite, output, "--tasks", "coinflip=6", "described_shares")
    subprocess.run(
        [sys.executable, "train_sft.py", *command, "--save_strategy", "no"],
        cwd=REPOSITORY, env=os.environ | {"HF_HUB_OFFLINE": "1"}, check=True, capture_output=True,
    )  # fmt: skip
    return output


def test_the_report_says_what_was_trained(trained, chatml_model, small_suite):
    report = json.loads((trained / "training_report.json").read_text())
    assert report["rows_per_task"] == {"coinflip": 6, "described_shares": 12}
    assert (report["rows"], report["format"], report["family"]) == (18, "spectrum", "chatml")
    assert report["base_model"] == str(chatml_model)
    assert report["steps"] == len(report["log"]) == 5
    assert report["lora"]["lora_r"] == 4
    assert report["hyperparameters"]["max_length"] == 120
    assert 0 < report["trained_tokens"] < report["seen_tokens"] <= 18 * 120
    assert all(0 < entry["loss"] < 50 for entry in report["log"])
    assert report["seconds"] > 0


def test_trained_tokens_are_those_of_the_outputs(train, tokenizer_of, chatml_model, small_suite, tmp_path):
    code, _ = train(*arguments(chatml_model, small_suite, tmp_path / "out", "--tasks", "described_shares"))
    assert code == 0
    report = json.loads((tmp_path / "out" / "training_report.json").read_text())
    tokenizer = tokenizer_of("chatml")
    text_format = get_format("spectrum", tokenizer)
    rows = load_dataset(str(small_suite), "described_shares", split="train").select_columns(["id", "messages"])
    tokenized, too_long = tokenize_rows(rows, tokenizer, text_format, max_length=120)
    collator = SpectrumCollator.for_format(text_format, tokenizer, max_length=120)
    labels = [label for row in tokenized for label in collator.sequence(row).labels]
    assert report["draws_too_long"] == too_long
    assert report["seen_tokens"] == len(labels)
    assert report["trained_tokens"] == sum(label != IGNORED for label in labels)


def test_the_adapter_loads_and_samples_without_our_code(trained):
    model = AutoPeftModelForCausalLM.from_pretrained(trained)
    tokenizer = AutoTokenizer.from_pretrained(trained)
    messages = [{"role": "description", "content": "A coin."}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    assert tokenizer.decode(prompt["input_ids"][0]) == (
        "<|im_start|>description\nA coin.<|im_end|>\n<|im_start|>output\n"
    )
    torch.manual_seed(0)
    found = model.generate(**prompt, max_new_tokens=2, generation_config=GenerationConfig.from_pretrained(trained))
    assert found.shape[1] > prompt["input_ids"].shape[1]
    weights = load_file(trained / "adapter_model.safetensors")
    assert any("trainable_tokens" in name or "token_adapter" in name for name in weights)
    assert sum(weight.abs().sum() > 0 for name, weight in weights.items() if "lora_B" in name) == 14


def test_sampling_is_as_the_method_asks(trained, tokenizer_of):
    settings = json.loads((trained / "generation_config.json").read_text())
    assert settings["do_sample"] is True
    found = GenerationConfig.from_pretrained(trained)
    assert (found.temperature, found.top_p, found.top_k) == (1.0, 1.0, 0)
    assert tokenizer_of("chatml").convert_tokens_to_ids("<|im_end|>") in found.eos_token_id


def test_an_interrupted_run_is_taken_up(train, chatml_model, small_suite, tmp_path):
    command = ["--tasks", "described_shares", "--max_steps", "3", "--save_strategy", "steps", "--save_steps", "1"]
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    assert train(*arguments(chatml_model, small_suite, straight, *command))[0] == 0
    assert train(*arguments(chatml_model, small_suite, resumed, *command))[0] == 0
    for path in (resumed / "checkpoint-3", resumed / "checkpoint-2"):
        assert path.is_dir()
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    code, error = train(*arguments(chatml_model, small_suite, resumed, *command, "--resume_from_checkpoint", "auto"))
    assert code == 0, error
    reports = [json.loads((folder / "training_report.json").read_text()) for folder in (straight, resumed)]
    assert [entry["loss"] for entry in reports[1]["log"]] == pytest.approx(
        [entry["loss"] for entry in reports[0]["log"]], rel=1e-5
    )
    assert reports[0]["trained_tokens"] == reports[1]["trained_tokens"]
    first, second = (load_file(folder / "adapter_model.safetensors") for folder in (straight, resumed))
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, rtol=1e-4, atol=1e-5, msg=name)


MISTAKES = {
    "unknown task": (["--tasks", "coinflop"], "no task 'coinflop' in suite '{suite}', did you mean 'coinflip'?"),
    "held-out task": (["--tasks", "coinflip", "dist_urn"], "task 'dist_urn' is held out for evaluation"),
    "bad budget": (["--tasks", "coinflip=x"], "task 'coinflip=x': the budget after '=' is a number of rows"),
    "no budget": (["--tasks", "coinflip=0"], "task 'coinflip=0': the budget after '=' is a number of rows"),
    "unknown format": (["--format", "spectral"], "no format 'spectral': choose auto, spectrum, colon, chat"),
    "missing suite": (["--suite", "spectrum-suit"], "suite folder 'spectrum-suit' not found: build it with"),
    "empty suite": (["--suite", "{empty}"], "suite folder '{empty}' is empty: build it with"),
    "too short": (["--tasks", "coinflip", "--max_length", "5"], "no row fits into 5 tokens: raise --max_length"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_one_line_and_leaves_nothing(train, chatml_model, small_suite, tmp_path, mistake):
    more, line = MISTAKES[mistake]
    places = {"suite": small_suite, "empty": tmp_path / "empty"}
    places["empty"].mkdir()
    output = tmp_path / "out"
    code, error = train(*arguments(chatml_model, small_suite, output, *(word.format(**places) for word in more)))
    check_mistake(code, error, line.format(**places), output)


def test_a_tokenizer_without_turn_tokens_is_told_what_works(train, model_folder, small_suite, tmp_path):
    output = tmp_path / "out"
    code, error = train(*arguments(model_folder("plain"), small_suite, output, "--format", "spectrum"))
    check_mistake(code, error, "format 'spectrum' needs turn tokens", output)
    assert error.rstrip().endswith("use --format colon")


def check_mistake(code, error, line, output):
    """Exit code 2, one line beginning with ``line`` (below a progress bar at most), and no output."""
    assert code == 2
    lines = [text for text in error.splitlines() if text and not text.startswith("Tokenizing:")]
    assert len(lines) == 1, error
    assert lines[0].startswith("error: " + line)
    assert not output.exists()


def test_the_command_itself_ends_in_one_line(small_suite, tmp_path):
    run = subprocess.run(
        [sys.executable, "train_sft.py", "--suite", str(small_suite), "--output_dir", str(tmp_path / "out")],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        "error: no model given: use --model_name_or_path with a folder, a Hub id or embedded:gemma-3-270m"
    ]
    assert not (tmp_path / "out").exists()
