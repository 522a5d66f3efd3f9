"""How much nearer to the targets a model is than the uniform guess, of a task and on the mean over tasks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectrum_suite.evaluation.report import Section

DIVERGENCES = (
    "js_divergence", "kl_target_model", "kl_model_target", "total_variation", "brier", "hellinger",
    "wasserstein", "rps",
)  # fmt: skip
"""Metrics that are 0 where the model is right."""

RESAMPLES = 2000
_IS_ANSWER = 1e-6
"""A guess whose divergence is below this on the mean is the answer: nothing can be nearer."""


def skill(model: Sequence[float | None], uniform: Sequence[float | None]) -> dict[str, Any]:
    """``skill`` (1 minus the sum of a model's divergences over that of the uniform guess's), ``ci95`` and ``n``.

    1 is as near as can be, 0 as near as the uniform guess, below 0 is farther. The interval is a bootstrap over items.

    Args:
        model: (items,), None or NaN where there is none.
        uniform: The same items.
    """
    both = np.array([model, uniform], dtype=float)
    both = both[:, ~np.isnan(both).any(axis=0)]
    count = both.shape[1]
    if not count or both[1].mean() < _IS_ANSWER:
        return {"skill": math.nan, "ci95": [math.nan, math.nan], "n": count}
    value = 1 - both[0].sum() / both[1].sum()
    return {"skill": float(value), "ci95": _ends(_skills(both)) if count > 1 else [math.nan, math.nan], "n": count}


def skills(scores: Sequence[Mapping[str, float]], uniform: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Divergence -> :func:`skill`, of items that have it."""
    return {
        name: skill([item.get(name) for item in scores], [item.get(name) for item in uniform])
        for name in DIVERGENCES
        if any(name in item for item in scores)
    }


def means_over_tasks(sections: Mapping[str, Section]) -> dict[str, dict[str, Any]]:
    """``js_divergence``, the corrected one where answers were drawn, and its ``skill``: means over tasks.

    Every task counts the same, however many items it has. The intervals are bootstraps over the items of each task:
    they are about these tasks. A task that the uniform guess solves has no skill.

    Returns:
        Name -> ``mean``, ``ci95`` and ``n`` (tasks).
    """
    divergences, of_skill = [], []
    for number, section in enumerate(sections.values()):
        both = np.array(
            [[item[side]["js_divergence"] for item in section["items"]] for side in ("scores", "uniform")], dtype=float
        )
        if any("corrected" in (item.get("drawn") or {}) for item in section["items"]):
            both[0] = np.array([item["drawn"]["corrected"]["js_divergence"] for item in section["items"]], dtype=float)
        both = both[:, ~np.isnan(both).any(axis=0)]
        if not both.shape[1]:
            continue
        divergences.append((both[0].mean(), _resampled(both, number)[0]))
        if both[1].mean() >= _IS_ANSWER:
            of_skill.append((1 - both[0].sum() / both[1].sum(), _skills(both, number)))
    return {name: _mean(found) for name, found in (("js_divergence", divergences), ("skill", of_skill)) if found}


def _mean(found: Sequence[tuple[float, np.ndarray]]) -> dict[str, Any]:
    values, resampled = zip(*found, strict=True)
    return {"mean": float(np.mean(values)), "ci95": _ends(np.mean(resampled, axis=0)), "n": len(values)}


def _resampled(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """(rows, RESAMPLES), the means of the rows of (rows, items) over items drawn again with replacement."""
    count = values.shape[1]
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return values @ weights.T / count


def _skills(both: np.ndarray, seed: int = 0) -> np.ndarray:
    model, uniform = _resampled(both, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - model / uniform


def _ends(resampled: np.ndarray) -> list[float]:
    return np.nanpercentile(resampled, [2.5, 97.5]).tolist()
