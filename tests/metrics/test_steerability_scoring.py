"""Loss, accuracy and calibration by number of examples, against hand-worked values, scipy, and what theory says."""

import doctest

import numpy as np
import pytest
from scipy import stats
from spectrum_suite.metrics.in_context_steerability import scoring
from spectrum_suite.metrics.in_context_steerability.scoring import (
    METRICS,
    as_outputs,
    at_largest_k,
    bootstrap_intervals,
    by_examples,
    expected_calibration_error,
    paired_differences,
    reliability,
    score_options,
    summarize,
    with_examples,
)


def two_sequences():
    """Sequence a: k 0 to 2; sequence b: k 1 to 2, the first of which was not scored."""
    return as_outputs(
        sequence=["a", "a", "a", "b", "b"],
        k=[0, 1, 2, 1, 2],
        loss=[9.0, 2.0, 4.0, None, 6.0],
        tokens=[1, 2, 2, 3, 4],
        correct=[0, 1, 0, None, 1],
        confidence=[0.5, 0.9, 0.6, None, 0.7],
    )


def simulated(rng, n_sequences, *, n_outputs=8, shift=0.0):
    """Sequences that differ in level by more than their outputs differ in themselves."""
    level = rng.normal(3, 0.5, size=(n_sequences, 1)) + shift
    loss = np.abs(level + rng.normal(0, 0.2, size=(n_sequences, n_outputs)))
    sequence, k = np.repeat(np.arange(n_sequences), n_outputs), np.tile(np.arange(n_outputs) + 1, n_sequences)
    return as_outputs(sequence=sequence, k=k, loss=loss.ravel(), tokens=rng.integers(1, 5, size=len(k)))


def test_means_and_quotients_by_hand():
    summary = summarize(with_examples(two_sequences()))
    assert summary["loss"] == pytest.approx((2 + 4 + 6) / 3)
    assert summary["loss_per_token"] == pytest.approx((2 + 4 + 6) / (2 + 2 + 4))
    assert summary["accuracy"] == pytest.approx(2 / 3)
    assert summary["ece"] == pytest.approx((0.1 + 0.6 + 0.3) / 3)
    assert (summary["n"], summary["n_scored"], summary["n_sequences"]) == (4, 3, 2)


def test_the_error_leaves_one_sequence_out_at_a_time():
    # without b the loss is 3, without a it is 6: sqrt(1/2 * (1.5^2 + 1.5^2))
    assert summarize(with_examples(two_sequences()))["loss_se"] == pytest.approx(1.5)


def test_the_table_by_number_of_examples():
    table = by_examples(two_sequences())
    assert table["k"] == [0, 1, 2]
    assert table["loss"] == [9, 2, 5]
    assert table["loss_per_token"] == [9, 1, pytest.approx(10 / 6)]
    assert table["n"] == [1, 2, 2]
    assert table["n_scored"] == [1, 1, 2]
    assert table["loss_se"][2] == pytest.approx(np.std([4, 6], ddof=1) / 2**0.5)


def test_the_largest_k_is_each_sequences_own():
    outputs = as_outputs(sequence=["b", "b", "a", "a", "c", "d"], k=[3, 1, 1, 2, 0, 1], loss=[1, 2, 3, None, 5, 6])
    last = at_largest_k(outputs)
    assert dict(zip(last.sequence.tolist(), last.k.tolist(), strict=True)) == {"b": 3, "a": 1, "d": 1}


def test_for_sequences_of_equal_length_the_error_is_that_of_their_means():
    outputs = simulated(np.random.default_rng(0), 20)
    means = outputs.loss.reshape(20, -1).mean(axis=1)
    assert summarize(outputs)["loss_se"] == pytest.approx(stats.sem(means), rel=1e-9)


