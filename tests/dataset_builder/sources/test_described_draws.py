"""Tests of the synthetic distribution tasks: urns, states and fresh settings of the training families."""

import re

import numpy as np
import pytest
from scipy import stats

from dataset_builder.sources import parametric_distributions, small_settings, states, urn
from spectrum_suite.seeding import generator

TASK = {task.name: task for module in (parametric_distributions, small_settings, states, urn) for task in module.TASKS}
COLORS = "red blue green yellow purple orange brown black white"
LEVEL = 1e-3


@pytest.fixture(scope="module")
def urns():
    return items("dist_urn")


def items(name):
    task = TASK[name]
    return [task.generate(generator(42, name, "process", i), i) for i in range(task.n_processes)]


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


def test_the_states():
    [example] = items("dist_states")
    assert example.descriptions == ()
    assert "uniformly at random" in example.target.input
    assert len(example.target.options) == 50
    assert sorted(example.target.options) == list(example.target.options)
    assert {state[0] for state in example.target.options} == set("ACDFGHIKLMNOPRSTUVW")
    assert sum(len(state.split()) for state in example.target.options) == 60  # ten names of two words
    assert example.target.probabilities == (0.02,) * 50


@pytest.mark.parametrize(
    ("name", "label"),
    [("dist_urn", "Response (color)"), ("dist_states", "Response (state)"), ("dist_binomial", "Output")],
)
def test_held_out_with_the_label_of_the_catalogue(name, label):
    assert (TASK[name].kind, TASK[name].split, TASK[name].output_label) == ("distribution", "test", label)


def numbers(text):
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


@pytest.mark.parametrize("name", ["dist_coinflip", "dist_categorical", "dist_binomial", "dist_hypergeometric"])
def test_targets_are_those_of_scipy_at_the_described_parameters(name):
    examples = items(name)
    assert len(examples) == 100
    assert TASK[name].origin == "ours"
    for example in examples:
        told = numbers(example.descriptions[0])
        options = example.target.options
        match name:
            case "dist_coinflip":
                expected = told
                assert options == ("Heads", "Tails")
                assert numbers(example.descriptions[1]) == told[:1]
                assert numbers(example.descriptions[2]) == pytest.approx([100 * share for share in told])
            case "dist_categorical":
                expected = told[1:]
                assert options == tuple(map(str, range(int(told[0]))))
                assert 2 <= told[0] <= 12
            case "dist_binomial":
                n, p = int(told[0]), told[1]
                expected = stats.binom(n, p).pmf(range(n + 1))
                assert options == tuple(map(str, range(n + 1)))
                assert 2 <= n <= 20
            case "dist_hypergeometric":
                total, positive, sample = map(int, told)
                distribution = stats.hypergeom(total, positive, sample)
                low, high = map(int, distribution.support())
                expected = distribution.pmf(range(low, high + 1))
                assert options == tuple(map(str, range(low, high + 1)))
                assert total <= 30
        assert example.target.probabilities == pytest.approx(list(expected), abs=1e-12)
        assert example.target.input is None


@pytest.mark.parametrize("name", ["dist_categorical", "dist_binomial", "dist_hypergeometric", "dist_coinflip"])
def test_settings_differ_and_depend_on_the_generator_alone(name):
    examples = items(name)
    assert len({example.descriptions for example in examples}) > (20 if name == "dist_coinflip" else 95)
    assert TASK[name].generate(generator(42, name, "process", 3), 3) == examples[3]


def test_fresh_coins_have_biases_that_no_training_coin_has():
    fresh = {example.target.probabilities[0] for example in items("dist_coinflip")}
    trained = {
        numbers(text)[0]
        for text in (example.descriptions[0] for example in items("small_settings")[:1000])
        if text.startswith("Tosses")
    }
    assert len(trained) > 50
    assert not fresh & trained


def test_a_case_by_hand():
    assert parametric_distributions.binomial_pmf(3, 0.5) == [1 / 8, 3 / 8, 3 / 8, 1 / 8]
    # 5 items, 3 positive, 4 drawn: at least 2 positives; 2 leaves out a positive (3 of 5 ways), 3 the others (2 of 5)
    assert parametric_distributions.hypergeometric_pmf(5, 3, 4) == {2: 3 / 5, 3: 2 / 5}
