"""What is published of a tuned model, from a tiny adapter as `train_sft.py` leaves it."""

import json
import shutil

import pytest
import torch
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from peft import AutoPeftModelForCausalLM, LoraConfig, get_peft_model
from tiny_models import save_llama
from transformers import AutoModelForCausalLM, GenerationConfig

from dataset_builder.errors import UserError
from spectrum.formats.render import get_format
from spectrum.hub.model import EVAL_RESULTS, model_card, model_publication
from spectrum.hub.model_options import ModelOptions
from spectrum.hub.plan import Consent, Remote, RemoteFile, make_plan
from spectrum.models import find_model

pytestmark = pytest.mark.hub

NAME = "org/tiny-spectrum"


@pytest.fixture(scope="module")
def base(tokenizer_of, tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("models") / "base", tokenizer_of("chatml"))


@pytest.fixture(scope="module")
def trained(base, tokenizer_of, small_suite, tmp_path_factory):
    """An adapter with random weights, and everything beside it."""
    folder = tmp_path_factory.mktemp("models") / "run" / "adapter"
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base)
    adapter = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False)
    get_peft_model(model, adapter).save_pretrained(folder)
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = get_format("spectrum", tokenizer).chat_template()
    tokenizer.save_pretrained(folder)
    GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=0, eos_token_id=[2]).save_pretrained(folder)
    report = {
        "base_model": str(base), "suite": str(small_suite), "format": "spectrum", "family": "chatml",
        "description_dropout": 0.2, "branching": 0.0, "turn_tokens": "keep",
        "hyperparameters": {"seed": 42, "learning_rate": 5e-4},
        "lora": {"lora_r": 4}, "dtype": "float32", "steps": 5, "rows": 18, "rows_per_task": {"coinflip": 6},
        "draws_too_long": 0, "trained_tokens": 430, "seen_tokens": 2026, "log": [], "seconds": 1.1, "peak_rss_gib": 0.5,
        "device": "cpu", "versions": {"torch": "2.13.0"},
    }  # fmt: skip
    (folder / "training_report.json").write_text(json.dumps(report | {"before": [report]}))
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "optimizer.pt").write_bytes(b"a pickle")
    return folder


def evaluation(folder, fingerprint):
    """A report of all three desiderata."""
    cell = {"js_divergence": {"mean": 0.02, "se": 0.001}, "coverage": {"mean": 0.9, "se": 0.01}}
    report = {
        "schema_version": 2,
        "model": {"fingerprint": fingerprint},
        "settings": {"format": "spectrum", "dtype": "float32", "device": "cpu", "seed": 42, "limit": None},
        "comparison": None,
        "alignment": {"dist_urn": {"n": 12, "model": cell, "uniform": cell}},
        "steerability": {"flight": {"n": 30, "summary": {"loss": 1.25, "loss_se": 0.05, "accuracy": None}}},
        "coverage": {
            "cov_weekdays_full": {
                "both": {"n": 100, "scores": {"valid": {"mean": 0.75, "se": 0.04}, "yield": {"mean": 6.5, "se": 0.2}}}
            }
        },
    }
    path = folder / "report.json"
    path.write_text(json.dumps(report))
    return path


@pytest.fixture
def report(trained, tmp_path):
    return evaluation(tmp_path, find_model(str(trained)).fingerprint())


def publication(trained, tmp_path, *reports, **options):
    given = {"base_model": "org/base", "dataset": "org/spectrum-suite"} | options
    return model_publication(trained, NAME, ModelOptions(reports=reports, **given), tmp_path / "merged")


def content(found, name):
    (file,) = [file for file in found.files if file.name == name]
    return file.source if isinstance(file.source, bytes) else file.source.read_bytes()


def test_an_adapter_names_its_base_on_the_hub_and_no_folder_of_this_machine(
    trained, base, small_suite, report, tmp_path
):
    found = publication(trained, tmp_path, report)
    assert {file.name for file in found.files} == {
        "adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "generation_config.json", "training_report.json", EVAL_RESULTS,
    }  # fmt: skip
    assert json.loads(content(found, "adapter_config.json"))["base_model_name_or_path"] == "org/base"
    assert json.loads(content(found, "training_report.json"))["suite"] == "org/spectrum-suite"
    assert found.depends_on == ("org/base",)
    texts = [content(found, file.name) for file in found.files if not file.name.endswith(".safetensors")]
    for text in [found.card.encode(), *texts]:
        for place in (base, trained, small_suite):
            assert str(place).encode() not in text
    assert not {"local_files_only", "is_local"} & json.loads(content(found, "tokenizer_config.json")).keys()


