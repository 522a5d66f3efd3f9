"""The NumPy core: against scipy, against numbers worked by hand, and its properties."""

import doctest

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon
from spectrum_suite.metrics.spectrum_alignment import scoring
from spectrum_suite.metrics.spectrum_alignment.scoring import (
    bootstrap_interval,
    paired_difference_interval,
    sample_shares,
    score_items,
    summarize,
)

LN2 = np.log(2)
DIVERGENCES = ["js_divergence", "kl_target_model", "kl_model_target"]
METRICS = [*DIVERGENCES, "cross_entropy", "total_variation", "brier", "hellinger", "mode_match", "coverage"]


def random_items(n_items, seed=0, max_options=12):
    """Targets with zeros among them, and model probabilities with less than all the mass, of uneven lengths."""
    rng = np.random.default_rng(seed)
    targets, predictions = [], []
    for _ in range(n_items):
        k = rng.integers(2, max_options + 1)
        target = rng.dirichlet(np.full(k, 0.5))
        target[rng.integers(k)] = 0
        targets.append(target / target.sum())
        predictions.append(rng.uniform(0.05, 1) * rng.dirichlet(np.full(k, 0.5)))
    return targets, predictions


def smoothed(row, smoothing):
    row = np.asarray(row) / np.sum(row) + smoothing
    return row / row.sum()


