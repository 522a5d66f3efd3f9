"""The numbers that runs are compared by, each made of the sums that are kept of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from spectrum_suite.evaluation.comparison.marker_scores import INFERRED
from spectrum_suite.evaluation.comparison.pooling import Pooled, Sample, Units, ratio
from spectrum_suite.evaluation.comparison.scores import Scores
from spectrum_suite.metrics.in_context_steerability.scoring import METRICS, metrics_of_sums

_IS_ANSWER = 1e-6  # a guess whose divergence is below this on all items of a task is the answer to it


@dataclass(frozen=True)
class Measure:
    """One number of a run.

    Attributes:
        name: Its name in the code.
        label: Its name on the page.
        desideratum: What it is about.
        better: Whether lower or higher numbers are better.
        sample: Scores of one seed -> what it is pooled from.
        pooled: How.
        digits: After the decimal point, on the page.
    """

    name: str
    label: str
    desideratum: str
    better: Literal["lower", "higher"]
    sample: Callable[[Scores], Sample]
    pooled: Pooled
    digits: int = 3


def uniform_is_the_answer(section: dict[str, Any]) -> bool:
    """Whether a guess that gives every option the same probability is right on every item of an alignment task."""
    return max(section["uniform"]) < _IS_ANSWER


def _steerability(scores: Scores, *, capability: bool) -> Sample:
    """The sequences of the tasks that ask to follow a process, or of those that ask for what a model knows."""
    return {
        task: Units(tuple(section["ids"]), np.array(section["sums"], dtype=float))
        for task, section in scores.get("steerability", {}).items()
        if section["capability"] == capability
    }


def _after(scores: Scores, *, examples: int) -> Sample:
    """The losses of the outputs with just so many examples before them, of the tasks that ask to follow a process."""
    return _of_means(
        (task, section["after"][str(examples)]["ids"], section["after"][str(examples)]["loss"])
        for task, section in scores.get("steerability", {}).items()
        if not section["capability"] and str(examples) in section.get("after", {})
    )


def _coverage(scores: Scores, *, metric: str) -> Sample:
    """The tasks, for every way of prompting."""
    return _of_means((prompting, part["ids"], part[metric]) for prompting, part in scores.get("coverage", {}).items())


def _alignment(scores: Scores, *, column: str) -> Sample:
    """The items of all tasks."""
    found = scores.get("alignment", {}).items()
    return _of_means((task, section["ids"], section[column]) for task, section in found if column in section)


def _over_uniform(scores: Scores) -> Sample:
    """Divergences minus those of the uniform guess, where that is not the answer."""
    return _of_means(
        (
            task,
            section["ids"],
            [_minus(*pair) for pair in zip(section["js_divergence"], section["uniform"], strict=True)],
        )
        for task, section in scores.get("alignment", {}).items()
        if not uniform_is_the_answer(section)
    )


def _instruction(scores: Scores, *, column: str, ids: str = "ids") -> Sample:
    """The responses, or the pairs of them, of every dataset."""
    return _of_means((name, section[ids], section[column]) for name, section in scores.get("instruction", {}).items())


def _win_rate(scores: Scores) -> Sample:
    """One number for every dataset, where there was a judge."""
    found = scores.get("instruction", {}).items()
    return _of_means((name, [name], section["win_rate"]) for name, section in found if section["win_rate"])


def _markers(scores: Scores, *, part: str, column: str) -> Sample:
    """The rows of every dataset, one column of a part of what is kept of them."""
    return _of_means(
        (name, section["ids"], section[part][column])
        for name, section in scores.get("markers", {}).items()
        if column in section[part]
    )


def _language(scores: Scores, *, column: str) -> Sample:
    """The rows of every dataset and language."""
    return _of_means(
        (f"{name}, {language}", section["ids"], found[column])
        for name, section in scores.get("markers", {}).items()
        for language, found in section["language"].items()
        if column in found
    )


def _over_majority(scores: Scores, *, category: str) -> Sample:
    """Right inferences minus those of always writing the most frequent value."""
    return _of_means(
        (
            name,
            section["ids"],
            [
                None if right is None else right - frequent
                for right, frequent in zip(found["right"], found["majority"], strict=True)
            ],
        )
        for name, section in scores.get("markers", {}).items()
        if (found := section["inferred"].get(category))
    )


def _correlation(scores: Scores) -> Sample:
    """One number for every dataset."""
    found = scores.get("markers", {}).items()
    return _of_means(
        (name, [name], [section["correlation"]["spearman"]]) for name, section in found if section["correlation"]
    )


def _minus(value: float | None, other: float) -> float | None:
    return None if value is None else value - other


def _of_means(parts: Iterable[tuple[str, Sequence[str], Sequence[float | None]]]) -> Sample:
    """(stratum, ids, values) -> sums of the values and of ones; an id without a value is left out."""
    found = {}
    for stratum, ids, values in parts:
        known = [(unit, value) for unit, value in zip(ids, values, strict=True) if value is not None]
        if known:
            names, numbers = zip(*known, strict=True)
            found[stratum] = Units(names, np.column_stack([numbers, np.ones(len(numbers))]))
    return found


def _steerability_metric(sums: np.ndarray, *, name: str) -> np.ndarray:
    return metrics_of_sums(sums)[..., METRICS.index(name)]


def _steering(name: str, *, capability: bool = False) -> tuple[Callable[[Scores], Sample], Pooled]:
    return partial(_steerability, capability=capability), Pooled(partial(_steerability_metric, name=name))


def _covering(metric: str) -> tuple[Callable[[Scores], Sample], Pooled]:
    return partial(_coverage, metric=metric), Pooled(ratio)


def _following(column: str, ids: str = "ids") -> tuple[Callable[[Scores], Sample], Pooled]:
    return partial(_instruction, column=column, ids=ids), Pooled(ratio)


def _marking(part: str, column: str) -> tuple[Callable[[Scores], Sample], Pooled]:
    return partial(_markers, part=part, column=column), Pooled(ratio)


def _aligning(column: str) -> tuple[Callable[[Scores], Sample], Pooled]:
    return partial(_alignment, column=column), Pooled(ratio, over_units=True)


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("loss", "loss of an output (nats)", "steerability", "lower", *_steering("loss")),
        Measure("accuracy", "accuracy", "steerability", "higher", *_steering("accuracy")),
        Measure("ece", "calibration error", "steerability", "lower", *_steering("ece")),
        *(
            Measure(
                f"loss_{examples}", f"loss after {examples} examples", "steerability", "lower",
                partial(_after, examples=examples), Pooled(ratio),
            )
            for examples in (0, 4, 16)
        ),
        Measure(
            "capability_loss", "loss, capability (nats)", "steerability", "lower", *_steering("loss", capability=True)
        ),
        Measure(
            "capability_accuracy", "accuracy, capability", "steerability", "higher",
            *_steering("accuracy", capability=True),
        ),
        Measure("valid", "valid", "coverage", "higher", *_covering("valid")),
        Measure("unique", "unique", "coverage", "higher", *_covering("unique")),
        Measure("yield", "yield", "coverage", "higher", *_covering("yield"), digits=1),
        Measure("js_divergence", "JS divergence (nats)", "alignment", "lower", *_aligning("js_divergence"), digits=4),
        Measure(
            "over_uniform", "JS minus the uniform guess's (nats)", "alignment", "lower",
            _over_uniform, Pooled(ratio, over_units=True), digits=4,
        ),
        Measure("calibrated", "JS after calibration (nats)", "alignment", "lower", *_aligning("calibrated"), digits=4),
        Measure("coverage", "mass on the answers", "alignment", "higher", *_aligning("coverage")),
        Measure("ranking", "responses ranked right", "instruction", "higher", *_following("ranking", "pairs")),
        Measure("win_rate", "win rate", "instruction", "higher", _win_rate, Pooled(ratio)),
        Measure("ends", "ends by itself", "instruction", "higher", *_following("ends")),
        Measure("new_instruction", "continues with another", "instruction", "lower", *_following("new_instruction")),
        Measure("repetition", "repetition", "instruction", "lower", *_following("repetition")),
        Measure("too_long_said", "too long, limit said", "markers", "lower", *_marking("too_long", "said")),
        Measure("too_long_set", "too long, limit set", "markers", "lower", *_marking("too_long", "set")),
        Measure("correlation", "rank correlation of tokens wanted and got", "markers", "higher", _correlation,
                Pooled(ratio)),
        Measure("language_set", "in the language, set", "markers", "higher", partial(_language, column="set"),
                Pooled(ratio)),
        Measure("language_not_set", "in the language, not set", "markers", "higher",
                partial(_language, column="not_set"), Pooled(ratio)),
        *(
            Measure(f"{category}_over_majority", f"{category} inferred, over the most frequent", "markers", "higher",
                    partial(_over_majority, category=category), Pooled(ratio))
            for category in INFERRED
        ),
        Measure("nats", "nats per token of responses", "markers", "lower", *_marking("nats", "inferred")),
        Measure("nats_set", "nats per token, their markers set", "markers", "lower", *_marking("nats", "fixed")),
    )
}  # fmt: skip
"""By name. Alignment is pooled over the items of all tasks; the others are means over tasks."""
