"""A planted temperature and position bias are found again; what is not there is not fitted."""

import math

import numpy as np
import pytest
from scipy.special import log_softmax

from spectrum_suite.evaluation.alignment.calibration_fit import (
    HOTTEST,
    Scored,
    cross_entropy,
    fit,
    fit_correction,
)
from spectrum_suite.lm.calibration import Correction


def planted(temperature, bias, counts=(4,), n=300, *, noise=0.0, named=True, tasks=2, seed=0):
    """Items of a model that has the true log-probabilities times ``temperature``, and ``bias(place)`` added."""
    draw = np.random.default_rng(seed)
    items = []
    for index in range(n):
        size = counts[index % len(counts)]
        target = draw.dirichlet(np.ones(size))
        places = tuple(draw.permutation(size).tolist())
        extra = np.array([bias(place / (size - 1)) for place in places]) if named else 0
        logits = temperature * np.log(target) + extra + noise * draw.normal(size=size)
        items.append(Scored(log_softmax(logits), target, places if named else None, f"task {index % tasks}"))
    return items


def line(place):
    return 0.9 - 1.8 * place


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_planted_temperature_is_found(temperature):
    found = fit_correction(planted(temperature, lambda _: 0, named=False), position=False)
    assert found.temperature == pytest.approx(temperature, rel=1e-3)
    assert found.bias == ()


@pytest.mark.parametrize("counts", [(2,), (3,), (4,), (5,), (2, 3, 4, 5)], ids=str)
def test_a_planted_bias_of_any_shape_is_found(counts):
    at = {place / (size - 1): (-1) ** place * place / size for size in counts for place in range(size)}
    found = fit_correction(planted(1.7, at.__getitem__, counts, n=600))
    assert found.temperature == pytest.approx(1.7, rel=5e-3)
    wanted = np.array([at[min(at, key=lambda place: abs(place - knot))] for knot in found.knots])
    assert len(found.knots) == len(at)
    assert np.asarray(found.bias) == pytest.approx(wanted - wanted.mean(), abs=0.02)


def test_many_options_have_a_bias_between_the_places_that_are_fitted():
    items = planted(0.6, line, (12, 20))
    found = fit_correction(items)
    assert found.knots == (0, 0.25, 0.5, 0.75, 1)
    assert found.bias == pytest.approx([line(place) for place in found.knots], abs=0.02)
    right = found.log_probs(items[0].log_probs, items[0].places)
    assert np.exp(right) == pytest.approx(items[0].target, abs=2e-3)


def test_standard_errors_are_those_of_repeated_fits():
    fits = [fit_correction(planted(1.5, line, n=100, noise=0.5, seed=seed)) for seed in range(20)]
    for name in ("temperature", "bias"):
        spread = np.std([getattr(found, name) for found in fits], axis=0, ddof=1)
        said = np.mean([getattr(found, f"{name}_se") for found in fits], axis=0)
        assert said == pytest.approx(spread, rel=0.6)


def test_the_gradient_leads_to_the_smallest_cross_entropy():
    items = planted(1.5, line, noise=1.0)
    best = fit_correction(items)
    least = sum(cross_entropy(best, item) for item in items)
    for change in ({"temperature": best.temperature * 1.05}, {"bias": tuple(value * 1.1 for value in best.bias)}):
        other = Correction(**{"temperature": best.temperature, "knots": best.knots, "bias": best.bias} | change)
        assert sum(cross_entropy(other, item) for item in items) > least


def test_what_does_not_help_on_others_is_left_out():
    right = fit(planted(1.0, lambda _: 0, noise=0.3))
    assert right.after.mean() <= right.before.mean()
    assert right.correction.knots == ()
    opposite = planted(1.0, line, tasks=1)
    opposite += [
        Scored(item.log_probs, item.target, tuple(3 - place for place in item.places), "other") for item in opposite
    ]
    assert fit(opposite).correction.knots == ()  # a bias that helps each task harms the other


def test_a_planted_model_is_better_on_what_was_left_out():
    found = fit(planted(2.0, line))
    assert (found.after < found.before + 1e-9).mean() > 0.9
    assert found.correction.temperature == pytest.approx(2.0, rel=0.01)


def test_a_single_item_changes_nothing():
    found = fit(planted(2.0, line, n=1))
    assert found.correction.temperature == 1
    assert math.isnan(found.correction.temperature_se)


def test_a_model_that_has_it_the_wrong_way_round_gets_the_hottest_temperature():
    found = fit_correction(planted(-1.0, lambda _: 0), position=False)
    assert found.temperature == pytest.approx(HOTTEST)
    assert math.isnan(found.temperature_se)


def test_no_mass_is_not_no_number():
    assert np.isfinite(Correction(temperature=2.0).log_probs([0.0, -math.inf], None)).all()
