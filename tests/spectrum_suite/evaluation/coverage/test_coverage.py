"""Coverage of samplers and models whose distribution is known, and what is asked of them."""

import json
import math

import numpy as np
import pytest
import torch
from spectrum_suite.metrics.output_coverage.scoring import listed_items, rarefaction, summarize

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.choices import PROMPTINGS
from spectrum_suite.evaluation.coverage.score_coverage import answer, generate, prompt_messages, valid_items_of
from spectrum_suite.evaluation.coverage.summarize_coverage import (
    TaskCoverage,
    check_generations,
    compare_coverage,
    mean_section,
)
from spectrum_suite.evaluation.coverage.validators import canonical, validate
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.sample import Samples
from spectrum_suite.lm.local import LocalLM
from tests.tiny_models import tiny_model

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
WEEK = {
    "id": "week/week", "description": "Name a day.", "examples": ["Friday", "Sunday", "Monday"],
    "validator": "weekday_name", "valid_items": [], "max_new_tokens": 5, "source": "synthetic",
}  # fmt: skip
DIGITS = {**WEEK, "validator": "one_of_exact", "valid_items": list("0123456789"), "max_new_tokens": 4}


class Scripted:
    """A model that says the same texts over and over, and remembers what it was asked."""

    def __init__(self, *texts, unfinished=0):
        self.texts, self.unfinished, self.asked = texts, unfinished, []

    def sample(self, prompts, n, *, max_new_tokens, seed):
        self.asked.append((prompts, n, max_new_tokens, seed))
        texts = tuple(self.texts[index % len(self.texts)] for index in range(n))
        return [Samples(texts, self.unfinished) for _ in prompts]


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("llama3")


def two_step_model(tokenizer, first, then):
    """A model that draws a token from ``first`` (token -> probability), and behind a digit from ``then``.

    Attention and feed-forward layers add nothing, so that a hidden state is the last token's embedding, one of two.
    """
    model = tiny_model("llama", len(tokenizer))
    digits = tokenizer.convert_tokens_to_ids(list("0123456789"))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings, head = model.model.embed_tokens.weight, model.lm_head.weight
        embeddings.zero_()
        embeddings[:, 0] = 1
        embeddings[digits] = torch.eye(32)[1]
        head.zero_()
        for column, shares in enumerate((first, then)):
            head[:, column] = -100
            for token, share in shares.items():
                head[tokenizer.convert_tokens_to_ids(token), column] = math.log(share)
        head /= math.sqrt(32)  # what the norm makes of a unit vector
    return model


def covered(lm, task, row, prompting="both", *, n=100, seed=42, **how):
    samples = generate(lm, task, row, prompting, n=n, seed=seed)
    return check_generations(samples, task, row, prompting, seed=seed, **how)


def run(model, tokenizer, row, *, n, seed=0):
    return covered(LocalLM.of(model, tokenizer, get_format("spectrum", tokenizer)), "digits", row, n=n, seed=seed)


EVEN = {str(digit): 0.1 for digit in range(10)}
END = {"<|eot_id|>": 1.0}


def test_a_perfect_model_has_the_yield_of_theory(tokenizer):
    model = two_step_model(tokenizer, EVEN, END)
    results = [run(model, tokenizer, DIGITS, n=20, seed=seed) for seed in range(40)]
    for result in results:
        summary = result.summary()
        assert (summary["valid"], summary["valid_se"], summary["unfinished"]) == (1, 0, 0)
        assert summary["reached"] == summary["yield"] / 10
    curves = np.array([result.yield_curve() for result in results])
    expected = 10 * (1 - 0.9 ** np.arange(1, 21))
    assert (np.abs(curves.mean(axis=0) - expected) <= 4 * curves.std(axis=0) / 40**0.5 + 1e-9).all()
    assert len({result.texts for result in results}) == 40  # each seed draws anew
    assert run(model, tokenizer, DIGITS, n=20, seed=3).texts == results[3].texts


