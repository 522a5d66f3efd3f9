"""A published adapter and a merged model as others load them, beside the local checkpoint."""

# ruff: noqa: PLC0415 - a function that runs in another process imports for itself

import json

import pytest
import torch
from huggingface_hub import HfApi
from peft import LoraConfig, get_peft_model
from transformers import GenerationConfig

from spectrum_suite.formats.render import get_format
from spectrum_suite.hub.model import ModelOptions, model_publication
from spectrum_suite.hub.publish import PushOptions, push
from spectrum_suite.hub.verify import verify
from spectrum_suite.training.training_report import REPORT
from tests.loopback_hub.hub_client import ask
from tests.small_tokenizers import CHATML
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.hub

BASE, ADAPTER, MERGED = "org/base", "org/tuned", "org/tuned-merged"
MESSAGES = [
    {"role": "description", "content": "A guest orders a drink."},
    {"role": "input", "content": "breakfast"},
    {"role": "output", "content": "tea"},
    {"role": "input", "content": "dinner"},
]
REPORTED = {
    "suite": "spectrum-suite", "format": "spectrum", "family": "chatml", "description_dropout": 0.2,
    "branching": 0.0, "turn_tokens": "keep", "hyperparameters": {"seed": 1}, "lora": {"lora_r": 4},
    "dtype": "float32", "steps": 1, "rows": 12, "rows_per_task": {"coinflip": 12}, "draws_too_long": 0,
    "trained_tokens": 10, "seen_tokens": 20, "log": [{"loss": 2.0, "step": 1}], "seconds": 1.0, "peak_rss_gib": 1.0,
    "device": "cpu", "versions": {"torch": "2.13.0"},
}  # fmt: skip


def log_probabilities(model, prompt):
    with torch.inference_mode():
        return model(**prompt).logits[0, -1].log_softmax(-1).tolist()


@pytest.fixture
def checkpoint(here, tokenizer_of, small_suite, tmp_path):
    """(folder of an adapter, its log-probabilities after ``MESSAGES``); its base model is on the Hub."""
    tokenizer = tokenizer_of(CHATML)
    base = tiny_model("llama", len(tokenizer))
    base.save_pretrained(tmp_path / "base")
    api = HfApi(token=here.write_token)
    api.create_repo(BASE)
    api.upload_folder(repo_id=BASE, folder_path=tmp_path / "base")
    torch.manual_seed(1)
    base.name_or_path = str(tmp_path / "base")
    model = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)).eval()
    folder = tmp_path / "adapter"
    model.save_pretrained(folder)
    tokenizer.chat_template = get_format("spectrum", tokenizer).chat_template()
    tokenizer.save_pretrained(folder)
    GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=0).save_pretrained(folder)
    (folder / REPORT).write_text(json.dumps(REPORTED | {"base_model": str(tmp_path / "base")}))
    prompt = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    return folder, log_probabilities(model, prompt)


def load(adapter, merged, messages):
    from importlib.util import find_spec

    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    def outcome(auto, name):
        tokenizer, model = AutoTokenizer.from_pretrained(name), auto.from_pretrained(name).eval()
        prompt = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        sampling = GenerationConfig.from_pretrained(name)
        with torch.inference_mode():
            found = model(**prompt).logits[0, -1].log_softmax(-1).tolist()
        return {
            "text": tokenizer.decode(prompt["input_ids"][0]),
            "log_probabilities": found,
            "sampling": [sampling.do_sample, sampling.temperature, sampling.top_p, sampling.top_k],
        }

    return {
        "adapter": outcome(AutoPeftModelForCausalLM, adapter),
        "merged": outcome(AutoModelForCausalLM, merged),
        "ours": [name for name in ("spectrum_suite", "dataset_builder", "metrics", "tests") if find_spec(name)],
    }


def test_a_model_gives_the_same_log_probabilities(here, checkpoint, small_suite, tmp_path):
    folder, expected = checkpoint
    for name, merge in ((ADAPTER, False), (MERGED, True)):
        scratch = tmp_path / f"scratch-{merge}"
        scratch.mkdir()
        options = ModelOptions(without_report=True, merge=merge, suite=small_suite, base_model=BASE)
        push(model_publication(folder, name, options, scratch), PushOptions(), here.write_token)
    seen = ask(here, tmp_path, load, ADAPTER, MERGED, MESSAGES, token="", uploads=False)
    assert seen["ours"] == []
    for name in ("adapter", "merged"):
        assert seen[name]["log_probabilities"] == pytest.approx(expected, abs=1e-4)
        assert seen[name]["sampling"] == [True, 1.0, 1.0, 0]
        assert seen[name]["text"].endswith("<|im_start|>input\ndinner<|im_end|>\n<|im_start|>output\n")
    assert max(expected) - min(expected) > 1


def test_a_push_is_loaded_back_with_the_revision_of_its_base(here, checkpoint, small_suite, tmp_path, monkeypatch):
    """The base model was tuned at a commit, and has changed since."""
    folder, _ = checkpoint
    commit = here.repository("model", BASE).refs["refs/heads/main"]
    configuration = json.loads((folder / "adapter_config.json").read_text())
    configuration |= {"base_model_name_or_path": BASE, "revision": commit}
    (folder / "adapter_config.json").write_text(json.dumps(configuration))
    (folder / REPORT).write_text(json.dumps(REPORTED | {"base_model": BASE, "base_model_revision": commit}))
    HfApi(token=here.write_token).delete_file("model.safetensors", BASE)
    publication = model_publication(
        folder, ADAPTER, ModelOptions(without_report=True, suite=small_suite), tmp_path / "x"
    )
    assert f"at commit `{commit}`" in publication.card
    published = push(publication, PushOptions(), here.write_token)
    monkeypatch.setenv("HF_ENDPOINT", here.url)
    assert verify(publication, published, here.write_token)[0] == "adapter and base model: loaded"
