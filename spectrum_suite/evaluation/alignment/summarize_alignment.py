"""The alignment of a model on a task, from its items, and how it differs from that of another model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.comparable import shared_metrics, value, why_not_comparable_items
from spectrum_suite.evaluation.alignment.skill import skills
from spectrum_suite.evaluation.alignment.summarize_drawn import drawn_section
from spectrum_suite.evaluation.intervals import paired_difference
from spectrum_suite.evaluation.report import Section
from spectrum_suite.metrics.spectrum_alignment.scoring import summarize

Scores = Mapping[str, float]


@dataclass(frozen=True)
class AlignmentItem:
    """One prompt of a distribution task, scored.

    Attributes:
        id: The item's id in the suite.
        options: The declared answers.
        target: Their true probabilities.
        log_probs: The model's log-probability of each option's text, in nats, whatever comes after it.
        probabilities: The model's distribution over the options: exclusive masses (see
            :func:`spectrum_suite.generation.logprobs.exclusive_log_probs`)
            divided by their sum, which is the coverage.
        scores: Metrics of the model, in nats where they have a unit; all NaN where it gives no number (NaN) or is not
            asked.
        uniform: The same metrics of the uniform guess.
        refused: Why it is not asked, or gives no number, if so.
        ordered: Whether its options are in order, from one end of a scale to the other.
        drawn: What was drawn to estimate the probabilities and what that shows, where they are an estimate: see
            :mod:`spectrum_suite.evaluation.alignment.sampled`.
        bounds: Bounds of the Jensen-Shannon divergence, in nats; None where it is not a matter of bounds.
    """

    id: str
    options: tuple[str, ...]
    target: tuple[float, ...]
    log_probs: tuple[float, ...]
    probabilities: tuple[float, ...]
    scores: Scores
    uniform: Scores
    refused: str | None = None
    ordered: bool = False
    drawn: Mapping[str, Any] | None = None
    bounds: tuple[float, float] | None = None

    @property
    def failed(self) -> bool:
        """Whether the model was asked, and gives no number."""
        return self.refused is None and math.isnan(self.scores.get("coverage", 0.0))

    @classmethod
    def from_dict(cls, item: Mapping[str, Any]) -> AlignmentItem:
        """The item in a report; None stands for a number that is not finite."""
        scores = {
            side: {name: math.nan if value is None else value for name, value in item[side].items()}
            for side in ("scores", "uniform")
        }
        unknown = math.nan if math.isnan(scores["scores"].get("coverage", 0.0)) else -math.inf
        return cls(
            id=item["id"],
            options=tuple(item["options"]),
            target=tuple(item["target"]),
            refused=item.get("refused"),
            ordered=item.get("ordered", False),
            drawn=item.get("drawn"),
            bounds=tuple(item["bounds"]) if item.get("bounds") else None,
            log_probs=tuple(unknown if value is None else value for value in item["log_probs"]),
            probabilities=tuple(math.nan if value is None else value for value in item["probabilities"]),
            **scores,
        )


@dataclass(frozen=True)
class TaskAlignment:
    """The alignment of a model on one task.

    Attributes:
        task: The task's name.
        n_available: Items in the suite, of which ``items`` were drawn.
        items: The scored items, in the order of the suite.
        rows_fingerprint: A hash of the items' prompts, options and targets.
        seconds: Time spent on scoring.
    """

    task: str
    n_available: int
    items: tuple[AlignmentItem, ...]
    rows_fingerprint: str
    seconds: float

    def summary(self) -> dict[str, float]:
        """``<metric>``, ``<metric>_se``, ``n`` and ``n_scored`` of the model."""
        return summarize(_columns([item.scores for item in self.items]))

    def uniform_summary(self) -> dict[str, float]:
        """The same of the uniform guess."""
        return summarize(_columns([item.uniform for item in self.items]))

    def as_dict(self) -> dict[str, Any]:
        """The task's part of a report: JSON's types only, though numbers may be NaN."""
        summary, uniform = self.summary(), self.uniform_summary()
        metrics = list(_columns([item.scores for item in self.items]))
        return {
            "n_available": self.n_available,
            "n": int(summary["n"]),
            "n_scored": sum(not math.isnan(item.scores["js_divergence"]) for item in self.items),
            "n_failed": sum(item.failed for item in self.items),
            "refused": dict(Counter(item.refused for item in self.items if item.refused)),
            "seconds": self.seconds,
            "rows_fingerprint": self.rows_fingerprint,
            "model": {name: {"mean": summary[name], "se": summary[f"{name}_se"]} for name in metrics},
            "uniform": {name: {"mean": uniform[name], "se": uniform[f"{name}_se"]} for name in metrics},
            "skill": skills([item.scores for item in self.items], [item.uniform for item in self.items]),
            **drawn_section([item.drawn for item in self.items], [item.uniform for item in self.items]),
            **self._bounds(),
            "items": [asdict(item) for item in self.items],
        }

    def _bounds(self) -> dict[str, Any]:
        """The means of the lower and of the upper bounds, where items have them."""
        bounds = np.array([item.bounds for item in self.items if item.bounds is not None])
        if not len(bounds):
            return {}
        low, high = bounds.mean(axis=0).tolist()
        return {
            "bounds": {
                "js_divergence": [low, high],
                "n": len(bounds),
                "exact": int((np.ptp(bounds, axis=1) == 0).sum()),
            }
        }


def compare_alignment(task: str, mine: Section, theirs: Section) -> dict[str, dict[str, Any]]:
    """Metric -> ``mine`` minus ``theirs``, item by item, as ``difference``, ``ci95`` (paired bootstrap) and ``n``.

    Of answers that are independent the corrected numbers are compared; see
    :mod:`spectrum_suite.evaluation.alignment.comparable`.

    Args:
        task: The task's name.
        mine: Its part of a report.
        theirs: Its part of another.

    Raises:
        UserError: They share no item, an item has other options or another target in one of them, or they are by ways
            to estimate a distribution that make no numbers to compare.
    """
    others = {item["id"]: item for item in theirs["items"]}
    pairs = [(item, others[item["id"]]) for item in mine["items"] if item["id"] in others]
    if not pairs:
        raise UserError("the two reports share no item: compare reports on the same tasks with the same seed and limit")
    for item, other in pairs:
        if list(item["options"]) != list(other["options"]) or not np.allclose(item["target"], other["target"]):
            raise UserError(
                f"item {item['id']!r} of task {task!r} is not the same in both reports: evaluate both on one suite"
            )
    if reason := why_not_comparable_items(mine, theirs):
        raise UserError(reason)
    sides = list(zip(*pairs, strict=True))
    return {
        metric: paired_difference(*([value(item, metric) for item in side] for side in sides))
        for metric in shared_metrics(mine, theirs)
    }


def _columns(scores: Sequence[Scores]) -> dict[str, np.ndarray]:
    """Per-item scores as one array of shape (n_items,) per metric; NaN where an item lacks it."""
    names = dict.fromkeys(name for item in scores for name in item)
    return {name: np.array([item.get(name, math.nan) for item in scores]) for name in names}
