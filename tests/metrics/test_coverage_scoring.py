"""Coverage scores against numbers worked by hand, every order of the draws, scipy, and samplers that are known."""

import doctest
import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats
from spectrum_suite.metrics.output_coverage import scoring
from spectrum_suite.metrics.output_coverage.scoring import (
    METRICS,
    distinct_error,
    listed_items,
    rarefaction,
    score_task,
    summarize,
)


def counts_of(items):
    return list(Counter(item for item in items if item is not None).values())


def even_yield(size, n):
    return size * (1 - (1 - 1 / size) ** np.arange(1, n + 1))


def test_scores_worked_by_hand():
    texts = ["Fe", "fe", "Iron", "He", "Fe", "?", "?", "Na"]
    items = ["Fe", None, "Fe", "He", "Fe", None, None, "Na"]
    scores = score_task(texts, items, set_size=118)
    assert scores["valid"] == 5 / 8
    assert scores["unique"] == 3 / 5
    assert scores["yield"] == 3
    assert scores["reached"] == 3 / 118
    assert scores["unique_texts"] == 6 / 8
    assert scores["n"] == 8
    assert scores["valid_se"] == pytest.approx(stats.sem([1, 0, 1, 1, 1, 0, 0, 1]))
    assert scores["yield_se"] == pytest.approx((7 / 8 * 2 * (1 - 2 / 8)) ** 0.5)  # He and Na came once
    assert scores["reached_se"] == pytest.approx(scores["yield_se"] / 118)
    assert scores["unique_se"] == pytest.approx((4 / 5 * 2 * (1 - 2 / 5)) ** 0.5 / 5)
    assert scores["unique_texts_se"] == pytest.approx((7 / 8 * 4 * (1 - 4 / 8)) ** 0.5 / 8)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["a", "b", "c", "d"], {"valid": 1, "unique": 1, "yield": 4, "reached": 1}),  # a perfect sampler
        (["a"] * 4, {"valid": 1, "unique": 1 / 4, "yield": 1, "reached": 1 / 4}),  # a point mass
        ([None] * 4, {"valid": 0, "unique": np.nan, "yield": 0, "reached": 0}),  # nothing valid
        ([], {"valid": np.nan, "unique": np.nan, "yield": np.nan, "reached": np.nan}),  # nothing generated
    ],
)
def test_extreme_samplers(items, expected):
    scores = score_task([str(item) for item in items], items, set_size=4)
    assert {name: scores[name] for name in expected} == pytest.approx(expected, nan_ok=True)
    for name in METRICS:
        error = scores[f"{name}_se"]
        assert np.isnan(error) if np.isnan(scores[name]) else error == 0


def test_one_generation_has_no_error_and_an_endless_set_no_share():
    scores = score_task(["7"], ["7"])
    assert np.isnan([scores[f"{name}_se"] for name in METRICS]).all()
    assert np.isnan(scores["reached"])
    assert scores["yield"] == 1


def test_the_yield_is_the_product_and_the_order_is_nothing():
    rng = np.random.default_rng(0)
    items = [None if number > 6 else str(number) for number in rng.integers(10, size=50)]
    scores = score_task(list(map(str, items)), items)
    assert scores["yield"] == pytest.approx(50 * scores["valid"] * scores["unique"])
    shuffled = [items[index] for index in rng.permutation(50)]
    assert score_task(list(map(str, shuffled)), shuffled) == pytest.approx(scores, nan_ok=True)


def test_the_curve_is_the_mean_over_all_orders():
    items = ["a", "a", "a", "b", None, "c", None]
    orders = list(itertools.permutations(items))
    seen = [[len(set(order[:k]) - {None}) for k in range(1, 8)] for order in orders]
    np.testing.assert_allclose(rarefaction(counts_of(items), 7), np.mean(seen, axis=0))


def test_the_curve_is_hypergeometric():
    counts, n = [40, 12, 3, 1, 1], 100
    missing = sum(stats.hypergeom(n, count, np.arange(1, n + 1)).pmf(0) for count in counts)
    np.testing.assert_allclose(rarefaction(counts, n), len(counts) - missing, rtol=1e-9)


def test_the_curve_of_an_even_sampler_is_right_on_average_exactly():
    curves = [rarefaction(counts_of(outcome), 5) for outcome in itertools.product("abc", repeat=5)]
    np.testing.assert_allclose(np.mean(curves, axis=0), even_yield(3, 5))


