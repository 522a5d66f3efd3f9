"""What markers do: measured on a model that obeys them, on one that knows none, and by the command on a tiny one."""

import json
import re
from dataclasses import replace

import pytest
import torch
from transformers import AutoTokenizer

from spectrum_suite.commands import evaluate as evaluate_model
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.comparison import page
from spectrum_suite.evaluation.comparison.figures import wanted_figure
from spectrum_suite.evaluation.comparison.marker_scores import marker_scores
from spectrum_suite.evaluation.comparison.measures import MEASURES
from spectrum_suite.evaluation.comparison.pooling import estimate
from spectrum_suite.evaluation.comparison.run_results import Measured, Results, SeedResult
from spectrum_suite.evaluation.comparison.scores import check_same_rows
from spectrum_suite.evaluation.markers.summarize_markers import LIMITS, WANTED, MarkersWork, Setting
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.evaluation.show_report import markdown
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.logprobs import option_logprobs
from spectrum_suite.generation.respond import Response
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import OptionScores
from spectrum_suite.markers.marker_list import OPEN, chat_template, mark_completion, mark_prompt, split_completion
from spectrum_suite.models import load_for_scoring
from tests.tiny_models import save_model

N = 20  # rows, more than a part holds
FRENCH = "La ville est belle au printemps, surtout le soir, quand les jardins sont pleins de visiteurs."
ENGLISH = "The city is beautiful in spring, above all in the evening, when visitors walk through its gardens."


def row(number):
    french = number % 4 == 3
    task = "Rewrite" if number == 0 else "Explanation"
    return {
        "id": f"asked/{number}",
        "messages": [
            {"role": "input", "content": f"Tell me about city number {number}."},
            {"role": "output", "content": FRENCH if french else ENGLISH},
        ],
        "markers": [{"length_tokens": 20 + number, "task": task, "lang": "French" if french else "English"}],
    }


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "cities.jsonl"
    path.write_text("".join(json.dumps(row(number)) + "\n" for number in range(N)))
    return path


class Obedient:
    """Writes as many words as ``length_tokens`` says, else 30; the language that is set, else English; a list, if it
    knows any, and explains whatever it is asked."""

    def __init__(self, tokenizer, *, marked):
        self.tokenizer, self.marked = tokenizer, marked

    def respond(self, prompts, *, max_new_tokens):
        return [Response(self.answer(messages[-1]["content"]), 9, ended=True) for messages in prompts]

    def answer(self, asked):
        _, opened, rest = asked.partition(OPEN)
        assert self.marked or not opened
        given = split_completion(opened + rest + "\n").markers
        text = FRENCH if given.get("lang") == "French" else ENGLISH
        words = text.split() * 20
        text = " ".join(words[: given.get("length_tokens", 30)])
        return (
            mark_completion({"length_tokens": 30, "task": "Explanation", "lang": "English"} | given, text)
            if self.marked
            else text
        )

    def option_logprobs(self, prompts, options):
        """A list is worth -5, a text -40, and -20 where its list is in its prompt."""
        return [
            OptionScores(torch.tensor([self.score(messages[-1]["content"], text) for text in texts]), ())
            for messages, texts in zip(prompts, options, strict=True)
        ]

    def score(self, asked, text):
        own = len(split_completion(text).text) > 0
        return -5.0 * (OPEN in text) - own * (20.0 if OPEN in asked else 40.0)


@pytest.fixture
def measured(data, tmp_path, tokenizer_of):
    """``measured(marked, **settings)``: the section of a model that obeys."""

    def measure(marked, **options):
        tokenizer = AutoTokenizer.from_pretrained(saved(tokenizer_of("llama3"), tmp_path / f"t{marked}", marked=marked))
        settings = EvaluationSettings("model", tmp_path, data=(str(data),), **options)
        work, lm = MarkersWork(settings, "cities"), Obedient(tokenizer, marked=marked)
        return work.section({part: finite(work.score(part, lm)) | {"seconds": 0.0} for part, _ in work.parts()})

    return measure


def saved(tokenizer, folder, *, marked):
    template = get_format("chat", tokenizer).chat_template()
    tokenizer.save_pretrained(folder)
    copy = AutoTokenizer.from_pretrained(folder)
    copy.chat_template = chat_template(template) if marked else template
    copy.save_pretrained(folder)
    return folder


