"""How often one model's responses are better than another's, as it is and with equal lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.intervals import interval
from spectrum_suite.evaluation.preference import Comparison, Preference

RESAMPLES = 1000
_STEPS = 60
_LONGEST_STEP = 1.0  # of Newton's method, which may overshoot far from the optimum
_LARGEST = 15.0  # where all agree, the intercept has no optimum: a logit of 15 is 1 to 6 digits


@dataclass(frozen=True)
class WinRate:
    """The outcome of pairwise comparisons.

    Attributes:
        judge: Who judged.
        wins: (n,), per instruction 1 for a win, 0 for a loss; each order of the two counts half.
        lengths: (n, 2), characters of the two responses.
    """

    judge: str
    wins: np.ndarray
    lengths: np.ndarray

    @property
    def win_rate(self) -> float:
        """The mean win."""
        return float(self.wins.mean())

    @property
    def consistency(self) -> float:
        """The share of instructions on which both orders have the same outcome."""
        return float((self.wins != 0.5).mean())  # noqa: PLR2004

    @property
    def length_controlled(self) -> float:
        """The win rate that equal lengths would give; see :func:`length_controlled_rates`."""
        return float(length_controlled_rates(self.wins, self.lengths, np.ones((1, len(self.wins))))[0])

    def section(self, seed: int = 0) -> dict[str, object]:
        """All of it with 95% bootstrap intervals over instructions, for a report."""
        counts = np.random.default_rng(seed).multinomial(
            len(self.wins), np.full(len(self.wins), 1 / len(self.wins)), size=RESAMPLES
        )
        controlled = length_controlled_rates(self.wins, self.lengths, counts)
        return {
            "judge": self.judge,
            "n": len(self.wins),
            "win_rate": self.win_rate,
            "win_rate_ci95": interval(self.wins, seed=seed),
            "length_controlled": self.length_controlled,
            "length_controlled_ci95": np.percentile(controlled, [2.5, 97.5]).tolist(),
            "consistency": self.consistency,
            "mean_lengths": self.lengths.mean(0).tolist(),
        }


def compare_responses(
    instructions: Sequence[str], responses: Sequence[str], others: Sequence[str], judge: Preference
) -> WinRate:
    """Have a judge compare two responses to each instruction, in both orders.

    Raises:
        UserError: There are no instructions, or not as many responses.
    """
    if not instructions or not len(instructions) == len(responses) == len(others):
        raise UserError(
            f"a win rate needs two responses per instruction, but there are {len(instructions)} instructions with "
            f"{len(responses)} and {len(others)} responses: generate them again"
        )
    rows = list(zip(instructions, responses, others, strict=True))
    orders = [Comparison(asked, mine, other) for asked, mine, other in rows]
    orders += [Comparison(asked, other, mine) for asked, mine, other in rows]
    first = np.array(judge(orders)).reshape(2, len(rows))
    lengths = np.array([[len(mine), len(other)] for _, mine, other in rows])
    return WinRate(judge.label, (first[0] + 1 - first[1]) / 2, lengths)


def length_controlled_rates(wins: np.ndarray, lengths: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Win rates with the effect of length taken out, after Dubois et al. 2024 (arXiv 2404.04475, section 3).

    The model is P(win) = sigmoid(a + b tanh(d / s)), d being the difference of the two lengths and s its standard
    deviation; the rate is that of equal lengths, sigmoid(a). The paper's terms for single instructions are left out,
    for they need many models. b has a standard normal prior, so that it exists where length decides everything.

    Args:
        wins: (n,), between 0 and 1.
        lengths: (n, 2), of the two responses.
        weights: (fits, n), how often each instruction counts in each fit.

    Returns:
        (fits,).
    """
    difference = (lengths[:, 0] - lengths[:, 1]).astype(float)
    spread = difference.std()
    feature = np.tanh(difference / spread) if spread else np.zeros(len(wins))
    a, b = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-(a[:, None] + b[:, None] * feature)))
        residual, curvature = weights * (wins - p), weights * p * (1 - p)
        gradient_a, gradient_b = residual.sum(1), residual @ feature - b
        aa, ab, bb = curvature.sum(1) + 1e-9, curvature @ feature, curvature @ feature**2 + 1
        determinant = aa * bb - ab**2
        steps = np.array([bb * gradient_a - ab * gradient_b, aa * gradient_b - ab * gradient_a]) / determinant
        a, b = np.array([a, b]) + np.clip(steps, -_LONGEST_STEP, _LONGEST_STEP)
        a = np.clip(a, -_LARGEST, _LARGEST)
    return 1 / (1 + np.exp(-a))
