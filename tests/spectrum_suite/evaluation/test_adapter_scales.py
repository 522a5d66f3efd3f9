"""An adapter measured from its base to itself: a report for each scale, and a table of all."""

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from spectrum_suite.commands import evaluate as evaluate_model
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.comparison.recipe import read_recipe
from spectrum_suite.evaluation.report import read_report
from tests.tiny_models import save_model, save_suite, shaken

WANTED = ["--desiderata", "coverage", "alignment", "--generations", "2", "--promptings", "both"]


@pytest.fixture(scope="module")
def model(tmp_path_factory, tokenizer_of):
    return save_model(tmp_path_factory.mktemp("model"), tokenizer_of("llama3"))


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    config = LoraConfig(target_modules=["q_proj", "down_proj"], r=2, task_type="CAUSAL_LM")
    shaken(get_peft_model(AutoModelForCausalLM.from_pretrained(model), config), by=0.5).save_pretrained(folder)
    return folder


@pytest.fixture
def command(tmp_path, tmp_path_factory):
    suite = save_suite(tmp_path_factory.mktemp("suite"))

    def evaluate(name, output, *words):
        fixed = ["--model", str(name), "--suite", str(suite), "--output", str(tmp_path / output), "--limit", "3"]
        evaluate_model.run(
            evaluate_model.read([*fixed, *([] if "--endpoint" in words else ["--device", "cpu"]), *words])
        )
        return tmp_path / output

    return evaluate


def scores(report):
    return report["alignment"]["colors"]["items"], report["coverage"]["letters"]["both"]["texts"]


def test_several_scales_have_a_report_each_and_a_table(command, model, adapter):
    folder = command(adapter, "scales", *WANTED, "--adapter_scale", "1", "0", "0.5")
    reports = {factor: read_report(folder / f"scale-{factor}") for factor in ("0", "0.5", "1")}
    assert scores(reports["0"]) == scores(read_report(command(model, "base", *WANTED)))
    whole = read_report(command(adapter, "adapter", *WANTED))
    assert scores(reports["1"]) == scores(whole)
    assert "adapter_scale" not in whole["model"]
    assert whole["model"] == reports["1"]["model"]
    assert scores(reports["0.5"]) not in (scores(reports["0"]), scores(reports["1"]))
    assert [report["model"].get("adapter_scale") for report in reports.values()] == [0, 0.5, None]
    assert len({report["model"]["fingerprint"] for report in reports.values()}) == 3
    assert [report["comparison"] is None for report in reports.values()] == [True, False, False]
    assert reports["1"]["comparison"]["other"]["model"] == f"{adapter} at adapter scale 0"
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in (folder / "scales.md").read_text().splitlines()
    ]
    assert ["task", "measure", "0", "0.5", "1"] in rows
    found = {tuple(row[:2]): [cell.removesuffix(" *") for cell in row[2:]] for row in rows if len(row) == 5}
    for factor, cell in zip(reports.values(), found["colors", "js_divergence"], strict=True):
        assert cell == f"{factor['alignment']['colors']['model']['js_divergence']['mean']:.4f}"
    assert (
        found["letters", "valid, both"][0]
        == f"{reports['0']['coverage']['letters']['both']['scores']['valid']['mean']:.4f}"
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--adapter_scale", "0.5"], "--adapter_scale is for an adapter's folder"),
        (["--adapter_scale", "0.5", "--endpoint", "http://localhost:1/v1"], "leave it out with --endpoint"),
        (["--adapter_scale", "-0.5"], "--adapter_scale is -0.5"),
        (["--adapter_scale", "nan"], "--adapter_scale is nan"),
    ],
)
def test_a_model_without_a_scale_is_refused(command, model, tmp_path, words, line):
    with pytest.raises(UserError, match=line):
        command(model, "out", "--desiderata", "alignment", *words)


def test_a_run_of_a_recipe_has_a_scale(tmp_path):
    path = tmp_path / "recipe.yaml"
    run = "{name: half, group: spectrum, model: x, settings: {adapter_scale: %s}}"
    start = "title: t\nsuite: s\nmeasure: {alignment: {}}\nruns:\n  - "
    for factor in ("0.5", "0"):
        path.write_text(start + run % factor)
        (found,) = read_recipe(path).runs
        assert read_recipe(path).evaluation("alignment", found, "x", "auto", tmp_path).adapter_scale == float(factor)
    path.write_text(start + run % "half")
    with pytest.raises(UserError, match="'adapter_scale' is 'half'"):
        read_recipe(path)
