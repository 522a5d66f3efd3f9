"""What `train_sft.py` keeps of its base model: its revision, a name that loads from anywhere, and a card."""

import json
import os

import pytest
import torch
from huggingface_hub import ModelCard, constants
from peft import AutoPeftModelForCausalLM, PeftModel
from transformers import AutoModelForCausalLM

from spectrum_suite.embedded_model import embedded_name
from spectrum_suite.models import find_model, load_for_scoring
from tests.tiny_models import tiny_model
from tests.train_command import arguments, report_of, write_pairs

IDS = torch.tensor([[5, 9, 30, 77, 3]])
COMMITS = {"main": "a" * 40, "step1000": "b" * 40}
STEPS = ["--tasks", "coinflip=4", "--max_steps", "1", "--learning_rate", "0.01"]


@pytest.fixture
def base_on_hub(tokenizer_of, tmp_path, monkeypatch):
    """``org/base`` in a cache of its own, with other weights on each of two branches; no Hub is asked."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    tokenizer = tokenizer_of("chatml")
    for seed, (branch, commit) in enumerate(COMMITS.items()):
        folder = cache / "models--org--base"
        tiny_model("llama", len(tokenizer), seed=seed).save_pretrained(folder / "snapshots" / commit)
        tokenizer.save_pretrained(folder / "snapshots" / commit)
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / branch).write_text(commit)
    return "org/base"


def logits(model):
    with torch.inference_mode():
        return model(IDS).logits


def test_the_revision_of_the_base_travels_with_the_adapter(train, base_on_hub, small_suite, tmp_path):
    output = tmp_path / "tuned"
    command = arguments(base_on_hub, small_suite, output, *STEPS, "--model_revision", "step1000")
    code, error = train(*command, "--merge", "true")
    assert code == 0, error
    adapter = json.loads((output / "adapter_config.json").read_text())
    assert (adapter["base_model_name_or_path"], adapter["revision"]) == ("org/base", COMMITS["step1000"])
    assert report_of(output)["base_model_revision"] == COMMITS["step1000"]
    assert report_of(output)["base_model_revision_name"] == "step1000"
    assert find_model(str(output)).base.revision == COMMITS["step1000"]
    base, other = (
        AutoModelForCausalLM.from_pretrained(base_on_hub, revision=name, dtype=torch.float32)
        for name in ("step1000", "main")
    )
    right, wrong = (logits(PeftModel.from_pretrained(model, output).eval()) for model in (base, other))
    assert (right - wrong).abs().max() > 1
    for scored in (
        load_for_scoring(str(output))[0],
        load_for_scoring(str(output / "merged"))[0],
        AutoPeftModelForCausalLM.from_pretrained(output).eval(),
    ):
        torch.testing.assert_close(logits(scored), right, rtol=1e-4, atol=1e-4)
    for card in (output / "README.md", output / "merged" / "README.md"):
        assert COMMITS["step1000"] in card.read_text()
        assert ModelCard.load(card).data.base_model == "org/base"
    begun = arguments(base_on_hub, small_suite, tmp_path / "on", *STEPS, "--adapter_name_or_path", output)
    code, error = train(*begun)
    assert code == 2
    assert "is an adapter of 'org/base' at bbbbbbbb, not of 'org/base' at aaaaaaaa" in error
    code, error = train(*begun, "--model_revision", "step1000")
    assert code == 0, error
    code, error = train(*arguments(base_on_hub, small_suite, output, *STEPS))
    assert code == 2
    assert "is of another run, with base_fingerprint" in error


def test_a_folder_has_no_revision(train, model_folder, small_suite, tmp_path):
    command = arguments(model_folder("chatml"), small_suite, tmp_path / "tuned", *STEPS)
    code, error = train(*command, "--model_revision", "step1000")
    assert code == 2
    assert "--model_revision step1000 is for a model on a Hub, which" in error


def test_an_adapter_loads_from_another_folder_and_has_our_card(train, model_folder, small_suite, tmp_path, monkeypatch):
    model = model_folder("chatml")
    monkeypatch.chdir(model.parent)
    code, error = train(*arguments(model.name, small_suite, tmp_path / "tuned", *STEPS))
    assert code == 0, error
    adapter = json.loads((tmp_path / "tuned" / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == str(model.resolve())
    assert report_of(tmp_path / "tuned")["base_model"] == str(model.resolve())
    monkeypatch.chdir(tmp_path)
    AutoPeftModelForCausalLM.from_pretrained(tmp_path / "tuned")
    card = (tmp_path / "tuned" / "README.md").read_text()
    assert "objective `spectrum`" in card
    assert "| coinflip | 4 |" in card
    assert "This model is a fine-tuned version of" not in card  # the stub of TRL
    code, error = train(*arguments(tmp_path / "tuned", small_suite, tmp_path / "on", *STEPS))
    assert code == 2
    assert "give that, and the adapter as --adapter_name_or_path" in error


@pytest.mark.parametrize("words", [["--use_peft", "false"], ["--objective", "instruction"]])
def test_every_kind_of_run_has_a_card(train, model_folder, small_suite, tmp_path, words):
    command = arguments(model_folder("chatml"), small_suite, tmp_path / "tuned", *STEPS, *words)
    if "--objective" in words:
        for option in ("--suite", "--tasks"):
            place = command.index(option)
            command = command[:place] + command[place + 2 :]
        command += ["--data", write_pairs(tmp_path / "pairs.jsonl")]
    code, error = train(*command)
    assert code == 0, error
    card = ModelCard.load(tmp_path / "tuned" / "README.md")
    assert card.data.library_name == ("transformers" if "--use_peft" in words else "peft")


def test_an_embedded_base_is_known_by_its_place_in_any_cache():
    for home in ("/root/.cache/huggingface", "/elsewhere/hf"):
        assert embedded_name(os.path.join(home, "spectrum", "embedded", "gemma-3-270m")) == "embedded:gemma-3-270m"  # noqa: PTH118
    assert embedded_name("/elsewhere/gemma-3-270m") is None
    assert embedded_name("google/gemma-3-270m") is None
