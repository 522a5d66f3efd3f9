"""A recipe of tiny models, from its YAML to its page: formats chosen, seeds pooled, and clear about mistakes."""

import json
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from spectrum_suite.commands import evaluate as evaluate_model
from spectrum_suite.commands.train import read_command_line
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.compare_reports import comparison_section
from spectrum_suite.evaluation.comparison import prepare
from spectrum_suite.evaluation.comparison.figures import examples_figure
from spectrum_suite.evaluation.comparison.recipe import Run, read_recipe
from spectrum_suite.evaluation.comparison.run_results import read_results
from spectrum_suite.evaluation.instruction import summarize_instruction
from spectrum_suite.evaluation.instruction.similarity import Similarity
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.lm import base, local
from tests.command_lines import read_command
from tests.tiny_models import COLORS, DICE, DRAWS, LETTERS, save_model, save_suite

REPOSITORY = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tokenizer_of):
    """A base, and two seeds of a tuned model, one with a training report."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("base", "tuned-1", "tuned-2")):
        save_model(folder / name, tokenizer_of("llama3"), seed=seed)
    told = {"steps": 3, "seen_tokens": 1200, "trained_tokens": 400, "seconds": 90.0, "device": "cpu", "log": []}
    (folder / "tuned-1" / "training_report.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Held-out tasks, and one of each kind to choose formats on."""
    folder = tmp_path_factory.mktemp("suite")
    fresh = [row | {"id": f"fresh/{i}"} for i, row in enumerate(COLORS)]
    learnt = [row | {"id": f"learnt/{i}"} for i, row in enumerate(DRAWS)]
    save_suite(folder, colors=COLORS, dice=DICE, draws=DRAWS, letters=LETTERS, fresh=fresh, learnt=learnt)
    readme = (folder / "README.md").read_text()
    (folder / "README.md").write_text(readme.replace("split: test\n    path: learnt", "split: train\n    path: learnt"))
    return folder


@pytest.fixture
def recipe(trained, suite, tmp_path):
    """Writes a recipe, with changes; returns its path."""

    def write(**changes):
        content = {
            "title": "Tiny",
            "suite": str(suite),
            "settings": {"device": "cpu"},
            "measure": {
                "alignment": {"tasks": ["colors", "dice"], "limit": 4},
                "steerability": {"tasks": ["draws"]},
                "coverage": {"promptings": ["both"], "generations": 6},
            },
            "choose": {"alignment": {"tasks": ["fresh"]}, "steerability": {"tasks": ["learnt"], "limit": 3}},
            "runs": [
                {"name": "base", "group": "base", "model": str(trained / "base"), "formats": ["colon", "spectrum"]},
                {
                    "name": "tuned",
                    "group": "spectrum",
                    "model": str(trained / "tuned-{seed}"),
                    "seeds": [1, 2],
                    "train": "python train_sft.py --seed {seed}",
                },
            ],
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(content | changes))
        return path

    return write


@pytest.fixture
def compare(tmp_path):
    """Runs the command in this process; returns its folder."""

    def run(path, *more):
        words = ["--runs", str(path), "--output", str(tmp_path / "out"), *more]
        evaluate_model.run(evaluate_model.read(words))
        return tmp_path / "out"

    return run


def test_a_recipe_becomes_a_page(recipe, compare, monkeypatch, caplog):
    caplog.set_level("INFO", "spectrum_suite.commands.comparison")
    out = compare(recipe())
    assert "Closer to held-out distributions than the base: " in caplog.text
    assert "Closer to held-out distributions than the instruction-tuned model: " not in caplog.text  # there is none
    results = read_results(out / "results.json")
    base, tuned = results.runs
    assert [seed.seed for seed in tuned.seeds] == [1, 2]
    tried = base.tried["alignment"]
    assert set(tried) == {"colon", "spectrum"}
    assert base.formats["alignment"] == min(tried, key=tried.get)
    assert base.formats["coverage"] == min(tried, key=tried.get)  # that of the first desideratum in `choose`
    assert base.formats["steerability"] == min(base.tried["steerability"], key=base.tried["steerability"].get)
    assert tuned.seeds[0].training == {"steps": 3, "seen_tokens": 1200, "trained_tokens": 400, "seconds": 90.0,
                                       "device": "cpu"}  # fmt: skip
    page = (out / "results.md").read_text()
    assert "| tuned | spectrum | 2 | `spectrum` | 1,200 tokens in 2 minutes on cpu |" in page
    assert "python train_sft.py --seed 1\npython train_sft.py --seed 2\n" in page
    assert "| Closer to held-out distributions than the base | JS divergence (nats), tuned minus base |" in page
    unchecked = (
        "Not checked here, because a run is missing: Higher yield than the instruction-tuned model at like validity; "
    )
    assert f"{unchecked}Closer to held-out distributions than the instruction-tuned model; Better with leaving" in page
    assert page.count("Better with a new order of the draws in every epoch") == 1
    for figure in ("runs", "examples", "yield"):
        assert (out / "plots" / f"{figure}.png").stat().st_size > 10_000
        assert f"](plots/{figure}.png)" in page
    monkeypatch.setattr(local, "load_for_scoring", lambda *_, **__: pytest.fail("a model was loaded again"))
    compare(recipe())
    assert (out / "results.md").read_text() == page


