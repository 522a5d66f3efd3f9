"""Distances as sums over cells: against the published metric, enumeration of all samples, and simulation."""

import numpy as np
import pytest
from scipy import stats
from spectrum_suite.metrics.spectrum_alignment.scoring import score_items

from spectrum_suite.metrics.additive import CUMULATIVE, Cells, binomial

DISTANCES = ("js_divergence", "total_variation", "brier", *CUMULATIVE)
SMOOTHING = 1e-6


def distributions(seed, k, concentration=1.0):
    return np.random.default_rng(seed).dirichlet(np.full(k, concentration), size=2)


def enumerated(n, k):
    """All counts of ``n`` answers over ``k`` options."""
    if k == 1:
        yield (n,)
        return
    for first in range(n + 1):
        for rest in enumerated(n - first, k - 1):
            yield (first, *rest)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("k", [2, 3, 7])
def test_cells_add_up_to_the_published_metric(distance, k):
    target, model = distributions(k, k, 0.3)
    model[0] = 0
    model /= model.sum()
    expected = score_items([target], [model], smoothing=SMOOTHING, ordered=True)[distance][0]
    assert Cells(distance, target, SMOOTHING).between(model) == pytest.approx(expected, abs=1e-12)


def test_binomial_agrees_with_scipy():
    chances = np.array([0, 1e-9, 0.2, 0.5, 1])
    assert binomial(30, chances) == pytest.approx(stats.binom.pmf(np.arange(31), 30, chances[:, None]), abs=1e-12)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_floor_of_a_perfect_sampler_is_that_of_all_samples(distance):
    n, target = 7, np.array([0.6, 0.3, 0.1, 0.0])
    cells = Cells(distance, target, SMOOTHING)
    found = sum(
        stats.multinomial.pmf(counts, n, target) * cells.between(np.array(counts) / n) for counts in enumerated(n, 4)
    )
    assert cells.expected(n) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("distance", ["brier", "rps"])
def test_polynomials_have_no_bias_at_all(distance):
    target, model = distributions(1, 3)
    cells, n = Cells(distance, target, SMOOTHING), 5
    table = cells.corrected(n)
    chances = cells.chances(model)
    mean = (binomial(n, chances) * table.T).sum()
    assert mean == pytest.approx(cells.between(model), abs=1e-12)
    assert (binomial(n, chances) * cells.plug_in(n).T).sum() > 1.2 * mean


def mean_biases(n, k, draw, distance="js_divergence"):
    """The exact biases of the plug-in and of the corrected distance, on average over pairs of distributions."""
    found = []
    for target, model in (draw(seed) for seed in range(12)):
        cells = Cells(distance, target, SMOOTHING)
        pmf, truth = binomial(n, cells.chances(model)), cells.between(model)
        found.append([(pmf * table.T).sum() - truth for table in (cells.plug_in(n), cells.corrected(n))])
    return np.mean(found, axis=0)


@pytest.mark.parametrize("n", [10, 30, 100])
@pytest.mark.parametrize("k", [2, 3, 5, 10, 20, 50])
@pytest.mark.parametrize("kind", ["different", "equal", "uneven", "uniform"])
def test_bias_is_below_a_tenth_of_the_plug_ins(n, k, kind):
    draws = {
        "different": lambda seed: distributions(seed, k),
        "equal": lambda seed: distributions(seed, k)[[0, 0]],
        "uneven": lambda seed: distributions(seed, k, 0.3),
        "uniform": lambda seed: (np.full(k, 1 / k), distributions(seed, k)[0]),
    }
    plug_in, corrected = mean_biases(n, k, draws[kind])
    assert plug_in > 0
    assert abs(corrected) < plug_in / 10


@pytest.mark.parametrize("distance", ["total_variation", "wasserstein"])
@pytest.mark.parametrize(("n", "k"), [(10, 2), (10, 10), (30, 5), (100, 2), (100, 20)])
def test_a_third_of_the_bias_is_left_at_the_corner_of_a_distance_alone(distance, n, k):
    plug_in, corrected = mean_biases(n, k, lambda seed: distributions(seed, k)[[0, 0]], distance)
    assert 0.3 * plug_in < corrected < 0.36 * plug_in
    plug_in, corrected = mean_biases(n, k, lambda seed: distributions(seed, k), distance)
    assert abs(corrected) < 0.15 * plug_in


@pytest.mark.parametrize(("n", "k"), [(10, 50), (30, 5), (100, 20)])
def test_so_it_is_in_a_thousand_simulations(n, k):
    target, model = distributions(0, k)
    cells = Cells("js_divergence", target, SMOOTHING)
    counts = np.random.default_rng(1).multinomial(n, model, size=1000)
    plug_in, corrected = (
        table[counts, np.arange(k)].sum(axis=1) - cells.between(model)
        for table in (cells.plug_in(n), cells.corrected(n))
    )
    assert abs(corrected.mean()) < plug_in.mean() / 10 + 2 * corrected.std() / 1000**0.5


def test_many_answers_are_interpolated_between_knots():
    target, model = distributions(3, 6)
    cells, n = Cells("js_divergence", target, SMOOTHING), 3000
    pmf = binomial(n, model)
    biases = [(pmf * table.T).sum() - cells.between(model) for table in (cells.plug_in(n), cells.corrected(n))]
    assert abs(biases[1]) < biases[0] / 10
