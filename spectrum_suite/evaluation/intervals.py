"""Means and differences over items with their 95% bootstrap intervals, as reports hold them.

The intervals are those of the published metrics: the library takes them from here, each metric stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spectrum_suite.metrics.spectrum_alignment.scoring import bootstrap_interval, paired_difference_interval

RESAMPLES = 10_000


def interval(values: ArrayLike, *, n_resamples: int = RESAMPLES, seed: int = 0) -> list[float]:
    """The ends of the interval of the mean of ``values``; NaN entries are left out, and of fewer than two it is NaN."""
    return list(bootstrap_interval(values, n_resamples=n_resamples, seed=seed))


def mean_of(values: Sequence[float | bool | None] | np.ndarray, *, n_resamples: int = RESAMPLES) -> dict[str, Any]:
    """``mean``, ``ci95`` and ``n`` of the values that are neither None nor NaN; the mean is NaN where all are."""
    found = np.array(values, dtype=float)  # None becomes NaN
    n = int((~np.isnan(found)).sum())
    mean = float(np.nanmean(found)) if n else math.nan
    return {"mean": mean, "ci95": interval(found, n_resamples=n_resamples), "n": n}


def paired_difference(mine: ArrayLike, theirs: ArrayLike) -> dict[str, Any]:
    """``difference`` (the mean of ``mine - theirs``), ``ci95`` and ``n``, over the items that both have a value for.

    Args:
        mine: (items,), None or NaN where there is no value.
        theirs: The same items.
    """
    mine, theirs = np.array(mine, dtype=float), np.array(theirs, dtype=float)
    known = (mine - theirs)[~np.isnan(mine - theirs)]
    mean = float(known.mean()) if len(known) else math.nan
    return {"difference": mean, "ci95": list(paired_difference_interval(mine, theirs)), "n": len(known)}
