"""The command from a checkpoint to a report: complete, taken up where it was, and clear about mistakes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset

from spectrum_suite.commands import evaluate as evaluate_model
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.score_alignment import AlignmentWork
from spectrum_suite.evaluation.coverage.summarize_coverage import CoverageWork
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.evaluation.steerability.summarize_steerability import SteerabilityWork
from spectrum_suite.lm import local as local_models
from spectrum_suite.models import load_for_scoring
from spectrum_suite.row_fingerprints import row_fingerprint
from tests.completions_server import serving
from tests.tiny_models import COLORS, DRAWS, save_model, save_suite

REPOSITORY = Path(__file__).parents[1]
KEY = "sk-for-nobody"


@pytest.fixture(scope="module")
def model(tmp_path_factory, tokenizer_of):
    return save_model(tmp_path_factory.mktemp("model"), tokenizer_of("llama3"))


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return save_suite(tmp_path_factory.mktemp("suite"))


@pytest.fixture
def command(model, suite, tmp_path):
    """Runs the command in this process; returns its report."""

    def evaluate(output="out", *, served=False, **options):
        fixed = {"model": model, "suite": suite, "output": tmp_path / output}
        fixed |= {} if served else {"device": "cpu"}
        options = fixed | {"desiderata": "alignment"} | options
        words = [word for name, value in options.items() for word in (f"--{name}", *str(value).split())]
        evaluate_model.run(evaluate_model.read(words))
        return read_report(tmp_path / output)

    return evaluate


@pytest.fixture
def scored(monkeypatch):
    """The tasks that were really scored, in order; naming one as ``stop`` interrupts before it."""
    tasks = []
    measure = AlignmentWork.score

    def spy(self, part, lm):
        if self.task == spy.stop:
            raise KeyboardInterrupt
        tasks.append(self.task)
        return measure(self, part, lm)

    spy.stop = None
    monkeypatch.setattr(AlignmentWork, "score", spy)
    return tasks, spy


def test_a_report_says_what_was_run(command, model, tmp_path):
    report = command(limit=3)
    assert report["model"]["name"] == str(model)
    settings = report["settings"]
    assert (settings["format"], settings["dtype"], settings["device"]) == ("spectrum", "float32", "cpu")
    assert (settings["bos"], settings["seed"], settings["limit"]) == ("<|begin_of_text|>", 42, 3)
    assert {task: found["n"] for task, found in report["alignment"].items()} == {"colors": 3, "dice": 1}
    assert report["alignment"]["colors"]["n_available"] == len(COLORS)
    assert "| dice | 1 of 1 |" in (tmp_path / "out" / "report.md").read_text()
    names = ("alignment", "alignment-colors", "alignment-dice")
    assert {path.name for path in (tmp_path / "out" / "plots").iterdir()} == {
        f"{name}.{kind}" for name in names for kind in ("png", "pdf", "svg")
    }


def test_an_interrupted_run_goes_on_where_it_was(command, scored, tmp_path):
    tasks, spy = scored
    spy.stop = "dice"
    with pytest.raises(KeyboardInterrupt):
        command()
    assert tasks == ["colors"]
    assert not (tmp_path / "out" / "report.json").exists()
    spy.stop = None
    resumed = command()
    assert tasks == ["colors", "dice"]
    fresh = command("fresh")
    assert [resumed["alignment"][task]["items"] for task in tasks] == [
        fresh["alignment"][task]["items"] for task in tasks
    ]


def test_a_finished_run_does_not_load_the_model_again(command, monkeypatch):
    before = command()
    monkeypatch.setattr(local_models, "load_for_scoring", lambda *_, **__: pytest.fail("the model was loaded"))
    assert command()["alignment"] == before["alignment"]


@pytest.mark.parametrize(
    "change", [{"limit": 4}, {"seed": 1, "limit": 2}, {"format": "colon"}, {"dtype": "bfloat16"}], ids=str
)
def test_other_settings_are_scored_anew(command, scored, change):
    tasks, _ = scored
    command(tasks="colors", limit=change.get("limit", 1000) if "seed" in change else 1000)
    command(tasks="colors", **change)
    assert tasks == ["colors", "colors"]


def test_other_weights_are_scored_anew(command, scored, tokenizer_of, tmp_path):
    tasks, _ = scored
    first = command(tasks="dice")
    other = save_model(tmp_path / "other", tokenizer_of("llama3"), seed=1)
    second = command(tasks="dice", model=other)
    assert tasks == ["dice", "dice"]
    assert first["alignment"]["dice"]["items"] != second["alignment"]["dice"]["items"]


def test_a_comparison_is_made_on_the_same_items(command, tmp_path):
    base = command("base", format="colon", limit=4)
    tuned = command("tuned", compare=tmp_path / "base")
    found = tuned["comparison"]
    assert found["other"] == {"model": base["model"]["name"], "format": "colon"}
    assert found["alignment"]["colors"]["js_divergence"]["n"] == 4
    scores = {
        name: {item["id"]: item["scores"]["coverage"] for item in report["alignment"]["colors"]["items"]}
        for name, report in (("base", base), ("tuned", tuned))
    }
    mean = sum(scores["tuned"][item_id] - scores["base"][item_id] for item_id in scores["base"]) / 4
    assert found["alignment"]["colors"]["coverage"]["difference"] == pytest.approx(mean)
    assert "Against" in (tmp_path / "tuned" / "report.md").read_text()


def test_plots_are_written_again_when_the_report_changes(command, tmp_path):
    command("out", tasks="colors")
    plot = tmp_path / "out" / "plots" / "alignment.png"
    plot.write_bytes(b"as it was")
    command("out", tasks="colors")
    assert plot.read_bytes() == b"as it was"
    command("out", tasks="colors", limit=2)
    assert plot.read_bytes() != b"as it was"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "jinja"}, "no format 'jinja': choose auto, spectrum, colon, chat"),
        ({"tasks": "colours"}, "no task 'colours'.*did you mean 'colors'"),
        ({"tasks": "draws"}, "task 'draws' is of kind 'icl', but alignment needs distribution tasks"),
        ({"suite": "spectrum-suit"}, "suite folder 'spectrum-suit' not found"),
        ({"promptings": "nothing", "desiderata": "coverage"}, "no prompting 'nothing': choose from description"),
        ({"generations": 0}, "--generations is 0: give a number of at least 1"),
        ({"desiderata": "beauty"}, "no desideratum 'beauty'"),
        ({"limit": 0}, "--limit is 0: give a number of at least 1"),
        ({"compare": "nowhere"}, "report 'nowhere' not found"),
        ({"judge": "http://localhost:1"}, "--judge needs the name of the judge"),
        ({"judge_model": "referee"}, "--judge_model needs the judge's address"),
        ({"endpoint_model": "m"}, "--endpoint_model needs the server's address"),
        ({"endpoint": "http://localhost:1"}, "--device is for a model that is loaded here: leave it out"),
        ({"format": "spectrum", "task_labels": ""}, "format 'spectrum' has no labels"),
    ],
)
def test_mistakes_are_named_and_leave_nothing(command, change, message, tmp_path):
    with pytest.raises(UserError, match=message):
        command(**change)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def people(tmp_path):
    """Answers of people, a row each."""
    rows = [
        {
            "who": f"p{n // 4}",
            "ask": f"Question {n % 4}?",
            "said": ("yes", "no")[n % 2],
            "age": ("old", "young")[n // 8],
        }
        for n in range(16)
    ]
    Dataset.from_list(rows).to_parquet(tmp_path / "people.parquet")
    return tmp_path / "people.parquet"


@pytest.fixture
def on_dataset(model, tmp_path):
    """Runs the command on a dataset as it is; returns its report."""

    def evaluate(*words):
        fixed = ["--model", str(model), "--device", "cpu", "--output", str(tmp_path / "out")]
        evaluate_model.run(evaluate_model.read([*fixed, *map(str, words)]))
        return read_report(tmp_path / "out")

    return evaluate


OF_PEOPLE = ("--split", "train", "--columns", "process=who,input=ask,output=said")


def test_a_dataset_as_it_is(on_dataset, people):
    report = on_dataset("--dataset", people, *OF_PEOPLE)
    assert report["suite"]["name"] == str(people)
    assert report["suite"]["dataset"]["columns"] == {"process": "who", "input": "ask", "output": "said"}
    assert (report["steerability"]["people"]["n"], report["alignment"], report["coverage"]) == (4, {}, {})


def test_tables_by_group_and_by_question(on_dataset, people, tmp_path):
    report = on_dataset("--dataset", people, *OF_PEOPLE, "--by", "age")
    section = report["steerability"]["people"]
    assert {group: cell["n"] for group, cell in section["by"]["age"].items()} == {"old": 2, "young": 2}
    every = [loss for each in section["sequences"] for k, loss in zip(each["k"], each["losses"], strict=True) if k]
    of_groups = [cell["loss"]["mean"] for cell in section["by"]["age"].values()]
    assert sum(of_groups) / 2 == pytest.approx(sum(every) / len(every))
    assert sum(each["n"] for each in section["questions"]) == len(every)
    assert (tmp_path / "out" / "plots" / "groups-people.svg").is_file()
    text = (tmp_path / "out" / "report.md").read_text()
    assert "### people by age\n\n| age | sequences | loss |" in text
    assert "### people, 4 questions\n\n| question | sequences | loss |" in text
    assert "by" not in on_dataset("--dataset", people, *OF_PEOPLE)["steerability"]["people"]
    assert not (tmp_path / "out" / "plots" / "groups-people.svg").exists()


def test_groups_that_no_row_has(command, tmp_path):
    with pytest.raises(UserError, match="--by 'age': no row of colors, dice has it; no row has a column 'groups'"):
        command(by="age")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "x", "--suite", "y"], "--dataset is measured in place of a suite: leave --suite out"),
        (["--dataset", "x", "--tasks", "y"], "--dataset is measured in place of a suite: leave --tasks out"),
        (["--suite", "x", "--columns", "input=y"], "--columns is for a dataset as it is: name it with --dataset"),
        (["--suite", "x", "--split", "train"], "--split is for a dataset as it is"),
        (["--dataset", "./none.csv"], "'./none.csv' not found"),
    ],
)
def test_options_of_a_dataset_that_do_not_go_together(on_dataset, words, message, tmp_path):
    with pytest.raises(UserError, match=message):
        on_dataset(*words)
    assert not (tmp_path / "out").exists()


def test_an_empty_suite_folder(command, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is empty: build it"):
        command(suite=tmp_path / "empty")


def test_a_mistake_is_one_line_and_exit_code_2(suite, tmp_path):
    done = subprocess.run(
        [sys.executable, "evaluate_model.py", "--model", "./nowhere", "--suite", suite, "--output", tmp_path / "out"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "error: model folder './nowhere' not found, and it is not a Hub id: check the path\n"


def test_the_report_is_plain_json(command, tmp_path):
    command(tasks="dice")
    text = (tmp_path / "out" / "report.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["schema_version"] == 2


def test_all_three_desiderata_in_one_report(command, tmp_path):
    wanted = {"desiderata": "steerability coverage alignment", "generations": 12, "limit": 4}
    base = command("base", format="colon", **wanted)
    report = command("tuned", compare=tmp_path / "base", **wanted)
    assert {name: list(report[name]) for name in ("steerability", "coverage", "alignment")} == {
        "steerability": ["draws"],
        "coverage": ["letters"],
        "alignment": ["colors", "dice"],
    }
    draws = report["steerability"]["draws"]
    assert (draws["n"], draws["options"], draws["by_k"]["k"]) == (4, ["Heads", "Tails"], [0, 1, 2, 3, 4])
    letters = report["coverage"]["letters"]
    assert list(letters) == ["description", "examples", "both"]
    assert all(len(section["texts"]) == 12 and section["set_size"] == 26 for section in letters.values())
    loss = report["comparison"]["steerability"]["draws"]["loss"]
    assert loss["n"] == 16  # the outputs with an example before them
    assert loss["difference"] == pytest.approx(
        draws["summary"]["loss"] - base["steerability"]["draws"]["summary"]["loss"]
    )
    assert set(report["comparison"]["coverage"]) == {"description", "examples", "both"}
    text = (tmp_path / "tuned" / "report.md").read_text()
    for part in ("## Steerability", "## Coverage", "## Alignment", "| draws |", "| letters |", "| dice |"):
        assert part in text
    plots = {path.name for path in (tmp_path / "tuned" / "plots").iterdir()}
    assert {"steerability.png", "coverage.png", "coverage-yield.png", "alignment.png"} <= plots


def test_what_is_kept_of_coverage_and_steerability_is_not_measured_again(command, monkeypatch):
    first = command(desiderata="steerability coverage", generations=5)
    for work in (SteerabilityWork, CoverageWork):
        monkeypatch.setattr(work, "score", lambda *_, **__: pytest.fail("measured again"))
    again = command(desiderata="steerability coverage", generations=5)
    assert again["coverage"] == first["coverage"]
    assert again["steerability"] == first["steerability"]


def test_training_tasks_are_measured_only_when_they_are_named(command, tmp_path):
    folder = save_suite(tmp_path / "other", colors=COLORS, draws=DRAWS)
    (folder / "draws" / "test.parquet").rename(folder / "draws" / "train.parquet")
    readme = folder / "README.md"
    readme.write_text(
        readme.read_text().replace("split: test\n    path: draws/test", "split: train\n    path: draws/train")
    )
    both = {"suite": folder, "desiderata": "steerability alignment"}
    assert not command("all", **both)["steerability"]
    assert list(command("named", **both, tasks="draws")["steerability"]) == ["draws"]


@pytest.fixture
def server(model, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(*load_for_scoring(str(model), device="cpu")) as found:
        yield found


def test_a_served_model_gets_the_numbers_of_a_loaded_one(command, server, monkeypatch, tmp_path):
    wanted = {"desiderata": "steerability coverage alignment", "generations": 4, "promptings": "both"}
    loaded = command("loaded", **wanted)
    monkeypatch.setattr(local_models, "load_for_scoring", lambda *_, **__: pytest.fail("the model was loaded"))
    monkeypatch.setattr(local_models, "sample", lambda *_, **__: pytest.fail("sampled here"))
    report = command("served", served=True, endpoint=server.url, **wanted)
    assert report["settings"]["endpoint"] == {"url": server.url, "model": "tiny"}
    assert (report["settings"]["dtype"], report["settings"]["device"]) == (None, None)
    for task in ("colors", "dice"):
        for mine, theirs in zip(*(side["alignment"][task]["items"] for side in (report, loaded)), strict=True):
            assert mine["log_probs"] == pytest.approx(theirs["log_probs"], abs=1e-4)
    mine, theirs = (side["steerability"]["draws"]["summary"] for side in (report, loaded))
    assert mine == pytest.approx(theirs, abs=1e-4)
    assert len(report["coverage"]["letters"]["both"]["texts"]) == 4
    assert f"served as tiny at {server.url}" in (tmp_path / "served" / "report.md").read_text()
    written = "".join(path.read_text() for path in (tmp_path / "served").rglob("*.json*"))
    assert KEY not in written


def test_a_server_is_sent_text_where_that_is_asked_for(command, server):
    report = command(served=True, endpoint=server.url, tasks="dice", as_text="True")
    assert report["alignment"]["dice"]["n_scored"] == 1
    prompts = [prompt for _, _, body in server.requests for prompt in body["prompt"]]
    assert prompts
    assert all(isinstance(prompt, str) for prompt in prompts)


def test_a_judge_decides_what_is_valid_and_is_asked_once(command, server):
    options = {"desiderata": "coverage", "generations": 6, "promptings": "both", "judge": server.url}
    options |= {"judge_model": "referee", "judge_tasks": "letters"}
    first = command(**options)
    section = first["coverage"]["letters"]["both"]
    assert (section["validity"], section["set_size"]) == ("judge", None)
    assert section["items"] == [text if len(text) == 1 else None for text in section["texts"]]
    assert first["settings"]["judge"] == {"url": server.url, "model": "referee", "tasks": ["letters"]}
    asked = len(server.requests)
    assert asked == len({text for text in section["texts"] if text})
    again = command(**options)["coverage"]
    assert (again, len(server.requests)) == (first["coverage"], asked)
    by_rule = command(desiderata="coverage", generations=6, promptings="both")
    assert by_rule["coverage"]["letters"]["both"]["validity"] == "one_of"
    assert by_rule["settings"]["judge"] is None


def test_an_address_with_a_key_in_it_is_refused_without_repeating_it(command, tmp_path):
    with pytest.raises(UserError, match="put the key into OPENAI_API_KEY") as refused:
        command(served=True, endpoint=f"http://user:{KEY}@localhost:8000/v1")
    assert KEY not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_rows_that_the_model_was_trained_on_are_named(command, model, suite, tmp_path, caplog):
    tuned = tmp_path / "tuned"
    shutil.copytree(model, tuned)
    trained = {"colors": "".join(sorted(map(row_fingerprint, COLORS[1:]))), "more": row_fingerprint(DRAWS[0])}
    (tuned / "training_report.json").write_text(json.dumps({"row_fingerprints": trained}))
    before = command(tasks="colors dice", desiderata="alignment")
    assert "trained_on" not in before["alignment"]["colors"]
    report = command("own", tasks="colors dice", model=tuned)
    assert report["alignment"]["colors"]["trained_on"] == [f"colors/{n}" for n in range(1, 5)]
    assert "trained_on" not in report["alignment"]["dice"]
    assert report["model"]["fingerprint"] == before["model"]["fingerprint"]  # the report is not of the weights
    told = "the model was trained on 4 rows that it is measured on: colors/1, colors/2, colors/3 and 1 more"
    assert f"colors: {told}" in caplog.text
    assert f"- colors: {told} (4 of 5)" in (tmp_path / "own" / "report.md").read_text()


WITHOUT_EXTRAS = """
import runpy, sys
from importlib.machinery import PathFinder
from spectrum_suite.errors import EXTRAS

class Core(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in EXTRAS else super().find_spec(name, path, target)

sys.meta_path = [Core if finder is PathFinder else finder for finder in sys.meta_path]
runpy.run_module("spectrum_suite", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("desiderata", "code", "said"),
    [
        ("alignment", 0, "report, tables and plots are in"),
        ("markers --data rows.jsonl", 2, "lingua is not installed: pip install 'spectrum-suite[train]'"),
    ],
    ids=["alignment", "markers"],
)
def test_the_core_measures_what_needs_no_extra(model, suite, tmp_path, desiderata, code, said):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"instruction": "Greet me.", "output": "Hello."}) + "\n")
    words = (
        f"evaluate --model {model} --suite {suite} --output {tmp_path / 'out'} --device cpu --desiderata {desiderata}"
    )
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, *words.split()],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == code, run.stderr
    assert said in (run.stdout + run.stderr).splitlines()[-1]
