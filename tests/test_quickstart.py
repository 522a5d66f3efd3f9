"""`quickstart.py` and its comparison: from nothing to the table, on a tiny model and a suite of a few rows."""

import json
import logging
from dataclasses import replace

import pytest
import yaml

import quickstart
from spectrum_suite.commands import comparison
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.summarize_alignment import compare_alignment
from spectrum_suite.evaluation.comparison.recipe import read_recipe
from spectrum_suite.evaluation.report import read_report
from tests.tiny_models import save_llama

LIMITS = {"dist_urn": 4, "dist_states": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("quickstart")


@pytest.fixture(scope="module")
def training(tokenizer_of, folder):
    """A recipe of train_sft.py."""
    settings = {
        "model_name_or_path": str(save_llama(folder / "m", tokenizer_of("chatml"))), "suite": str(folder / "suite"),
        "tasks": ["described_shares=6"], "branching": 1.0, "max_length": 120, "lora_r": 4, "report_to": "none",
        "per_device_train_batch_size": 3, "save_strategy": "no", "disable_tqdm": True,
    }  # fmt: skip
    path = folder / "training.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="module")
def recipe(folder):
    """The quickstart's own recipe with a smaller suite, which lacks an optional task."""
    content = yaml.safe_load(quickstart.COMPARISON.read_text())
    names = "described_shares dist_urn dist_states dist_train_shares"
    content["suite"] = str(folder / "suite")
    content["build"] = f"python -m dataset_builder build --tasks {names} --rows 8 --output {folder / 'suite'}"
    content["measure"] = {"alignment": {"tasks": [*LIMITS, "dist_nytimes"], "limit": LIMITS}}
    content["choose"] = {"alignment": {"tasks": ["dist_train_shares"], "limit": 3}}
    path = folder / "comparison.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def printed():
    return []


@pytest.fixture(scope="module")
def output(training, recipe, folder, printed):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(comparison.Console, "print", lambda console, table: printed.append(table))
        quickstart.main(training, folder / "output", recipe)
    return folder / "output"


def reports(output):
    return [read_report(output / side / "alignment") for side in ("base", "tuned")]


def test_the_table_says_what_the_reports_say(output, printed):
    base, tuned = reports(output)
    assert set(tuned["alignment"]) == set(LIMITS)  # dist_nytimes is optional, and not in this suite
    [table] = printed
    columns = [[cell.plain if hasattr(cell, "plain") else cell for cell in column.cells] for column in table.columns]
    names, counts, formats, before, after, guess, interval, *coverage = columns
    assert dict(zip(names, map(int, counts), strict=True)) == LIMITS
    for place, task in enumerate(names):
        for column, section in (
            (before, base["alignment"][task]["model"]),
            (after, tuned["alignment"][task]["model"]),
            (guess, tuned["alignment"][task]["uniform"]),
        ):
            assert column[place].split()[0] == f"{section['js_divergence']['mean']:.4f}"
        sides = (base["alignment"][task]["model"], tuned["alignment"][task]["model"])
        assert [column[place] for column in coverage] == [f"{side['coverage']['mean']:.3f}" for side in sides]
        mine, theirs = (report["alignment"][task] for report in (tuned, base))
        low, high = compare_alignment(task, mine, theirs)["js_divergence"]["ci95"]
        assert interval[place] == ("one item" if LIMITS[task] == 1 else f"[{low:+.4f}, {high:+.4f}]")
    assert len(set(formats)) == 1


def test_the_base_model_is_asked_in_the_format_that_training_tasks_choose(output, recipe, printed):
    found = json.loads((output / "results.json").read_text())
    base, tuned = found["runs"]
    tried = base["tried"]["alignment"]
    assert set(tried) == {"colon", "colon+label", "spectrum", "chat"}
    assert base["formats"]["alignment"] == min(tried, key=tried.get)
    assert printed[0].columns[2]._cells[0] == base["formats"]["alignment"]
    assert tuned["formats"] == {"alignment": "spectrum"}


def test_it_leaves_an_adapter_a_card_and_plots(output):
    assert (output / "adapter" / "adapter_model.safetensors").is_file()
    assert "described_shares" in (output / "adapter" / "README.md").read_text()
    assert {path.suffix for path in (output / "tuned" / "alignment" / "plots").iterdir()} == {".png", ".pdf", ".svg"}
    assert (output / "results.md").is_file()


def test_a_finished_run_is_kept_and_a_changed_recipe_is_refused(output, training, recipe, tmp_path, capfd):
    """Nothing is trained or scored again; what was trained otherwise is not taken for what the recipe says."""
    weights = output / "adapter" / "adapter_model.safetensors"
    tuned_at, before = weights.stat().st_mtime_ns, [report["alignment"] for report in reports(output)]
    quickstart.main(training, output, recipe)
    assert weights.stat().st_mtime_ns == tuned_at
    assert [report["alignment"] for report in reports(output)] == before  # with the seconds that it took
    changed = tmp_path / "changed.yaml"
    changed.write_text(training.read_text() + "max_steps: 1\n")
    with pytest.raises(UserError, match="training run 'tuned' stopped"):
        quickstart.main(changed, output, recipe)
    assert "is of another run, with max_steps" in capfd.readouterr().err
    assert weights.stat().st_mtime_ns == tuned_at


def test_the_card_gets_the_results_where_the_base_has_a_name(output, recipe, folder):
    """This model, the one that it is compared with, a uniform guess, and the interval between the first two."""
    report = json.loads((output / "adapter" / "training_report.json").read_text())
    named = folder / "named"
    named.mkdir()
    (named / "training_report.json").write_text(json.dumps(report | {"base_model": "nobody/tiny"}))
    found = read_recipe(recipe)
    comparison._describe(replace(found, runs=(replace(found.runs[1], model=str(named)),)), output)
    card = (named / "README.md").read_text()
    assert card.count("| `dist_urn` |") == 4
    state = reports(output)[1]["alignment"]["dist_states"]["model"]["js_divergence"]["mean"]
    assert f"| `dist_states` | this model | {state:.4f} |" in card


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_name_or_path: embedded:no-such-model\n", "training run 'tuned' stopped"),
        ("tasks: [all]\n", "names no model"),
        ("[", "cannot be read"),
    ],
)
def test_a_training_recipe_that_does_not_work_stops_the_rest(recipe, output, tmp_path, text, message):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text)
    with pytest.raises(UserError, match=message):
        quickstart.main(wrong, tmp_path / "out", recipe)
    assert not list(tmp_path.glob("out/**/report.json"))


def test_only_commands_of_ours_are_run(recipe, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    content = yaml.safe_load(recipe.read_text())
    content["build"] = f"touch {tmp_path / 'made'}"
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=r"build: 'touch .* cannot be run from a recipe: start it with 'python -m"):
        comparison.compare_models(read_recipe(path), tmp_path / "out", train_missing=True)
    assert not (tmp_path / "made").exists()
