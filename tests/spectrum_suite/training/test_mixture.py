"""Shares of tasks, and what may be trained on."""

import math

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.training.mixture import load_mixture, shares

ROWS = {"large": 900, "middle": 90, "small": 10}


@pytest.mark.parametrize(
    ("total", "temperature", "expected"),
    [
        (100, 1, {"large": 90, "middle": 9, "small": 1}),
        (30, 1e9, {"large": 10, "middle": 10, "small": 10}),
        (100, 1e9, {"large": 45, "middle": 45, "small": 10}),  # the small task has no more
        (100, 2, {"large": 70, "middle": 22, "small": 8}),  # 30 : 9.487 : 3.162 of 42.649
        (5000, 1, ROWS),
        (1000, 3, ROWS),
    ],
)
def test_shares_go_by_the_temperature_and_nothing_is_given_twice(total, temperature, expected):
    found = shares(ROWS, total, temperature)
    assert found == expected
    assert sum(found.values()) == min(total, 1000)


def test_shares_in_between_are_proportional_to_the_root():
    found = shares(ROWS, 40, 2.0)
    roots = {task: math.sqrt(count) for task, count in ROWS.items()}
    for task, share in found.items():
        assert abs(share - 40 * roots[task] / sum(roots.values())) < 1


def test_rows_are_mixed_and_grouped(small_suite):
    mixture = load_mixture(str(small_suite), ["all"], seed=1, total=8, temperature=100.0)
    assert mixture.rows_per_task == {"coinflip": 4, "described_shares": 4}
    assert mixture.groups == ("random_draws",)
    assert mixture.group_of_row == [0] * 8
    assert [name.split("/")[0] for name in mixture.rows["id"]] == ["coinflip"] * 4 + ["described_shares"] * 4


def test_budgets_come_before_shares(small_suite):
    mixture = load_mixture(str(small_suite), ["coinflip=3", "described_shares"], seed=1, total=12, temperature=1e9)
    assert mixture.rows_per_task == {"coinflip": 3, "described_shares": 9}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"temperature": 2.0}, "--mixing_temperature needs --rows"),
        ({"temperature": 0.0}, "--rows and --mixing_temperature are positive"),
        ({"total": 0}, "--rows and --mixing_temperature are positive"),
        ({"tasks": ["dist_urn"]}, "task 'dist_urn' is held out .* force it with --allow_held_out true"),
        ({"tasks": ["dist_urn"], "allow_held_out": True}, "task 'dist_urn' has no draws to train on"),
    ],
)
def test_mistakes(small_suite, options, line):
    with pytest.raises(UserError, match=line):
        load_mixture(str(small_suite), **{"tasks": ["all"], "seed": 1} | options)
