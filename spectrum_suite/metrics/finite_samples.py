"""What ``n`` answers of a model say about its distance from a target, and what they cannot say.

Each number stands for the distance of the model's own distribution over the options, of which the answers are
independent draws; answers that are not an option are left out.

    plug_in     the distance of the shares of the answers: too large by what chance alone adds
    corrected   the same without that; it may be below 0, and is right on average: see ``additive.py``
    ci95        an interval that holds the distance 95 times in 100
    perfect     the plug-in, on average, of ``n`` answers of the target itself: no model can be asked for less
    record      the distance, on average, between a population and the answers of ``n_responses`` of its people, if the
                target is such a record: what the target can tell of the truth
    p_value     of the hypothesis that the model is the truth: that the answers, and those of the people where their
                number is known, are draws from one distribution

The interval is made of the distributions that a test does not reject. They are on the line from the target through the
shares of the answers, and beyond them; the corrected distance of ``n`` draws from each is simulated, and one is
rejected if the model's is among the 2.5% largest or smallest of its own. Distributions so near the target that no
answers could be too near it for them are tested from above alone, at 5%: so the interval is one of 95% near a distance
of 0, too, and never shrinks to nothing where the answers are by chance nearer to the target than they should be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spectrum_suite.metrics.additive import CUMULATIVE, Cells, Distance, js_terms
from spectrum_suite.metrics.spectrum_alignment.scoring import mode_match

DRAWS = 400
"""Samples simulated from each distribution on the line."""

NULL_DRAWS = 999
_SAME = 1e-9
TAIL, NEAR_TAIL = 0.025, 0.05

_ALONG = np.concatenate([np.linspace(0, 1, 101), np.geomspace(1.005, 20, 200)])
"""Places on the line: 0 is the target, 1 the shares of the answers; beyond, shares below 0 are cut off."""

_ERRORS = np.array([-5, -4, -3, -2.5, -2.2, -1.9, -1.6, -1.3, -1, 0, 1, 1.3, 1.6, 1.9, 2.2, 2.5, 3, 4, 5, 7])
"""Distances from the estimate, in standard errors, of the distributions on the line that are simulated."""

Numbers = dict[str, float]


def finite_sample(
    target: ArrayLike,
    counts: ArrayLike,
    *,
    n_responses: int | None = None,
    ordered: bool = False,
    smoothing: float = 1e-6,
    seed: int = 0,
) -> dict[str, Any]:
    """What the answers to one item show.

    Args:
        target: (n_options,), the true distribution or a record of it; sums to 1.
        counts: (n_options,), how many answers are each option.
        n_responses: How many people's answers the target is; None where it is known exactly.
        ordered: Whether the options are in order, for ``wasserstein`` and ``rps``.
        smoothing: As of :func:`spectrum_suite.metrics.spectrum_alignment.scoring.score_items`.
        seed: Of the simulations.

    Returns:
        ``n`` (the answers that count); ``plug_in``, ``corrected``, ``perfect`` and ``record`` (metric -> number), and
        ``ci95`` (metric -> both ends), for ``js_divergence``, ``total_variation``, ``brier``, ``wasserstein`` and
        ``rps`` of ordered options, and ``mode_match``; and ``p_value``. ``record`` is None without ``n_responses``.
        Numbers are NaN where no answer counts, and of fewer than two an interval is all that can be.
    """
    target, counts = np.asarray(target, dtype=float), np.asarray(counts, dtype=np.int64)
    target = target / target.sum()
    n = int(counts.sum())
    draw = np.random.default_rng(seed)
    cells = {name: Cells(name, target, smoothing) for name in distances(ordered)}
    found: dict[str, Any] = {"n": n}
    if n == 0:
        nothing = dict.fromkeys([*cells, "mode_match"], np.nan)
        empty = {name: each.range for name, each in cells.items()} | {"mode_match": [0.0, 1.0]}
        return found | dict.fromkeys(("plug_in", "corrected", "perfect"), nothing) | {
            "record": _record(cells, target, n_responses, draw), "ci95": empty, "p_value": np.nan
        }  # fmt: skip
    shares = counts / n
    line = _line(target, counts, cells["js_divergence"], draw)
    samples = draw.multinomial(n, line, size=(DRAWS, len(line))).swapaxes(0, 1)  # (places, draws, options)
    sampled = {name: _Sampled(each, n, counts, samples, line) for name, each in cells.items()}
    again = mode_match(target[None], draw.multinomial(n, shares, size=DRAWS) / n)
    mode = float(mode_match(target[None], shares[None])[0])
    return found | {
        "plug_in": {name: float(each.between(shares)) for name, each in cells.items()} | {"mode_match": mode},
        "corrected": {name: each.corrected for name, each in sampled.items()}
        | {"mode_match": 2 * mode - float(again.mean())},
        "ci95": {name: each.interval() if n > 1 else cells[name].range for name, each in sampled.items()}
        | {"mode_match": _of_flag(again)},
        "perfect": {name: each.expected(n) for name, each in cells.items()}
        | {"mode_match": float(mode_match(target[None], samples[0] / n).mean())},
        "record": _record(cells, target, n_responses, draw),
        "p_value": p_value(target, counts, n_responses=n_responses, smoothing=smoothing, draw=draw),
    }


def perfect_sampler(target: ArrayLike, n: int, *, ordered: bool = False, smoothing: float = 1e-6) -> Numbers:
    """Distance -> what ``n`` answers of the target itself are away from it, on average; at least one."""
    target = np.asarray(target, dtype=float)
    target = target / target.sum()
    return {name: Cells(name, target, smoothing).expected(n) for name in distances(ordered)}


def distances(ordered: bool) -> tuple[Distance, ...]:
    """The distances of options that are in order or not."""
    return ("js_divergence", "total_variation", "brier", *(CUMULATIVE if ordered else ()))


def p_value(
    target: np.ndarray, counts: np.ndarray, *, n_responses: int | None, smoothing: float, draw: np.random.Generator
) -> float:
    """How often the shares of as many answers of the target itself diverge from it as much (JS), or more.

    Where the target is a record of ``n_responses`` answers, it is drawn too: both from the shares of all answers, those
    of the people and of the model. The count includes the answers themselves, so that one of 20 tests of models that
    are the truth is below 0.05, at most.
    """
    n = int(counts.sum())
    observed = _js(target, counts / n, smoothing)
    if n_responses is None:
        drawn = _js(target, draw.multinomial(n, target, size=NULL_DRAWS) / n, smoothing)
    else:
        pooled = (n_responses * target + counts) / (n_responses + n)
        people = draw.multinomial(n_responses, pooled, size=NULL_DRAWS) / n_responses
        drawn = _js(people, draw.multinomial(n, pooled, size=NULL_DRAWS) / n, smoothing)
    return float((1 + (drawn >= observed - 1e-12).sum()) / (NULL_DRAWS + 1))


class _Sampled:
    """A distance as it is estimated from a model's answers, and from those of each distribution on a line."""

    def __init__(self, cells: Cells, n: int, counts: np.ndarray, samples: np.ndarray, line: np.ndarray) -> None:
        self.table = cells.corrected(n)
        self.corrected = float(self._estimate(cells, counts))
        self.simulated = self._estimate(cells, samples)  # (places, draws)
        self.truths = np.maximum.accumulate(cells.between(line))
        self.largest = cells.range[1]

    def _estimate(self, cells: Cells, counts: np.ndarray) -> np.ndarray:
        return self.table[cells.chances(counts), np.arange(self.table.shape[1])].sum(axis=-1)

    def interval(self) -> list[float]:
        """Both ends of the 95% interval."""
        above = np.maximum.accumulate(_shares_above(self.simulated, self.corrected))
        nearest = float(np.median(self.simulated[0]))
        one_sided = self._where(np.maximum.accumulate(_shares_above(self.simulated, nearest)), 1 - TAIL)
        high = max(self._where(above, 1 - TAIL), one_sided)
        low = self._where(above, NEAR_TAIL)
        if low >= one_sided:
            low = max(self._where(above, TAIL), one_sided)
        return [min(low, high), high]

    def _where(self, rising: np.ndarray, level: float) -> float:
        """The distance at which shares that rise along the line pass a level."""
        place = int(np.searchsorted(rising, level))
        if place == 0:
            return float(self.truths[0])
        if place == len(rising):
            return self.largest
        part = (level - rising[place - 1]) / (rising[place] - rising[place - 1])
        return float(self.truths[place - 1] + part * (self.truths[place] - self.truths[place - 1]))


