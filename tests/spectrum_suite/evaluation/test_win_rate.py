"""Win rates in both orders, and with the effect of length taken out."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize

from spectrum_suite import option_logprobs
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.judge import EndpointJudge
from spectrum_suite.evaluation.preference import (
    Comparison,
    EndpointPreference,
    LikelihoodPreference,
    comparison_messages,
)
from spectrum_suite.evaluation.win_rate import WinRate, compare_responses, length_controlled_rates
from spectrum_suite.formats.render import get_format
from spectrum_suite.lm.client import Client, Endpoint
from spectrum_suite.lm.local import LocalLM
from tests.tiny_models import tiny_model


class Judged:
    """Prefers responses by a function of the two."""

    label = "test"

    def __init__(self, prefer):
        self.prefer, self.seen = prefer, []

    def __call__(self, comparisons):
        self.seen += comparisons
        return [float(self.prefer(pair.first, pair.second)) for pair in comparisons]


def test_both_orders_are_asked_and_count_half():
    longer = Judged(lambda first, second: len(first) > len(second))
    found = compare_responses(["a", "b"], ["xxx", "x"], ["yy", "yyyy"], longer)
    assert longer.seen[:2] == [Comparison("a", "xxx", "yy"), Comparison("b", "x", "yyyy")]
    assert longer.seen[2:] == [Comparison("a", "yy", "xxx"), Comparison("b", "yyyy", "x")]
    assert found.wins.tolist() == [1, 0]
    assert (found.win_rate, found.consistency) == (0.5, 1)
    first = compare_responses(["a", "b"], ["xxx", "x"], ["yy", "yyyy"], Judged(lambda first, second: True))
    assert first.wins.tolist() == [0.5, 0.5]
    assert first.consistency == 0
    assert first.lengths.tolist() == [[3, 2], [1, 4]]


def by_optimizer(wins, lengths):
    """The same rate from the penalized likelihood, by scipy."""
    difference = lengths[:, 0] - lengths[:, 1]
    feature = np.tanh(difference / difference.std())

    def loss(ab):
        logits = ab[0] + ab[1] * feature
        return (np.logaddexp(0, logits) - wins * logits).sum() + ab[1] ** 2 / 2

    return 1 / (1 + np.exp(-minimize(loss, [0, 0], tol=1e-10).x[0]))


def test_the_length_controlled_rate_is_that_of_the_regression():
    generator = np.random.default_rng(0)
    lengths = generator.integers(10, 900, size=(200, 2))
    wins = (generator.random(200) < 1 / (1 + np.exp(-(lengths[:, 0] - lengths[:, 1]) / 150))) * 1.0
    wins[::7] = 0.5
    lengths[:, 0] += 300  # ours are longer, and the judge likes that
    wins[:120] = np.maximum(wins[:120], lengths[:120, 0] > lengths[:120, 1])
    found = WinRate("test", wins, lengths)
    assert found.length_controlled == pytest.approx(by_optimizer(wins, lengths.astype(float)), abs=1e-4)
    assert found.length_controlled < found.win_rate - 0.1
    section = found.section()
    low, high = section["length_controlled_ci95"]
    assert low < found.length_controlled < high
    assert section == found.section()


def test_equal_lengths_leave_the_rate_and_agreement_has_its_limit():
    same = np.full((8, 2), 5)
    wins = np.array([1, 1, 1, 0, 0.5, 1, 0, 1])
    assert WinRate("test", wins, same).length_controlled == pytest.approx(wins.mean(), abs=1e-6)
    lengths = np.array([[9, 3]] * 4 + [[3, 9]] * 4)
    assert WinRate("test", np.ones(8), lengths).length_controlled == pytest.approx(1, abs=1e-5)
    decided = length_controlled_rates(np.array([1.0] * 4 + [0.0] * 4), lengths, np.ones((1, 8)))
    assert decided[0] == pytest.approx(0.5)


def test_responses_that_do_not_fit_are_named():
    with pytest.raises(UserError, match="there are 2 instructions with 1 and 2 responses"):
        compare_responses(["a", "b"], ["x"], ["y", "z"], Judged(lambda first, second: True))


def test_an_endpoint_is_asked_about_fields_of_json(monkeypatch, tmp_path):
    asked = []

    def ask_each(_, path, requests):
        for index, request in enumerate(requests):
            shown = json.loads(request["messages"][-1]["content"])
            asked.append(shown)
            reply = "Yes" if len(shown["first"]) > len(shown["second"]) else "no."
            yield index, {"choices": [{"message": {"content": reply}}]}

    monkeypatch.setattr(Client, "ask_each", ask_each)
    endpoint = Endpoint("http://localhost/v1", "referee")
    judge = EndpointPreference(EndpointJudge(endpoint, cache=tmp_path / "verdicts.jsonl"))
    for _ in range(2):
        found = compare_responses(["Say it."], ["a long one"], ["short"], judge)
        assert (found.win_rate, found.consistency, found.judge) == (1, 1, "judge referee")
    assert len(asked) == 2  # one for each order; the second time the cache answers
    (system, user) = comparison_messages(Comparison('"}', "x", "y"))
    assert json.loads(user["content"]) == {"instruction": '"}', "first": "x", "second": "y"}
    assert "yes or no" in system["content"]


def test_the_likelihood_of_a_model_stands_in(tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    model, text_format = tiny_model("gemma3", len(tokenizer)), get_format("chat", tokenizer)
    judge = LikelihoodPreference("tiny", LocalLM.of(model, tokenizer, text_format))
    assert judge.label == "likelihood under tiny (a stand-in for a judge)"
    asked, first, second = "Say something.", "one two three", "4"
    prompt = [{"role": "input", "content": asked}]
    (scores,) = option_logprobs(model, tokenizer, [prompt], [[first, second]], text_format=text_format)
    sizes = [len(tokenizer(text, add_special_tokens=False).input_ids) for text in (first, second)]
    better = scores[0] / sizes[0] > scores[1] / sizes[1]
    pairs = [Comparison(asked, first, second), Comparison(asked, second, first), Comparison(asked, first, first)]
    pairs += [Comparison(asked, "", first), Comparison(asked, "", "")]
    assert judge(pairs) == [float(better), float(not better), 0.5, 0.0, 0.5]