def test_a_point_mass_reaches_one_item(tokenizer):
    result = run(two_step_model(tokenizer, {"7": 1.0}, END), tokenizer, DIGITS, n=20)
    summary = result.summary()
    assert {name: summary[name] for name in ("valid", "unique", "yield", "reached", "unique_texts")} == pytest.approx(
        {"valid": 1, "unique": 1 / 20, "yield": 1, "reached": 1 / 10, "unique_texts": 1 / 20}
    )
    assert summary["yield_se"] == summary["valid_se"] == 0
    assert result.yield_curve() == pytest.approx(np.ones(20))


def test_a_model_that_rambles_is_valid_as_often_as_theory_says(tokenizer):
    half = dict.fromkeys(EVEN, 0.05) | {"<|eot_id|>": 0.5}
    result = run(two_step_model(tokenizer, half, half), tokenizer, DIGITS, n=400)
    summary = result.summary()
    p_valid, p_unfinished = 0.5 * 0.5, 0.5**4  # a digit and the end; no end among four tokens
    assert summary["valid"] == pytest.approx(p_valid, abs=4 * (p_valid * (1 - p_valid) / 400) ** 0.5)
    assert summary["unfinished"] / 400 == pytest.approx(p_unfinished, abs=4 * (p_unfinished / 400) ** 0.5)
    assert sum(len(text) == 4 for text in result.texts) == summary["unfinished"]
    assert all(item is None or len(item) == 1 for item in result.items)


def test_what_a_model_is_asked():
    lm = Scripted(" Friday \n", "Caturday\nMonday", "", "monday\n\nand more", unfinished=1)
    results = {
        (task, prompting): covered(lm, task, WEEK, prompting, n=4)
        for task in ("week", "again")
        for prompting in PROMPTINGS
    }
    result = results["week", "both"]
    assert result.texts == ("Friday", "Caturday", "", "monday")
    assert result.items == ("Friday", None, None, "Monday")
    assert (result.set_size, result.unfinished, result.validity) == (7, 1, "weekday_name")
    assert result.yield_curve().tolist() == rarefaction([1, 1], 4).tolist()
    held = [[list(found.messages)] for found in results.values()]
    assert [asked[:3] for asked in lm.asked] == [(prompts, 4, 5) for prompts in held]
    seeds = [seed for *_, seed in lm.asked]
    assert len(set(seeds)) == 6
    covered(lm, "again", WEEK, "examples", n=9)
    assert lm.asked[-1][-1] == seeds[4]  # neither the other tasks nor n move it


def test_prompts_hold_what_they_should():
    both = prompt_messages("week", WEEK, "both")
    assert (
        prompt_messages("week", WEEK, "description") == both[:1] == [{"role": "description", "content": "Name a day."}]
    )
    assert prompt_messages("week", WEEK, "examples") == both[1:]
    assert {message["role"] for message in both[1:]} == {"output"}
    orders = {
        tuple(message["content"] for message in prompt_messages("week", WEEK, "examples", seed=s)) for s in range(60)
    }
    assert len(orders) == 6  # every order occurs
    assert all(sorted(order) == sorted(WEEK["examples"]) for order in orders)


def test_every_task_of_the_suite_can_be_prompted_and_its_rule_takes_its_examples(coverage_rows):
    assert len(coverage_rows) == 22
    for task, row in coverage_rows.items():
        for prompting in PROMPTINGS:
            result = covered(Scripted(*row["examples"]), task, row, prompting, n=6)
            assert len(result.messages) == {"description": 1, "examples": 3, "both": 4}[prompting]
            if not row["valid_items"]:  # the fixtures' lists are too short to hold the examples
                summary = result.summary()
                assert (summary["valid"], summary["yield"], summary["unique"]) == (1, 3, 0.5)
                assert summary["reached"] == pytest.approx(3 / (result.set_size or math.nan), nan_ok=True)


def test_the_first_line_or_all_of_it():
    assert answer("\n  Friday \r\nInput: more") == "Friday"
    assert answer(" an old pond\na frog \n", first_line=False) == "an old pond\na frog"
    assert answer(" \n ") == ""


def test_the_metric_knows_an_item_when_the_rule_does():
    items = ["Teal", "Martian\u2019s Moon", "Cafe\u0301", "TEAL"]
    for text in ["teal", "martian's moon", "CAF\u00c9", "Teal", "TEAL", "te al", "Cafe\u0301", ""]:
        for rule in ("one_of", "one_of_exact"):
            (found,), _ = listed_items([text], items, rule)
            assert found == (canonical(rule, text, items) if validate(rule, text, items) else None)