def test_for_unequal_lengths_the_error_is_near_the_clustered_one():
    outputs = simulated(np.random.default_rng(1), 200)
    outputs = outputs.where(np.random.default_rng(2).random(len(outputs)) < 0.6)
    residuals = outputs.loss - outputs.loss.mean()
    sums = [residuals[outputs.sequence == name].sum() for name in np.unique(outputs.sequence)]
    clustered = np.sqrt(200 / 199 * np.square(sums).sum()) / len(outputs)
    assert summarize(outputs)["loss_se"] == pytest.approx(clustered, rel=0.02)
    assert clustered > 1.5 * stats.sem(outputs.loss)


@pytest.mark.parametrize("n_bins", [1, 7, 10])
def test_calibration_error_agrees_with_scipy(n_bins):
    rng = np.random.default_rng(0)
    confidence = np.concatenate([rng.random(500), [0, 1, 0.3, 0.7, 0.1]])
    correct = rng.random(505) < confidence**2

    def binned(values, statistic):
        return stats.binned_statistic(confidence, values, statistic, bins=n_bins, range=(0, 1)).statistic

    count = binned(correct, "count")
    with np.errstate(invalid="ignore"):
        gaps = np.abs(binned(correct, "mean") - binned(confidence, "mean"))
    expected = np.nansum(count * gaps) / count.sum()
    assert expected_calibration_error(confidence, correct, n_bins=n_bins) == pytest.approx(expected)


def test_bins_are_half_open_and_the_last_one_is_closed():
    outputs = as_outputs(
        sequence=["a"] * 4, k=range(4), loss=[None] * 4, correct=[1, 0, 1, 1], confidence=[0.3, 0.7, 1.0, 0.699]
    )
    table = reliability(outputs)
    assert [i for i, n in enumerate(table["n"]) if n] == [3, 6, 7, 9]
    assert table["low"][3] == 0.3
    assert table["high"][9] == 1
    assert table["accuracy"][7] == 0
    assert np.isnan(table["confidence"][0])


