"""`quickstart.py` from a recipe to its table, on a tiny model and a suite of a few rows."""

import json

import pytest
import yaml

import quickstart
from dataset_builder.build import BuildOptions, build
from spectrum_suite.errors import UserError
from spectrum_suite.hub.cards import render_model_card
from tests.tiny_models import save_llama

LIMITS = {"dist_urn": 4, "dist_states": 1, "dist_coinflip": 3}


@pytest.fixture(scope="module")
def recipe(tokenizer_of, tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    model = save_llama(folder / "m", tokenizer_of("chatml"))
    settings = {
        "model_name_or_path": str(model), "tasks": ["described_shares=6"], "branching": 1.0, "max_length": 120,
        "lora_r": 4, "per_device_train_batch_size": 3, "report_to": "none", "save_strategy": "no", "disable_tqdm": True,
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def card_of_a_local_model(adapter, *, suite, summary):
    render_model_card(adapter, [summary], suite=suite, base_model="nobody/tiny").save(adapter / "README.md")


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart-suite") / "suite"
    build(["described_shares", *LIMITS], BuildOptions(folder, max_rows=8))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(quickstart, "SUITE", folder)
        patched.setattr(quickstart, "build_suite", lambda: None)
        patched.setattr(quickstart, "write_adapter_card", card_of_a_local_model)
        patched.setattr(quickstart, "HELD_OUT", LIMITS)
        patched.setattr(quickstart, "FRESH_SETTINGS", {"dist_of_no_file": 9})
        yield folder


@pytest.fixture(scope="module")
def output(recipe, suite, tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs") / "quickstart"
    quickstart.main(recipe, folder)
    return folder


def read(path):
    return json.loads(path.read_text())


def test_the_summary_says_what_the_reports_say(output):
    summary = read(output / "summary.json")
    assert summary.keys() == {"seconds", "peak_rss_gib", "tasks", "base_formats", "model"}
    assert summary["seconds"] > 0
    assert 0.1 < summary["peak_rss_gib"] < 20
    assert summary["tasks"].keys() == LIMITS.keys()
    tuned = read(output / "report.json")["alignment"]
    for task, cells in summary["tasks"].items():
        base = read(output / "base" / summary["base_formats"][task] / "report.json")["alignment"]
        for name, section in (
            ("base", base[task]["model"]),
            ("tuned", tuned[task]["model"]),
            ("uniform", tuned[task]["uniform"]),
        ):
            assert cells[name]["js_divergence"] == section["js_divergence"]["mean"]
            assert cells[name]["coverage"] == section["coverage"]["mean"]
            assert cells[name]["n"] == LIMITS[task]
        low, high = cells["difference_ci95"]
        if task == "dist_states":
            assert (low, high) == (None, None)  # one item has no interval
        else:
            assert low <= cells["tuned"]["js_divergence"] - cells["base"]["js_divergence"] <= high


def test_the_base_model_is_asked_in_its_best_format(output):
    summary = read(output / "summary.json")
    tried = {name: read(output / "base" / f"{name}-tried" / "report.json")["alignment"] for name in quickstart.FORMATS}
    for task, chosen in summary["base_formats"].items():
        divergences = {name: report[task]["model"]["js_divergence"]["mean"] for name, report in tried.items()}
        assert divergences[chosen] == min(divergences.values())
        assert len(set(divergences.values())) > 1


def test_it_leaves_an_adapter_a_card_and_plots(output):
    assert (output / "adapter" / "adapter_model.safetensors").is_file()
    assert "described_shares" in (output / "adapter" / "README.md").read_text()
    assert {path.suffix for path in (output / "plots").iterdir()} == {".png"}


def test_a_finished_run_is_not_tuned_again_and_a_changed_recipe_is(output, recipe, suite, tmp_path):
    weights = output / "adapter" / "adapter_model.safetensors"
    tuned_at = weights.stat().st_mtime_ns
    quickstart.tune(recipe, output / "adapter")
    assert weights.stat().st_mtime_ns == tuned_at
    changed = tmp_path / "changed.yaml"
    changed.write_text(recipe.read_text() + "max_steps: 1\n")
    quickstart.tune(changed, output / "adapter")
    assert weights.stat().st_mtime_ns > tuned_at
    assert read(output / "adapter" / "training_report.json")["steps"] == 1


def test_tuning_that_stops_stops_the_rest(suite, tmp_path):
    recipe = tmp_path / "wrong.yaml"
    recipe.write_text("model_name_or_path: embedded:no-such-model\n")
    with pytest.raises(UserError, match="tuning stopped"):
        quickstart.tune(recipe, tmp_path / "adapter")
    assert not list((tmp_path / "adapter").glob("*.safetensors"))
