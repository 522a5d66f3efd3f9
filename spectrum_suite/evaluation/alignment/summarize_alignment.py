"""The alignment of a model on a task, from its items, and how it differs from that of another model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.score_alignment import AlignmentItem, Scores, items_fingerprint, score_items
from spectrum_suite.evaluation.intervals import paired_difference
from spectrum_suite.evaluation.report import Section
from spectrum_suite.evaluation.work import RowsWork, seconds_of
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import TokenLM
from spectrum_suite.metrics.spectrum_alignment.scoring import summarize


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
        metrics = list(self.items[0].scores)
        return {
            "n_available": self.n_available,
            "n": int(summary["n"]),
            "n_scored": int(summary["n_scored"]),
            "n_failed": sum(item.failed for item in self.items),
            "refused": dict(Counter(item.refused for item in self.items if item.refused)),
            "seconds": self.seconds,
            "rows_fingerprint": self.rows_fingerprint,
            "model": {name: {"mean": summary[name], "se": summary[f"{name}_se"]} for name in metrics},
            "uniform": {name: {"mean": uniform[name], "se": uniform[f"{name}_se"]} for name in metrics},
            "items": [asdict(item) for item in self.items],
        }


class AlignmentWork(RowsWork):
    """The items of a distribution task."""

    kind = "distribution"

    def parts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        self.check()
        for part in self.names():
            yield part, {"rows": items_fingerprint(self.some(part)), "task_labels": self.settings.task_labels}

    def score(self, part: str, lm: TokenLM) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        return {"items": list(map(asdict, score_items(lm, self.some(part), task_labels=self.settings.task_labels)))}

    def section(self, results: Mapping[str, Section]) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        items = tuple(AlignmentItem.from_dict(item) for result in results.values() for item in result["items"])
        fingerprint = items_fingerprint(self.drawn)
        found = TaskAlignment(self.task, len(self.rows), items, fingerprint, seconds_of(results))
        if all(item.refused for item in items):
            raise UserError(f"no item of task {self.task!r} can be scored: {items[0].refused}")
        return finite(found.as_dict())

    def not_comparable(self, theirs: Section) -> str | None:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        return self.nothing_shared(item["id"] for item in theirs["items"])


def compare_alignment(task: str, mine: Section, theirs: Section) -> dict[str, dict[str, Any]]:
    """Metric -> ``mine`` minus ``theirs``, item by item, as ``difference``, ``ci95`` (paired bootstrap) and ``n``.

    Args:
        task: The task's name.
        mine: Its part of a report.
        theirs: Its part of another.

    Raises:
        UserError: They share no item, or an item has other options or another target in one of them.
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
    return {
        metric: paired_difference(*([item["scores"][metric] for item in side] for side in zip(*pairs, strict=True)))
        for metric in pairs[0][0]["scores"]
        if metric in pairs[0][1]["scores"]
    }


def _columns(scores: Sequence[Scores]) -> dict[str, np.ndarray]:
    """Per-item scores as one array of shape (n_items,) per metric."""
    return {name: np.array([item[name] for item in scores]) for name in scores[0]}
