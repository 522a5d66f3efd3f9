"""Instruction following of a checkpoint, by the command: its report, what is kept of it, and comparisons."""

import json
import math

import pytest
import yaml

from spectrum_suite.commands import evaluate as evaluate_model
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.instruction.score_instruction import random_pairs
from spectrum_suite.evaluation.instruction.summarize_instruction import InstructionWork
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.lm import local
from spectrum_suite.models import load_for_scoring
from tests.completions_server import serving
from tests.tiny_models import save_model, save_suite

N = 20  # conversations, more than a part holds


@pytest.fixture(scope="module")
def model(tmp_path_factory, tokenizer_of):
    return save_model(tmp_path_factory.mktemp("model"), tokenizer_of("llama3"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    rows = [{"instruction": f"Say {n} or {n * n}.", "output": f"{n} it is"} for n in range(N)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def command(model, data, tmp_path):
    """Runs the command in this process; returns its report."""

    def evaluate(output="out", **options):
        fixed = {"model": model, "output": tmp_path / output, "desiderata": "instruction", "data": data}
        fixed |= {"format": "tags", "max_new_tokens": 5}
        options = {name: value for name, value in (fixed | options).items() if value is not None}
        words = [word for name, value in options.items() for word in (f"--{name}", *str(value).split())]
        evaluate_model.run(evaluate_model.read(words))
        return read_report(tmp_path / output)

    return evaluate


def test_a_report_on_instruction_data(command, data, tmp_path):
    report = command(limit=18)
    section = report["instruction"]["pairs"]
    assert (section["n"], section["n_available"], section["win_rate"]) == (18, N, None)
    assert report["settings"]["data"] == {"pairs": str(data)}
    assert (report["suite"]["name"], report["alignment"], report["settings"]["rules"]) == (None, {}, None)
    ids = [item["id"] for item in section["items"]]
    assert section["ranking"]["pairs"] == [[ids[one], ids[two]] for one, two in random_pairs(18)]
    right = sum(margin > 0 for sides in section["ranking"]["margins"] for margin in sides)
    assert section["ranking"]["capability"] == right / 18
    item = section["items"][0]
    number = item["id"].partition("/")[2]
    assert (item["instruction"], item["reference"]) == (
        f"Say {number} or {int(number) ** 2}.", f"{number} it is",
    )  # fmt: skip
    assert item["scores"]["words"] == len(item["response"].split())
    assert section["format"]["ends"]["mean"] == sum(each["scores"]["ends"] for each in section["items"]) / 18
    text = (tmp_path / "out" / "report.md").read_text()
    assert "## Instruction following" in text
    assert "| pairs | 18 of 20 |" in text
    assert "suite" not in text


def test_what_is_kept_is_not_measured_again(command, monkeypatch):
    parts, measure = [], InstructionWork.score

    def spy(self, part, lm):
        if part == "responses-16" and "responses-0" not in parts[:-1]:
            raise KeyboardInterrupt
        parts.append(part)
        return measure(self, part, lm)

    monkeypatch.setattr(InstructionWork, "score", spy)
    with pytest.raises(KeyboardInterrupt):
        command()
    assert parts == ["ranking-0", "responses-0"]
    parts.append("resumed")
    first = command()
    assert parts == ["ranking-0", "responses-0", "resumed", "responses-16"]
    monkeypatch.setattr(local, "load_for_scoring", lambda *_, **__: pytest.fail("the model was loaded"))
    assert command()["instruction"] == first["instruction"]


def test_rules_change_every_desideratum_and_are_reported(command, tmp_path):
    suite = save_suite(tmp_path / "suite")
    wanted = {"suite": suite, "desiderata": "steerability coverage alignment instruction", "promptings": "both"}
    wanted |= {"generations": 8, "limit": 4}
    weights = tmp_path / "rules.yaml"
    weights.write_text(yaml.safe_dump({"ending": 30, "ending_length": 4, "words": {"!": 9}}))
    plain = command("plain", **wanted)
    reports = {
        "all": command("all", **wanted, rules=weights),
        "without": command("without", **wanted, rules=weights, without_rule="1 words repetition"),
    }
    numbers, texts = {}, {}
    for name, report in (reports | {"plain": plain}).items():
        numbers[name] = (
            report["alignment"]["colors"]["items"][0]["log_probs"],
            report["steerability"]["draws"]["summary"]["loss"],
            report["instruction"]["pairs"]["ranking"]["margins"][0],
        )
        items = report["instruction"]["pairs"]["items"]
        texts[name] = (report["coverage"]["letters"]["both"]["texts"], [item["response"] for item in items])
    assert texts["without"] == texts["plain"]
    assert all(mine != theirs for mine, theirs in zip(texts["all"], texts["plain"], strict=True))
    for changed, same, before in zip(numbers["all"], numbers["without"], numbers["plain"], strict=True):
        assert same == pytest.approx(before, abs=1e-4)
        assert changed != pytest.approx(before, abs=1e-2)
    rules = reports["all"]["settings"]["rules"]
    assert (rules["ending"], rules["words"], rules["repetition"]) == (30, {"!": 9}, -1.5)
    assert "multiplied by the rules" in (tmp_path / "all" / "report.md").read_text()


def test_two_models_are_compared_on_the_same_instructions(command, tokenizer_of, model, tmp_path):
    other = save_model(tmp_path / "other", tokenizer_of("llama3"), seed=1)
    theirs = command("theirs", model=other)
    judged = {"compare": tmp_path / "theirs", "likelihood_judge": model}
    mine = command("mine", **judged)
    found = mine["comparison"]["instruction"]["pairs"]
    means = [report["instruction"]["pairs"]["format"]["words"]["mean"] for report in (mine, theirs)]
    assert found["words"]["difference"] == pytest.approx(means[0] - means[1])
    capabilities = [report["instruction"]["pairs"]["ranking"]["capability"] for report in (mine, theirs)]
    assert found["ranking"]["difference"] == pytest.approx(capabilities[0] - capabilities[1])
    win_rate = found["win_rate"]
    assert win_rate["judge"] == f"likelihood under {model} (a stand-in for a judge)"
    assert win_rate["n"] == N
    sides = [[item["response"] for item in report["instruction"]["pairs"]["items"]] for report in (mine, theirs)]
    assert win_rate["mean_lengths"] == [sum(map(len, texts)) / N for texts in sides]
    reverse = command("theirs", model=other, compare=tmp_path / "mine", likelihood_judge=model)["comparison"]
    assert reverse["instruction"]["pairs"]["win_rate"]["win_rate"] == pytest.approx(1 - win_rate["win_rate"])
    over_data = mine["instruction"]["pairs"]["win_rate"]
    assert (
        over_data["mean_lengths"][1]
        == sum(len(item["reference"]) for item in mine["instruction"]["pairs"]["items"]) / N
    )
    text = (tmp_path / "mine" / "report.md").read_text()
    assert "a stand-in for a judge" in text
    with pytest.raises(UserError, match="have different conversations of 'pairs'"):
        command("fewer", limit=6, compare=tmp_path / "theirs")


def test_how_much_responses_look_like_a_narrow_task(command, tmp_path):
    task = tmp_path / "task.jsonl"
    task.write_text("".join(json.dumps({"question": f"Say {n}.", "answer": f"{n}"}) + "\n" for n in range(5)))
    similarity = command(similar_to=task)["instruction"]["pairs"]["similarity"]
    assert (similarity["to"], similarity["n"], len(similarity["likeness_by_quarter"])) == ("task", N, 4)
    assert similarity["correlation"] is None or math.isfinite(similarity["correlation"])


def test_a_served_model_answers_greedily(command, model, monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(*load_for_scoring(str(model), device="cpu")) as server:
        report = command(endpoint=server.url, limit=4)
        asked = [body for path, _, body in server.requests if path.endswith("/completions") and not body.get("echo")]
    probe, *asked = asked  # whether the server answers at all
    assert probe["max_tokens"] == 1
    assert len(asked) == 4
    assert all((body["temperature"], body["max_tokens"]) == (0, 5) for body in asked)
    assert all(item["scores"]["tokens"] for item in report["instruction"]["pairs"]["items"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": None}, "--desiderata instruction is measured on instruction data: give it with --data"),
        ({"desiderata": "alignment", "suite": "x"}, "--data is for --desiderata instruction"),
        ({"desiderata": "alignment instruction"}, "--suite is missing"),
        ({"data": "nowhere.jsonl"}, "data 'nowhere.jsonl' not found"),
        (
            {"data": "a/pairs.jsonl b/pairs.jsonl"},
            "have the same name: rename one of the files",
        ),
        ({"rules": "nowhere.yaml"}, "rules 'nowhere.yaml' cannot be read .*: give a YAML file of weights, or 'paper'"),
        ({"rules": "paper", "without_rule": "4"}, "no rule '4': choose from ending, words, repetition"),
        ({"without_rule": "1"}, "--without_rule leaves out a rule of --rules: give it too"),
        ({"rules": "paper", "endpoint": "http://localhost:1"}, "--rules is for a model that is loaded here"),
        ({"max_new_tokens": 0}, "--max_new_tokens is 0"),
        ({"likelihood_judge": "m", "judge": "http://localhost:1", "judge_model": "r"}, "stands in for a judge"),
    ],
)
def test_mistakes_are_named_and_leave_nothing(command, change, message, tmp_path):
    with pytest.raises(UserError, match=message):
        command(**change)
    assert not (tmp_path / "out").exists()
