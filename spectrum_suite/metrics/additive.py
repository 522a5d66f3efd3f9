"""Distances between distributions that are sums over cells, each a function of the chance of one event.

The shares of ``n`` independent answers are then binomial cell by cell, so that what a distance is on average, whatever
the true distribution, is a sum of one-dimensional sums. It is also what a bias can be taken out of.

    js_divergence, total_variation, brier    a cell for each option: the answer is that option
    wasserstein, rps                         for options in order, all but the last: it is that option or one before

They are those of ``metrics/spectrum_alignment``, which adds ``smoothing`` to all shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

Distance = Literal["js_divergence", "total_variation", "brier", "wasserstein", "rps"]
CUMULATIVE: tuple[Distance, ...] = ("wasserstein", "rps")
"""Those of options in order."""

_PENALTY = 2e-3
_PINNED = 0.2
_KNOTS_FROM = 120  # answers: with fewer, the correction of every count is fitted by itself
_FINE = 32


@dataclass(frozen=True)
class Cells:
    """A distance from a target, cell by cell.

    Attributes:
        distance: Which.
        target: (n_options,), sums to 1.
        smoothing: Added to every share of both sides.
    """

    distance: Distance
    target: np.ndarray
    smoothing: float

    @property
    def n_options(self) -> int:
        """Options of the target."""
        return len(self.target)

    @property
    def range(self) -> list[float]:
        """The least and the greatest distance that there can be, of a model that gives one option all it has."""
        return [0.0, float(self.between(np.eye(self.n_options)).max())]

    def chances(self, shares: np.ndarray) -> np.ndarray:
        """Shares or counts of options, (..., n_options), as those of cells, (..., n_cells)."""
        return shares.cumsum(axis=-1)[..., :-1] if self.distance in CUMULATIVE else shares

    def terms(self, chances: np.ndarray) -> np.ndarray:
        """What each cell adds to the distance at these chances, (..., n_cells), each from 0 to 1."""
        right = self.chances(self.target)
        if self.distance == "js_divergence":
            return js_terms(self._smooth(right), self._smooth(chances))
        difference = (chances - right) / (1 + self.smoothing * self.n_options)
        if self.distance == "brier":
            return np.square(difference)
        if self.distance == "rps":
            return np.square(difference) / (self.n_options - 1)
        return np.abs(difference) / (2 if self.distance == "total_variation" else 1)

    def between(self, shares: np.ndarray) -> np.ndarray:
        """The distance of distributions, (..., n_options), from the target."""
        return self.terms(self.chances(shares)).sum(axis=-1)

    def plug_in(self, n: int) -> np.ndarray:
        """What each cell adds where ``x`` of ``n`` answers are its event, (n + 1, n_cells)."""
        return self.terms(np.arange(n + 1)[:, None] / n)

    def expected(self, n: int) -> float:
        """The distance, on average, of the shares of ``n`` answers of the target itself."""
        chances = self.chances(self.target)
        return float((binomial(n, chances) * self.plug_in(n).T).sum())

    def corrected(self, n: int) -> np.ndarray:
        """What each cell adds, bias taken out as far as can be: (n + 1, n_cells); see :func:`_least_biased`."""
        plug_in = self.plug_in(n)
        if self.distance in ("brier", "rps"):  # polynomials of degree 2, of which there are estimates without bias
            share = np.arange(n + 1)[:, None] / n
            scale = (1 + self.smoothing * self.n_options) ** 2 * (self.n_options - 1 if self.distance == "rps" else 1)
            return plug_in - share * (1 - share) / (n - 1) / scale if n > 1 else np.full(plug_in.shape, np.nan)
        chances, _, pmf, basis, _ = _design(n)
        bias = pmf @ plug_in - self.terms(chances[:, None])
        return plug_in - basis @ (_least_biased(n, self.n_options) @ bias)

    def _smooth(self, shares: np.ndarray) -> np.ndarray:
        return (shares + self.smoothing) / (1 + self.smoothing * self.n_options)


def binomial(n: int, chances: np.ndarray) -> np.ndarray:
    """(chances, n + 1), the probability of each count of ``n``."""
    count, chance = np.arange(n + 1), np.clip(np.asarray(chances, dtype=float), 0, 1)[:, None]
    log_factorial = np.concatenate([[0.0], np.log(np.arange(1, n + 1)).cumsum()])
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 times the logarithm of 0
        hits = np.where(count > 0, count * np.log(chance), 0.0)
        misses = np.where(count < n, (n - count) * np.log1p(-chance), 0.0)
    return np.exp(log_factorial[n] - log_factorial - log_factorial[::-1] + hits + misses)


@lru_cache(maxsize=2048)
def _least_biased(n: int, n_options: int) -> np.ndarray:
    """(knots, chances): the bias at each chance -> what to take off at each knot of the counts.

    No estimate from ``n`` answers is without bias at all chances, since its mean is a polynomial of degree ``n`` and a
    divergence is none. This one has the least squared bias over all chances, those near 0 counting most (there are as
    many of them as options, and their biases add up), plus a small penalty on what it takes off, without which it
    would vary wildly. The penalty is the smaller the fewer answers there are for an option. A jackknife, the bias of
    order 1/n removed, leaves 65% of it with 10 answers to 50 options.
    """
    _, weights, _, _, by_knot = _design(n)
    weighted = (by_knot * weights[:, None]).T
    penalty = _PENALTY * min(1.0, n / (2 * n_options)) ** 2 * weighted.sum(axis=1)
    return np.linalg.solve(weighted @ by_knot + np.diag(penalty), weighted)


@lru_cache(maxsize=8)
def _design(n: int) -> tuple[np.ndarray, ...]:
    """Chances, their weights, the probability of counts, counts as weights of knots, and of knots by chance.

    The correction of a count between two knots is interpolated.
    """
    knots = np.arange(n + 1)
    if n > _KNOTS_FROM:
        knots = np.unique(np.rint(np.concatenate([np.arange(_FINE), np.geomspace(_FINE, n, 80)])).astype(int))
    even = np.sin((np.arange(max(200, 4 * len(knots))) + 0.5) / max(200, 4 * len(knots)) * np.pi / 2) ** 2
    chances = np.unique(np.concatenate([even, np.geomspace(0.02 / n, 1, 100)[:-1]]))
    weights = np.minimum(chances**-0.5, 3 * n**0.5) * np.gradient(np.arcsin(np.sqrt(chances)))
    chances = np.concatenate([[0.0], chances])
    weights = np.concatenate([[_PINNED], weights / weights.sum()])
    basis = np.stack([np.interp(np.arange(n + 1), knots, row) for row in np.eye(len(knots))], axis=1)
    pmf = binomial(n, chances)
    return chances, weights, pmf, basis, pmf @ basis


def js_terms(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """What each option adds to the Jensen-Shannon divergence of two distributions, in nats."""
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 times the logarithm of 0, without smoothing
        terms = [np.where(x > 0, x * np.log(x / middle), 0.0) for x in (p, q)]
    return (terms[0] + terms[1]) / 2
