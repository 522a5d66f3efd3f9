"""A temperature and a position bias by maximum likelihood, as far as they help on items that were left out.

Both minimize the cross-entropy of the targets, which in ``1 / T`` and ``b / T`` is convex; see
:mod:`spectrum_suite.lm.calibration` for what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from spectrum_suite.lm.calibration import Correction, floored, relative

FEWEST_PLACES = 20
"""Items whose prompts name their options, at least, to fit a position bias."""

HOTTEST = 20.0
"""The largest temperature, and one over the smallest."""

_EXACT = 5  # up to so many options each place has a bias of its own
_MANY = np.linspace(0, 1, _EXACT)
_PRIOR = 1 / 10.0**2  # of biases over the temperature, normal with a deviation of 10 nats: it settles their mean
_FOLDS = 5


@dataclass(frozen=True)
class Scored:
    """The options of one item, scored.

    Attributes:
        log_probs: (n_options,), in nats: the model's, up to a constant.
        target: (n_options,): the true probabilities.
        places: Where each option stands in the order in which the prompt names them; None where it does not.
        task: The item's task.
    """

    log_probs: ArrayLike
    target: ArrayLike
    places: Sequence[int] | None = None
    task: str = ""


@dataclass(frozen=True)
class Fit:
    """A correction, and how it does on items that it was not fitted on.

    Attributes:
        correction: Fitted on all items; what did not lower the cross-entropy of other items is left out of it.
        before: (n_items,), in nats: the cross-entropy of each target before.
        after: (n_items,): the same after a correction of the same form that was fitted on other tasks than the item's,
            or, where there is one task alone, on four fifths of its items.
    """

    correction: Correction
    before: np.ndarray
    after: np.ndarray


def fit(items: Sequence[Scored]) -> Fit:
    """The correction of one kind of option set: a temperature and a position bias, a temperature, or none.

    The form is chosen by the mean cross-entropy on items that were left out; of the simplest forms on a tie.

    Args:
        items: At least one.
    """
    ways: list[Callable[[Sequence[Scored]], Correction]] = [lambda _: Correction(), _fit_temperature]
    if sum(item.places is not None for item in items) >= FEWEST_PLACES:
        ways.append(_fit_both)
    folds = _folds(items)
    left_out = [_left_out(items, folds, way) for way in ways]
    best = int(np.argmin([found.mean() for found in left_out]))
    return Fit(ways[best](items), left_out[0], left_out[best])


def cross_entropy(correction: Correction, item: Scored) -> float:
    """Of an item's target after a correction, in nats."""
    return -float(np.asarray(item.target) @ correction.log_probs(item.log_probs, item.places))


def fit_correction(items: Sequence[Scored], *, position: bool = True) -> Correction:
    """A temperature and, with ``position``, a position bias, by maximum likelihood.

    Standard errors are those of independent items whose targets need not be draws (the sandwich estimator).
    """
    knots = _knots(items) if position else np.array([])
    log_probs, target, is_option = _padded(items)
    features = np.concatenate([log_probs[..., None], -_design(items, knots, is_option.shape[1])], axis=2)
    prior = np.r_[0.0, np.full(len(knots), _PRIOR)]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        logits = np.where(is_option, features @ theta, -np.inf)
        shares = np.exp(log_softmax(logits, axis=1))
        value = logsumexp(logits, axis=1).sum() - (target * np.where(is_option, logits, 0)).sum()
        gradient = np.einsum("io,iof->f", shares - target, features)
        return value + prior @ theta**2 / 2, gradient + prior * theta

    bounds = [(1 / HOTTEST, HOTTEST), *[(None, None)] * len(knots)]
    start = np.r_[1.0, np.zeros(len(knots))]
    theta = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-8}
    ).x
    covariance = _covariance(theta, features, target, is_option, prior)
    beta, over = theta[0], theta[1:]
    at_bound = not 1 / HOTTEST < beta < HOTTEST
    slopes = np.concatenate([-over[:, None] / beta**2, np.eye(len(knots)) / beta], axis=1)
    bias_se = np.sqrt(np.maximum(np.einsum("kf,fg,kg->k", slopes, covariance, slopes), 0))
    return Correction(
        temperature=float(1 / beta),
        temperature_se=np.nan if at_bound else float(np.sqrt(covariance[0, 0]) / beta**2),
        knots=tuple(knots.tolist()),
        bias=tuple((over / beta).tolist()),
        bias_se=tuple(bias_se.tolist()),
    )


def _fit_temperature(items: Sequence[Scored]) -> Correction:
    return fit_correction(items, position=False)


def _fit_both(items: Sequence[Scored]) -> Correction:
    return fit_correction(items, position=True)


def _covariance(
    theta: np.ndarray, features: np.ndarray, target: np.ndarray, is_option: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    shares = np.exp(log_softmax(np.where(is_option, features @ theta, -np.inf), axis=1))
    mean = np.einsum("io,iof->if", shares, features)
    curvature = np.einsum("io,iof,iog->fg", shares, features, features, optimize=True) - mean.T @ mean
    inverse = np.linalg.pinv(curvature + np.diag(prior), hermitian=True)
    slopes = np.einsum("io,iof->if", shares - target, features)
    return inverse @ (slopes.T @ slopes) @ inverse


def _folds(items: Sequence[Scored]) -> np.ndarray:
    """(n_items,): the fold in which each is left out, which is its task where there are several."""
    tasks = sorted({item.task for item in items})
    if len(tasks) > 1:
        return np.array([tasks.index(item.task) for item in items])
    return np.random.default_rng(0).permutation(len(items)) % _FOLDS


def _left_out(items: Sequence[Scored], folds: np.ndarray, way: Callable[[Sequence[Scored]], Correction]) -> np.ndarray:
    """(n_items,): the cross-entropy of each item after what was fitted on the other folds; on a single one, nothing."""
    found = np.empty(len(items))
    for fold in set(folds.tolist()):
        others = [item for item, place in zip(items, folds, strict=True) if place != fold]
        correction = way(others) if others else Correction()
        for place in np.flatnonzero(folds == fold):
            found[place] = cross_entropy(correction, items[place])
    return found


def _padded(items: Sequence[Scored]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-probabilities, targets and which entries are options, each (n_items, max_options)."""
    is_option = np.arange(max(len(item.target) for item in items)) < np.array([[len(item.target)] for item in items])
    log_probs, target = np.zeros(is_option.shape), np.zeros(is_option.shape)
    log_probs[is_option] = np.concatenate([floored(item.log_probs) for item in items])
    target[is_option] = np.concatenate([np.asarray(item.target) / np.sum(item.target) for item in items])
    return log_probs, target, is_option


def _design(items: Sequence[Scored], knots: np.ndarray, most: int) -> np.ndarray:
    """(n_items, max_options, n_knots): the weight of each knot in the bias of each option."""
    design = np.zeros((len(items), most, len(knots)))
    for row, item in zip(design, items, strict=True):
        if item.places is not None and len(knots):
            at = relative(item.places)
            row[: len(at)] = np.stack([np.interp(at, knots, unit) for unit in np.eye(len(knots))], axis=1)
    return design


def _knots(items: Sequence[Scored]) -> np.ndarray:
    """The places that options have in the orders of up to five of them; for more, five evenly spaced ones."""
    counts = {len(item.places) for item in items if item.places is not None}
    places = [np.linspace(0, 1, count) if count <= _EXACT else _MANY for count in counts]
    return np.unique(np.concatenate([[0.0, 1.0], *places]).round(12))