def test_options_are_normalised_and_ties_share():
    correct, confidence = score_options(
        [np.log([0.2, 0.6]), np.log([0.01, 0.01, 0.01]), [-np.inf, -1.0], [-np.inf, -np.inf], None, [np.nan, -1]],
        [0, 2, 1, 0, 0, 1],
    )
    np.testing.assert_allclose(correct, [0, 1 / 3, 1, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(confidence, [0.75, 1 / 3, 1, np.nan, np.nan, np.nan])


def test_a_model_that_knows_the_shares_is_calibrated():
    answers = [0, 0, 0, 1] * 50
    correct, confidence = score_options([np.log([0.75, 0.25])] * 200, answers)
    assert expected_calibration_error(confidence, correct) == pytest.approx(0, abs=1e-12)
    correct, confidence = score_options([np.log([1 - 1e-12, 1e-12])] * 200, answers)
    assert expected_calibration_error(confidence, correct) == pytest.approx(0.25)


def test_intervals_agree_with_scipy_over_sequences():
    outputs = simulated(np.random.default_rng(0), 40)
    means = outputs.loss.reshape(40, -1).mean(axis=1)
    theirs = stats.bootstrap((means,), np.mean, method="percentile", n_resamples=10_000, rng=1).confidence_interval
    ours = bootstrap_intervals(outputs)
    assert ours["loss"] == pytest.approx(theirs, abs=0.01)
    assert ours["loss"] == bootstrap_intervals(outputs)["loss"]
    assert ours["loss"] != bootstrap_intervals(outputs, seed=1)["loss"]
    assert np.isnan(ours["accuracy"]).all()


def test_intervals_are_the_same_in_blocks(monkeypatch):
    outputs = simulated(np.random.default_rng(0), 10)
    whole = bootstrap_intervals(outputs, n_resamples=200)["loss"]
    monkeypatch.setattr(scoring, "_DRAWS_PER_BLOCK", 70)
    assert bootstrap_intervals(outputs, n_resamples=200)["loss"] == whole


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = held_paired = 0
    n_experiments = 200
    for seed in range(n_experiments):
        outputs = simulated(rng, 40)
        low, high = bootstrap_intervals(outputs, n_resamples=400, seed=seed)["loss"]
        held += low <= 3 <= high
        noise = rng.normal(0, 0.1, size=(40, 1)) + rng.normal(0, 0.1, size=(40, 8))
        other = as_outputs(sequence=outputs.sequence, k=outputs.k, loss=outputs.loss - 0.1 + noise.ravel())
        low, high = paired_differences(other, outputs, n_resamples=400, seed=seed)["loss"][1]
        held_paired += low <= -0.1 <= high
    # a true 0.94 has a standard error of 0.017
    assert 0.89 <= held / n_experiments <= 0.98
    assert 0.89 <= held_paired / n_experiments <= 0.98


def test_differences_are_taken_on_shared_outputs_in_any_order():
    rng = np.random.default_rng(0)
    a = simulated(rng, 12)
    shifted = as_outputs(sequence=a.sequence, k=a.k, loss=a.loss + 0.25, tokens=a.tokens)
    some = shifted.where(rng.permutation(len(a))[:60])
    difference, (low, high) = paired_differences(a, some)["loss"]
    assert (difference, low, high) == pytest.approx((-0.25, -0.25, -0.25))
    shared = as_outputs(sequence=["none"], k=[1], loss=[1])
    with pytest.raises(ValueError, match="share no output"):
        paired_differences(a, shared)


def test_nothing_scored_is_nan_and_one_sequence_has_no_error():
    empty = with_examples(as_outputs(sequence=["a"], k=[0], loss=[1]))
    summary = summarize(empty)
    assert all(np.isnan(summary[name]) for name in METRICS)
    assert (summary["n"], summary["n_sequences"]) == (0, 0)
    single = as_outputs(sequence=["a", "a"], k=[1, 2], loss=[1, 3])
    assert summarize(single)["loss"] == 2
    assert np.isnan(summarize(single)["loss_se"])
    assert np.isnan(bootstrap_intervals(single)["loss"]).all()


def test_an_infinite_loss_is_kept_and_has_no_error():
    outputs = as_outputs(sequence=["a", "b", "c"], k=[1, 1, 1], loss=[1, np.inf, 2])
    assert summarize(outputs)["loss"] == np.inf
    assert np.isnan(summarize(outputs)["loss_se"])
    assert np.isnan(bootstrap_intervals(outputs, n_resamples=100)["loss"]).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loss": [1]}, r"loss has shape \(1,\) for 2 outputs"),
        ({"sequence": [], "k": [], "loss": []}, "no outputs to score"),
        ({"k": [0, 1.5]}, "whole numbers of at least 0"),
        ({"k": [0, None]}, "whole numbers of at least 0"),
        ({"k": [1, 1]}, "sequence 'a' has two outputs with k = 1"),
        ({"loss": [-2.0, 1.0]}, r"a loss is -2\.0: pass minus the log-probability"),
        ({"tokens": [0, 1]}, "has no tokens"),
        ({"correct": [1, 0], "confidence": [50, 60]}, "confidence holds a number outside 0 to 1"),
        ({"correct": [1, 0]}, "pass both, or None for both"),
    ],
)
def test_wrong_outputs_are_named(changed, message):
    with pytest.raises(ValueError, match=message):
        as_outputs(**{"sequence": ["a", "a"], "k": [0, 1], "loss": [1.0, 2.0]} | changed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[-1.0]], []), "1 lists of log-probabilities and 0 answers"),
        (([[-1.0]], [1]), "output 0 has answer 1 of 1 options"),
        (([[0.5, 0.5]], [1]), "output 0 gives its options a mass of 3.297: pass natural log"),
    ],
)
def test_wrong_options_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        score_options(*arguments)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"n_bins": 0}, "n_bins is 0"),
        ({"confidence_level": 95}, r"such as 0\.95"),
        ({"n_resamples": 0}, "n_resamples is 0"),
    ],
)
def test_wrong_settings_are_named(how, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_intervals(two_sequences(), **how)


def test_examples_of_the_docstrings():
    result = doctest.testmod(scoring)
    assert result.attempted >= 5
    assert result.failed == 0
