"""Pooled numbers and their intervals: against sums by hand, SciPy, and models of known spread."""

import math

import numpy as np
import pytest
from scipy import stats
from spectrum_suite.metrics.spectrum_alignment.scoring import paired_difference_interval

from spectrum_suite.evaluation.comparison import pooling
from spectrum_suite.evaluation.comparison.pooling import Pooled, Units, difference, estimate, ratio

OVER_UNITS, OVER_TASKS = Pooled(ratio, over_units=True), Pooled(ratio)


def units(values, prefix=""):
    return Units(tuple(f"{prefix}{i}" for i in range(len(values))), np.column_stack([values, np.ones(len(values))]))


def test_a_number_is_the_mean_over_units_or_over_tasks():
    sample = {"urn": units([1.0, 2.0, 3.0]), "states": units([8.0])}
    assert estimate([sample], OVER_UNITS).value == pytest.approx(14 / 4)
    assert estimate([sample], OVER_TASKS).value == pytest.approx((2 + 8) / 2)
    assert estimate([sample], OVER_TASKS).units == 4


def test_the_error_is_that_of_independent_units():
    values = np.random.default_rng(0).normal(size=200)
    found = estimate([{"task": units(values)}], OVER_UNITS)
    assert found.se == pytest.approx(stats.sem(values), rel=0.05)
    assert np.ptp(found.ci95) == pytest.approx(2 * 1.96 * stats.sem(values), rel=0.06)
    assert math.isnan(found.seed_sd)


def test_a_difference_of_two_models_is_paired():
    generator = np.random.default_rng(1)
    hard, noise = generator.normal(scale=10, size=80), generator.normal(size=80)
    mine, theirs = {"task": units(hard + noise + 1)}, {"task": units(hard)}
    found = difference([mine], [theirs], OVER_UNITS)
    expected = paired_difference_interval(hard + noise + 1, hard)
    assert found.value == pytest.approx(1 + noise.mean())
    assert found.ci95 == pytest.approx(expected, abs=0.03)
    assert found.sign == 1
    assert difference([theirs], [mine], OVER_UNITS).ci95 == pytest.approx(tuple(-end for end in found.ci95[::-1]))


def test_units_are_drawn_within_their_task():
    """Far apart tasks of equal items: between the tasks nothing varies."""
    sample = {"low": units([0.0] * 10), "high": units([100.0] * 10)}
    assert estimate([sample], OVER_UNITS).se == 0


def test_tasks_are_drawn_independently():
    values = np.random.default_rng(2).normal(size=60)
    both = estimate([{"one": units(values), "two": units(-values)}], OVER_TASKS)
    assert both.se == pytest.approx(stats.sem(values) / math.sqrt(2), rel=0.1)


def test_seeds_widen_the_interval_by_their_spread():
    """Two-level model: with many seeds the variance is that of the seeds' means plus that of the items'."""
    generator = np.random.default_rng(3)
    items, seeds = generator.normal(size=50), generator.normal(scale=2, size=40)
    run = [{"task": units(items + seed)} for seed in seeds]
    found = estimate(run, OVER_UNITS)
    assert found.value == pytest.approx((items[None] + seeds[:, None]).mean())
    assert found.seed_sd == pytest.approx(seeds.std(ddof=1))
    assert found.se == pytest.approx(math.hypot(stats.sem(items), stats.sem(seeds)), rel=0.05)
    alone = estimate(run[:1], OVER_UNITS)
    assert alone.se < found.se


def test_seeds_of_one_item_have_an_interval_and_one_has_none():
    """One item, as with the states of the U.S.: nothing varies but the seed."""
    run = [{"states": units([value])} for value in (1.0, 2.0, 3.0)]
    low, high = estimate(run, OVER_UNITS).ci95
    assert (low, high) == (1.0, 3.0)
    alone = estimate(run[:1], OVER_UNITS)
    assert math.isnan(alone.se)
    assert alone.sign == 0


def test_only_what_both_have_scored_is_compared():
    mine = {"urn": Units(("a", "b"), np.array([[1.0, 1], [5.0, 1]])), "mine": units([7.0])}
    theirs = {"urn": Units(("c", "b"), np.array([[9.0, 1], [2.0, 1]]))}
    found = difference([mine], [theirs], OVER_UNITS)
    assert (found.value, found.units) == (3.0, 1)
    assert difference([mine], [{"other": units([1.0])}], OVER_UNITS) is None


def test_a_task_without_a_value_is_left_out():
    """No answers to be right about, as with free text: a sum of ones of zero."""
    free = Units(("a", "b"), np.zeros((2, 2)))
    assert estimate([{"free": free, "closed": units([1.0, 2.0])}], OVER_TASKS).value == 1.5
    assert estimate([{"free": free}], OVER_TASKS) is None


def test_the_same_numbers_come_again():
    sample = {"task": units(np.arange(10.0))}
    first = estimate([sample], OVER_UNITS)
    pooling._draws.cache_clear()
    assert estimate([sample], OVER_UNITS) == first or math.isnan(first.seed_sd)
    assert estimate([sample], OVER_UNITS).ci95 == first.ci95
