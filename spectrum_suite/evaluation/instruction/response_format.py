"""What can be said of a response without a judge: does it end, how long is it, does it repeat, does it answer."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from spectrum_suite.evaluation.intervals import mean_of
from spectrum_suite.generation.respond import Response

N_GRAM = 4
"""Words of an n-gram, as in Welleck et al. 2020 (arXiv 1908.04319, section 5.1: seq-rep-4)."""

_NEW_INSTRUCTION = re.compile(
    r"^\W*(?:instruction|input|question|user|human|task|exercise|q|description)\s*\d*\s*(?:\W*:|\|>|\]|$)",
    re.IGNORECASE | re.MULTILINE,
)
"""A line that begins as the next instruction does in a document: ``Question 2:``, ``<|user|>``, ``user``."""


def format_measures(instruction: str, response: Response) -> dict[str, float]:
    """Measures of one response.

    Returns:
        ``ends`` (1 if it ends by itself), ``tokens``, ``words``, ``repeats_instruction`` (1 if it holds the instruction
        word for word), ``new_instruction`` (1 if a line of it begins a further instruction), and ``repetition``: the
        share of its word 4-grams that have been there before, NaN where it has none.
    """
    words = response.text.split()
    asked = " ".join(instruction.split()).casefold()
    return {
        "ends": float(response.ended),
        "tokens": float(response.tokens),
        "words": float(len(words)),
        "repeats_instruction": float(bool(asked) and asked in " ".join(words).casefold()),
        "new_instruction": float(_NEW_INSTRUCTION.search(response.text) is not None),
        "repetition": repetition(words),
    }


def repetition(words: Sequence[str], n: int = N_GRAM) -> float:
    """1 - distinct n-grams / n-grams; NaN for fewer than ``n`` words."""
    grams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else math.nan


def summarize_formats(measures: Sequence[Mapping[str, float]]) -> dict[str, dict[str, object]]:
    """Measure -> its ``mean``, ``ci95`` (bootstrap over responses) and ``n``, NaN left out."""
    return {name: mean_of([row[name] for row in measures]) for name in measures[0]}
