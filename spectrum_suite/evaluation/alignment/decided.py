"""A distribution as a decision service reports it: one question for each item."""

from __future__ import annotations

from datasets import Dataset

from spectrum_suite.evaluation.alignment.asked_items import items_of_masses
from spectrum_suite.evaluation.alignment.estimates import Estimate
from spectrum_suite.evaluation.alignment.item_scores import are_ordered
from spectrum_suite.evaluation.alignment.summarize_alignment import AlignmentItem
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.lm.base import LM


def by_systemone(lm: LM, rows: Dataset, *, settings: EvaluationSettings) -> tuple[AlignmentItem, ...]:
    """Ask a decision service about each item; the coverage is its label mass, or 1 where it reports none."""
    options: list[list[str]] = rows["options"][:]
    found = lm.decide_options(rows["messages"][:], options, are_ordered(rows))
    masses = [
        None
        if decided.probabilities is None
        else [share * (1.0 if decided.label_mass is None else decided.label_mass) for share in decided.probabilities]
        for decided in found
    ]
    return items_of_masses(rows, masses, [decided.refused for decided in found])


SYSTEMONE = Estimate("decide_options", by_systemone, lambda _: {})
