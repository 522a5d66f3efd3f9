"""What a model, a server or another run cannot do is said in one line, and what can be measured is measured."""

import json
import logging
from dataclasses import replace

import pytest
import torch
from filelock import FileLock
from transformers import GPT2Config, GPT2LMHeadModel

from spectrum_suite.commands import evaluate as evaluate_model
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation import run as run_module
from spectrum_suite.evaluation.figures import figure_names
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.evaluation.run import LOCK, complete, evaluate
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.lm import client
from spectrum_suite.models import find_model
from tests.completions_server import serving
from tests.tiny_models import DRAWS, item, save_model, save_suite, tiny_model

ALL = "steerability coverage alignment"


@pytest.fixture(scope="module")
def model(tmp_path_factory, tokenizer_of):
    return save_model(tmp_path_factory.mktemp("model"), tokenizer_of("llama3"))


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return save_suite(tmp_path_factory.mktemp("suite"))


@pytest.fixture
def command(model, suite, tmp_path, caplog):
    """Runs the command in this process; returns (exit code, report or None, what was logged)."""

    def run(output="out", *, served=False, **options):
        fixed = {"model": model, "suite": suite, "output": tmp_path / output, "generations": 3}
        fixed |= {} if served else {"device": "cpu"}
        words = [w for name, value in (fixed | options).items() for w in (f"--{name}", *str(value).split())]
        caplog.clear()
        code = 0
        with caplog.at_level(logging.INFO):
            try:
                evaluate_model.run(evaluate_model.read(words))
            except SystemExit as stopped:
                code = stopped.code
        path = tmp_path / output
        return code, read_report(path) if (path / "report.json").is_file() else None, caplog.text

    return run


def test_an_architecture_that_cannot_be_sampled_is_measured_on_the_rest(command, monkeypatch, tmp_path):
    def fails(*_, **__):
        raise NotImplementedError("no cache of this kind\nmore lines")

    monkeypatch.setattr("spectrum_suite.lm.local.sample", fails)
    code, report, said = command(desiderata=ALL)
    assert code == 1
    assert (set(report["steerability"]), set(report["coverage"]), set(report["alignment"])) == (
        {"draws"}, set(), {"colors", "dice"},
    )  # fmt: skip
    assert [(f["task"], f["prompting"], f["reason"]) for f in report["failed"]] == [
        ("letters", prompting, "NotImplementedError: no cache of this kind")
        for prompting in ("description", "examples", "both")
    ]
    assert "not measured: letters (coverage, examples): NotImplementedError: no cache of this kind" in said
    assert "- letters (coverage, both): NotImplementedError" in (tmp_path / "out" / "report.md").read_text()
    with pytest.raises(UserError, match="letters"):
        complete(report)
    monkeypatch.undo()
    code, report, _ = command(desiderata=ALL)  # what failed is tried again, the rest is kept
    assert (code, report["failed"], set(report["coverage"])) == (0, [], {"letters"})


def test_a_way_of_prompting_that_a_task_lacks_leaves_the_others(command, tmp_path):
    letters = {
        "id": "letters/0", "description": "Say a letter.", "examples": [], "validator": "one_of",
        "valid_items": ["a", "b"], "max_new_tokens": 2, "source": "s",
    }  # fmt: skip
    (tmp_path / "suite").mkdir()
    suite = save_suite(tmp_path / "suite", letters=[letters])
    code, report, _ = command(suite=suite, desiderata="coverage")
    assert (code, list(report["coverage"]["letters"])) == (1, ["description"])
    assert {failure["prompting"] for failure in report["failed"]} == {"examples", "both"}


