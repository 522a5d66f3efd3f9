import itertools
import re

import numpy as np
import pytest
from scipy import stats

from dataset_builder.sources import flight
from spectrum_suite.seeding import generator

[TASK] = flight.TASKS
LINE = re.compile(r"Flight (\d): departure (\d\d):(\d\d), duration (?:(\d+) h )?(\d+) min, (\d) stops?, \$(\d+)")
GRID = (-1, -0.5, 0, 0.5, 1)


@pytest.fixture(scope="module")
def travellers():
    return [TASK.generate(generator(42, "flight", "process", i), i) for i in range(TASK.n_processes)]


def shown(draw):
    """Departure and duration in minutes, price in dollars, stops; shape (3, 4)."""
    rows = [LINE.fullmatch(line).groups(default="0") for line in draw.input.split("\n")]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    return np.array([[int(h) * 60 + int(m), int(dh) * 60 + int(dm), int(p), int(s)] for _, h, m, dh, dm, s, p in rows])


def features(draws):
    """Features in [0, 1], to within the rounding of what is shown; shape (choices, 3, 4)."""
    table = np.array([shown(draw) for draw in draws], dtype=float)
    low, high = np.array([300, 45, 50, 0]), np.array([1440, 960, 1500, 2])
    return (table - low) / (high - low)


def test_some_fixed_preferences_explain_all_choices_of_a_traveller(travellers):
    weights = np.array([w for w in itertools.product(GRID, repeat=4) if any(w)])
    for traveller in travellers:
        given = features(traveller.draws)
        chosen = np.array([int(draw.output) - 1 for draw in traveller.draws])
        scores = given @ weights.T  # (choices, flights, weights)
        best = np.take_along_axis(scores, chosen[:, None, None], axis=1)[:, 0]
        tolerance = 0.01  # minutes and dollars are rounded
        assert (best >= scores.max(axis=1) - tolerance).all(axis=0).any()


def test_travellers_differ(travellers):
    assert len(travellers) == 200
    assert len({traveller.draws for traveller in travellers}) == 200
    assert all(len(traveller.draws) == 20 for traveller in travellers)
    taken = np.bincount([int(draw.output) for one in travellers for draw in one.draws], minlength=4)[1:]
    assert stats.chisquare(taken).pvalue > 1e-3


def test_the_range_of_flights_is_that_of_the_paper(travellers):
    table = np.concatenate([shown(draw) for one in travellers for draw in one.draws])
    departure, duration, price, stops = table.T
    assert (departure.min(), departure.max()) == (5 * 60, 24 * 60)
    assert (duration.min(), duration.max()) == (45, 16 * 60)
    assert (price.min(), price.max()) == (50, 1500)
    assert set(price % 10) == {0}
    assert set(stops) == {0, 1, 2}
    assert len(set(departure)) == len(set(duration)) == len(set(price)) == 100
    assert stats.chisquare(np.unique(price, return_counts=True)[1]).pvalue > 1e-3


def test_weights_are_uniform_on_the_grid_and_never_all_zero():
    drawn = np.array([flight.draw_weights(generator("weights", i)) for i in range(3000)]) / 2
    assert set(drawn.ravel()) == set(GRID)
    counts = np.array([(drawn == value).sum() for value in GRID])
    # Without the one combination of zeros, 0 comes 4 * 124 times among 4 * 624 instead of 4 * 125 among 4 * 625.
    expected = np.array([125, 125, 124, 125, 125]) / 624 * drawn.size
    assert stats.chisquare(counts, expected).pvalue > 1e-3
    assert drawn.any(axis=1).all()


@pytest.mark.parametrize(
    ("weights", "points", "stops", "chosen"),
    [
        ((2, 0, 0, 0), [[0, 0, 0], [99, 0, 0], [98, 0, 0]], [0, 0, 0], 1),  # late departure
        ((0, 0, -2, 0), [[0, 0, 40], [0, 0, 39], [0, 0, 99]], [0, 0, 0], 1),  # low price
        ((0, 0, 0, 1), [[99, 99, 99], [0, 0, 0], [0, 0, 0]], [0, 1, 2], 2),  # many stops
        ((1, 0, 0, -1), [[99, 0, 0], [0, 0, 0], [99, 0, 0]], [2, 0, 2], 0),  # 0.5 - 0.5 = 0 throughout: the first
        ((1, 0, 0, -1), [[60, 0, 0], [0, 0, 0], [0, 0, 0]], [2, 0, 0], 1),  # 0.5 * 60/99 - 0.5 < 0
        ((1, -1, 0, 0), [[33, 34, 0], [7, 7, 0], [66, 66, 0]], [0, 0, 0], 1),  # a tie of the last two
    ],
)
def test_the_largest_score_wins_and_the_first_on_ties(weights, points, stops, chosen):
    assert flight.choose(np.array(weights), np.array([points]), np.array([stops])) == [chosen]


def test_flight_is_held_out_and_tells_no_weights(travellers):
    assert (TASK.kind, TASK.split) == ("icl", "test")
    for description in travellers[0].descriptions:
        assert not re.search(r"[{}]|\d\.\d|weight", description)
    assert {one.descriptions for one in travellers} == {travellers[0].descriptions}