def _shares_above(simulated: np.ndarray, value: float) -> np.ndarray:
    """The share of each row's numbers above a value, and half of those that are equal to it."""
    equal = np.isclose(simulated, value, rtol=1e-9, atol=1e-12)
    return ((simulated > value) & ~equal).mean(axis=1) + equal.mean(axis=1) / 2


def _line(target: np.ndarray, counts: np.ndarray, js: Cells, draw: np.random.Generator) -> np.ndarray:
    """Distributions on the line at which it pays to look, (places, n_options), by JS divergence; the target is first.

    They are from 5 standard errors of the corrected divergence below it to 7 above.
    """
    n, k = int(counts.sum()), len(target)
    least = np.eye(k)[target.argmin()]
    towards = (counts / n, (counts + 0.5) / (n + 0.5 * k), (target + least) / 2)
    through = next(shares for shares in towards if np.abs(shares - target).max() > _SAME)
    line = np.maximum(target + _ALONG[:, None] * (through - target), 0)
    line /= line.sum(axis=1, keepdims=True)
    divergences = np.maximum.accumulate(js.between(line))
    table = js.corrected(n)
    again = draw.multinomial(n, (counts + 0.5) / (n + 0.5 * k), size=DRAWS)
    error = table[again, np.arange(k)].sum(axis=1).std()
    wanted = table[counts, np.arange(k)].sum() + _ERRORS * error
    places = np.searchsorted(divergences, wanted).clip(0, len(line) - 1)
    near = np.searchsorted(divergences, np.array([0.5, 1, 1.5, 2, 3, 4]) * js.expected(n)).clip(0, len(line) - 1)
    return line[np.unique([0, *places, *near])]


def _record(
    cells: dict[Distance, Cells], target: np.ndarray, n_responses: int | None, draw: np.random.Generator
) -> Numbers | None:
    """What ``n_responses`` answers of the target are away from it, on average."""
    if n_responses is None:
        return None
    matched = mode_match(target[None], draw.multinomial(n_responses, target, size=DRAWS) / n_responses)
    return {name: each.expected(n_responses) for name, each in cells.items()} | {"mode_match": float(matched.mean())}


def _of_flag(again: Sequence[float] | np.ndarray) -> list[float]:
    """Which values a flag can have, from its values where the answers are drawn again: both, or one of them."""
    mean = float(np.mean(again))
    return [float(mean >= 1 - NEAR_TAIL), float(mean > NEAR_TAIL)]


def _js(p: np.ndarray, q: np.ndarray, smoothing: float) -> np.ndarray:
    """JS divergences of rows in nats, smoothed as in :class:`Cells`; one side may be a single row."""
    smoothed = ((shares + smoothing) / (1 + smoothing * shares.shape[-1]) for shares in (p, q))
    return js_terms(*smoothed).sum(axis=-1)
