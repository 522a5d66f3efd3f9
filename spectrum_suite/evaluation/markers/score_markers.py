"""What markers do, in numbers: how often they are inferred, and how far a response keeps to those that are set."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from spectrum_suite.evaluation import intervals
from spectrum_suite.markers.code_type import detect_code_type
from spectrum_suite.markers.language import detect_language
from spectrum_suite.markers.marker_counts import RARE
from spectrum_suite.markers.structure import detect_format
from spectrum_suite.markers.taxonomy import TAXONOMY, Markers, Taxonomy, Value
from spectrum_suite.seeding import generator

COMMON = 0.25
"""A value with at least this share of the examples is common; with less than :data:`RARE` it is of the long tail."""
CORRELATIONS = 1000
"""Resamples for the interval of a rank correlation."""
BUCKETS = ("common", "medium", "tail")
LINE_LETTERS = 20
"""A line with fewer letters is too short to tell its language; kana, Han and Hangul count as three."""

_LETTER = re.compile(r"[^\W\d_]")
_SYLLABLE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_WORD = re.compile(r"\S+")


def marker_accuracy(
    truth: Sequence[Markers], found: Sequence[Markers], taxonomy: Taxonomy = TAXONOMY
) -> dict[str, dict[str, Any]]:
    """How often a model writes the marker that an example has, of the categories with values to choose from.

    Args:
        truth: The markers of each example.
        found: Those that the model wrote.
        taxonomy: The categories.

    Returns:
        Category -> ``inferred`` (the share of the examples with a value for which the model wrote it), its ``ci95``,
        ``majority`` (what always writing the most frequent value would give) and ``n``. A category that no example has
        is left out.
    """
    accuracy = {}
    for category in taxonomy.categories:
        pairs = [(one[category.name], other.get(category.name)) for one, other in zip(truth, found, strict=True)
                 if category.name in one]  # fmt: skip
        if not pairs or category.kind != "choice":
            continue
        right = np.array([wanted == got for wanted, got in pairs], dtype=float)
        majority = Counter(wanted for wanted, _ in pairs).most_common(1)[0][1]
        accuracy[category.name] = {
            "inferred": float(right.mean()),
            "ci95": intervals.interval(right),
            "majority": majority / len(pairs),
            "n": len(pairs),
        }
    return accuracy


def n_words(text: str) -> int:
    """The words of a text, as a length limit counts them: what stands between white space."""
    return len(_WORD.findall(text))


def violates(text: str, limit: int, *, ended: bool) -> bool:
    """Whether a response is longer than ``limit`` words; one that did not come to its end counts as too long."""
    return not ended or n_words(text) > limit


def length_correlation(got: Mapping[int, Sequence[int]]) -> dict[str, Any]:
    """Spearman's rank correlation of the tokens that were wanted and those that came, over all responses.

    Args:
        got: Tokens wanted -> the tokens of each row's response; the same rows for each.

    Returns:
        ``spearman``, its ``ci95`` (bootstrap over rows) and ``n`` rows; NaN where all responses are equally long.
    """
    tokens = np.array(list(got.values()))  # (wanted, rows)
    rows = tokens.shape[1]
    draws = generator(0, "length correlation", rows).integers(rows, size=(CORRELATIONS, rows))
    resampled = np.array([_rank_correlation(list(got), tokens[:, draw]) for draw in draws])
    known = resampled[~np.isnan(resampled)]
    interval = np.quantile(known, [0.025, 0.975]).tolist() if len(known) else [math.nan, math.nan]
    return {"spearman": _rank_correlation(list(got), tokens), "ci95": interval, "n": rows}


def _rank_correlation(wanted: Sequence[int], tokens: np.ndarray) -> float:
    """Of tokens (wanted, rows)."""
    if np.ptp(tokens) == 0:
        return math.nan
    return float(spearmanr(np.repeat(wanted, tokens.shape[1]), tokens.ravel()).statistic)


def lines_in(text: str, lang: str) -> bool | None:
    """Whether every line of a response is in a language: the line-level pass of Marchisio et al. 2024.

    Returns:
        None where nothing can be said: the response is a program, or no line has enough letters.
    """
    if detect_code_type(text) is not None:
        return None
    lines = [line for line in text.splitlines() if _letters(line) >= LINE_LETTERS]
    return all(detect_language(line) == lang for line in lines) if lines else None


def _letters(line: str) -> int:
    return len(_LETTER.findall(line)) + 2 * len(_SYLLABLE.findall(line))


def shows(category: str, value: Value, prompt: str, text: str) -> bool | None:
    """Whether a response has what a marker names; None where that cannot be detected."""
    if category == "lang":
        return lines_in(text, str(value))
    if category == "format":
        return detect_format(prompt, text) == value
    return detect_code_type(text) == value


SHOWN = ("lang", "format", "code_type")
"""The categories other than lengths that :func:`shows` can see in a response."""


def frequency_buckets(rows: Sequence[Markers], category: str) -> dict[Value, str]:
    """Value -> whether it is ``common``, ``medium`` or of the ``tail`` among the rows that have any."""
    counts = Counter(row[category] for row in rows if category in row)
    shares = {value: count / counts.total() for value, count in counts.items()}
    return {
        value: "common" if share >= COMMON else "tail" if share < RARE else "medium" for value, share in shares.items()
    }


def by_bucket(
    rows: Sequence[Markers], scores: Sequence[float], buckets: Mapping[Value, str], category: str
) -> dict[str, dict[str, Any]]:
    """The mean score of the examples in each bucket that has some, with its 95% interval.

    Args:
        rows: The markers of each example.
        scores: One for each.
        buckets: Of the values of ``category``; see :func:`frequency_buckets`.
        category: By which examples are put into buckets.
    """
    found = {}
    for name in BUCKETS:
        members = [score for row, score in zip(rows, scores, strict=True) if buckets.get(row.get(category)) == name]
        if members:
            found[name] = mean_of(members)
    return found


def mean_of(values: Sequence[float | bool | None]) -> dict[str, Any] | None:
    """The mean with its 95% interval and the number of values, without those that are None; None where all are."""
    found = intervals.mean_of(values)
    return found if found["n"] else None