def test_results_stand_in_the_model_index_and_the_eval_results(trained, report, tmp_path):
    found = publication(trained, tmp_path, report)
    data = ModelCard(found.card).data
    values = {(entry.dataset_config, entry.metric_type): entry.metric_value for entry in data.eval_results}
    assert values == {
        ("dist_urn", "js_divergence"): 0.02, ("dist_urn", "coverage"): 0.9, ("flight", "loss"): 1.25,
        ("cov_weekdays_full", "valid"): 0.75, ("cov_weekdays_full", "yield"): 6.5,
    }  # fmt: skip
    assert "Different valid generations, prompted by both" in {entry.metric_name for entry in data.eval_results}
    assert data.datasets == ["org/spectrum-suite"]
    assert (data.base_model, data.base_model_relation, data.library_name) == ("org/base", "adapter", "peft")
    (entry,) = parse_eval_result_entries(yaml.safe_load(content(found, EVAL_RESULTS)))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("org/spectrum-suite", "dist_urn", 0.02)
    assert "| steerability | `flight` | loss per output (nats) | 1.2500 ± 0.0500 | 30 |" in found.card
    assert "430" in found.card


def test_merged_weights_are_those_of_the_adapter_on_its_base(trained, report, tmp_path):
    found = publication(trained, tmp_path, report, merge=True)
    folder = tmp_path / "downloaded"
    folder.mkdir()
    for file in found.files:
        (folder / file.name).parent.mkdir(exist_ok=True)
        (folder / file.name).write_bytes(content(found, file.name))
    assert not (folder / "adapter_config.json").exists()
    merged = AutoModelForCausalLM.from_pretrained(folder)
    local = AutoPeftModelForCausalLM.from_pretrained(trained)
    ids = torch.arange(3, 40)[None]
    with torch.inference_mode():
        found_logits, logits = merged(ids).logits, local(ids).logits
    torch.testing.assert_close(found_logits, logits, atol=1e-4, rtol=1e-4)
    sampling = GenerationConfig.from_pretrained(folder)
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (1.0, 1.0, 0)
    data = ModelCard(found.card).data
    assert (data.base_model_relation, data.library_name) == ("finetune", "transformers")
    assert "AutoPeftModelForCausalLM" not in found.card
    assert found.depends_on == ()


def test_files_of_an_adapter_go_when_merged_weights_come(trained, report, tmp_path):
    found = publication(trained, tmp_path, report, merge=True)
    there = {name: RemoteFile(1, "0" * 40) for name in ("adapter_config.json", "adapter_model.safetensors", "notes.md")}
    plan = make_plan(found, Remote("0" * 40, there), Consent(overwrite=True))
    assert plan.names("delete") == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip


def test_a_model_without_a_report_is_refused_unless_told(trained, tmp_path):
    with pytest.raises(UserError, match=r"has no report: measure it .* or publish it with '--without-report'"):
        publication(trained, tmp_path)
    found = publication(trained, tmp_path, without_report=True)
    assert "Nothing was measured when this card was written." in found.card
    assert "model-index" not in found.card
    assert EVAL_RESULTS not in {file.name for file in found.files}


def test_a_report_is_found_beside_the_adapter_and_above_it(trained, tmp_path):
    above = evaluation(trained.parent, find_model(str(trained)).fingerprint())
    try:
        assert any(str(above) in note for note in publication(trained, tmp_path).notes)
    finally:
        above.unlink()


def test_a_report_about_another_model_is_refused(trained, tmp_path):
    path = evaluation(tmp_path, "0123456789abcdef")
    with pytest.raises(UserError, match=r"report '.*report.json' is about another model than"):
        publication(trained, tmp_path, path)


def test_a_base_model_that_is_a_folder_needs_a_name(trained, report, tmp_path):
    with pytest.raises(UserError, match="is a folder, not a name on the Hub: give --base-model ORG/NAME"):
        publication(trained, tmp_path, report, base_model=None)


def test_without_a_dataset_there_are_no_eval_results_and_a_line_says_so(trained, report, tmp_path):
    found = publication(trained, tmp_path, report, dataset=None)
    assert any(note.startswith("no --dataset ORG/NAME given") for note in found.notes)
    assert EVAL_RESULTS not in {file.name for file in found.files}


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "chat_template.jinja", "generation_config.json"])
def test_half_a_model_is_refused(copy, report, tmp_path, name):
    (copy / name).unlink()
    with pytest.raises(UserError, match=f"is no tuned adapter \\(no '{name}'\\)"):
        publication(copy, tmp_path, report)


def test_other_sampling_is_refused(copy, report, tmp_path):
    GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=64).save_pretrained(copy)
    with pytest.raises(UserError, match="samples with top_k=64: set 0"):
        publication(copy, tmp_path, report)


def test_the_card_alone_is_that_of_the_push(trained, report, tmp_path):
    options = ModelOptions(reports=(report,), base_model="org/base", dataset="org/spectrum-suite")
    assert str(model_card(trained, NAME, options)) == publication(trained, tmp_path, report).card
