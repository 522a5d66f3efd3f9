"""Distributions estimated from what a model answers: counted, read, told and compared."""

import json
import math
import re

import numpy as np
import pytest
from datasets import Dataset

from spectrum_suite.commands import evaluate as command
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment import sampled
from spectrum_suite.evaluation.alignment.comparable import shared_metrics, why_not_comparable, why_not_comparable_items
from spectrum_suite.evaluation.alignment.sampled import by_samples
from spectrum_suite.evaluation.alignment.sequence import by_sequence
from spectrum_suite.evaluation.alignment.skill import means_over_tasks, skill
from spectrum_suite.evaluation.alignment.verbalized import by_verbalized
from spectrum_suite.evaluation.report import read_report
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.formats.render import get_format
from spectrum_suite.lm.answers import Answer, DrawnOptions
from tests.tiny_models import item, memoryless_model, save_suite

URN = {
    "id": "urn/0",
    "messages": [{"role": "description", "content": "One ball is drawn."}],
    "options": ["red", "blue", "green"],
    "probabilities": [0.5, 0.3, 0.2],
    "n_responses": 50,
    "ordered": True,
    "source": "tests",
}
PLAIN = {key: value for key, value in URN.items() if key not in ("n_responses", "ordered")} | {"id": "urn/1"}


class Scripted:
    """A model whose answers are written down, or drawn from shares."""

    def __init__(self, texts=(), shares=(0.5, 0.3, 0.2)):
        self.texts, self.shares, self.asked = list(texts), np.array(shares), []

    def answers(self, prompts, n, *, requests=None, first=0, max_new_tokens=None, seed):
        self.asked.append((len(prompts), n, requests, first))
        return [[Answer(self.texts.pop(0)) for _ in range(n)] for _ in prompts]

    def draw_options(self, prompts, options, n, *, first=0, seed):
        self.asked.append((len(prompts), n, first))
        found = []
        for place in range(len(prompts)):
            chances = [*self.shares, 1 - sum(self.shares)]
            drawn = np.random.default_rng([seed, place, first]).choice(4, size=n, p=chances)
            others = {"something else": int((drawn == 3).sum())}
            found.append(DrawnOptions(tuple(None if each == 3 else int(each) for each in drawn), others))
        return found


def settings(**options):
    return EvaluationSettings("model", "out", **options)


def rows(*each):
    return Dataset.from_list(list(each))


def test_shares_of_answers_are_scored_and_what_they_tell_stands_beside():
    (found,) = by_samples(Scripted(shares=(0.4, 0.2, 0.2)), rows(URN), settings=settings(n=200))
    assert found.drawn["n"] == 200
    assert sum(found.drawn["counts"]) + found.drawn["others"]["something else"] == 200
    assert found.scores["coverage"] == pytest.approx(sum(found.drawn["counts"]) / 200)
    assert found.probabilities == pytest.approx(np.array(found.drawn["counts"]) / sum(found.drawn["counts"]))
    assert found.scores["js_divergence"] == pytest.approx(found.drawn["plug_in"]["js_divergence"])
    assert {"wasserstein", "rps"} <= set(found.scores)
    assert found.drawn["record"]["js_divergence"] > 0


def test_zero_counts_are_no_evidence_of_what_is_impossible():
    (found,) = by_samples(Scripted(), rows(URN), settings=settings(n=10))
    assert not {"kl_target_model", "kl_model_target", "cross_entropy"} & set(found.scores)
    assert "wasserstein" not in by_samples(Scripted(), rows(PLAIN), settings=settings(n=10))[0].scores


def test_an_item_without_an_option_among_its_answers_is_refused():
    (found,) = by_samples(Scripted(shares=(0, 0, 0)), rows(PLAIN), settings=settings(n=10))
    assert found.refused == sampled.NO_OPTION
    assert math.isnan(found.scores["js_divergence"])
    assert found.scores["coverage"] == 0


def test_items_are_asked_until_their_intervals_are_narrow():
    far, near = Scripted(), Scripted()
    both = by_samples(far, rows(URN, PLAIN), settings=settings(n=2000, precision=0.012))
    assert [asked[1:] for asked in far.asked][:3] == [(32, 0), (32, 32), (64, 64)]
    for found in both:
        low, high = found.drawn["ci95"]["js_divergence"]
        assert high - low <= 0.012
        assert found.drawn["n"] < 2000
    (found,) = by_samples(near, rows(URN), settings=settings(n=100, precision=1e-9))
    assert found.drawn["n"] == 100  # and no more than were allowed
    assert [asked[1:] for asked in near.asked] == [(32, 0), (32, 32), (36, 64)]


WRITTEN = {"red": 0.5, "blue": 0.25, "green": 0.25}


