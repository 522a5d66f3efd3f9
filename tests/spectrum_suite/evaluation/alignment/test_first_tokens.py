"""What the likeliest first tokens say of options: exact where they tell them apart, else bounds that hold."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from spectrum_suite.evaluation.alignment.first_tokens import js_bounds, option_masses

ASKED = [{"role": "input", "content": "Which one?"}]
LISTED = [{"role": "input", "content": "Which one?\nA. red\nB. blue"}]


def masses(shares, options, prompt=ASKED):
    return option_masses(tuple((text, math.log(p)) for text, p in shares.items()), options, prompt)


@pytest.mark.parametrize(
    ("shares", "options", "own", "left"),
    [
        ({"Yes": 0.6, "No": 0.3, "I": 0.1}, ["Yes", "No"], [0.6, 0.3], [0, 0]),
        ({" yes": 0.5, "Yes": 0.1, '"No': 0.3, "NO.": 0.1}, ["Yes", "No"], [0.6, 0.4], [0, 0]),
        ({"Y": 0.6, "N": 0.3}, ["Yes", "No"], [0.6, 0.3], [0, 0]),  # what is missing is of no option
        ({"Yes": 0.6, "Sure": 0.3}, ["Yes", "No"], [0.6, 0], [0, 0.1]),  # or of the one that is not seen
        ({"dark": 0.7, "red": 0.3}, ["dark blue", "dark red", "red"], [0, 0, 0.3], [0.7, 0.7, 0]),
        ({"1": 0.7, "2": 0.3}, ["1", "10", "2"], [0, 0, 0.3], [0.7, 0.7, 0]),
        ({"**": 0.2, "Yes": 0.5, "No": 0.3}, ["Yes", "No"], [0.5, 0.3], [0.2, 0.2]),
        ({"-": 0.2, "1": 0.5, "-1": 0.3}, ["1", "-1"], [0.5, 0.3], [0.2, 0.2]),
        ({"Reddish": 0.4, "red": 0.4, "blue": 0.2}, ["red", "blue"], [0.4, 0.2], [0, 0]),
    ],
)
def test_masses_by_hand(shares, options, own, left):
    found = masses(shares, options)
    np.testing.assert_allclose(found.own, own, atol=1e-12)
    np.testing.assert_allclose(found.open, left, atol=1e-12)
    assert found.exact == (not any(left))


def test_labels_of_a_list_stand_for_their_options():
    shares = {"A": 0.4, "red": 0.2, "B": 0.3, "b": 0.1}
    found = masses(shares, ["red", "blue"], LISTED)
    # "b" begins the label and the text of one option, which is one option
    np.testing.assert_allclose(found.own, [0.6, 0.4])


def divergence(p, q):
    return jensenshannon(p, q) ** 2


def test_bounds_hold_whoever_has_what_is_open():
    numbers = np.random.default_rng(0)
    widths = []
    for _ in range(200):
        names = ["dark blue", "dark red", "light", "green"]
        truth, target = numbers.dirichlet(np.ones(5)), numbers.dirichlet(np.ones(4))
        first = {"dark": truth[0] + truth[1], "light": truth[2], "green": truth[3], "other": truth[4]}
        told = dict(sorted(first.items(), key=lambda item: -item[1])[:3])
        low, high = js_bounds(masses(told, names), target)
        true = divergence(target, truth[:4] / truth[:4].sum())
        assert low - 1e-5 <= true <= high + 1e-5
        widths.append(high - low)
    assert 0.01 < np.median(widths) < 0.6


def test_without_anything_open_the_bounds_are_the_divergence():
    low, high = js_bounds(masses({"Yes": 0.6, "No": 0.2, "I": 0.2}, ["Yes", "No"]), [0.5, 0.5])
    assert low == pytest.approx(high)
    assert low == pytest.approx(divergence([0.5, 0.5], [0.75, 0.25]), abs=1e-5)


def test_nothing_known_bounds_nothing():
    low, high = js_bounds(masses({"I": 0.5}, ["Yes", "No"]), [0.5, 0.5])
    assert low == pytest.approx(0, abs=1e-9)
    assert high == pytest.approx(divergence([0.5, 0.5], [1, 0]) * 2, abs=1e-4) or high <= math.log(2)