def test_responses_beside_those_of_a_narrow_task(recipe, compare, trained, tmp_path, monkeypatch):
    """Two ranks of eight are swapped: 1 - 6 * 2 / (8 * 63) = 0.976."""
    found = Similarity(np.arange(8.0), np.array([0, 1, 2, 3, 4, 5, 7, 6.0]))
    monkeypatch.setattr(summarize_instruction, "similarity_to_task", lambda *_: found)
    data = tmp_path / "sums.jsonl"
    rows = [{"instruction": f"Add {n} and {n}.", "output": str(2 * n)} for n in range(8)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    runs = [
        {"name": name, "group": group, "model": str(trained / name), "formats": ["tags"], "settings": settings}
        for name, group, settings in (
            ("base", "base", {}),
            ("tuned-1", "single-task", {"similar_to": str(data)}),
        )
    ]
    runs[1]["against"] = "base"
    judge = str(trained / "tuned-2")
    measure = {"instruction": {"data": [str(data)], "max_new_tokens": 4, "likelihood_judge": judge}}
    out = compare(recipe(runs=runs, measure=measure, choose={}))
    page = (out / "results.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith("| tuned-1 | sums |")]
    low, high = found.section()["ci95"]
    assert line == f"| tuned-1 | sums | 8 | +0.98 [{low:+.2f}, {high:+.2f}] |"
    wins = read_report(out / "tuned-1" / "instruction")["comparison"]["instruction"]["sums"]["win_rate"]
    low, high = wins["win_rate_ci95"]
    told = f"| tuned-1 | {trained / 'base'} | sums | 8 | {wins['win_rate']:.2f} [{low:.2f}, {high:.2f}] |"
    assert told in page


def test_each_model_is_loaded_once_in_a_row(recipe, compare, monkeypatch):
    def spy_on(module, name):
        loaded, load = [], getattr(module, name)
        monkeypatch.setattr(module, name, lambda files, **how: (loaded.append(files.name), load(files, **how))[1])
        return loaded

    models, tokenizers = spy_on(local, "load_for_scoring"), spy_on(base, "load_tokenizer")
    compare(recipe())
    for loaded in (models, tokenizers):
        assert [name.rpartition("/")[2] for name in loaded] == ["base", "tuned-1", "tuned-2"]
    assert base._KEPT.get() is None


def test_the_scores_that_are_kept_are_those_of_the_reports(recipe, compare, trained):
    """A difference of two runs of one seed is the one that the reports themselves give."""
    runs = [
        {"name": name, "group": group, "model": str(trained / name), "formats": ["spectrum"]}
        for name, group in (("base", "base"), ("tuned-1", "spectrum"))
    ]
    out = compare(recipe(runs=runs))
    page = (out / "results.md").read_text()
    reports = {
        (run, part): read_report(out / run / part)
        for run in ("base", "tuned-1")
        for part in ("alignment", "steerability")
    }
    expected = comparison_section(reports["tuned-1", "steerability"], reports["base", "steerability"])
    (line,) = [line for line in page.splitlines() if line.startswith("| tuned-1 |") and "[" in line]
    assert f"| {expected['steerability']['draws']['loss']['difference']:+.3f} [" in line
    divergences = [
        item["scores"]["js_divergence"]
        for task in ("colors", "dice")
        for item in read_report(out / "base" / "alignment")["alignment"][task]["items"]
    ]
    assert f"| base | {sum(divergences) / len(divergences):.4f} ± " in page


def test_the_curve_is_the_mean_loss_after_so_many_examples(recipe, compare):
    out = compare(recipe())
    figure = examples_figure(read_results(out / "results.json"))
    (axis,) = figure.axes
    assert [line.get_label() for line in axis.lines] == ["base", "tuned"]
    sequences = read_report(out / "tuned" / "1" / "steerability")["steerability"]["draws"]["sequences"]
    after_one = [sequence["losses"][sequence["k"].index(1)] for sequence in sequences if 1 in sequence["k"]]
    places, losses = axis.lines[1].get_data()
    assert losses[list(places).index(1)] == pytest.approx(sum(after_one) / len(after_one), abs=1e-5)


def test_a_run_is_measured_on_what_it_names_and_one_table_answers(recipe, compare, trained, tmp_path):
    """A setting may name a file of each seed's own."""
    runs = [
        {"name": "base", "group": "base", "model": str(trained / "base"), "formats": ["spectrum"]},
        {
            "name": "tuned",
            "group": "spectrum",
            "model": str(trained / "tuned-{seed}"),
            "seeds": [1],
            "formats": ["spectrum"],
            "measure": ["alignment"],
            "settings": {"rules": str(tmp_path / "rules-{seed}.yaml"), "tasks": ["dice"]},
        },
    ]
    one_table = {"title": "Which one?", "measures": ["js_divergence", "yield", "loss_0"]}
    read = read_recipe(recipe(runs=runs))
    settings = read.evaluation("alignment", read.runs[1], "m", "spectrum", tmp_path, seed=1)
    assert settings.rules == str(tmp_path / "rules-1.yaml")
    del runs[1]["settings"]["rules"]
    out = compare(recipe(runs=runs, one_table=one_table))
    assert not (out / "tuned" / "1" / "steerability").exists()
    page = (out / "results.md").read_text()
    table = page.partition("## Which one?")[2].partition("##")[0]
    assert "| run | JS divergence (nats) | yield | loss after 0 examples | tuned on |" in table
    (line,) = [line for line in table.splitlines() if line.startswith("| tuned |")]
    assert line.endswith("| - | - | 1,200 tokens in 2 minutes on cpu |")
    (line,) = [line for line in table.splitlines() if line.startswith("| base |")]
    section = read_report(out / "base" / "alignment")["alignment"]["dice"]  # the task that both have
    assert line.startswith(f"| base | {section['model']['js_divergence']['mean']:.4f} ")
    first = [
        sequence["losses"][0]
        for sequence in read_report(out / "base" / "steerability")["steerability"]["draws"]["sequences"]
    ]
    assert f"| {sum(first) / len(first):.3f} ± " in line


def test_what_is_missing_is_named_or_left_out(recipe, compare, trained, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = recipe(runs=[
        {"name": "base", "group": "base", "model": str(trained / "base")},
        {"name": "later", "group": "spectrum", "model": str(tmp_path / "later-{seed}"), "seeds": [1, 2]},
    ], measure={"alignment": {"tasks": ["dice"]}})  # fmt: skip
    with pytest.raises(UserError, match=r"run 'later'.*later-1.*--skip_missing"):
        compare(path)
    shutil.copytree(trained / "tuned-2", tmp_path / "later-2")
    results = read_results(compare(path, "--skip_missing") / "results.json")
    assert [len(run.seeds) for run in results.runs] == [1, 1]
    shutil.rmtree(tmp_path / "later-2")
    out = compare(path, "--skip_missing")
    assert read_results(out / "results.json").missing == ("later",)
    assert "not measured: later." in (out / "results.md").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "Tiny"}, "no entry 'titel', did you mean 'title'"),
        ({"measure": {"alignmnt": {}}}, "no entry 'alignmnt', did you mean 'alignment'"),
        ({"measure": {"alignment": {"limits": 4}}}, r"recipe\.yaml:\d+: no entry 'limits', did you mean 'limit'"),
        ({"measure": {"alignment": {"limit": "ten"}}}, "'limit' is 'ten': give a whole number or names"),
        ({"measure": {"alignment": {"tasks": "colors"}}}, "'tasks' is 'colors': give a list"),
        ({"measure": {"alignment": {"tasks": ["colours"]}}}, "no task 'colours'"),
        ({"choose": {"steerability": {"tasks": ["draws"]}}}, "'draws' is held out"),
        ({"choose": {"alignment": {"tasks": ["colors"]}}}, "'colors' is held out"),
        ({"runs": 3}, "'runs' is 3: give a list"),
        ({"runs": ["a"]}, "'a' is not a run: give its name, group and model"),
        ({"runs": [{"name": "a", "group": "base"}]}, "'model' is missing"),
        ({"runs": [{"name": "a", "group": "base", "model": "m", "seeds": 1}]}, "'seeds' is 1: give a list"),
        ({"title": 3}, r"recipe\.yaml:\d+: 'title' is 3: give text"),
        ({"choose": {"coverage": {}}}, "no entry 'coverage'"),
        ({"choose": {}}, "several formats"),
        ({"runs": [{"name": "a", "group": "spectum", "model": "m"}]}, "no group 'spectum', did you mean 'spectrum'"),
        ({"runs": [{"name": "a", "group": "base", "model": "m", "formats": ["colno"]}]}, "no format 'colno'"),
        ({"runs": [{"name": "a", "group": "base", "model": "m", "seeds": [1]}]}, "'seeds' go with"),
        ({"runs": [{"name": "a", "group": "ablation", "model": "m"}]}, "says what it 'ablates'"),
        ({"runs": [{"name": "a", "group": "base", "model": "m"}] * 2}, "two runs 'a'"),
        ({"runs": [{"name": "a", "group": "ablation", "ablates": "permutation", "model": "m", "against": "b"}]},
         "no run 'b'"),
        ({"runs": [{"name": "a", "group": "base", "model": "m", "measure": ["markers"]}]}, "measured 'markers'"),
        ({"runs": [{"name": "a", "group": "base", "model": "m", "measure": ["alignment"]},
                   {"name": "b", "group": "base", "model": "m", "against": "a"}]}, "'a', which is not measured on cov"),
        ({"one_table": {"title": "T", "measures": ["los"]}}, "no measure 'los', did you mean 'loss'"),
        ({"suite": None}, "give its 'suite'"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_recipe_is_named(recipe, compare, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        compare(recipe(**changes))
    assert not (tmp_path / "out").exists()


def test_other_options_do_not_go_with_a_recipe(recipe, compare):
    with pytest.raises(UserError, match="--limit does not go with --runs"):
        compare(recipe(), "--limit", "3")
    with pytest.raises(UserError, match="no --model"):
        evaluate_model.run(evaluate_model.read(["--output", "x"]))


def test_seeds_fill_the_name_of_a_model():
    assert Run("a", "spectrum", "x/{seed}/y", seeds=(3, 4)).models() == {3: "x/3/y", 4: "x/4/y"}
    assert Run("a", "base", "x").models() == {None: "x"}


@pytest.fixture
def called(trained, monkeypatch):
    """The commands that a recipe has run; a training leaves a model, and of a build some tasks fail."""
    found = []

    def call(words):
        found.append(words)
        if words[0] == "train" and Path(words[-1]).is_absolute():
            shutil.copytree(trained / "tuned-2", words[-1], dirs_exist_ok=True)
        return int(words[0] == "build")

    monkeypatch.setattr(prepare, "_call", call)
    return found


def test_what_is_missing_is_built_and_trained_first(recipe, compare, called, trained, tmp_path):
    """And it is compared with the run before it, on those tasks that the suite has."""
    later = tmp_path / "later-{seed}"
    train = f"spectrum-suite train --seed {{seed}} --output_dir {later}"
    path = recipe(
        build="python -m dataset_builder build --tasks all --output suite",
        measure={"alignment": {"tasks": ["dice", "dist_gone"]}},
        optional=["dist_gone"],
        choose={},
        runs=[
            {"name": "base", "group": "base", "model": str(trained / "base"), "formats": ["colon"]},
            {
                "name": "later",
                "group": "spectrum",
                "against": "base",
                "model": str(later),
                "seeds": [1, 2],
                "train": train,
            },
        ],
    )
    with pytest.raises(UserError, match="later-1"):
        compare(path)
    assert called == []
    out = compare(path, "--train_missing")
    assert called == [
        ["build", "--tasks", "all", "--output", "suite"],
        *(["train", "--seed", f"{seed}", "--output_dir", str(tmp_path / f"later-{seed}")] for seed in (1, 2)),
    ]
    base, tuned = (read_report(out / name / "alignment") for name in ("base", "later/1"))
    assert set(tuned["alignment"]) == {"dice"}
    assert base["comparison"] is None
    mine, theirs = (report["alignment"]["dice"]["model"]["js_divergence"]["mean"] for report in (tuned, base))
    found = tuned["comparison"]["alignment"]["dice"]["js_divergence"]
    assert found["difference"] == pytest.approx(mine - theirs, abs=1e-6)


def test_a_model_without_a_record_of_its_settings_is_kept(recipe, called, trained):
    prepare.prepare(read_recipe(recipe()))
    assert [words[2] for words in called] == ["2"]  # the first seed has a training report
    (trained / "tuned-1" / ".spectrum_run").touch()
    prepare.prepare(read_recipe(recipe()))
    (trained / "tuned-1" / ".spectrum_run").unlink()
    assert [words[2] for words in called] == ["2", "1", "2"]  # now the training command decides


def test_a_build_or_a_training_that_fails_stops_the_rest(recipe, monkeypatch):
    monkeypatch.setattr(prepare, "_call", lambda words: 2)
    with pytest.raises(UserError, match="building the suite stopped"):
        prepare.prepare(read_recipe(recipe(build="spectrum-suite build --tasks all --output suite")))
    with pytest.raises(UserError, match="training run 'tuned' stopped"):
        prepare.prepare(read_recipe(recipe()))
    for command in ("spectrum-suite evaluate", "python train_sft.py"):
        with pytest.raises(UserError, match=r"cannot be run from a recipe.*or 'spectrum-suite calibrate'$"):
            prepare.prepare(read_recipe(recipe(build=command)))
    monkeypatch.setattr(prepare, "_call", lambda words: 1)  # what fails in part is a build alone
    with pytest.raises(UserError, match="annotating data stopped"):
        prepare.prepare(read_recipe(recipe(build=["spectrum-suite build --output s", "spectrum-suite annotate a.csv"])))


RECIPES = sorted(path.stem for path in (REPOSITORY / "recipes" / "results").glob("*.yaml"))


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipes_of_the_repository_are_understood(name):
    path = REPOSITORY / "recipes" / "results" / f"{name}.yaml"
    assert f"recipes/results/{name}.yaml" in path.read_text(encoding="utf-8").splitlines()[0]
    found = read_recipe(path)
    assert found.runs[0].group in {"base", "instruction-tuned", "markers"}
    assert found.suite is None or "alignment" in found.measure
    assert found.suite is None or found.build


def test_the_published_checkpoints_stand_beside_base_and_instruct():
    runs = read_recipe(REPOSITORY / "recipes" / "results" / "paper.yaml").runs
    released = {
        f"tsor13/spectrum-{name}-{v}" for name in ("gemma-3-12b", "Qwen3-14B", "Llama-3.1-8B") for v in ("v0", "v1")
    }
    assert {run.model for run in runs if run.group == "spectrum"} == released
    for untuned in (run for run in runs if run.group == "base"):
        beside = [run for run in runs if run.against == untuned.name]
        assert sorted(run.group for run in beside) == ["instruction-tuned", "spectrum", "spectrum"]
        assert {run.formats for run in beside if run.group == "spectrum"} == {("spectrum",)}
        assert all(run.name.startswith(untuned.name) for run in beside)


def test_the_recipe_of_qwen3_has_the_step_of_the_published_v1():
    """4 x 256 sequences: the recipe's command has as many on the processes of its configuration."""
    text = (REPOSITORY / "recipes" / "qwen3-14b.yaml").read_text(encoding="utf-8")
    command = text.partition("accelerate launch")[2].partition("#\n# ")[0].split()
    given = dict(pairwise(command))
    processes = yaml.safe_load((REPOSITORY / given["--config_file"]).read_text(encoding="utf-8"))["num_processes"]
    on_each = int(given["--per_device_train_batch_size"]) * int(given["--gradient_accumulation_steps"])
    assert on_each * processes == 4 * 256


@pytest.mark.parametrize("name", RECIPES)
def test_the_commands_of_a_recipe_make_its_suite_and_models(name, called, monkeypatch, tmp_path):
    recipe = read_recipe(REPOSITORY / "recipes" / "results" / f"{name}.yaml")
    monkeypatch.chdir(tmp_path)  # where no model is
    prepare.prepare(recipe)
    monkeypatch.chdir(REPOSITORY)
    built, words = called[: len(recipe.build)], called[len(recipe.build) :]
    for each in built:
        read_command(shlex.join(["spectrum-suite", *each]))
    assert [each[-1] for each in built if each[0] == "build"] == [recipe.suite] * (recipe.suite is not None)
    trained = [model for run in recipe.runs if run.train for model in run.models().values()]
    assert [read_command_line(each[1:])["output_dir"] for each in words] == trained