@pytest.mark.parametrize(
    ("text", "total", "masses"),
    [
        (json.dumps(WRITTEN), 1, (0.5, 0.25, 0.25)),
        ("```json\n" + json.dumps(WRITTEN) + "\n```", 1, (0.5, 0.25, 0.25)),
        ('{"Red": 50, "blue": 25, "Green.": 25}', 100, (0.5, 0.25, 0.25)),
        ('{"red": 0.5, "blue": 0.3, "green": 0.3}', 1.1, (5 / 11, 3 / 11, 3 / 11)),
        ('{"red": 0.4, "blue": 0.2, "green": 0.2, "black": 0.2}', 1, (0.4, 0.2, 0.2)),
    ],
)
def test_a_written_distribution_is_read(text, total, masses):
    (found,) = by_verbalized(Scripted([text]), rows(PLAIN), settings=settings())
    assert found.drawn["sum"] == pytest.approx(total)
    assert found.scores["coverage"] == pytest.approx(sum(masses))
    assert found.probabilities == pytest.approx(np.array(masses) / sum(masses))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Red is likeliest.", "no JSON"),
        ("[0.5, 0.3, 0.2]", "no JSON"),
        (f"Here it is: {json.dumps(WRITTEN)}", "no JSON"),
        ('{"red": 0.5, "blue": 0.5}', "an option is missing"),
        ('{"red": 0.5, "red": 0.1, "blue": 0.2, "green": 0.2}', "an answer twice"),
        ('{"red": 0.5, "Red": 0.1, "blue": 0.2, "green": 0.2}', "an answer twice"),
        ('{"red": "50%", "blue": 0.3, "green": 0.2}', "a probability that is not a number"),
        ('{"red": -1, "blue": 1, "green": 1}', "a probability that is not a number"),
        ('{"red": NaN, "blue": 1, "green": 1}', "a probability that is NaN"),
        ('{"red": true, "blue": 0, "green": 0}', "a probability that is not a number"),
        ('{"red": 0, "blue": 0, "green": 0}', "all probabilities are 0"),
        ("", "no JSON"),
    ],
)
def test_anything_else_is_asked_for_again_and_named(text, reason):
    lm = Scripted([text] * 3)
    (found,) = by_verbalized(lm, rows(PLAIN), settings=settings())
    assert re.search(reason, found.refused)
    assert list(found.drawn["others"].values()) == [3]
    assert [asked[3] for asked in lm.asked] == [0, 1, 2]


def test_only_what_could_not_be_read_is_asked_again():
    lm = Scripted([json.dumps(WRITTEN), "no", json.dumps(WRITTEN)])
    first, second = by_verbalized(lm, rows(URN, PLAIN), settings=settings())
    assert [asked[0] for asked in lm.asked] == [2, 1]
    assert (first.drawn["n"], second.drawn["n"]) == (1, 2)
    assert lm.asked[1][2][0].count('["red", "blue", "green"]') == 1


def test_draws_in_one_answer_are_counted():
    text = json.dumps(["red", "Blue", "red", "purple", 7])
    lm = Scripted([text])
    (found,) = by_sequence(lm, rows(URN), settings=settings(n=5))
    assert found.drawn["counts"] == [2, 1, 0]
    assert found.drawn["others"] == {"something else": 2}
    assert found.scores["coverage"] == pytest.approx(3 / 5)
    assert "corrected" not in found.drawn  # draws that see one another
    assert found.drawn["perfect"]["js_divergence"] > 0
    assert "5" in lm.asked[0][2][0]


def test_a_sequence_that_cannot_be_read_has_no_number():
    (found,) = by_sequence(Scripted(["red, blue, red"]), rows(PLAIN), settings=settings(n=3))
    assert found.refused == sampled.NO_OPTION
    assert found.drawn["others"] == {"no JSON": 1}


