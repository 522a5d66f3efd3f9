"""What is published of a tuned model, from a tiny adapter as `train_sft.py` leaves it."""

import json
import math
import shutil

import pytest
import torch
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from peft import AutoPeftModelForCausalLM, LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, GenerationConfig

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.hub.local_files import LocalFile
from spectrum_suite.hub.model import EVAL_RESULTS, ModelOptions, model_card, model_publication
from spectrum_suite.hub.push_plan import Consent, Remote, RemoteFile, make_plan
from spectrum_suite.hub.weights import check_weights
from spectrum_suite.models import find_model, load_tokenizer
from tests.tiny_models import save_llama

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
        "chat_template.jinja", "generation_config.json", "training_report.json", EVAL_RESULTS, "LICENSE.md",
    }  # fmt: skip
    assert json.loads(content(found, "adapter_config.json"))["base_model_name_or_path"] == "org/base"
    assert json.loads(content(found, "training_report.json"))["suite"] == "org/spectrum-suite"
    assert found.depends_on == ("org/base",)
    texts = [content(found, file.name) for file in found.files if not file.name.endswith(".safetensors")]
    for text in [found.card.encode(), *texts]:
        for place in (base, trained, small_suite):
            assert str(place).encode() not in text
    assert not {"local_files_only", "is_local"} & json.loads(content(found, "tokenizer_config.json")).keys()


def test_a_vocabulary_that_is_not_there_is_the_bases(trained, base, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "without a vocabulary")
    (folder / "tokenizer.json").unlink()
    found = publication(folder, tmp_path, without_report=True)
    assert content(found, "tokenizer.json") == (base / "tokenizer.json").read_bytes()
    assert content(found, "chat_template.jinja") == (trained / "chat_template.jinja").read_bytes()


def test_a_vocabulary_is_in_the_files_that_its_tokenizer_names(trained, base, tmp_path, monkeypatch):
    folder = shutil.copytree(trained, tmp_path / "with pieces")
    tokenizer = load_tokenizer(find_model(str(base)))
    monkeypatch.setattr(type(tokenizer), "vocab_files_names", {"a": "pieces.model", "b": "tokenizer_config.json"})
    (folder / "tokenizer.json").unlink()
    (folder / "pieces.model").write_bytes(b"own pieces")
    names = [file.name for file in publication(folder, tmp_path, without_report=True).files]
    assert "pieces.model" in names
    assert "tokenizer.json" not in names
    assert names.count("tokenizer_config.json") == 1


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


def test_a_scale_is_baked_into_merged_weights(trained, base, report, tmp_path):
    with pytest.raises(UserError, match="--adapter_scale is baked into merged weights: give --merge too"):
        publication(trained, tmp_path, report, adapter_scale=0.5)
    with pytest.raises(UserError, match=r"is about another model than .* at adapter scale 0\.5"):
        publication(trained, tmp_path, report, merge=True, adapter_scale=0.5)
    at_scale = evaluation(tmp_path, find_model(str(trained), adapter_scale=0.5).fingerprint())
    found = publication(trained, tmp_path, at_scale, merge=True, adapter_scale=0.5)
    folder = tmp_path / "downloaded"
    folder.mkdir()
    for file in found.files:
        (folder / file.name).parent.mkdir(exist_ok=True)
        (folder / file.name).write_bytes(content(found, file.name))
    local = AutoPeftModelForCausalLM.from_pretrained(trained)
    for module in local.modules():
        if isinstance(module, LoraLayer):
            module.scale_layer(0.5)
    ids = torch.arange(3, 40)[None]
    with torch.inference_mode():
        found_logits, logits = AutoModelForCausalLM.from_pretrained(folder)(ids).logits, local(ids).logits
    torch.testing.assert_close(found_logits, logits, atol=1e-4, rtol=1e-4)
    assert "at adapter scale 0.5" in found.card
    assert "adapter scale" not in publication(trained, tmp_path, without_report=True).card


def test_files_of_an_adapter_go_when_merged_weights_come(trained, report, tmp_path):
    found = publication(trained, tmp_path, report, merge=True)
    there = {name: RemoteFile(1, "0" * 40) for name in ("adapter_config.json", "adapter_model.safetensors", "notes.md")}
    plan = make_plan(found, Remote("0" * 40, there), Consent(overwrite=True))
    assert plan.names("delete") == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip


def test_a_model_without_a_report_is_refused_unless_told(trained, tmp_path):
    with pytest.raises(UserError, match=r"has no report: measure it .* or publish it with '--without_report'"):
        publication(trained, tmp_path)
    found = publication(trained, tmp_path, without_report=True)
    assert "model-index" not in found.card
    assert EVAL_RESULTS not in {file.name for file in found.files}


