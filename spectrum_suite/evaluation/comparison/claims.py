"""What the paper claims, each checked by a difference of two runs and its interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spectrum_suite.evaluation.comparison.measures import MEASURES, Measure
from spectrum_suite.evaluation.comparison.pooling import Estimate, Sample, difference, estimate
from spectrum_suite.evaluation.comparison.run_results import Measured, Results

HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "cannot tell here"

ABLATION_LABELS = {
    "description_dropout": "leaving descriptions out now and then",
    "all_tokens": "a loss on outputs alone, not on all tokens",
    "last_output": "a loss on every output, not the last alone",
    "first_output": "a loss on every output, not the first alone",
    "permutation": "a new order of the draws in every epoch",
    "trained_embeddings": "turn tokens' embeddings trained, not taken from the instruction-tuned model",
}
"""What each ablation's counterpart does that the ablation does not."""

_ABLATION_MEASURES = ("loss", "yield", "js_divergence")


@dataclass(frozen=True)
class Figure:
    """A difference that a claim is checked by; None where the runs for it are not there.

    Attributes:
        what: What is subtracted from what.
        measure: In which number.
        estimate: The difference.
    """

    what: str
    measure: Measure
    estimate: Estimate | None

    @property
    def sign(self) -> int:
        """1 where the interval excludes zero in the direction that is better, -1 in the other, else 0."""
        if self.estimate is None:
            return 0
        return self.estimate.sign * (1 if self.measure.better == "higher" else -1)


@dataclass(frozen=True)
class Claim:
    """A claim, what it was checked by, and what came out: one of the three verdicts."""

    text: str
    figures: tuple[Figure, ...]
    verdict: str

    @property
    def was_checked(self) -> bool:
        """Whether every run that it needs is there."""
        return all(figure.estimate for figure in self.figures)


def check_claims(results: Results) -> list[Claim]:
    """The claims of arxiv 2510.06084, checked with the first Spectrum-tuned run that was measured."""
    tuned = results.first("spectrum")
    base, instructed = results.first("base"), results.first("instruction-tuned")
    return [
        _claim("Steerability on held-out individual tasks is not below the base: loss", "loss", tuned, base),
        _claim("Steerability on held-out individual tasks is not below the base: accuracy", "accuracy", tuned, base),
        _claim("Better calibrated than the base on held-out individual tasks", "ece", tuned, base),
        _coverage_claim(tuned, instructed),
        _claim("Closer to held-out distributions than the base", "js_divergence", tuned, base),
        _claim("Closer to held-out distributions than the instruction-tuned model", "js_divergence", tuned, instructed),
        _uniform_claim(tuned),
        *_ablation_claims(results),
    ]


def _figure(measure: str, mine: Measured | None, theirs: Measured | None) -> Figure:
    found = MEASURES[measure]
    if mine is None or theirs is None:
        return Figure("", found, None)
    what = f"{mine.name} minus {theirs.name}"
    return Figure(what, found, difference(samples(mine, found), samples(theirs, found), found.pooled))


def _claim(text: str, measure: str, mine: Measured | None, theirs: Measured | None) -> Claim:
    figure = _figure(measure, mine, theirs)
    return Claim(text, (figure,), _verdict(figure.sign))


def _coverage_claim(tuned: Measured | None, instructed: Measured | None) -> Claim:
    """More different valid answers, with a share of valid ones that is not lower."""
    figures = tuple(_figure(name, tuned, instructed) for name in ("yield", "valid"))
    less_valid = figures[1].sign < 0
    return Claim(
        "Higher yield than the instruction-tuned model at like validity",
        figures,
        FAILS if less_valid else _verdict(figures[0].sign),
    )


def _uniform_claim(tuned: Measured | None) -> Claim:
    measure = MEASURES["over_uniform"]
    found = estimate(samples(tuned, measure), measure.pooled) if tuned else None
    figure = Figure(f"{tuned.name} minus the guess" if tuned else "", measure, found)
    return Claim("Closer to held-out distributions than a uniform guess, where that is not the answer", (figure,),
                 _verdict(figure.sign))  # fmt: skip


def _ablation_claims(results: Results) -> Iterator[Claim]:
    """What the method does, against the run that does not: one claim for each and each desideratum."""
    for ablates, label in ABLATION_LABELS.items():
        run = next((run for run in results.runs if run.ablates == ablates), None)
        against = results.named(run.against) if run else None
        for measure in _ABLATION_MEASURES:
            yield _claim(f"Better with {label}: {MEASURES[measure].label}", measure, against, run)


def samples(run: Measured, measure: Measure) -> list[Sample]:
    """What a number of a run is pooled from, for each of its seeds."""
    return [measure.sample(seed.scores) for seed in run.seeds]


def _verdict(sign: int) -> str:
    """By the side of zero that the interval is on: 1 for the claim's, -1 for the other, 0 for neither."""
    return {1: HOLDS, -1: FAILS, 0: UNKNOWN}[sign]