LETTERS = [
    item(f"letters/{n}", f"Which letter comes at place {n}?", ["A", "B", "C"], shares)
    for n, shares in enumerate([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
]
SHARES = {"A": 0.5, "B": 0.3, "C": 0.1, "D": 0.1}


@pytest.fixture(scope="module")
def measured(tokenizer_of, tmp_path_factory):
    """What evaluates a model that gives A to D these shares, and the folder of its reports."""
    folder = tmp_path_factory.mktemp("estimates")
    tokenizer = tokenizer_of("llama3")
    model = memoryless_model(tokenizer, get_format("spectrum", tokenizer), SHARES)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    ordered = [row | {"ordered": True, "n_responses": 40} for row in LETTERS]
    suite = save_suite(folder / "suite", letters=LETTERS, scale=ordered)

    def run(*words, name):
        start = ["--model", str(folder / "model"), "--suite", str(suite), "--device", "cpu", "--format", "spectrum"]
        command.main([*start, "--desiderata", "alignment", "--output", str(folder / name), *words])
        return read_report(folder / name)

    return run, folder


def test_a_report_names_its_estimate_and_what_answers_tell(measured):
    run, folder = measured
    report = run("--estimate", "samples", "--n", "400", name="samples")
    section = report["alignment"]["scale"]
    assert section["estimate"]["name"] == report["settings"]["estimate"] == "samples"
    drawn = section["drawn"]
    assert drawn["n"] == {"least": 400, "mean": 400, "most": 400}
    assert drawn["others"]["something else"] == pytest.approx(120, abs=45)
    assert drawn["indistinguishable"]["of"] == 3
    assert drawn["record"]["js_divergence"] > drawn["perfect"]["js_divergence"] > 0  # of 40 people, and of 360 answers
    assert {"wasserstein", "rps"} <= set(section["model"])
    assert report["alignment"]["letters"]["drawn"]["record"] is None
    assert report["alignment_mean"]["skill"]["n"] == 2
    text = (folder / "samples" / "report.md").read_text()
    assert "is estimated by `samples`" in text
    assert re.search(r"\| scale \| 400\.0 \| \d+ of 1200 \|", text)


def test_reports_of_different_ways_are_compared_where_that_makes_sense(measured):
    run, folder = measured
    exact = run(name="exact")["alignment"]["letters"]
    assert {"wasserstein", "kl_target_model"} & set(exact["model"]) == {"kl_target_model"}
    report = run("--estimate", "samples", "--n", "400", "--compare", str(folder / "exact"), name="compared")
    found = report["comparison"]["alignment"]["letters"]
    assert {"js_divergence", "total_variation", "brier", "mode_match", "coverage"} == set(found)
    corrected = [each["drawn"]["corrected"]["js_divergence"] for each in report["alignment"]["letters"]["items"]]
    expected = [mine - each["scores"]["js_divergence"] for mine, each in zip(corrected, exact["items"], strict=True)]
    assert found["js_divergence"]["difference"] == pytest.approx(np.mean(expected))
    for each, right in zip(report["alignment"]["letters"]["items"], exact["items"], strict=True):
        low, high = each["drawn"]["ci95"]["js_divergence"]
        assert low <= right["scores"]["js_divergence"] <= high


def estimated(name, *items, **more):
    return {"estimate": {"name": name} | more, "items": list(items)}


def test_what_cannot_be_compared_is_refused_with_the_reason():
    nine, ten = ({"name": "sequence", "n": n} for n in (9, 10))
    assert why_not_comparable({"name": "logprobs"}, {"name": "samples", "n": 9}) is None
    assert why_not_comparable(nine, nine) is None
    assert "'sequence' of 9 and 'samples' of 9" in why_not_comparable(nine, {"name": "samples", "n": 9})
    assert "of 9 and 'sequence' of 10" in why_not_comparable(nine, ten)
    bounded = {"refused": "open", "bounds": [0.1, 0.2], "scores": {}}
    exact = {"refused": None, "bounds": [0.1, 0.1], "scores": {}}
    whole, part = estimated("top_logprobs", exact), estimated("top_logprobs", exact, bounded)
    assert why_not_comparable_items(whole, estimated("samples")) is None
    assert "1 of 2 items have bounds and no number" in why_not_comparable_items(estimated("samples"), part)


def test_coverages_of_different_things_are_not_compared():
    said = {"scores": {"js_divergence": 0.1, "coverage": 0.9}}
    by_tokens, by_texts = ({**said, "drawn": {"by": by}} for by in ("tokens", "answers"))
    exact = {"items": [said]}
    assert shared_metrics(estimated("samples", by_tokens), exact) == ["js_divergence", "coverage"]
    assert shared_metrics(estimated("samples", by_texts), exact) == ["js_divergence"]


def test_skill_is_how_much_nearer_than_the_uniform_guess():
    assert skill([0.1, 0.2, 0.0], [0.2, 0.4, 0.4])["skill"] == pytest.approx(0.7)
    low, high = skill([0.1, 0.2, 0.0], [0.2, 0.4, 0.4])["ci95"]
    assert low < 0.7 < high
    single = skill([0.5, None], [0.25, 0.3])
    assert (single["skill"], single["n"]) == (-1, 1)
    assert math.isnan(single["ci95"][0])
    assert math.isnan(skill([0.1], [0.0])["skill"])  # the guess is right


def test_means_over_tasks_count_every_task_the_same():
    def task(*pairs):
        return {"items": [{"scores": {"js_divergence": a}, "uniform": {"js_divergence": b}} for a, b in pairs]}

    found = means_over_tasks({"one": task((0.1, 0.2), (0.3, 0.2)), "two": task((0.1, 0.4)), "solved": task((0.3, 0.0))})
    assert found["js_divergence"]["mean"] == pytest.approx((0.2 + 0.1 + 0.3) / 3)
    assert found["skill"]["mean"] == pytest.approx((0 + 0.75) / 2)
    assert found["skill"]["n"] == 2
    assert found["skill"]["ci95"][0] < 0.375 < found["skill"]["ci95"][1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--estimate", "guess"], "no estimate 'guess'"),
        (["--precision", "0.1"], "--precision is for answers that are drawn"),
        (["--estimate", "verbalized", "--precision", "0.1"], "give --estimate samples"),
        (["--estimate", "samples", "--precision", "0"], "--precision is 0"),
        (["--estimate", "samples", "--n", "1"], "--n is 1"),
        (["--estimate", "samples", "--task_labels", "true", "--format", "colon"], "--task_labels goes with"),
    ],
)
def test_what_does_not_go_together_is_refused(words, message, tmp_path):
    arguments = command.read(["--model", "m", "--suite", "s", "--output", str(tmp_path / "out"), *words])
    with pytest.raises(UserError, match=message):
        command.check(arguments)