def test_a_model_that_obeys_keeps_to_what_is_set(measured, tokenizer_of):
    section = measured(True)
    assert section["marked"]
    assert section["length_violation"]["fixed"]["mean"] == 0
    said = [LIMITS[number % 3] < 30 for number in range(N)]
    assert section["length_violation"]["words"]["mean"] == sum(said) / N
    tokens = [
        len(tokenizer_of("llama3").encode(" ".join((ENGLISH.split() * 20)[:n]), add_special_tokens=False))
        for n in WANTED
    ]
    assert [(point["wanted"], point["median"]) for point in section["length_curve"]] == list(
        zip(WANTED, tokens, strict=True)
    )
    assert section["length_correlation"] == {"spearman": pytest.approx(1), "ci95": pytest.approx([1, 1]), "n": N}
    assert section["problems"] == {}
    french, english = (section["moved"]["lang"][name] for name in ("French", "English"))
    assert (french["set"]["mean"], french["not_set"]["mean"], english["set"]["mean"]) == (1, 0, 1)
    assert section["lines_in_language"]["fixed"] | {"ci95": None} == {"mean": 1, "ci95": None, "n": 2 * N}
    assert section["lines_in_language"]["inferred"]["mean"] == 15 / N


def test_accuracy_is_beside_the_majority(measured):
    accuracy = measured(True)["accuracy"]
    assert set(accuracy) == {"task", "lang"}
    assert (accuracy["task"]["inferred"], accuracy["task"]["majority"]) == (0.95, 0.95)
    assert (accuracy["lang"]["inferred"], accuracy["lang"]["majority"]) == (0.75, 0.75)


def test_likelihood_is_that_of_the_text_behind_its_list(measured, tokenizer_of):
    section, sizes = measured(True), []
    for number in range(N):
        text = row(number)["messages"][1]["content"]
        sizes.append(len(tokenizer_of("llama3").encode(text, add_special_tokens=False)))
    mean = sum(1 / size for size in sizes) / N
    assert section["nats_per_token"]["inferred"]["mean"] == pytest.approx(40 * mean)
    assert section["nats_per_token"]["fixed"]["mean"] == pytest.approx(20 * mean)
    by_task = section["by_frequency"]["task"]["inferred"]
    assert {bucket: found["n"] for bucket, found in by_task.items()} == {"common": 19, "medium": 1}
    assert by_task["medium"]["mean"] == pytest.approx(40 / sizes[0])


def test_a_model_without_markers_is_asked_without_any(measured):
    section = measured(False)
    assert not section["marked"]
    assert [section[name] for name in ("accuracy", "length_curve", "length_correlation")] == [None] * 3
    french, english = (section["moved"]["lang"][name] for name in ("French", "English"))
    assert (french["set"], french["not_set"]["mean"], english["not_set"]["mean"]) == (None, 0, 1)
    assert section["length_violation"]["words"]["mean"] > 0
    assert section["length_violation"]["fixed"] is None
    assert set(section["nats_per_token"]) == {"inferred"}


def test_a_comparison_has_the_three_numbers_of_the_paper(measured, data, tmp_path):
    marked, plain = measured(True), measured(False)
    work = MarkersWork(EvaluationSettings("model", tmp_path, data=(str(data),)), "cities")
    found = work.compare(marked, plain)
    violation = {name: cell["mean"] for name, cell in found["length_violation"].items()}
    assert violation == {"baseline": 0.7, "inferred": 0.7, "fixed": 0}
    assert found["too_long"]["difference"] == pytest.approx(-0.7)
    with pytest.raises(UserError, match="different rows of 'cities'"):
        work.compare(marked, measured(False, limit=5))


def test_the_limit_is_said_in_words_or_set_as_a_marker(data, tmp_path):
    work = MarkersWork(EvaluationSettings("model", tmp_path, data=(str(data),)), "cities")
    asked = row(1)["messages"][:1]
    assert work.prompt(1, Setting("inferred")) == asked
    assert work.prompt(1, Setting("words"))[0]["content"] == asked[0]["content"] + "\n\nAnswer in at most 25 words."
    assert work.prompt(1, Setting("fixed")) == mark_prompt(asked, {"length_tokens": 25})
    assert work.prompt(1, Setting("lang", "French")) == mark_prompt(asked, {"lang": "French"})
    assert [(each.name, each.value) for each in work.settings_of_rows[3:]] == [
        *(("length_tokens", wanted) for wanted in WANTED), ("lang", "English"), ("lang", "French"),
    ]  # fmt: skip


