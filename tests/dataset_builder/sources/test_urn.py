"""Urns: the target is the counts that the description gives."""

import re

import numpy as np
import pytest
from scipy import stats

from dataset_builder.sources import urn
from spectrum_suite.seeding import generator

[TASK] = urn.TASKS
COLORS = "red blue green yellow purple orange brown black white"
LEVEL = 1e-3


@pytest.fixture(scope="module")
def urns():
    return [TASK.generate(generator(42, "dist_urn", "process", i), i) for i in range(TASK.n_processes)]


def contents(example):
    [text] = example.descriptions
    assert text.startswith("An urn holds ")
    return {color: int(count) for count, color in re.findall(r"(\d+) (\w+) balls?", text)}


def test_the_target_of_an_urn_is_its_counts_over_their_sum(urns):
    assert len(urns) == 1000
    for example in urns:
        counts = contents(example)
        assert example.target.options == tuple(counts)
        assert example.target.probabilities == pytest.approx([c / sum(counts.values()) for c in counts.values()])
        assert example.target.n_responses is None
        assert example.target.input == urns[0].target.input
    assert "lower case" in urns[0].target.input


def test_urns_are_written_as_people_write_them():
    text = urn.urn(generator(3), 0).descriptions[0]
    assert re.fullmatch(r"An urn holds \d+ \w+ balls?(, \d+ \w+ balls?)* and \d+ \w+ balls?\.", text)
    assert all((f"{n} " in text) for n in contents(urn.urn(generator(3), 0)).values())
    for example in (urn.urn(generator("urn", i), i) for i in range(200)):
        assert not re.search(r"\b1 \w+ balls|\b([2-9]|10) \w+ ball\b", example.descriptions[0])


def test_urns_follow_the_catalogue(urns):
    sizes = np.bincount([len(contents(example)) for example in urns])[2:]
    assert len(sizes) == 4
    assert stats.chisquare(sizes).pvalue > LEVEL
    colors = [color for example in urns for color in contents(example)]
    assert set(colors) == set(COLORS.split())
    assert stats.chisquare(np.unique(colors, return_counts=True)[1]).pvalue > LEVEL
    counts = np.bincount([count for example in urns for count in contents(example).values()], minlength=11)[1:]
    pmf = np.array([sum(1 / bound for bound in range(count, 11)) / 10 for count in range(1, 11)])
    assert stats.chisquare(counts, pmf * counts.sum()).pvalue > LEVEL
    assert len({tuple(contents(example).items()) for example in urns}) > 900


def test_held_out_with_the_label_of_the_catalogue():
    assert (TASK.kind, TASK.split, TASK.output_label) == ("distribution", "test", "Response (color)")
