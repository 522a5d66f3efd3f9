"""What the metric computes, as a module of `evaluate`; how it is packaged is tested in ``test_packaging.py``."""

import math

import numpy as np
import pytest
from spectrum_suite.metrics.in_context_steerability.in_context_steerability import InContextSteerability
from spectrum_suite.metrics.in_context_steerability.scoring import (
    METRICS,
    as_outputs,
    bootstrap_intervals,
    score_options,
    summarize,
)

from tests.documents import first_cells, read

VOTE = {"sequence": "ann", "options": ["agree", "disagree"], "output": "agree"}


@pytest.fixture
def metric(tmp_path):
    return InContextSteerability(cache_dir=str(tmp_path))


def place(k, sequence="ann"):
    return {"sequence": sequence, "k": k}


def test_card_lists_the_metrics():
    _, shown = first_cells(read("metrics/in_context_steerability/README.md"))
    assert tuple(shown) == METRICS


def test_numbers_are_those_of_the_core(metric):
    log_probs = [np.log([0.6, 0.3]), np.log([0.1, 0.8]), np.log([0.5, 0.2])]
    references = [VOTE | {"k": 1}, VOTE | {"k": 2, "output": "disagree"}, VOTE | {"k": 1, "sequence": "bob"}]
    predictions = [{"log_probs": row, "tokens": 2} for row in log_probs]
    result = metric.compute(
        predictions=predictions, references=references, n_bins=5, confidence_level=0.8, n_resamples=50, seed=3
    )
    correct, confidence = score_options(log_probs, [0, 1, 0])
    outputs = as_outputs(
        sequence=["ann", "ann", "bob"],
        k=[1, 2, 1],
        loss=-np.log([0.6, 0.8, 0.5]),
        tokens=[2, 2, 2],
        correct=correct,
        confidence=confidence,
    )
    expected = summarize(outputs, n_bins=5)
    assert {name: result[name] for name in expected} == pytest.approx(expected)
    intervals = bootstrap_intervals(outputs, n_bins=5, confidence_level=0.8, n_resamples=50, seed=3)
    assert result["loss_ci"] == pytest.approx(list(intervals["loss"]))
    assert len(result["reliability"]["low"]) == 5
    assert result["at_largest_k"]["loss"] == pytest.approx(-math.log(0.8 * 0.5) / 2)
    assert all(type(result[name]) in (float, int) for name in expected)


def test_a_loss_beside_log_probabilities_wins(metric):
    prediction = {"loss": 7.0, "log_probs": [-0.5, -1.5]}
    result = metric.compute(predictions=[prediction], references=[VOTE | {"k": 1}])
    assert (result["loss"], result["accuracy"]) == (7, 1)


def test_kinds_may_mix_and_what_was_not_scored_is_no_zero(metric):
    predictions = [None, 2.0, [-0.5, -1.5], math.nan, {"loss": 4.0}]
    references = [place(1), place(2), VOTE | {"k": 3}, place(4), place(5)]
    result = metric.compute(predictions=predictions, references=references)
    assert result["loss"] == pytest.approx((2 + 0.5 + 4) / 3)
    assert (result["n"], result["n_scored"], result["accuracy"]) == (5, 3, 1)
    assert math.isnan(result["loss_per_token"])


def test_batches_add_up(metric):
    metric.add(prediction=1.0, reference=place(1))
    metric.add_batch(predictions=[2.0, 3.0], references=[place(2), place(1, "bob")])
    assert metric.compute()["loss"] == 2


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([1.0], place(1), "one entry per output: compute"),
        ([1.0], None, "one entry per output: compute"),
        ([], [], "0 predictions and 0 references"),
        ([1.0], [place(1), place(2)], "1 predictions and 2 references"),
        ([1.0], [{"k": 1}], "reference 0 .* not a mapping with 'sequence' and 'k'"),
        ([{"losses": 1.0}], [place(1)], "prediction 0 has the key 'losses': use loss, tokens, log_probs"),
        ([[-1.0]], [place(1)], r"reference 0 has output .*none of its options \[\]"),
        ([[-1.0, -1.0]], [VOTE | {"k": 1, "output": "pass"}], "output 'pass', which is none of its options"),
        ([[-1.0]], [VOTE | {"k": 1}], "1 log-probabilities for 2 options"),
        ([[0.5, 0.5]], [VOTE | {"k": 1}], "pass natural log-probabilities"),
        ([1.0, 2.0], [place(1), place(1)], "two outputs with k = 1"),
    ],
)
def test_mistakes_show_what_to_do(metric, predictions, references, message):
    with pytest.raises(ValueError, match=message):
        metric.compute(predictions=predictions, references=references)
    assert metric.compute(predictions=[1.0], references=[place(1)])["n"] == 1


def test_text_is_refused(metric):
    with pytest.raises(TypeError, match="prediction 0 is 'agree': pass a loss or log-probabilities"):
        metric.compute(predictions=["agree"], references=[place(1)])