def test_a_report_is_found_beside_the_adapter_and_above_it(trained, tmp_path):
    above = evaluation(trained.parent, find_model(str(trained)).fingerprint())
    try:
        assert any(str(above) in note for note in publication(trained, tmp_path).notes)
    finally:
        above.unlink()


def test_reports_that_are_kept_beside_an_adapter_are_all_told(copy, tmp_path):
    (copy / "reports").mkdir()
    path = evaluation(tmp_path, find_model(str(copy)).fingerprint())
    report = json.loads(path.read_text())
    shares = {"words": {"mean": 0.75}, "fixed": {"mean": 0.125}}
    markers = {"n": 60, "length_violation": shares, "lines_in_language": {"fixed": {"mean": 0.875}},
               "length_correlation": {"spearman": 0.625}}  # fmt: skip
    for name, sections in (
        ("alignment", {"alignment": report["alignment"]}),
        ("markers", {"alignment": {}, "markers": {"questions": markers}}),
    ):
        kept = {key: value for key, value in report.items() if key not in ("alignment", "steerability", "coverage")}
        (copy / "reports" / f"{name}.json").write_text(json.dumps(kept | sections))
    found = publication(copy, tmp_path)
    assert [note.rpartition("/")[2] for note in found.notes if "results" in note] == ["alignment.json", "markers.json"]
    for told in ("limit that is set as a marker | 0.125", "limit in words of the instruction | 0.75", "0.875", "0.625"):
        assert told in found.card
    assert "questions" not in str(yaml.safe_load(found.card.split("---")[1])["model-index"])
    (copy / "reports" / "old.json").write_text(json.dumps(report | {"model": {"fingerprint": "0" * 16}}))
    with pytest.raises(UserError, match=r"report '.*old.json' is about another model than"):
        publication(copy, tmp_path)


def test_a_report_about_another_model_is_refused(trained, tmp_path):
    path = evaluation(tmp_path, "0123456789abcdef")
    with pytest.raises(UserError, match=r"report '.*report.json' is about another model than"):
        publication(trained, tmp_path, path)


def test_a_base_model_that_is_a_folder_needs_a_name(trained, report, tmp_path):
    with pytest.raises(UserError, match="is a folder, not a name on the Hub: give --base_model ORG/NAME"):
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
    with pytest.raises(UserError, match=f"is not a tuned adapter of train_sft.py: it has no '{name}'"):
        publication(copy, tmp_path, report)


def test_other_sampling_is_refused(copy, report, tmp_path):
    GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=64).save_pretrained(copy)
    with pytest.raises(UserError, match="samples with top_k=64: set 0"):
        publication(copy, tmp_path, report)


def test_the_card_alone_is_that_of_the_push(trained, report, tmp_path):
    options = ModelOptions(reports=(report,), base_model="org/base", dataset="org/spectrum-suite")
    assert str(model_card(trained, NAME, options)) == publication(trained, tmp_path, report).card