def test_runs_are_compared_by_what_their_markers_do(measured):
    """The limits are 10, 25 and 50 words in turn; the obedient model writes 30 where nothing is set."""
    scores = [{"markers": marker_scores({"cities": measured(marked)})} for marked in (True, False)]
    check_same_rows(*scores)
    marked, plain = ({name: found and found.value for name, found in _estimates(each).items()} for each in scores)
    assert marked == {
        "too_long_said": 0.7, "too_long_set": 0, "correlation": 1, "language_set": 1, "language_not_set": 0.5,
        "task_over_majority": 0, "domain_over_majority": None, "nats": plain["nats"],
        "nats_set": pytest.approx(plain["nats"] / 2, abs=1e-6),
    }  # fmt: skip
    asked = ("too_long_said", "language_not_set", "nats")
    assert {name for name, value in plain.items() if value is not None} == set(asked)


def test_the_page_shows_tokens_languages_and_frequent_kinds(measured):
    runs = tuple(
        Measured(
            name, "markers", None, None, None, {"markers": "chat"}, {},
            (SeedResult(None, name, "f", None, {"markers": marker_scores({"cities": measured(marked)})}, 1.0, "cpu"),),
        )
        for name, marked in (("marked", True), ("plain", False))
    )  # fmt: skip
    results = Results("Tiny", "command", "2026-01-02", None, {"markers": {}}, {}, {}, runs)
    told = page.markdown(results)
    assert "| run | data | 10 | 25 | 50 | 100 | 200 | rank correlation |" in told
    assert "| marked | cities | French | 100% [100%, 100%] of 20 | 0% [0%, 0%] of 20 |" in told
    assert "| plain | cities | French | - | 0% [0%, 0%] of 20 |" in told
    assert "| plain | cities | task | " in told
    assert "Versions of the suite's tasks" not in told
    assert "What the paper claims" not in told  # that of Spectrum Tuning
    assert [line.get_label() for line in wanted_figure(results).axes[0].containers] == ["marked, cities"]
    assert wanted_figure(replace(results, runs=runs[1:])) is None


def _estimates(scores):
    of_markers = [measure for measure in MEASURES.values() if measure.desideratum == "markers"]
    return {measure.name: estimate([measure.sample(scores)], measure.pooled) for measure in of_markers}


@pytest.fixture
def command(data, tokenizer_of, tmp_path):
    """Runs the command on a tiny marked model in this process; returns its report."""
    model = save_model(tmp_path / "model", tokenizer_of("llama3"))
    saved(tokenizer_of("llama3"), model, marked=True)

    def evaluate(output="out", **options):
        fixed = {"model": model, "output": tmp_path / output, "desiderata": "markers", "data": data, "format": "chat"}
        options = fixed | {"max_new_tokens": 6, "limit": 4} | options
        words = [word for name, value in options.items() for word in (f"--{name}", *str(value).split())]
        evaluate_model.run(evaluate_model.read(words))
        return read_report(tmp_path / output)

    return evaluate


def test_a_report_by_the_command(command, whole_figures, tmp_path, monkeypatch):
    report = command()
    section = report["markers"]["cities"]
    assert (section["n"], section["n_available"], section["marked"]) == (4, N, True)
    assert sum(section["problems"].values()) >= 4
    assert (tmp_path / "out" / "plots" / "markers-cities.png").stat().st_size > 5000
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| length limit broken, set as a marker |" in text
    assert "| task | " in text
    model, tokenizer = load_for_scoring(str(tmp_path / "model"))
    item = section["items"][0]
    messages = [{"role": "input", "content": item["instruction"]}]
    own = row(int(item["id"].partition("/")[2]))["messages"][1]["content"]
    options = [mark_completion(item["markers"], own), mark_completion(item["markers"], "")]
    prompt = mark_prompt(messages, item["markers"])
    both = option_logprobs(model, tokenizer, [prompt], [options], text_format=get_format("chat", tokenizer))[0]
    size = len(tokenizer.encode(own, add_special_tokens=False))
    assert item["nats_per_token"]["fixed"] == pytest.approx(-(both[0] - both[1]).item() / size, rel=1e-4)

    monkeypatch.setattr(MarkersWork, "score", lambda *_: pytest.fail("it is all kept"))
    compared = command(compare=tmp_path / "out")
    assert compared["comparison"]["markers"]["cities"]["nats_per_token"]["difference"] == 0
    assert "this one, by a marker" in markdown(compared)


def test_categories_can_be_left_out(command):
    section = command(marker_categories="length_tokens lang")["markers"]["cities"]
    assert set(section["items"][0]["markers"]) == {"length_tokens", "lang"}
    assert set(section["accuracy"]) == {"lang"}


def test_data_that_is_not_annotated_is_refused(command, tmp_path):
    plain = tmp_path / "plain.jsonl"
    plain.write_text(json.dumps({"instruction": "a", "output": "b"}))
    with pytest.raises(UserError, match=re.escape("annotate them with 'spectrum-suite annotate")):
        command(data=plain)