def test_simulated_even_samplers_have_the_yield_of_theory():
    rng = np.random.default_rng(1)
    curves = [rarefaction(counts_of(rng.integers(50, size=100).tolist()), 100) for _ in range(400)]
    error = np.std(curves, axis=0) / 20
    assert (np.abs(np.mean(curves, axis=0) - even_yield(50, 100)) <= 4 * error + 1e-9).all()


def test_curves_of_extreme_samplers():
    np.testing.assert_allclose(rarefaction([1] * 6, 6), np.arange(1, 7))
    np.testing.assert_allclose(rarefaction([6], 6), np.ones(6))
    np.testing.assert_array_equal(rarefaction([], 3), np.zeros(3))
    assert len(rarefaction([], 0)) == 0


def test_the_error_is_that_of_leaving_one_out():
    items = ["a", "a", "b", "c", None, "d", None, "b", "e"]
    n = len(items)
    left = np.array([len(set(items[:i] + items[i + 1 :]) - {None}) for i in range(n)])
    jackknife = (n - 1) / n * np.square(left - left.mean()).sum()
    assert distinct_error(counts_of(items), n) == pytest.approx(jackknife**0.5)


@pytest.mark.parametrize(
    "shares",
    [
        [1 / 100] * 100,
        [1 / 500] * 500,
        (1 / np.arange(1, 201) / (1 / np.arange(1, 201)).sum()).tolist(),
        [0.5 / 50] * 50,  # and half is invalid
    ],
)
def test_the_error_is_rather_too_large(shares):
    rng = np.random.default_rng(0)
    draws = rng.multinomial(100, [*shares, 1 - sum(shares) + 1e-12], size=600)[:, : len(shares)]
    found = (draws > 0).sum(axis=1)
    errors = np.array([distinct_error(counts[counts > 0], 100) for counts in draws])
    assert 0.95 <= np.square(errors).mean() / found.var() <= 2.5
    truth = (1 - (1 - np.array(shares)) ** 100).sum()
    assert (np.abs(found - truth) <= 1.96 * errors).mean() >= 0.93


def test_means_over_tasks():
    full = score_task(["a", "b", "c", "?"], ["a", "b", "c", None], set_size=6)
    silent = score_task(["?", "!"], [None, None])
    failed = score_task([], [])
    summary = summarize([full, silent, failed])
    assert (summary["n"], summary["n_scored"]) == (3, 2)
    assert summary["valid"] == 0.375
    assert summary["yield"] == 1.5
    assert summary["unique"] == 1
    assert summary["reached"] == 0.5
    assert summary["valid_se"] == pytest.approx(0.25 / 2)  # errors 0.25 and 0, over two tasks
    assert summary["yield_se"] == pytest.approx((3 / 4 * 3 / 4) ** 0.5 * 3**0.5 / 3**0.5 / 2)
    assert np.isnan(summarize([failed])["valid"])


def test_the_error_of_a_mean_is_that_of_generating_anew():
    rng = np.random.default_rng(0)
    means, errors = [], []
    for _ in range(500):
        tasks = [[None if invalid else "x" for invalid in rng.random(40) < share] for share in (0.1, 0.5, 0.8)]
        summary = summarize([score_task(["x"] * 40, items) for items in tasks])
        means.append(summary["valid"])
        errors.append(summary["valid_se"])
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)
    assert (np.abs(np.array(means) - (0.9 + 0.5 + 0.2) / 3) <= 1.96 * np.array(errors)).mean() == pytest.approx(
        0.95, abs=0.025
    )


def test_listed_items():
    valid = ["Teal", "Martian\u2019s Moon", "Cafe\u0301", "TEAL"]
    texts = [" teal\n", "MARTIAN'S MOON", "caf\u00e9", "teal green", ""]
    items, size = listed_items(texts, valid, "one_of")
    assert (items, size) == (["teal", "martian's moon", "caf\u00e9", None, None], 3)
    assert listed_items(texts, valid) == ([None] * 5, 4)
    assert listed_items([" TEAL"], valid) == (["TEAL"], 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score_task(["a"], []), "1 texts and 0 items"),
        (lambda: score_task(["a", "b"], ["a", "b"], set_size=1), "2 different valid items in a set of 1"),
        (lambda: rarefaction([2, 3], 4), r"counts are \[2, 3\] of 4 generations"),
        (lambda: distinct_error([0], 4), "one positive count"),
        (lambda: listed_items(["a"], ["a"], "prime"), "validator is 'prime': use 'one_of_exact' or 'one_of'"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_examples_of_the_docstrings():
    result = doctest.testmod(scoring)
    assert result.attempted >= 5
    assert result.failed == 0