def test_a_judge_takes_the_place_of_the_rule():
    asked = []

    def judge(description, examples, texts):
        asked.append((description, list(examples), list(texts)))
        return [text.endswith("day") for text in texts]

    result = covered(Scripted("Someday", "Friday", "no"), "week", WEEK, n=3, judge=judge)
    assert result.items == ("Someday", "Friday", None)
    assert (result.set_size, result.validity) == (None, "judge")
    assert asked == [("Name a day.", WEEK["examples"], ["Someday", "Friday", "no"])]
    assert valid_items_of(result.texts, WEEK) == (None, "Friday", None)


def coverage(task, items, *, unfinished=0, prompting="both"):
    return TaskCoverage(task, prompting, (), tuple(map(str, items)), tuple(items), 7, unfinished, "rule", "f", 0.5)


def test_sections_are_json_and_give_the_same_means():
    results = [coverage("a", ["x", "y", None, "x"], unfinished=2), coverage("b", [None] * 4, unfinished=1)]
    sections = json.loads(json.dumps([result.as_dict() for result in results], allow_nan=False))
    assert sections[0]["scores"]["valid"]["mean"] == 0.75
    assert sections[0]["yield_curve"] == [0.75, pytest.approx(8 / 6, abs=1e-4), 1.75, 2]
    assert sections[1]["scores"]["unique"] == {"mean": None, "se": None}
    summary, section = summarize([result.summary() for result in results]), mean_section(sections)
    assert (section["n"], section["unfinished"]) == (2, 3)
    assert (section["scores"]["valid"]["mean"], section["scores"]["yield"]["mean"]) == (0.375, 1)
    for name, cell in section["scores"].items():
        assert cell["mean"] == pytest.approx(summary[name])
        assert cell["se"] == pytest.approx(summary[f"{name}_se"])


def report(**items):
    return {task: {"both": coverage(task, found).as_dict()} for task, found in items.items()}


def test_differences_of_two_reports():
    mine = report(a=["x", "y", "z", None], b=["x", "y", "y", "y"], c=[None] * 4)
    other = report(a=["x", None, None, None], b=["x", "x", "x", "x"], c=["x", "y", None, None], d=["x"])
    found = compare_coverage(mine, other)["both"]
    assert list(found["tasks"]) == ["a", "b", "c"]
    valid = found["tasks"]["a"]["valid"]
    assert valid["difference"] == 0.5
    errors = 0.75 * 0.25 / 3 * 2
    assert valid["ci95"] == pytest.approx([0.5 - 1.959964 * errors**0.5, 0.5 + 1.959964 * errors**0.5])
    assert found["tasks"]["c"]["unique"] == {"difference": None, "ci95": [None, None]}
    assert found["mean"]["yield"]["difference"] == pytest.approx((2 + 1 - 2) / 3)
    assert found["mean"]["yield"]["n"] == 3
    low, high = found["mean"]["yield"]["ci95"]
    assert -2 <= low < 1 / 3 < high <= 2
    assert found["mean"]["unique"]["n"] == 2


def test_reports_that_cannot_be_compared():
    mine = report(a=["x", "y"])
    with pytest.raises(UserError, match="share no coverage task"):
        compare_coverage(mine, report(b=["x", "y"]))
    with pytest.raises(UserError, match="task 'a' differs in the two reports: evaluate both with one number"):
        compare_coverage(mine, report(a=["x"]))


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({}, {"prompting": "neither"}, "no prompting 'neither': choose from description, examples, both"),
        ({"description": None}, {"prompting": "both"}, "task 'week' has no description: prompt it with examples"),
        ({"examples": []}, {"prompting": "examples"}, "has no examples: prompt it with its description"),
        ({"validator": "weekday"}, {}, "validator 'weekday' not found, did you mean"),
        ({}, {"n": 0}, "0 generations of task 'week': give a number of at least 1"),
    ],
)
def test_mistakes_are_named(changes, arguments, message):
    with pytest.raises(UserError, match=message):
        covered(Scripted("Friday"), "week", WEEK | changes, **arguments)
