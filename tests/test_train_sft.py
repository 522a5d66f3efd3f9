"""`train_sft.py` from its command line to the folder that it leaves."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from datasets import load_dataset
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from dataset_builder.build import BuildOptions, build
from spectrum_suite.formats.render import get_format
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.tokenize import tokenize_rows
from tests.train_command import REPOSITORY, arguments, report_of, write_pairs


@pytest.fixture(scope="module")
def chatml_model(model_folder):
    return model_folder("chatml")


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
    report = report_of(trained)
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
    report = report_of(tmp_path / "out")
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
    reports = [report_of(folder) for folder in (straight, resumed)]
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
    "unknown objective": (
        ["--objective", "responses"],
        "no --objective 'responses', did you mean 'response'?: choose spectrum, distribution, instruction, response, "
        "single_task",
    ),
    "data for the suite": (
        ["--data", "{pairs}"],
        "--data means nothing to --objective spectrum, but to distribution, instruction, response, single_task",
    ),
    "a suite for responses": (
        ["--objective", "response", "--data", "{pairs}"],
        "--suite means nothing to --objective response, but to spectrum",
    ),
    "unknown ablation": (["--train_on", "some"], "no --train_on 'some': choose outputs, all, last, first"),
    "unknown turn tokens": (
        ["--turn_tokens", "new"],
        "no --turn_tokens 'new': choose train, newline, keep, or transplant:MODEL",
    ),
    "no donor": (["--turn_tokens", "transplant:{empty}"], "no turn tokens can be taken from '{empty}'"),
    "unread template": (["--chat_template_path", "x.jinja"], "chat template 'x.jinja' cannot be read"),
    "other roles": (["--chat_template_path", "{template}"], "chat template '{template}' does not know the roles"),
    "other text": (["--chat_template_path", "{plain}"], "chat template '{plain}' does not write the roles"),
    "optimizer of a GPU": (["--optim", "paged_adamw_8bit"], "--optim paged_adamw_8bit needs a GPU, and there is none"),
    "four bits that train": (["--use_peft", "false", "--load_in_4bit", "true"], "weights in 4 or 8 bits cannot be"),
    "temperature alone": (["--mixing_temperature", "2"], "--mixing_temperature needs --rows"),
    "no quick look": (
        ["--suite", "{train_only}", "--alignment_steps", "1"],
        "suite '{train_only}' has no task to measure, for alignment needs distribution tasks",
    ),
    "held out only": (["--suite", "{held_out}"], "suite '{held_out}' has no training task"),
    "too short": (["--tasks", "coinflip", "--max_length", "5"], "no row fits into 5 tokens: raise --max_length"),
}


@pytest.fixture(scope="module")
def other_places(tmp_path_factory):
    """Templates of other roles, a suite with nothing held out, and one with nothing else."""
    folder = tmp_path_factory.mktemp("places")
    roles = "{% if message.role not in ['user', 'assistant'] %}{{ raise_exception('what?') }}{% endif %}"
    (folder / "chat.jinja").write_text("{% for message in messages %}" + roles + "{% endfor %}")
    write_pairs(folder / "pairs.jsonl")
    (folder / "plain.jinja").write_text("{% for message in messages %}{{ message.content }}{% endfor %}")
    build(["coinflip"], BuildOptions(folder / "train-only", max_rows=2))
    build(["dist_urn"], BuildOptions(folder / "held-out", max_rows=2))
    names = {
        "template": "chat.jinja", "plain": "plain.jinja", "train_only": "train-only", "held_out": "held-out",
        "pairs": "pairs.jsonl",
    }  # fmt: skip
    return {name: folder / file for name, file in names.items()}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_one_line_and_leaves_nothing(
    train, chatml_model, small_suite, other_places, tmp_path, mistake
):
    more, line = MISTAKES[mistake]
    places = {"suite": small_suite, "empty": tmp_path / "empty"} | other_places
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
    lines = [text for text in error.splitlines() if text and not text.startswith(("Tokenizing:", "Generating"))]
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


def test_all_weights_train_and_looking_changes_nothing(train, chatml_model, small_suite, tmp_path):
    reports = []
    for name, options in (("plain", []), ("looked", ["--alignment_steps", "2", "--alignment_items", "2"])):
        command = ["--use_peft", "false", "--tasks", "coinflip", "--learning_rate", "1e-3", *options]
        code, error = train(*arguments(chatml_model, small_suite, tmp_path / name, *command))
        assert code == 0, error
        reports.append(report_of(tmp_path / name))
    plain, looked = reports
    assert [entry["loss"] for entry in plain["log"]] == [entry["loss"] for entry in looked["log"]]
    assert plain["alignment_log"] == []
    (look,) = looked["alignment_log"]
    assert look["step"] == 2
    assert 0 < look["alignment/dist_urn/js_divergence"] <= 0.7
    assert plain["adaptation"] == "full fine-tuning"
    assert "described_shares" not in (tmp_path / "plain" / "first_rows.html").read_text()
    tuned, base = (AutoModelForCausalLM.from_pretrained(folder) for folder in (tmp_path / "plain", chatml_model))
    changed = [not torch.equal(a, b) for a, b in zip(tuned.parameters(), base.parameters(), strict=True)]
    assert all(changed)


def test_one_merged_model_beside_the_adapter(train, chatml_model, small_suite, tmp_path):
    options = ["--merge", "true", "--max_steps", "2", "--tasks", "coinflip", "--packing", "true"]
    code, error = train(*arguments(chatml_model, small_suite, tmp_path, *options))
    assert code == 0, error
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    adapter = AutoPeftModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.tensor([[1, 300, 400, 2]])
    torch.testing.assert_close(merged(ids).logits, adapter(ids).logits, rtol=1e-4, atol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert "output" in tokenizer.apply_chat_template([{"role": "output", "content": "x"}], tokenize=False)
    assert GenerationConfig.from_pretrained(tmp_path / "merged").do_sample


def test_the_same_command_goes_on_and_another_is_told(train, chatml_model, small_suite, tmp_path):
    command = ["--tasks", "coinflip", "--save_strategy", "steps", "--save_steps", "1", "--max_steps", "2"]
    assert train(*arguments(chatml_model, small_suite, tmp_path, *command))[0] == 0
    first = load_file(tmp_path / "adapter_model.safetensors")
    assert train(*arguments(chatml_model, small_suite, tmp_path, *command))[0] == 0
    again = load_file(tmp_path / "adapter_model.safetensors")
    assert all(torch.equal(again[name], weight) for name, weight in first.items())
    code, error = train(*arguments(chatml_model, small_suite, tmp_path, *command, "--learning_rate", "0.1"))
    assert code == 2
    assert "is of another run, with learning_rate 0.0005 and not 0.1: choose another --output_dir" in error


def test_a_run_goes_on_from_the_adapter_of_another(train, trained, chatml_model, small_suite, tmp_path):
    """At a learning rate of 0 the weights stay the first run's; at another they move on from there."""
    begin = ["--adapter_name_or_path", trained, "--tasks", "coinflip=4", "--lora_r", "2"]
    still = arguments(chatml_model, small_suite, tmp_path / "still", *begin, "--learning_rate", "0")
    code, error = train(*still)
    assert code == 0, error
    first, kept = (load_file(folder / "adapter_model.safetensors") for folder in (trained, tmp_path / "still"))
    assert first.keys() == kept.keys()
    assert any("embed_tokens" in name or "lm_head" in name for name in first)  # the turn tokens' rows
    assert all(torch.equal(kept[name], weight) for name, weight in first.items())
    code, error = train(*arguments(chatml_model, small_suite, tmp_path / "on", *begin))
    assert code == 0, error
    moved = load_file(tmp_path / "on" / "adapter_model.safetensors")
    assert all((moved[name] != weight).any() for name, weight in first.items() if "lora_B" in name)
    report, (before,) = report_of(tmp_path / "on"), report_of(tmp_path / "on")["before"]
    assert report["lora"]["lora_r"] == 4  # the adapter's, whatever is asked
    assert before["rows_per_task"] == report_of(trained)["rows_per_task"]
    assert report["rows_per_task"] == {"coinflip": 4}
    assert "log" not in before