def test_where_nothing_can_be_measured_nothing_is_written(command, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("no")

    monkeypatch.setattr("spectrum_suite.lm.local.score_options", fails)
    with pytest.raises(UserError, match=r"nothing could be measured: RuntimeError: no \(and 1 more tasks failed\)"):
        command(desiderata="alignment")


def test_a_model_that_cannot_be_loaded_is_tried_once(command, monkeypatch):
    calls = []

    def fails(*_, **__):
        calls.append(1)
        raise UserError("weights are missing")

    monkeypatch.setattr("spectrum_suite.lm.local.load_for_scoring", fails)
    with pytest.raises(UserError, match=r"^weights are missing"):
        command(desiderata=ALL)
    assert len(calls) == 1


def test_a_family_without_a_chat_format_is_measured(command, tokenizer_of, tmp_path):
    mistral = save_model(tmp_path / "mistral", tokenizer_of("mistral"))
    code, report, _ = command(model=mistral, desiderata="steerability", format="colon")
    assert (code, report["steerability"]["draws"]["summary"]["n"]) == (0, 24)


def test_a_model_of_few_positions_is_measured_on_what_fits(command, tokenizer_of, tmp_path):
    tokenizer = tokenizer_of("llama3")
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=1, n_head=2, n_positions=128)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "small")
    tokenizer.save_pretrained(tmp_path / "small")
    coin = [{"role": "description", "content": "Tosses of a coin."}]
    sides = [{"role": "output", "content": side} for side in ("Heads", "Tails") * 15]
    long_options = [["Heads", "Tails", "on its edge, as it hardly ever happens"]]
    draws = [{**DRAWS[0], "messages": coin + sides, "n_outputs": 30, "options": long_options}]
    colors = [
        item("colors/0", "Which color?", ["red", "blue"], [0.5, 0.5]),
        item("colors/1", "Which color? " * 40, ["red", "blue"], [0.5, 0.5]),
    ]
    (tmp_path / "suite").mkdir()
    suite = save_suite(tmp_path / "suite", draws=draws, colors=colors)
    code, report, said = command(model=tmp_path / "small", suite=suite, desiderata="steerability alignment")
    assert code == 0
    section = report["steerability"]["draws"]
    assert section["max_length"] == 128
    assert 2 < len(section["sequences"][0]["k"]) < 20
    assert section["n_failed"] == 0
    found = report["alignment"]["colors"]
    assert (found["n"], found["n_scored"], found["n_failed"]) == (2, 1, 0)
    assert found["refused"] == {"longer than the 128 tokens that the model takes": 1}
    assert "1 of them longer than the 128 tokens" in said
    assert "- 1 items are not scored: longer than the 128 tokens" in (tmp_path / "out" / "report.md").read_text()
    alone, options = save_suite(tmp_path / "suite", colors=colors[1:]), {"model": tmp_path / "small"}
    with pytest.raises(UserError, match="no item of task 'colors' can be scored: longer than the 128 tokens"):
        command("alone", suite=alone, desiderata="alignment", **options)


@pytest.fixture
def llama(model_folder):
    """A model whose head is not its embedding."""
    return model_folder("llama3")


@pytest.fixture
def nan_at(monkeypatch):
    """``nan_at(text)``: from then on the model's state of this text's first token is not finite."""

    def break_token(text):
        load = run_module.LocalLM._load

        def broken(self):
            loaded = load(self)
            with torch.no_grad():
                token = self.tokenizer(text, add_special_tokens=False).input_ids[0]
                loaded.get_input_embeddings().weight[token] = float("nan")
            return loaded

        monkeypatch.setattr(run_module.LocalLM, "_load", broken)

    return break_token


