"""Runs made with absolute paths everywhere are published, and no byte that a Hub received says where they were made."""

import base64
import json
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, GenerationConfig

from dataset_builder.build import BuildOptions, build
from spectrum_suite.formats.render import get_format
from spectrum_suite.hub.dataset import dataset_publication
from spectrum_suite.hub.model import ModelOptions, model_publication
from spectrum_suite.hub.publish import PushOptions, push
from spectrum_suite.models import find_model
from tests.tiny_models import save_llama

pytestmark = pytest.mark.hub

HIDDEN = "home of Ada"
"""Part of every path here, with a blank in it, as on many machines."""


@pytest.fixture
def home(tmp_path):
    return tmp_path / HIDDEN


@pytest.fixture
def adapter(home, tokenizer_of, small_suite):
    """What a run leaves that was given everything by absolute paths, with an evaluation of the same kind."""
    base = save_llama(home / "models" / "base", tokenizer_of("chatml"))
    suite = shutil.copytree(small_suite, home / "data" / "my-suite")
    folder = home / "runs" / "adapter"
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base)
    get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)).save_pretrained(folder)
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = get_format("spectrum", tokenizer).chat_template()
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings |= {"tokenizer_file": str(base / "tokenizer.json"), "name_or_path": str(base), "cache": f"file://{base}"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=0).save_pretrained(folder)
    sampling = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(sampling | {"_name_or_path": str(base)}))
    (folder / "training_report.json").write_text(json.dumps(training(base, suite, home)))
    (home / "runs" / "report.json").write_text(json.dumps(evaluation(folder, base)))
    return folder


def training(base, suite, home):
    report = {
        "base_model": str(base), "suite": str(suite), "format": "spectrum", "family": "chatml",
        "description_dropout": 0.2, "branching": 0.0, "turn_tokens": f"transplant:{home / 'models' / 'sibling'}",
        "hyperparameters": {"seed": 42, "learning_rate": 5e-4, "deepspeed": str(home / "ds.json")},
        "lora": {"lora_r": 4, "target": f"all of {base}"}, "dtype": "float32", "steps": 5, "rows": 18,
        "rows_per_task": {"coinflip": 6}, "draws_too_long": 0, "trained_tokens": 430, "seen_tokens": 2026, "log": [],
        "seconds": 1.1, "peak_rss_gib": 0.5, "device": "cpu",
        "versions": {"torch": "2.13.0", "own": f"@ {home / 'torch'}"},
        "begin_with": str(home / "runs" / "first"), "data": [f"alpaca={home / 'alpaca.jsonl'}"],
        "task_branching": [f"{home / 'tasks.txt'}"],
        "other": {str(home / "key"): [{"deep": f"in '{home / 'x'}' it was"}]},
    }  # fmt: skip
    return report | {"before": [report]}


def evaluation(folder, base):
    cell = {"js_divergence": {"mean": 0.02, "se": 0.001}, "coverage": {"mean": 0.9, "se": 0.01}}
    difference = {"dist_urn": {"js_divergence": {"ci95": [-0.2, -0.1]}}}
    return {
        "schema_version": 2,
        "model": {"name": str(folder), "fingerprint": find_model(str(folder)).fingerprint()},
        "settings": {
            "format": "spectrum", "dtype": "float32", "device": "cpu", "seed": 42, "limit": None,
            "judge": {"url": "http://localhost:1/v1", "model": str(base)}, "data": {"a": str(base)},
        },
        "comparison": {"other": {"model": str(base), "format": "colon"}, "alignment": difference},
        "alignment": {"dist_urn": {"n": 12, "model": cell, "uniform": cell}},
    }  # fmt: skip


def where(home):
    """What must be in no byte: the folder, in the spellings of paths, addresses and JSON, and where the tests run."""
    places = [
        str(home),
        str(home).replace(" ", "%20"),
        str(home.parent),
        HIDDEN,
        str(Path.cwd()),
        str(Path.home() / "."),
    ]
    return [place.encode(code) for place in places for code in ("utf-8", "utf-16-le") if len(place) > len("/root")]


def searched(hub, *places):
    """Everything that the Hub has, and all bodies that it was sent, decoded where they carry files in base 64."""
    contents = [b"".join(hub.received)]
    assert contents[0]
    for line in contents[0].splitlines():
        try:
            contents.append(base64.b64decode(json.loads(line)["value"]["content"]))
        except (ValueError, KeyError, TypeError):
            continue
    for repository in hub.repositories.values():
        contents += [repository.objects.path(entry).read_bytes() for entry in repository.files().values()]
        contents += [str(commit).encode() for commit in repository.commits.values()]
    return [place for place in places for content in contents if place in content]


@pytest.mark.parametrize("merge", [False, True])
def test_no_path_of_a_model_is_published(here, adapter, home, tmp_path, merge):
    HfApi(token=here.write_token).create_repo("org/base")
    options = ModelOptions(merge=merge, base_model="org/base", dataset="org/suite")
    here.received = []
    publication = model_publication(adapter, "org/tuned", options, tmp_path / "scratch")
    push(publication, PushOptions(), here.write_token)
    assert searched(here, *where(home)) == []
    card = here.repository("model", "org/tuned").content("README.md").decode()
    assert "| `turn_tokens` | transplant:sibling |" in card
    assert "this model minus `base` in format `colon`" in card
    report = json.loads(here.repository("model", "org/tuned").content("training_report.json"))
    assert report["data"] == ["alpaca=alpaca.jsonl"]
    assert report["before"][0]["begin_with"] == "first"


def test_no_path_of_a_suite_is_published(here, home):
    folder = home / "suite"
    build(["coinflip", "dist_urn"], BuildOptions(folder, max_rows=3))
    path = folder / "build_report.json"
    report = json.loads(path.read_text())
    version = report["tasks"]["dist_urn"]["version"]
    report["tasks"]["dist_urn"] = {"status": "failed", "version": version, "error": f"file '{home / 'x.csv'}', row 3"}
    report["tasks"]["coinflip"]["missing"] = {"a.csv": f"not in {folder}/raw"}
    report["sources_dir"] = str(home / "sources")
    path.write_text(json.dumps(report))
    here.received = []
    push(dataset_publication(folder, "org/suite", allow_failed=True), PushOptions(), here.write_token)
    assert searched(here, *where(home)) == []