def refused(folder, tmp_path, *reports, **options):
    with pytest.raises(UserError) as caught:
        publication(folder, tmp_path, *reports, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_report_that_does_not_say_which_weights_it_is_about_does_not_count(trained, tmp_path):
    path = evaluation(tmp_path, None)
    assert "does not say which weights it is about: measure this one" in refused(trained, tmp_path, path)


@pytest.mark.parametrize("place", [".", ".."])
def test_a_report_about_others_that_happens_to_lie_there_is_not_used(copy, tmp_path, place):
    path = (copy / place / "report.json").resolve()
    path.write_text(json.dumps({"seconds": 1, "peak_rss_gib": 1, "tasks": {}}))
    try:
        line = refused(copy, tmp_path)
        assert "has no report" in line
        assert line.endswith(f"; not used: {path} (does not say which weights it is about)")
        evaluation(copy.parent, find_model(str(copy)).fingerprint()).rename(copy.parent / "other.json")
        found = publication(copy, tmp_path, copy.parent / "other.json")
        assert "| `dist_urn` | this model | 0.0200" in found.card
        assert publication(copy, tmp_path, without_report=True).notes == ()
    finally:
        path.unlink(missing_ok=True)


def test_the_report_about_these_weights_is_used_though_another_lies_there(copy, tmp_path):
    (copy / "report.json").write_text("{")
    evaluation(copy.parent, find_model(str(copy)).fingerprint())
    notes = publication(copy, tmp_path).notes
    assert notes[0] == f"results: {copy.parent / 'report.json'}"
    assert notes[-1].startswith(f"not used: {copy / 'report.json'} (file ")


def test_the_reports_of_a_comparison_about_these_weights_are_used(copy, tmp_path):
    """Beside an adapter in the folder of its comparison, as the quickstart leaves it: not those of other runs."""
    (copy.parent / "results.json").write_text("{}")
    for run, fingerprint in (("base", "0" * 64), ("tuned", find_model(str(copy)).fingerprint())):
        for folder in (f"{run}/alignment", f"{run}/formats/alignment-colon"):
            (copy.parent / folder).mkdir(parents=True)
            evaluation(copy.parent / folder, fingerprint)
    notes = publication(copy, tmp_path).notes
    assert [note for note in notes if "results" in note] == [f"results: {copy.parent / 'tuned/alignment/report.json'}"]
    assert not [note for note in notes if "not used" in note]


def rewrite(path, change):
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a dictionary
    change(tensors)
    save_file(tensors, path)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def with_value(value, dtype=torch.float32):
    def change(path):
        def poison(tensors):
            name = sorted(tensors)[-1]
            tensors[name] = tensors[name].to(dtype)
            tensors[name].view(-1)[-1] = value

        rewrite(path, poison)

    return change


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (truncate, "bytes of weights where its header lists"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes of weights where its header lists"),
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_bytes(b"PK\3\4 not safetensors at all"), "it has no header"),
        (
            lambda path: path.write_bytes((9).to_bytes(8, "little") + b"{ no json" + b"x" * 9),
            "its header cannot be read",
        ),
        (lambda path: save_file({}, path), "it has no tensors"),
        (lambda path: rewrite(path, lambda tensors: tensors.update(z=torch.zeros(0, 4))), "tensor 'z' is empty"),
        (with_value(math.nan), "has NaN or infinity in it"),
        (with_value(-math.inf), "has NaN or infinity in it"),
        (with_value(math.nan, torch.bfloat16), "has NaN or infinity in it"),
        (with_value(math.inf, torch.float16), "has NaN or infinity in it"),
    ],
)
def test_broken_weights_are_refused_before_anything_is_sent(copy, tmp_path, damage, why):
    damage(copy / "adapter_model.safetensors")
    line = refused(copy, tmp_path, without_report=True)
    assert line.startswith("weights 'adapter_model.safetensors' are broken (")
    assert why in line


def test_a_folder_in_place_of_weights_is_refused(copy, tmp_path):
    (copy / "adapter_model.safetensors").unlink()
    (copy / "adapter_model.safetensors").mkdir()
    line = refused(copy, tmp_path, without_report=True)
    assert "is not a tuned adapter of train_sft.py: it has no 'adapter_model.safetensors'" in line


def test_merged_weights_that_overflow_are_refused(copy, tmp_path):
    def grow(tensors):
        for name in tensors:
            tensors[name] *= 1e30

    rewrite(copy / "adapter_model.safetensors", grow)
    assert "are not finite in float32" in refused(copy, tmp_path, without_report=True, merge=True)


FLOATING = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float64]


@pytest.mark.parametrize("dtype", [*FLOATING, torch.int8, torch.bool])
def test_whole_weights_of_every_type_pass(tmp_path, dtype):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.tensor([0.0, 1.0, -2.0, 448.0]).to(dtype), "b": torch.ones(3)}, path)
    check_weights(LocalFile("a.safetensors", path))


@pytest.mark.parametrize("dtype", FLOATING)
def test_whole_weights_that_are_not_finite_are_refused(tmp_path, dtype):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.tensor([0.0, math.nan]).to(dtype)}, path)
    with pytest.raises(UserError, match="tensor 'a' has NaN or infinity"):
        check_weights(LocalFile("a.safetensors", path))


def edited(path, change):
    report = json.loads(path.read_text())
    change(report)
    path.write_text(json.dumps(report))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (math.inf, "is infinite"), (-0.25, "is -0.25, not between"), (0.9, "is 0.9, not between"),
        ("0.02", "is '0.02', not a number"), ([], "is [], not a number"), (True, "is True, not a number"),
    ],
)  # fmt: skip
def test_a_divergence_that_is_none_is_refused(trained, report, tmp_path, value, why):
    edited(report, lambda found: found["alignment"]["dist_urn"]["model"]["js_divergence"].update(mean=value))
    line = refused(trained, tmp_path, report)
    assert line.startswith("entry 'alignment.dist_urn.model.js_divergence.mean' of file '")
    assert why in line


@pytest.mark.parametrize("wrong", [None, 3, "x", [], [1], {"a": 1}, math.inf])
@pytest.mark.parametrize("entry", ["settings", "alignment", "steerability", "coverage", "comparison", "model"])
def test_a_report_with_wrong_kinds_ends_in_a_line(trained, report, tmp_path, entry, wrong):
    if entry == "comparison" and wrong is None:
        pytest.skip("nothing was compared")
    if entry == "alignment" and wrong == []:
        pytest.skip("an object is wanted: see the others")
    edited(report, lambda found: found.update({entry: wrong}))
    refused(trained, tmp_path, report)