def test_items_without_a_number_are_counted_and_named(command, llama, nan_at, tmp_path):
    colors = [item(f"colors/{n}", text, ["red", "blue"], [0.5, 0.5]) for n, text in enumerate(["Which?", "@ which?"])]
    sides = [{"role": "output", "content": side} for side in ("Heads", "Tails", "Heads", "@", "Tails", "Heads")]
    coin = [{"role": "description", "content": "Tosses."}]
    draws = [
        {**DRAWS[0], "id": "draws/0", "messages": coin + sides, "options": []},
        {**DRAWS[0], "id": "draws/1", "messages": coin + sides[:3], "options": [["Heads", "Tails"]]},
    ]
    (tmp_path / "suite").mkdir()
    suite = save_suite(tmp_path / "suite", colors=colors, draws=draws)
    nan_at("@")
    code, report, said = command(model=llama, suite=suite, desiderata="steerability alignment")
    assert code == 0
    section = report["steerability"]["draws"]
    broken, whole = section["sequences"]
    assert {3, 4, 5} <= set(broken["failed"])  # a state that is not finite may reach those before it, too
    assert (broken["k"], whole["failed"]) == ([0, 1, 2, 3, 4, 5], [])
    assert (section["n_outputs"], section["n_failed"]) == (9, len(broken["failed"]))
    assert (section["summary"]["n"], section["summary"]["n_scored"]) == (7, 7 - len(set(broken["failed"]) - {0}))
    assert section["summary"]["loss"] > 0
    found = report["alignment"]["colors"]
    assert (found["n"], found["n_scored"], found["n_failed"]) == (2, 1, 1)
    assert "draws: loss" in said
    assert f"{section['n_failed']} of 9 outputs without a number" in said
    assert "2 items, 1 of them without a number" in said
    page = (tmp_path / "out" / "report.md").read_text()
    assert f"{section['n_failed']} of 9 outputs have no score, since the model gives no number for them (NaN)" in page
    assert "1 items have no score: the model gives no number for them (NaN)" in page
    assert "no mass at all" not in page


def test_a_task_of_nothing_but_failures_is_told_without_a_traceback(command, llama, nan_at, tmp_path):
    colors = [item("colors/0", "@ which?", ["red", "blue"], [0.5, 0.5])]
    (tmp_path / "suite").mkdir()
    nan_at("@")
    suite = save_suite(tmp_path / "suite", colors=colors)
    code, report, said = command(model=llama, suite=suite, desiderata="alignment")
    assert (code, report["alignment"]["colors"]["n_scored"]) == (0, 0)
    assert "JS divergence none, no number from the model" in said
    assert "coverage none, 1 items, 1 of them without a number" in said


def test_an_endpoint_without_echo_is_sampled_from(command, tokenizer_of, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    tokenizer = tokenizer_of("llama3")
    with serving(tiny_model("gemma3", len(tokenizer)), tokenizer) as server:
        server.echoes = False
        code, report, _ = command(served=True, endpoint=server.url, desiderata=ALL)
    assert (code, list(report["coverage"]), report["alignment"], report["steerability"]) == (1, ["letters"], {}, {})
    assert {failure["task"] for failure in report["failed"]} == {"draws", "colors", "dice"}
    assert all("need a server that echoes" in failure["reason"] for failure in report["failed"])
    assert sum("echo" in body for _, _, body in server.requests) == 1  # found out before anything else is asked


def test_a_model_that_is_not_the_same_twice_is_not_measured(command, monkeypatch):
    def fails(_):
        raise UserError("it gives other probabilities each time")

    monkeypatch.setattr("spectrum_suite.lm.local.proof_of", fails)
    monkeypatch.setattr("spectrum_suite.lm.local.sample", lambda *_, **__: pytest.fail("sampled"))
    with pytest.raises(UserError, match=r"nothing could be measured: it gives other probabilities .* tasks failed\)"):
        command(desiderata=ALL)


def test_a_server_that_is_gone_ends_the_evaluation(command, monkeypatch):
    monkeypatch.setattr(client, "RETRIES", 0)
    with pytest.raises(UserError, match="does not answer"):
        command(served=True, endpoint="http://127.0.0.1:9", endpoint_model="x", desiderata=ALL)


def test_two_evaluations_into_one_folder_exclude_one_another(command, model, suite, tmp_path):
    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / LOCK, timeout=0),
        pytest.raises(UserError, match=r"another run is evaluating into .*out'.* or give another --output$"),
    ):
        command(desiderata="alignment")
    code, _, _ = command(desiderata="alignment")
    assert code == 0
    assert not (tmp_path / "out" / LOCK).exists()


