"""Verdicts: by the side of zero on which an interval lies, and never without the runs that they need."""

import pytest

from spectrum_suite.evaluation.comparison.claims import FAILS, HOLDS, UNKNOWN, check_claims
from spectrum_suite.evaluation.comparison.run_results import Measured, Results, SeedResult

CLOSER, BETTER_CALIBRATED = "Closer to held-out distributions than the base", "Better calibrated"
THAN_UNIFORM, YIELD = "Closer to held-out distributions than a uniform guess", "Higher yield"


def alignment(divergences, uniform):
    ids = [f"urn/{i}" for i in range(len(divergences))]
    ones = [1.0] * len(ids)
    return {"dist_urn": {"rows": "r", "ids": ids, "js_divergence": divergences, "coverage": ones, "uniform": uniform}}


def coverage(valid, found):
    ids = [f"cov_{i}" for i in range(len(valid))]
    return {"both": {"ids": ids, "valid": valid, "unique": [1.0] * len(ids), "yield": found}}


def run(group, scores, name=None, **more):
    seed = SeedResult(None, "model", "print", None, scores, 1.0, "cpu")
    fields = {"train": None, "against": None, "ablates": None, "formats": {"alignment": "colon"}, "tried": {}} | more
    return Measured(name=name or group, group=group, seeds=(seed,), **fields)


def verdicts(*runs):
    results = Results("t", "c", "2026", "suite", {}, {}, {}, tuple(runs))
    return {claim.text: claim.verdict for claim in check_claims(results)}


def verdict(text, *runs):
    (found,) = [value for claim, value in verdicts(*runs).items() if claim.startswith(text)]
    return found


NEAR, FAR, MIXED = [0.01, 0.02, 0.03, 0.02], [0.11, 0.12, 0.14, 0.11], [0.0, 0.25, 0.01, 0.24]
GUESS = [0.06, 0.07, 0.05, 0.06]


@pytest.mark.parametrize(("tuned", "base", "expected"), [(NEAR, FAR, HOLDS), (FAR, NEAR, FAILS), (MIXED, FAR, UNKNOWN)])
def test_a_verdict_goes_by_the_interval(tuned, base, expected):
    runs = [
        run(group, {"alignment": alignment(found, GUESS)}) for group, found in (("spectrum", tuned), ("base", base))
    ]
    assert verdict(CLOSER, *runs) == expected


@pytest.mark.parametrize(("tuned", "expected"), [(NEAR, HOLDS), (FAR, FAILS), (MIXED, UNKNOWN)])
def test_the_uniform_guess_is_beaten_or_not(tuned, expected):
    assert verdict(THAN_UNIFORM, run("spectrum", {"alignment": alignment(tuned, GUESS)})) == expected


def test_where_uniform_is_the_answer_it_cannot_be_beaten():
    """Such a task is left out, and nothing is left here."""
    assert verdict(THAN_UNIFORM, run("spectrum", {"alignment": alignment(NEAR, [0.0] * 4)})) == UNKNOWN


def test_without_the_runs_nothing_can_be_told():
    found = verdicts(run("spectrum", {"alignment": alignment(NEAR, GUESS)}))
    assert {text for text, told in found.items() if told != UNKNOWN} == {
        "Closer to held-out distributions than a uniform guess, where that is not the answer"
    }
    assert set(verdicts().values()) == {UNKNOWN}


@pytest.mark.parametrize(
    ("valid", "found", "expected"),
    [
        ([0.5, 0.6, 0.5, 0.6], [20, 21, 22, 23], HOLDS),
        ([0.5, 0.6, 0.5, 0.6], [2, 1, 2, 1], FAILS),
        ([0.1, 0.1, 0.1, 0.1], [20, 21, 22, 23], FAILS),  # more, but with less that is valid
        ([0.5, 0.6, 0.5, 0.6], [10, 12, 9, 11], UNKNOWN),
    ],
)
def test_a_higher_yield_counts_at_like_validity(valid, found, expected):
    tuned = run("spectrum", {"coverage": coverage(valid, found)})
    instructed = run("instruction-tuned", {"coverage": coverage([0.5, 0.6, 0.5, 0.6], [10, 11, 10, 11])})
    assert verdict(YIELD, tuned, instructed) == expected


def test_an_ablation_is_held_against_its_counterpart():
    method = run("spectrum", {"alignment": alignment(NEAR, GUESS)}, name="method")
    other = run("spectrum", {"alignment": alignment(FAR, GUESS)}, name="other")
    ablation = run(
        "ablation", {"alignment": alignment(FAR, GUESS)}, name="fixed", against="method", ablates="permutation"
    )
    text = "Better with a new order of the draws in every epoch: JS divergence"
    assert verdict(text, other, method, ablation) == HOLDS
    assert verdict("Better with a loss on outputs alone, not on all tokens: JS", other, method, ablation) == UNKNOWN
