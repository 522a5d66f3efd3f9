"""From a suite to calibration.json, and from that to the numbers of a report; only of the model that it is of."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset

from spectrum_suite.commands import calibrate as command
from spectrum_suite.commands import evaluate as evaluate_model
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.calibrate import calibrate
from spectrum_suite.evaluation.alignment.calibrated import calibrated_section
from spectrum_suite.evaluation.alignment.item_scores import SMOOTHING
from spectrum_suite.evaluation.alignment.option_orders import ask_in_orders, meant_probabilities, orders_section
from spectrum_suite.evaluation.alignment.score_alignment import score_items
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.json_files import write_json
from spectrum_suite.lm.base import OptionScores
from spectrum_suite.lm.calibration_file import Calibration
from tests.tiny_models import DICE, DRAWS, save_model, save_suite

TEXTS = ("one", "two", "three", "four")
BIAS = {"A": 1.0, "B": 0.2, "C": -0.4, "D": -0.8}


def question(number, target):
    listed = "\n".join(f"{key}. {text}" for key, text in zip("ABCD", TEXTS, strict=True))
    return {
        "id": f"q/{number}",
        "messages": [{"role": "input", "content": f"Question {number}?\n{listed}"}],
        "options": list("ABCD"),
        "probabilities": list(target),
        "output_label": "Answer",
    }


def color(number):
    return {
        "id": f"colors/{number}",
        "messages": [{"role": "description", "content": f"Place {number}: red, blue or dark blue."}],
        "options": ["red", "blue", "dark blue"],
        "probabilities": [0.5, 0.3, 0.2],
        "output_label": "Answer",
    }


def unlisted(row):
    return row | {"messages": [{"role": "description", "content": "Something."}]}


@dataclass
class PlantedLM:
    """A model whose answers are the targets of the texts at a temperature, with a bias to letters."""

    rows: list
    temperature: float
    fingerprint: str = "f"

    def __post_init__(self):
        self.shares = {
            row["messages"][0]["content"].split("?")[0]: dict(zip(TEXTS, row["probabilities"], strict=True))
            for row in self.rows
        }
        self.files = SimpleNamespace(name="planted")
        self.text_format = SimpleNamespace(name="spectrum")
        self.conditions = {"dtype": "float32", "rules": None}

    def option_logprobs(self, prompts, options, *, refuse_long=False):
        found = []
        for prompt in prompts:
            asked, *lines = prompt[-1]["content"].split("\n")
            logits = [
                self.temperature * np.log(self.shares[asked.split("?")[0]][line[3:]]) + BIAS[line[0]] for line in lines
            ]
            scores = torch.log_softmax(torch.tensor(logits, dtype=torch.float64), 0) - 0.5
            found.append(OptionScores(scores, tuple((place,) for place in range(len(lines)))))
        return found


@pytest.fixture(scope="module")
def questions():
    draw = np.random.default_rng(0)
    return [question(number, draw.dirichlet(np.full(4, 2.0))) for number in range(60)]


@pytest.fixture(scope="module")
def suite(tmp_path_factory, questions):
    folder = tmp_path_factory.mktemp("suite")
    few = [color(number) for number in range(8)]
    return save_suite(
        folder, trained=("survey", "colors"), survey=questions, colors=few, held=few, dice=DICE, draws=DRAWS
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory, tokenizer_of):
    return save_model(tmp_path_factory.mktemp("model"), tokenizer_of("llama3"))


def planted_calibration(questions, suite, **options):
    return calibrate(PlantedLM(questions, 2.0), str(suite), ["survey"], limit=None, seed=0, **options)


@pytest.mark.parametrize("orders", [1, 3])
def test_a_planted_model_is_found_through_a_suite(questions, suite, orders):
    found = planted_calibration(questions, suite, orders=orders)
    assert found["items"] == found["suite"]["tasks"]["survey"] == 60 * orders
    letters = found["kinds"]["letters"]
    assert letters["temperature"]["value"] == pytest.approx(2.0, rel=0.01)
    assert letters["position"]["places"] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert letters["position"]["bias"] == pytest.approx(list(BIAS.values()), abs=0.01)
    assert letters["cross_entropy"]["ci95"][1] < 0


def after(calibration, lm, questions):
    rows = Dataset.from_list(questions)
    return calibrated_section(calibration, rows, score_items(lm, rows), smoothing=SMOOTHING)


def test_a_planted_model_is_right_after_calibration(questions, suite, tmp_path):
    write_json(tmp_path / "calibration.json", planted_calibration(questions, suite))
    calibration = Calibration.read(tmp_path)
    section = after(calibration, PlantedLM(questions, 2.0), questions)
    assert section["kinds"] == {"letters": 60}
    assert section["unknown"] == 0
    assert section["model"]["js_divergence"]["mean"] < 1e-4
    assert section["difference"]["js_divergence"]["ci95"][1] < 0
    assert not section["worse"]


def test_calibration_that_harms_says_so(questions, suite, tmp_path):
    write_json(tmp_path / "calibration.json", planted_calibration(questions, suite))
    calibration = Calibration.read(tmp_path)
    right = PlantedLM(questions, 1.0)
    right.option_logprobs = lambda prompts, options, **_: [
        OptionScores(torch.tensor(row["probabilities"]).double().log(), ((0,), (1,), (2,), (3,))) for row in questions
    ]
    assert after(calibration, right, questions)["worse"]


def test_orders_flip_what_a_bias_decides_and_their_mean_is_nearer(questions):
    rows = Dataset.from_list([*questions, unlisted(questions[0]) | {"id": "u"}])
    lm = PlantedLM([*questions], 1.0)
    lm.shares["Something."] = lm.shares["Question 0"]
    items = score_items(lm, Dataset.from_list(questions))
    asked = ask_in_orders(rows, 24, 0, lambda rows: score_items(lm, rows))
    assert [len(found) for found in asked] == [23] * 60 + [0]
    orders = list(map(meant_probabilities, asked))
    section = orders_section([*items, items[0]], orders, most=24, smoothing=SMOOTHING)
    assert (section["n"], section["unlisted"]) == (60, 1)
    assert 0.1 < section["flip_rate"]["mean"] < 0.9
    assert section["difference"]["js_divergence"]["ci95"][1] < 0
    for item, found in zip(items[:5], orders, strict=False):  # by hand: the mean over all orders
        shares = np.array(item.target)
        for other, probabilities in zip(asked[items.index(item)], found, strict=True):
            bias = np.array([BIAS["ABCD"[other[0].meanings.index(place)]] for place in range(4)])
            wanted = shares * np.exp(bias)
            assert probabilities == pytest.approx(wanted / wanted.sum(), abs=1e-6)


def test_an_unbiased_model_never_flips(questions, monkeypatch):
    monkeypatch.setattr(f"{__name__}.BIAS", dict.fromkeys("ABCD", 0.0))
    rows, lm = Dataset.from_list(questions), PlantedLM(questions, 1.0)
    asked = ask_in_orders(rows, 3, 0, lambda rows: score_items(lm, rows))
    section = orders_section(score_items(lm, rows), list(map(meant_probabilities, asked)), most=3, smoothing=SMOOTHING)
    assert section["flip_rate"]["mean"] == 0
    assert section["difference"]["js_divergence"]["difference"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [(["held"], "task 'held' is held out"), (["draws"], "task 'draws' is held out"), (["nothing"], "no task")],
)
def test_held_out_tasks_are_refused(suite, model, capsys, tasks, message):
    with pytest.raises(SystemExit) as end:
        command.main([str(model), "--suite", str(suite), "--tasks", *tasks])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in error
    assert not (model / "calibration.json").exists()


def evaluated(model, suite, output, **options):
    words = ["--model", str(model), "--suite", str(suite), "--output", str(output), "--desiderata", "alignment"]
    words += ["--device", "cpu", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
    evaluate_model.run(evaluate_model.read(words))
    return read_report(output)


def test_from_the_command_to_a_report(suite, model, tokenizer_of, tmp_path):
    plain = evaluated(model, suite, tmp_path / "plain")
    command.main([str(model), "--suite", str(suite), "--limit", "30", "--device", "cpu"])
    content = json.loads((model / "calibration.json").read_text())
    assert content["model"]["fingerprint"] == plain["model"]["fingerprint"]
    assert content["suite"]["tasks"] == {"colors": 8, "survey": 30}
    assert {kind: part["named"] for kind, part in content["kinds"].items()} == {"letters": 30, "texts": 8}
    report = evaluated(model, suite, tmp_path / "out", calibration=model, orders=2)
    for task in ("held", "dice"):
        section = report["alignment"][task]
        assert section["items"] == plain["alignment"][task]["items"]
        assert section["model"] == plain["alignment"][task]["model"]
        assert (section["orders"]["n"], section["orders"]["flip_rate"]) == (0, None)
        assert section["orders"]["unlisted"] == section["n"]
    assert report["alignment"]["dice"]["calibrated"]["unknown"] == 1  # numbers were not fitted
    assert report["alignment"]["held"]["calibrated"]["unknown"] == 0
    assert report["calibration"]["n"] == 9
    assert "After calibration" in (tmp_path / "out" / "report.md").read_text()
    other = save_model(tmp_path / "other", tokenizer_of("llama3"), seed=1)
    with pytest.raises(UserError, match="other weights"):
        evaluated(other, suite, tmp_path / "refused", calibration=model)
    with pytest.raises(UserError, match="another format"):
        evaluated(model, suite, tmp_path / "refused", calibration=model, format="colon")


@pytest.mark.parametrize("content", ["{}", "[]", "half {", '{"schema_version": 1, "kinds": {"texts": {}}}'])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(UserError, match="calibration"):
        Calibration.read(tmp_path)
    with pytest.raises(UserError, match="not found"):
        Calibration.read(tmp_path / "nowhere")