def test_a_folder_holds_the_plots_of_its_report_and_what_others_put_there(command, tmp_path):
    command(desiderata=ALL)
    plots = tmp_path / "out" / "plots"
    (plots / "mine.png").write_bytes(b"mine")
    assert (plots / "coverage.png").is_file()
    command(desiderata="alignment", tasks="dice")
    assert {path.name for path in plots.iterdir()} == {
        *figure_names("alignment"), *figure_names("alignment-dice"), "mine.png",
    }  # fmt: skip
    command(desiderata="steerability")
    assert {path.name for path in plots.iterdir()} == {*figure_names("steerability"), "mine.png"}
    (plots / "steerability.png").unlink()
    command(desiderata="steerability")
    assert (plots / "steerability.png").is_file()


def test_what_cannot_be_compared_is_found_before_anything_is_scored(command, monkeypatch, tmp_path):
    command("base", desiderata="alignment", tasks="dice")
    command("few", desiderata="coverage", generations=2)
    monkeypatch.setattr("spectrum_suite.lm.local.load_for_scoring", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(UserError, match=r"the two reports share no task"):
        command(desiderata="alignment", tasks="colors", compare=tmp_path / "base")
    with pytest.raises(UserError, match="coverage task 'letters' differs in the two reports"):
        command(desiderata="coverage", compare=tmp_path / "few")
    assert not (tmp_path / "out").exists()


def test_one_task_that_differs_is_named_and_the_others_are_compared(command, tmp_path):
    command("base", desiderata="coverage alignment", generations=2)
    code, report, said = command(desiderata="coverage alignment", generations=3, compare=tmp_path / "base")
    assert code == 1
    assert set(report["comparison"]["alignment"]) == {"colors", "dice"}
    assert report["comparison"]["coverage"] == {}
    (refused,) = report["comparison"]["refused"]
    assert (refused["desideratum"], refused["task"]) == ("coverage", "letters")
    assert "not compared: letters (coverage): coverage task 'letters' differs" in said
    page = (tmp_path / "out" / "report.md").read_text()
    assert "Not compared:\n\n- letters (coverage)" in page


@pytest.mark.parametrize(
    "damage",
    [
        lambda report: report["alignment"]["dice"].pop("items"),
        lambda report: report["alignment"].update(dice=None),
        lambda report: report["alignment"]["dice"].update(items=[{"id": "dice/0"}]),
        lambda report: report.update(alignment=[]),
        lambda report: report.pop("settings"),
    ],
)
def test_a_damaged_report_is_one_line(command, tmp_path, damage):
    command("base", desiderata="alignment", tasks="dice")
    path = tmp_path / "base" / "report.json"
    report = json.loads(path.read_text())
    damage(report)
    path.write_text(json.dumps(report))
    with pytest.raises(UserError, match=r"report .*base' is damaged|share no task") as caught:
        command(desiderata="alignment", tasks="dice", compare=tmp_path / "base")
    assert "\n" not in str(caught.value)


def test_limits_of_any_size_share_their_rows(command, tmp_path):
    command("base", desiderata="alignment", tasks="colors", limit=4)
    _, report, _ = command(desiderata="alignment", tasks="colors", limit=2, compare=tmp_path / "base")
    assert report["comparison"]["alignment"]["colors"]["js_divergence"]["n"] == 2


def test_the_fingerprint_is_that_of_the_weights(model, suite, tmp_path):
    settings = EvaluationSettings(str(model), tmp_path / "out", str(suite), tasks=("dice",), device="cpu")
    report = evaluate(settings)
    assert report["model"]["fingerprint"] == find_model(str(model)).fingerprint()
    again = evaluate(replace(settings, output=tmp_path / "again"))
    assert json.dumps(again["model"]) == json.dumps(report["model"])