@pytest.mark.parametrize("smoothing", [1e-6, 0.01])
def test_scores_agree_with_scipy(smoothing):
    targets, predictions = random_items(200)
    positions = [np.random.default_rng(i).normal(size=len(t)) * 10 for i, t in enumerate(targets)]
    scores = score_items(targets, predictions, smoothing=smoothing, positions=positions)
    for i, (target, prediction) in enumerate(zip(targets, predictions, strict=True)):
        p, q = smoothed(target, smoothing), smoothed(prediction, smoothing)
        expected = {
            "js_divergence": jensenshannon(p, q) ** 2,
            "kl_target_model": stats.entropy(p, q),
            "kl_model_target": stats.entropy(q, p),
            "cross_entropy": stats.entropy(p) + stats.entropy(p, q),
            "total_variation": max(abs((p - q)[p > q].sum()), abs((p - q)[p < q].sum())),
            "brier": np.linalg.norm(p - q) ** 2,
            "hellinger": np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2),
            "wasserstein": stats.wasserstein_distance(positions[i], positions[i], p, q),
            "rps": stats.energy_distance(ranks := stats.rankdata(positions[i]), ranks, p, q) ** 2 / 2 / (len(p) - 1),
            "coverage": prediction.sum(),
        }
        assert {name: scores[name][i] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_case_worked_by_hand():
    # p = (1/2, 1/4, 1/4); the model's 0.2, 0.2, 0.4 become q = (1/4, 1/4, 1/2), with half way h = (3/8, 1/4, 3/8).
    scores = score_items([[0.5, 0.25, 0.25]], [[0.2, 0.2, 0.4]], smoothing=0, ordered=True)
    expected = {
        # (1/2 ln(4/3) + 1/4 ln(2/3)) for either side
        "js_divergence": 0.5 * np.log(4 / 3) + 0.25 * np.log(2 / 3),
        "kl_target_model": 0.25 * LN2,  # 1/2 ln 2 - 1/4 ln 2
        "kl_model_target": 0.25 * LN2,  # the same, mirrored
        "cross_entropy": 1.75 * LN2,  # 1/2 ln 4 + 1/4 ln 4 + 1/4 ln 2
        "total_variation": 0.25,
        "brier": 0.125,  # twice a quarter squared
        "hellinger": (2**0.5 - 1) / 2,  # two roots differ by sqrt(1/2) - 1/2
        "wasserstein": 0.5,  # a quarter moves by two places
        "rps": 1 / 16,  # at either of the first two places a quarter is missing
        "mode_match": 0.0,
        "coverage": 0.8,
    }
    assert {name: float(values[0]) for name, values in scores.items()} == pytest.approx(expected, abs=1e-15)
    assert expected["js_divergence"] == pytest.approx(0.0424748, abs=1e-7)


def test_default_smoothing_is_a_millionth_on_both_sides():
    # p = (1 + 1e-6, 1e-6) / (1 + 2e-6) and q is p turned round
    p = np.array([1 + 1e-6, 1e-6]) / (1 + 2e-6)
    scores = score_items([[1, 0]], [[0, 1]])
    assert scores["kl_target_model"][0] == pytest.approx((p[0] - p[1]) * np.log(p[0] / p[1]), rel=1e-12)
    assert scores["kl_target_model"][0] == pytest.approx(13.8155, abs=1e-3)


def test_zero_smoothing_gives_an_infinite_divergence_only_where_the_model_misses_an_option():
    scores = score_items([[0.5, 0.5], [1, 0]], [[1, 0], [0.5, 0.5]], smoothing=0)
    assert scores["kl_target_model"].tolist() == [np.inf, pytest.approx(LN2)]
    assert scores["kl_model_target"].tolist() == [pytest.approx(LN2), np.inf]
    summary = summarize(scores)
    assert summary["kl_target_model"] == np.inf
    assert np.isnan(summary["kl_target_model_se"])
    assert summary["n_scored"] == 2


def test_bits_are_nats_over_ln_2():
    targets, predictions = random_items(20)
    nats, bits = (score_items(targets, predictions, unit=unit) for unit in ("nats", "bits"))
    for name in METRICS:
        factor = LN2 if name in (*DIVERGENCES, "cross_entropy") else 1
        np.testing.assert_allclose(bits[name] * factor, nats[name], rtol=1e-12)


def test_bounds_are_reached_and_kept():
    far = score_items([[1, 0, 0]], [[0, 0, 1]], smoothing=0, positions=[[1, 5, 11]])
    assert [float(far[name][0]) for name in ("js_divergence", "total_variation", "hellinger", "wasserstein")] == (
        pytest.approx([LN2, 1, 1, 10])
    )
    targets, predictions = random_items(500, seed=1)
    same = score_items(targets, targets)
    for name in (*DIVERGENCES, "total_variation", "hellinger"):
        assert np.all(same[name] >= 0)
        np.testing.assert_allclose(same[name], 0, atol=1e-12)
    scores = score_items(targets, predictions)
    assert np.all(scores["js_divergence"] <= LN2)
    assert np.all(scores["hellinger"] <= 1)
    # Pinsker, and the two inequalities between Hellinger and total variation
    assert np.all(scores["total_variation"] <= np.sqrt(scores["kl_target_model"] / 2))
    assert np.all(scores["hellinger"] ** 2 <= scores["total_variation"])
    assert np.all(scores["total_variation"] <= 2**0.5 * scores["hellinger"])


def test_the_order_of_options_does_not_matter_and_items_do_not_touch():
    targets, predictions = random_items(50, seed=2)
    positions = [np.arange(len(target)) ** 2 for target in targets]
    orders = [np.random.default_rng(i).permutation(len(target)) for i, target in enumerate(targets)]
    turned = [
        [row[order] for row, order in zip(rows, orders, strict=True)] for rows in (targets, predictions, positions)
    ]
    together = score_items(targets, predictions, positions=positions)
    permuted = score_items(turned[0], turned[1], positions=turned[2])
    for name, values in together.items():
        np.testing.assert_allclose(permuted[name], values, rtol=1e-12, atol=1e-15)
        alone = [
            score_items(*([rows[i]] for rows in (targets, predictions)), positions=[positions[i]])[name][0]
            for i in range(len(targets))
        ]
        np.testing.assert_allclose(alone, values, rtol=1e-12, atol=1e-15)


def test_ordered_options_lie_at_0_1_2():
    targets, predictions = random_items(20)
    ordered = score_items(targets, predictions, ordered=True)["wasserstein"]
    placed = score_items(targets, predictions, positions=[np.arange(len(t)) for t in targets])["wasserstein"]
    np.testing.assert_allclose(ordered, placed, rtol=1e-12)
    assert "wasserstein" not in score_items(targets, predictions)


def test_log_probabilities_score_as_their_probabilities():
    targets, predictions = random_items(100, seed=3)
    predictions[0][0] = 0.0
    with np.errstate(divide="ignore"):
        logs = [np.log(prediction) for prediction in predictions]
    given_logs = score_items(targets, logs, prediction_type="log_probabilities", ordered=True)
    for name, values in score_items(targets, predictions, ordered=True).items():
        np.testing.assert_allclose(given_logs[name], values, rtol=1e-9, atol=1e-13)


def test_log_probabilities_too_small_for_a_float_keep_their_proportions():
    scores = score_items([[0.75, 0.25]], [[-2000 + np.log(3), -2000]], prediction_type="log_probabilities")
    assert scores["js_divergence"][0] == pytest.approx(0, abs=1e-12)
    assert scores["coverage"][0] == 0
    assert summarize(scores)["n_scored"] == 1


@pytest.mark.parametrize(
    ("target", "model", "expected"),
    [
        ([0.5, 0.3, 0.2], [0.4, 0.3, 0.3], 1),
        ([0.5, 0.3, 0.2], [0.1, 0.5, 0.4], 0),
        ([0.4, 0.4, 0.2], [0.1, 0.5, 0.4], 1),  # either mode of the target is right
        ([0.4, 0.4, 0.2], [0.4, 0.2, 0.4], 1 / 2),  # one of the model's two modes is right
        ([0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25], 1 / 4),
        ([0.1 + 0.2, 0.3, 0.4 - 1e-16], [0, 0, 0.9], 1),
        ([0.35, 0.35 * (1 - 1e-12), 0.3], [0, 0.9, 0], 1),  # a tie but for rounding
        ([0.35, 0.35 - 1e-6, 0.3], [0, 0.9, 0], 0),
    ],
)
def test_mode_match_with_ties(target, model, expected):
    assert score_items([target], [model])["mode_match"][0] == pytest.approx(expected)


def test_what_was_not_scored_is_nan_and_no_mass_counts_in_coverage_only():
    half = [0.5, 0.5]
    scores = score_items([half] * 4, [None, [np.nan, 0.5], [0, 0], [0.2, 0.2]])
    np.testing.assert_array_equal(scores["coverage"], [np.nan, np.nan, 0, 0.4])
    for name in METRICS[:-1]:
        np.testing.assert_array_equal(np.isnan(scores[name]), [True, True, True, False])
    summary = summarize(scores)
    assert summary["coverage"] == pytest.approx(0.2)
    assert summary["coverage_se"] == pytest.approx(0.2)  # 0 and 0.4: deviation 0.2828 over root 2
    assert (summary["n"], summary["n_scored"]) == (4, 1)
    assert summary["js_divergence"] == pytest.approx(0, abs=1e-12)
    assert np.isnan(summary["js_divergence_se"])
    no_mass = score_items([half], [[-np.inf, -np.inf]], prediction_type="log_probabilities")
    assert no_mass["coverage"][0] == 0
    assert np.isnan(no_mass["js_divergence"][0])


def test_summary_is_mean_and_standard_error():
    scores = {"js_divergence": np.array([0.1, 0.2, 0.6, np.nan]), "coverage": np.array([1, 1, 0, 0.0])}
    summary = summarize(scores)
    assert summary["js_divergence"] == pytest.approx(0.3)
    assert summary["js_divergence_se"] == pytest.approx(stats.sem([0.1, 0.2, 0.6]))
    assert summary["coverage"] == 0.5
    assert (summary["n"], summary["n_scored"]) == (4, 3)


def test_sample_shares_count_stripped_text_over_the_samples_that_came():
    shares = sample_shares(["a ", "\tb", "a", "A", "a b", None, ""], [" a", "b", "c"])
    np.testing.assert_allclose(shares, [2 / 6, 1 / 6, 0])
    assert np.isnan(sample_shares([None], ["a", "b"])).all()
    with pytest.raises(ValueError, match="option 'a' is listed twice"):
        sample_shares(["a"], ["a", "b", "a "])


def test_divergence_of_a_perfect_model_from_samples_is_near_the_value_in_the_card():
    rng = np.random.default_rng(0)
    target, n_samples = np.array([0.4, 0.3, 0.2, 0.1]), 400
    shares = rng.multinomial(n_samples, target, size=4000) / n_samples
    mean = score_items([target] * len(shares), shares)["js_divergence"].mean()
    assert mean == pytest.approx(3 / (8 * n_samples), rel=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "no items"),
        (([[5, 5]], [[0.5, 0.5]]), "target 0 .* does not sum to 1: divide counts"),
        (([[0.5, 0.5], [1.5, -0.5]], [[0.5, 0.5]] * 2), "target 1 .* zero or more"),
        (([[0.5, np.nan]], [[0.5, 0.5]]), "target 0 .* zero or more"),
        (([0.5, 0.5], [[0.5, 0.5]]), "one list of probabilities per item"),
        (([[0.5, 0.5]], [[0.5, 0.5]] * 2), "2 predictions for 1 targets"),
        (([[0.5, 0.5]], [[0.5, 0.3, 0.2]]), r"prediction 0 has shape \(3,\): pass one number per option, 2 in all"),
        (([[0.5, 0.5]], [[-1, -2]]), "pass prediction_type='log_probabilities'"),
        (([[0.5, 0.5]] * 2, [[0.5, 0.5], [0.9, 0.9]]), "prediction 1 .* more than all the mass"),
    ],
)
def test_wrong_inputs_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        score_items(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "nat"}, "use 'nats' or 'bits'"),
        ({"smoothing": -1}, "smoothing is -1"),
        ({"prediction_type": "samples"}, "sample_shares"),
        ({"positions": [[0, np.inf]]}, "finite"),
        ({"positions": [[0, 1, 2]]}, "position list 0 has shape"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        score_items([[0.5, 0.5]], [[0.2, 0.6]], **options)


@pytest.mark.parametrize("logs", [[0.5, -1.0], [np.inf, -1.0], [-0.1, -0.1], [800.0, 1.0]])
def test_log_probabilities_of_more_than_all_mass_are_refused(logs):
    with pytest.raises(ValueError, match="more than all the mass"):
        score_items([[0.5, 0.5]], [logs], prediction_type="log_probabilities")


def test_rounding_is_forgiven():
    scores = score_items([[0.33, 0.33, 0.33]], [[0.5, 0.3, 0.205]])
    assert scores["coverage"][0] == 1
    exact = score_items([[1 / 3, 1 / 3, 1 / 3]], [[0.5, 0.3, 0.205]])
    assert scores["total_variation"][0] == pytest.approx(exact["total_variation"][0], abs=1e-12)


def test_bootstrap_agrees_with_scipy_and_is_seeded():
    values = np.random.default_rng(0).exponential(size=60)
    ours = bootstrap_interval(values, n_resamples=20_000, confidence_level=0.9)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, confidence_level=0.9, rng=1
    ).confidence_interval
    assert ours == pytest.approx(theirs, abs=0.01)
    assert ours == bootstrap_interval(np.append(values, np.nan), n_resamples=20_000, confidence_level=0.9)
    assert ours != bootstrap_interval(values, n_resamples=20_000, confidence_level=0.9, seed=1)


