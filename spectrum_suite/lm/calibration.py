"""Calibration of distributions over options: a temperature for each kind of option set, and a position bias.

A model's log-probabilities ``l`` of the options of an item become

    softmax((l - b(place)) / T)

with ``T`` and ``b`` of the item's kind of option set. ``place`` is where an option stands in the order in which the
prompt names its options, from 0 (first) to 1 (last); ``b``, in nats, is linear between the places at which it is
fitted, which for up to five options are all of them, and is 0 on average over these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

FLOOR = -30.0
"""Nats below which a log-probability is not distinguished from others: 1e-13, far below the metrics' smoothing."""


@dataclass(frozen=True)
class Correction:
    """What makes the probabilities of a kind of option set right.

    Attributes:
        temperature: Divides log-probabilities; 1 changes nothing.
        temperature_se: Its standard error; NaN where it is not fitted.
        knots: (n,), from 0 to 1: the places at which the bias is fitted; none where it is not.
        bias: (n,), in nats: what the model adds to the log-probability of an option there.
        bias_se: (n,): its standard errors.
    """

    temperature: float = 1.0
    temperature_se: float = np.nan
    knots: tuple[float, ...] = ()
    bias: tuple[float, ...] = ()
    bias_se: tuple[float, ...] = ()

    def log_probs(self, log_probs: ArrayLike, places: Sequence[int] | None) -> np.ndarray:
        """Corrected log-probabilities of the options of an item, (n_options,), which are those of a distribution."""
        logits = floored(log_probs)
        if self.knots and places is not None:
            logits = logits - np.interp(relative(places), self.knots, self.bias)
        logits = logits / self.temperature
        return logits - np.logaddexp.reduce(logits)


def relative(places: Sequence[int]) -> np.ndarray:
    """Places from 0 (first) to 1 (last), (n_options,)."""
    return np.asarray(places, dtype=float) / max(len(places) - 1, 1)


def floored(log_probs: ArrayLike) -> np.ndarray:
    """Log-probabilities below their largest one, (n_options,), none of them by more than :data:`FLOOR`."""
    values = np.asarray(log_probs, dtype=float)
    return np.maximum(values - values.max(), FLOOR)
