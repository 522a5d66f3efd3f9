"""Tests of the draws of our own: what is said of a distribution is what they are drawn from."""

import re
from collections import Counter

import pytest
from scipy import stats

from dataset_builder.sources.described import AFTER_A_COLON, described_shares
from dataset_builder.sources.named_sets import SETS, named_set
from dataset_builder.sources.shared.synthetic import N_DRAWS
from spectrum_suite.seeding import generator

PROBABILITY = re.compile(r"P\((.+?)\) = ([\d.]*\d)")


@pytest.mark.parametrize(
    ("names", "counts", "said"),
    [
        (["tea", "coffee", "juice"], [6, 3, 1], "60% tea, 30% coffee and 10% juice"),
        (["tea", "coffee"], [1, 3], "tea, coffee in the ratio 1:3"),
        (["tea", "coffee"], [1, 3], "1/4 tea and 3/4 coffee"),
        (["tea", "coffee"], [1, 3], '{"tea": 0.25, "coffee": 0.75}'),
    ],
)
def test_shares_by_hand(names, counts, said):
    assert said in [phrase(names, counts) for phrase in AFTER_A_COLON]


def test_every_phrase_has_every_name():
    for phrase in AFTER_A_COLON:
        assert all(name in phrase(["tea", "coffee", "juice"], [6, 3, 1]) for name in ("tea", "coffee", "juice"))


def test_draws_follow_the_probabilities_that_are_told():
    """Pearson's statistic, summed over processes, is chi-square with the sum of their degrees of freedom."""
    statistic = freedom = 0
    for index in range(6000):
        example = described_shares(generator(7, index), index)
        told = {name.lower(): float(p) for name, p in PROBABILITY.findall(example.descriptions[0])}
        if len(told) < 2 or min(told.values()) * N_DRAWS < 4:
            continue
        counts = Counter(draw.output.lower() for draw in example.draws)
        assert set(counts) <= set(told)
        assert counts.total() == N_DRAWS
        total = sum(told.values())  # three decimals each
        statistic += sum((counts[n] - N_DRAWS * p / total) ** 2 / (N_DRAWS * p / total) for n, p in told.items())
        freedom += len(told) - 1
    assert freedom > 50
    assert 1e-4 < stats.chi2(freedom).sf(statistic) < 1 - 1e-4


def test_sets_are_named_uniformly():
    found = Counter()
    for index in range(400):
        example = named_set(generator(7, index), index)
        found.update(draw.output for draw in example.draws if draw.output in SETS["season"])
    assert set(found) >= set(SETS["season"])
    assert stats.chisquare([found[name] for name in SETS["season"]]).pvalue > 1e-4