def test_a_checkpoint_of_a_run_from_another_adapter_is_refused(train, trained, chatml_model, small_suite, tmp_path):
    steps = ["--tasks", "coinflip", "--save_strategy", "steps", "--save_steps", "1", "--max_steps", "2"]
    assert train(*arguments(chatml_model, small_suite, tmp_path, *steps))[0] == 0
    code, error = train(*arguments(chatml_model, small_suite, tmp_path, *steps, "--adapter_name_or_path", trained))
    assert code == 2
    assert "is of another run, with begins_with" in error


def test_an_adapter_that_does_not_fit_is_refused(train, trained, model_folder, chatml_model, small_suite, tmp_path):
    def error_of(model, *more):
        code, error = train(*arguments(model, small_suite, tmp_path / "none", *more))
        assert code == 2
        assert not (tmp_path / "none").exists()
        return error.strip().splitlines()[-1]

    assert "is not an adapter: give it as --model_name_or_path" in error_of(
        chatml_model, "--adapter_name_or_path", chatml_model
    )
    assert "is an adapter of" in error_of(model_folder("gemma"), "--adapter_name_or_path", trained)
    newline = error_of(chatml_model, "--adapter_name_or_path", trained, "--turn_tokens", "newline")
    assert "has its own turn tokens: leave --turn_tokens newline out" in newline
    assert "has rows for other turn tokens" in error_of(
        chatml_model, "--adapter_name_or_path", trained, "--turn_tokens", "keep"
    )
    assert "leave --use_peft out" in error_of(chatml_model, "--adapter_name_or_path", trained, "--use_peft", "false")
    shutil.copytree(trained, tmp_path / "untold")
    (tmp_path / "untold" / "training_report.json").unlink()
    assert "what it was trained on is not known" in error_of(
        chatml_model, "--adapter_name_or_path", tmp_path / "untold"
    )
