"""What was drawn for the items of a task in total, and what it shows of them on average."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectrum_suite.evaluation.alignment.skill import skills
from spectrum_suite.evaluation.intervals import mean_of

LEVEL = 0.05
"""A model is distinguishable from the truth on an item whose p-value is below."""

_SUM_IS_OFF = 0.01

Drawn = Mapping[str, Any]


def drawn_section(drawn: Sequence[Drawn | None], uniform: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """What a report says of the draws of a task, under ``drawn``; nothing where none were made.

    Args:
        drawn: Of each item; numbers that are not finite may be None.
        uniform: The metrics of the uniform guess.

    Returns:
        ``n`` (of an item: ``least``, ``mean``, ``most``), ``answers``, ``others`` (reason -> answers that are no
        option, or cannot be read) and ``reasoning`` (characters); of answers that are independent ``corrected``
        (metric -> ``mean``, ``ci95``, ``n``), ``skill`` (of the corrected), ``interval_width`` (the mean, by metric),
        ``record`` (metric -> mean, over the items whose targets are records, or None) and ``indistinguishable`` (``n``
        items ``of`` so many); with ``counts`` also ``perfect``; and ``sums_off`` of distributions that were written.
    """
    found = [each for each in drawn if each is not None]
    if not found:
        return {}
    numbers = [each["n"] for each in found]
    section: dict[str, Any] = {
        "n": {"least": min(numbers), "mean": float(np.mean(numbers)), "most": max(numbers)},
        "answers": sum(numbers),
        "others": dict(sum((Counter(each["others"]) for each in found), Counter())),
        "reasoning": sum(each["reasoning"] for each in found),
    }
    if any("sum" in each for each in found):
        section["sums_off"] = sum(each["sum"] is not None and abs(each["sum"] - 1) > _SUM_IS_OFF for each in found)
    if any(each.get("perfect") for each in found):
        section["perfect"] = _means([each.get("perfect") for each in found])
    if any("corrected" in each for each in found):
        section |= _independent(found, uniform)
    return {"drawn": section}


def _independent(found: Sequence[Drawn], uniform: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    corrected = [each["corrected"] for each in found]
    values = [each["p_value"] for each in found if each["p_value"] is not None and not np.isnan(each["p_value"])]
    records = [each["record"] for each in found if each["record"] is not None]
    return {
        "corrected": {name: mean_of(_column(corrected, name)) for name in _names(corrected)},
        "skill": skills(corrected, uniform),
        "interval_width": {
            name: float(np.nanmean([_width(each["ci95"].get(name)) for each in found])) for name in _names(corrected)
        },
        "record": _means(records) if records else None,
        "indistinguishable": {"n": sum(value >= LEVEL for value in values), "of": len(values)},
    }


def _names(numbers: Sequence[Mapping[str, Any] | None]) -> list[str]:
    return list(dict.fromkeys(name for each in numbers if each for name in each))


def _column(numbers: Sequence[Mapping[str, Any] | None], name: str) -> list[float | None]:
    return [(each or {}).get(name) for each in numbers]


def _means(numbers: Sequence[Mapping[str, Any] | None]) -> dict[str, float]:
    return {name: mean_of(_column(numbers, name))["mean"] for name in _names(numbers)}


def _width(ends: Sequence[float | None] | None) -> float:
    low, high = ends or (None, None)
    return np.nan if low is None or high is None else high - low
