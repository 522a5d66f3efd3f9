"""Numbers of a run pooled over tasks and seeds, and differences of two runs, with bootstrap intervals.

A run is a list of samples, one per seed. In a sample every stratum (a task) has units (items, sequences) with sums,
and a statistic is made of added-up sums: a mean is a sum of values by a sum of ones. Units are drawn again within their
stratum, the same ones for every seed and for both sides of a difference, since all have scored the same; seeds are
drawn again for each side on its own. That is the pigeonhole bootstrap of crossed factors (Owen, 2007, "The pigeonhole
bootstrap", Annals of Applied Statistics). With few seeds their share in the spread is found a little too small, so the
standard deviation over seeds is given with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from spectrum_suite.seeding import generator

RESAMPLES = 4000

Statistic = Callable[[np.ndarray], np.ndarray]
"""Sums of shape (..., columns) -> values of shape (...)."""


@dataclass(frozen=True)
class Units:
    """The units of a stratum: their ids, and their sums of shape (units, columns)."""

    ids: tuple[str, ...]
    sums: np.ndarray

    def only(self, ids: Sequence[str]) -> Units:
        """Those of some ids, in their order."""
        place = {unit: index for index, unit in enumerate(self.ids)}
        return Units(tuple(ids), self.sums[[place[unit] for unit in ids]])


Sample = Mapping[str, Units]
"""Stratum -> its units, as one seed of a run has scored them; a unit without a value is left out."""


@dataclass(frozen=True)
class Pooled:
    """How the strata of a sample make one number.

    Attributes:
        statistic: Of added-up sums.
        over_units: Add up the sums of all strata, so that every unit counts alike; otherwise the statistic is taken in
            each stratum, and every stratum counts alike.
    """

    statistic: Statistic
    over_units: bool = False


@dataclass(frozen=True)
class Estimate:
    """A pooled number.

    Attributes:
        value: Its mean over seeds.
        se: The standard deviation of its resamples; NaN where there is nothing to draw again.
        ci95: Their central 95%.
        units: So many were scored.
        seeds: Seeds of the run; the smaller number for a difference.
        seed_sd: Standard deviation of the seeds' values; NaN for one seed, and for a difference.
    """

    value: float
    se: float
    ci95: tuple[float, float]
    units: int
    seeds: int
    seed_sd: float = math.nan

    @property
    def sign(self) -> int:
        """1 or -1 where the interval is above or below zero, else 0."""
        low, high = self.ci95
        return int(low > 0) - int(high < 0)


def ratio(sums: np.ndarray) -> np.ndarray:
    """The statistic of a mean: the first column by the second."""
    return np.divide(sums[..., 0], sums[..., 1], out=np.full(sums.shape[:-1], np.nan), where=sums[..., 1] > 0)


def estimate(run: Sequence[Sample], pooled: Pooled) -> Estimate | None:
    """The number of a run; None if it has scored nothing for it."""
    (run,) = _shared([run], pooled)
    if not run or not run[0]:
        return None
    of_seeds = [float(_values(sample, _once(sample), pooled)[0]) for sample in run]
    spread = float(np.std(of_seeds, ddof=1)) if len(run) > 1 else math.nan
    return _estimate([run], pooled, float(np.mean(of_seeds)), spread)


def difference(mine: Sequence[Sample], theirs: Sequence[Sample], pooled: Pooled) -> Estimate | None:
    """The number of one run minus that of another, on the units that both have scored; None if there are none."""
    mine, theirs = _shared([mine, theirs], pooled)
    if not mine or not theirs or not mine[0]:
        return None
    means = [np.mean([_values(sample, _once(sample), pooled)[0] for sample in side]) for side in (mine, theirs)]
    return _estimate([mine, theirs], pooled, float(means[0] - means[1]), math.nan)


def _estimate(sides: list[list[Sample]], pooled: Pooled, value: float, seed_sd: float) -> Estimate:
    first = sides[0][0]
    counts = {stratum: _draws(stratum, len(units.ids)) for stratum, units in first.items()}
    resampled = [_over_seeds(side, counts, pooled, place) for place, side in enumerate(sides)]
    draws = resampled[0] - resampled[1] if len(resampled) > 1 else resampled[0]
    fixed = all(len(units.ids) == 1 for units in first.values()) and all(len(side) == 1 for side in sides)
    known = not fixed and not np.isnan(draws).any()
    low, high = np.quantile(draws, [0.025, 0.975]) if known else (math.nan, math.nan)
    return Estimate(
        value=value,
        se=float(draws.std(ddof=1)) if known else math.nan,
        ci95=(float(low), float(high)),
        units=sum(len(units.ids) for units in first.values()),
        seeds=min(map(len, sides)),
        seed_sd=seed_sd,
    )


def _over_seeds(side: list[Sample], counts: Mapping[str, np.ndarray], pooled: Pooled, place: int) -> np.ndarray:
    """The resampled values of a side, (resamples,): each is a mean over seeds that were drawn again too."""
    values = np.stack([_values(sample, counts, pooled) for sample in side], axis=1)
    seeds = _draws(f"seeds of side {place}", len(side)) / len(side)
    return (values * seeds).sum(axis=1)


def _values(sample: Sample, counts: Mapping[str, np.ndarray], pooled: Pooled) -> np.ndarray:
    """The pooled number for each row of ``counts``, how often every unit was drawn: (rows,)."""
    sums = [counts[stratum] @ units.sums for stratum, units in sample.items()]
    if pooled.over_units:
        return pooled.statistic(np.sum(sums, axis=0))
    return np.mean([pooled.statistic(part) for part in sums], axis=0)


def _once(sample: Sample) -> dict[str, np.ndarray]:
    return {stratum: np.ones((1, len(units.ids))) for stratum, units in sample.items()}


@lru_cache(maxsize=64)
def _draws(stratum: str, n: int) -> np.ndarray:
    """How often each of ``n`` units is drawn in every resample, (resamples, n): the same for all runs."""
    if n == 1:
        return np.ones((RESAMPLES, 1))
    return generator(0, stratum, n).multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float32)


def _shared(sides: Sequence[Sequence[Sample]], pooled: Pooled) -> list[list[Sample]]:
    """The same samples with the strata and units alone that all of them have, and whose statistic has a value."""
    samples = [sample for side in sides for sample in side]
    found = {}
    for stratum in _common([list(sample) for sample in samples]):
        ids = _common([sample[stratum].ids for sample in samples])
        parts = [sample[stratum].only(ids) for sample in samples]
        if ids and not any(np.isnan(pooled.statistic(units.sums.sum(axis=0))) for units in parts):
            found[stratum] = ids
    return [
        [{stratum: sample[stratum].only(ids) for stratum, ids in found.items()} for sample in side] for side in sides
    ]


def _common(lists: Sequence[Sequence[str]]) -> list[str]:
    """What is in all of some lists, in the order of the first."""
    shared = set.intersection(*map(set, lists)) if lists else set()
    return [name for name in lists[0] if name in shared] if lists else []
