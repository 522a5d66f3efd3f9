"""The table of decision models: what chance alone leaves between people and the truth, and the share that is closed."""

import math

import numpy as np
import pytest

from benchmarks import decisions, document_numbers


@pytest.mark.parametrize(("gold", "n"), [([0.5, 0.5], 1), ([0.2, 0.5, 0.3], 7), ([0.0, 1.0], 3)])
def test_the_noise_is_the_mean_divergence_of_drawn_people(gold, n):
    shares = np.random.default_rng(0).multinomial(n, gold, size=20_000) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(shares > 0, shares * np.log(shares / np.array(gold)), 0).sum(axis=1)
    assert decisions.noise(gold, n) == pytest.approx(each.mean(), abs=4 * each.std() / math.sqrt(20_000) + 1e-12)
    assert decisions.noise(gold, None) == 0


def test_the_share_is_of_the_way_from_the_base_to_the_noise(monkeypatch):
    report = {
        "n": {"a": 2, "b": 3},
        "noise": {"a": 0.1, "b": None},
        "models": {
            name: {"tasks": {task: {"kl": kl} for task in ("a", "b")}}
            for name, kl in (("uniform", 0.4), ("base", 0.5), ("tuned", 0.2))
        },
    }
    monkeypatch.setattr(document_numbers, "_report", lambda _: report)
    *_, first, second = document_numbers.decisions_table().strip().splitlines()
    assert first == "| `a` | 2 | 0.100 | 0.400 | 0.500 | 0.200 (75%) |"
    assert second == "| `b` | 3 | not known | 0.400 | 0.500 | 0.200 |"
