"""Tests of the metrics of items beyond those of `metrics/spectrum_alignment`."""

import math

import pytest

from spectrum_suite.evaluation.alignment.item_scores import divergences_with_the_rest


def item(target, probabilities, coverage):
    return {"target": target, "probabilities": probabilities, "scores": {"coverage": coverage}}


def by_hand(target, masses):
    p, q = [*target, 0.0], [*masses, 1 - sum(masses)]
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]

    def kl(x):
        return sum(a * math.log(a / m) for a, m in zip(x, middle, strict=True) if a)

    return (kl(p) + kl(q)) / 2


def test_all_that_is_not_an_answer_is_one_more_answer():
    target = [0.25, 0.75]
    rarely_right, always_nearly = item(target, target, 0.001), item(target, [0.5, 0.5], 1.0)
    found = divergences_with_the_rest([rarely_right, always_nearly])
    assert found == pytest.approx([by_hand(target, [0.00025, 0.00075]), by_hand(target, [0.5, 0.5])], abs=1e-4)
    assert found[0] > 0.9 * math.log(2) > 0.05 > found[1]


def test_a_model_that_never_answers_is_as_far_off_as_can_be():
    assert divergences_with_the_rest([item([0.5, 0.5], [None, None], 0.0)]) == pytest.approx([math.log(2)], abs=1e-4)
