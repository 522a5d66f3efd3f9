"""Tasks of inspect-ai: ``inspect eval spectrum_suite/alignment`` and ``inspect eval spectrum_suite/coverage``."""

from spectrum_suite.inspect_tasks.alignment import (
    alignment,
    alignment_scores,
    answer_shares,
    option_answers,
    option_probabilities,
)
from spectrum_suite.inspect_tasks.coverage import coverage, one_output, valid_share, yield_of_answers

__all__ = [
    "alignment",
    "alignment_scores",
    "answer_shares",
    "coverage",
    "one_output",
    "option_answers",
    "option_probabilities",
    "valid_share",
    "yield_of_answers",
]
