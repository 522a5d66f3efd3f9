"""What answers tell: intervals that hold the truth, floors that are those of simulation, and a test that is one."""

import numpy as np
import pytest
from spectrum_suite.metrics.spectrum_alignment.scoring import score_items

from spectrum_suite.metrics.finite_samples import distances, finite_sample, p_value

URN = np.array([0.5, 0.3, 0.15, 0.05, 0.0])


def truth(target, model):
    scores = score_items([target], [model], ordered=True)
    return {name: float(values[0]) for name, values in scores.items()}


def test_every_metric_has_every_number():
    found = finite_sample(URN, [10, 5, 3, 1, 1], ordered=True, n_responses=50)
    names = {*distances(ordered=True), "mode_match"}
    assert found["n"] == 20
    for kind in ("plug_in", "corrected", "ci95", "perfect", "record"):
        assert set(found[kind]) == names
    plug_in = truth(URN, np.array([10, 5, 3, 1, 1]) / 20)
    assert found["plug_in"] == pytest.approx({name: plug_in[name] for name in names})
    assert all(low <= high for low, high in found["ci95"].values())


def test_the_same_answers_tell_the_same():
    assert finite_sample(URN, [4, 3, 2, 1, 0], seed=3) == finite_sample(URN, [4, 3, 2, 1, 0], seed=3)


def test_a_target_that_is_known_exactly_is_no_record():
    assert finite_sample(URN, [4, 3, 2, 1, 0])["record"] is None


@pytest.mark.parametrize("n", [10, 100])
def test_floors_are_those_of_simulation(n):
    found = finite_sample(URN, np.full(5, n // 5), ordered=True, n_responses=40)
    draws = np.random.default_rng(0).multinomial(n, URN, size=4000) / n
    people = np.random.default_rng(1).multinomial(40, URN, size=4000) / 40
    for kind, simulated in (("perfect", draws), ("record", people)):
        scores = score_items([URN] * 4000, list(simulated), ordered=True)
        for name, value in found[kind].items():
            error = scores[name].std() * (1 / 4000 + (name == "mode_match") / 400) ** 0.5
            assert value == pytest.approx(scores[name].mean(), abs=4 * error + 1e-12), (kind, name)


def test_no_answer_tells_nothing():
    found = finite_sample(URN, [0] * 5, n_responses=40)
    assert found["n"] == 0
    assert np.isnan(found["p_value"])
    assert all(np.isnan(value) for kind in ("plug_in", "corrected", "perfect") for value in found[kind].values())
    assert found["record"]["js_divergence"] > 0
    assert found["ci95"]["js_divergence"] == pytest.approx([0, np.log(2)], abs=1e-4)


def test_one_answer_has_no_interval():
    found = finite_sample(URN, [1, 0, 0, 0, 0])
    assert found["ci95"]["js_divergence"] == pytest.approx([0, np.log(2)], abs=1e-4)  # the last option is impossible
    assert found["plug_in"]["js_divergence"] > 0


def test_the_truth_is_rejected_once_in_twenty():
    draw = np.random.default_rng(0)
    exact, record = [], []
    for _ in range(400):
        answers, people = draw.multinomial(60, URN), draw.multinomial(40, URN) / 40
        exact.append(p_value(URN, answers, n_responses=None, smoothing=1e-6, draw=draw))
        record.append(p_value(people, answers, n_responses=40, smoothing=1e-6, draw=draw))
    for found in (exact, record):
        assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.08  # 0.05, give or take 2.8 standard errors


def rejected(n, model, count=40):
    draw = np.random.default_rng(0)
    found = (
        p_value(URN, draw.multinomial(n, model), n_responses=None, smoothing=1e-6, draw=draw) for _ in range(count)
    )
    return np.mean([value < 0.05 for value in found])


def test_another_distribution_is_rejected_where_answers_suffice():
    other = [0.3, 0.3, 0.2, 0.1, 0.1]
    assert rejected(10, other) < 0.8
    assert rejected(300, other) == 1


def coverages(n, pair, count=150):
    """Metric -> the share of intervals that hold the truth."""
    held = []
    for seed in range(count):
        draw = np.random.default_rng(seed)
        target, model = pair(draw)
        found = finite_sample(target, draw.multinomial(n, model), seed=seed)["ci95"]
        right = truth(target, model)
        held.append([low - 1e-9 <= right[name] <= high + 1e-9 for name, (low, high) in found.items()])
    return np.mean(held, axis=0)


PAIRS = {
    "different": lambda draw: draw.dirichlet(np.ones(5), size=2),
    "equal": lambda draw: draw.dirichlet(np.ones(5), size=1)[[0, 0]],
    "near": lambda draw: (row := draw.dirichlet(np.ones(5)), 0.95 * row + 0.05 * draw.dirichlet(np.ones(5))),
    "uneven": lambda draw: draw.dirichlet(np.full(8, 0.3), size=2),
    "zeros": lambda draw: (URN, np.append(draw.dirichlet(np.ones(3)), [0, 0])),
}


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    found = np.array([coverages(n, pair) for n in (10, 30, 100) for pair in PAIRS.values()])
    assert np.all(found[:, :3] > 0.87)  # each of 150 intervals
    assert np.all((found[:, :3].mean(axis=0) > 0.93) & (found[:, :3].mean(axis=0) < 0.97))
    assert found[:, 3].mean() > 0.9  # a flag that is one of two values


def test_an_interval_of_answers_that_are_too_good_is_no_point():
    low, high = finite_sample([0.25] * 4, [25] * 4)["ci95"]["js_divergence"]
    assert low == 0
    assert high > finite_sample([0.25] * 4, [25] * 4)["perfect"]["js_divergence"] / 2


def test_more_answers_have_narrower_intervals():
    widths = [
        np.diff(finite_sample(URN, n * np.array([4, 3, 2, 1, 0]))["ci95"]["js_divergence"])[0] for n in (1, 10, 100)
    ]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]
