"""What a way to estimate a model's distribution over the options of an item consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from datasets import Dataset

from spectrum_suite.evaluation.alignment.summarize_alignment import AlignmentItem
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.lm.base import LM, Question


class ScoreItems(Protocol):
    """Rows of a distribution task -> what a model makes of each, in the order of the rows."""

    def __call__(self, lm: LM, rows: Dataset, *, settings: EvaluationSettings) -> tuple[AlignmentItem, ...]:
        """Ask a model about the rows."""


@dataclass(frozen=True)
class Estimate:
    """A way to estimate a distribution over options.

    Attributes:
        question: What it asks of a model; where an engine cannot answer that, the report says why.
        score: Asks about rows.
        depends: The settings that its numbers depend on, besides those of every way.
    """

    question: Question
    score: ScoreItems
    depends: Callable[[EvaluationSettings], dict[str, Any]]