@pytest.mark.parametrize("entry", ["rows_per_task", "hyperparameters", "log", "versions", "before", "lora"])
@pytest.mark.parametrize("wrong", [3, "nowhere/at/all", [1], {"a": []}])
def test_a_training_report_with_wrong_kinds_ends_in_a_line(copy, tmp_path, entry, wrong):
    if entry in ("hyperparameters", "lora") and isinstance(wrong, dict):
        pytest.skip("settings may be anything")
    edited(copy / "training_report.json", lambda found: found.update({entry: wrong}))
    refused(copy, tmp_path, without_report=True)


@pytest.mark.parametrize("wrong", [3, "nowhere/at/all", [1], {"a": []}])
def test_a_training_report_with_a_wrong_base_model_ends_in_a_line(copy, tmp_path, wrong):
    edited(copy / "training_report.json", lambda found: found.update(base_model=wrong))
    with pytest.raises(UserError, match=r"base_model|base model"):
        publication(copy, tmp_path, without_report=True, base_model=None)


def test_an_embedded_base_that_is_not_known_ends_in_a_line(copy, tmp_path):
    edited(copy / "training_report.json", lambda found: found.update(base_model="embedded:gemma-3-270"))
    assert refused(copy, tmp_path, without_report=True).startswith(
        "embedded model 'gemma-3-270' not found, did you mean 'gemma-3-270m'?"
    )


def with_base(copy, tmp_path, readme="", model_type="llama", **files):
    """An adapter whose base model lies in a folder with those files."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps({"model_type": model_type}))
    (base / "README.md").write_text(readme)
    for name, text in files.items():
        (base / name).write_text(text)
    edited(copy / "training_report.json", lambda found: found.update(base_model=str(base)))
    found = publication(copy, tmp_path, without_report=True)
    return found, ModelCard(found.card).data


def test_adapters_of_gemma_have_its_notice(copy, tmp_path):
    for number, (readme, kind) in enumerate([("---\nlicense: gemma\n---\n", "llama"), ("", "gemma3_text")]):
        (tmp_path / str(number)).mkdir()
        found, data = with_base(copy, tmp_path / str(number), readme, kind)
        assert data.license == "gemma"
        assert b"Gemma is provided under and subject to the Gemma Terms of Use found at" in content(found, "NOTICE")


@pytest.mark.parametrize("kind", ["gemma4", "gemma4_text", "llama", ""])
def test_what_is_not_under_the_terms_of_gemma_has_no_notice(copy, tmp_path, kind):
    found, data = with_base(copy, tmp_path, "", kind)
    assert data.license == "other"
    assert "NOTICE" not in {file.name for file in found.files}


def test_the_licence_of_a_base_model_is_carried_with_its_files(copy, tmp_path):
    readme = "---\nlicense: other\nlicense_name: own-terms\nlicense_link: https://example.org/LICENSE\n---\n"
    found, data = with_base(copy, tmp_path, readme, LICENSE="the terms", NOTICE="the notice", README2="x")
    assert (data.license, data.license_name, data.license_link) == ("other", "own-terms", "LICENSE")
    assert content(found, "LICENSE") == b"the terms"
    assert content(found, "NOTICE") == b"the notice"
    assert "licence: `other`, [LICENSE](LICENSE)" in found.card


def test_a_licence_without_files_has_one_that_says_where_it_is(copy, tmp_path):
    found, data = with_base(copy, tmp_path)
    assert data.license_link == "LICENSE.md"
    assert b"under the same terms: https://huggingface.co/org/base" in content(found, "LICENSE.md")


def test_the_card_tells_what_could_not_be_measured(trained, report, tmp_path):
    def fail(found):
        found["failed"] = [{"desideratum": "coverage", "task": "cov_x", "prompting": "both", "reason": "no '/srv/a/b'"}]
        found["alignment"]["dist_urn"]["n_failed"] = 3

    edited(report, fail)
    card = publication(trained, tmp_path, report).card
    assert "Coverage on cov_x could not be measured: no 'b'." in card
    assert "3 items of dist_urn have no finite score." in card
    edited(report, lambda found: found.update(failed=[{"desideratum": "coverage"}]))
    assert "has no entry 'failed.0.task'" in refused(trained, tmp_path, report)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\0", '{"ü": 1}'.encode("latin-1")])
@pytest.mark.parametrize(
    "name",
    [
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "adapter_config.json",
        "training_report.json",
    ],
)
def test_an_empty_or_wrong_file_ends_in_a_line(copy, tmp_path, name, content):
    (copy / name).write_bytes(content)
    assert name in refused(copy, tmp_path, without_report=True)


def test_an_empty_template_ends_in_a_line(copy, tmp_path):
    (copy / "chat_template.jinja").write_bytes(b"")
    assert "chat_template.jinja' of the tokenizer is empty" in refused(copy, tmp_path, without_report=True)