def test_bootstrap_is_the_same_in_blocks(monkeypatch):
    values = np.arange(10.0)
    whole = bootstrap_interval(values, n_resamples=1000)
    monkeypatch.setattr(scoring, "_DRAWS_PER_BLOCK", 70)
    assert bootstrap_interval(values, n_resamples=1000) == whole


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    n_experiments, n_items = 400, 60
    difference = 0.02
    held = held_paired = 0
    for seed in range(n_experiments):
        base = rng.gamma(4, 0.02, size=n_items)  # mean 0.08
        tuned = base - difference + rng.normal(0, 0.03, size=n_items)
        low, high = bootstrap_interval(base, n_resamples=1000, seed=seed)
        held += low <= 0.08 <= high
        low, high = paired_difference_interval(tuned, base, n_resamples=1000, seed=seed)
        held_paired += low <= -difference <= high
    # a true 0.94 (percentile intervals are a little narrow) has a standard error of 0.012
    assert 0.90 <= held / n_experiments <= 0.98
    assert 0.90 <= held_paired / n_experiments <= 0.98


def test_pairing_takes_the_spread_of_items_out():
    base = np.random.default_rng(0).uniform(0, 1, size=50)
    low, high = paired_difference_interval(base - 0.01, base)
    assert (low, high) == pytest.approx((-0.01, -0.01))
    with pytest.raises(ValueError, match="same items in the same order"):
        paired_difference_interval(base, base[:-1])


def test_intervals_need_two_values_and_sane_options():
    assert np.isnan(bootstrap_interval([0.3])).all()
    assert np.isnan(paired_difference_interval([0.3, np.nan], [0.1, 0.2])).all()
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        bootstrap_interval([1, 2], confidence_level=95)
    with pytest.raises(ValueError, match="n_resamples is 0"):
        bootstrap_interval([1, 2], n_resamples=0)


def test_examples_of_the_docstrings():
    result = doctest.testmod(scoring)
    assert result.attempted >= 4
    assert result.failed == 0
