"""Draws from one setting of a named family without an upper end: geometric, Poisson, negative binomial, Zipf.

Upstream: none. Licence: Apache-2.0, as the code. A process is one setting of the parameters, drawn afresh from its own
generator; a description tells the family with the exact parameters (in two phrasings) or the family alone. A draw:

    Draw(input=None, output="17")
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.exact_numbers import SMALLEST, plain, random_share, rounded, significant
from dataset_builder.sources.synthetic import Family, Setting

LARGEST = 2**53 - 1
"""Integers up to here are exact in every JSON reader."""


def geometric(rng: np.random.Generator) -> Setting:
    """Trials up to the first success, p ~ Beta(1, 1)."""
    p = random_share(rng)
    return Setting(
        lambda rng, size: rng.geometric(p, size),
        (
            f"Draws from a geometric distribution with success probability p = {plain(p)}.",
            f"Each value counts the trials up to and including the first success; a trial succeeds with probability "
            f"{plain(p)}.",
        ),
    )


def geometric_beta(rng: np.random.Generator) -> Setting:
    """Trials up to the first success, p ~ Beta(1, 1), told whole or to three decimals."""
    p = random_share(rng)
    return Setting(
        lambda rng, size: rng.geometric(p, size),
        (
            f"Geometric distribution on 1, 2, 3, ..., where p = {rounded(p, 3)}.",
            f"Geometric distribution on 1, 2, 3, ..., whose p was itself drawn from Beta(1, 1) and is {plain(p)}.",
        ),
    )


def poisson(rng: np.random.Generator) -> Setting:
    """Counts with a rate from Gamma(shape 0.5, scale 2000)."""
    rate = significant(max(rng.gamma(0.5, 2000), SMALLEST))
    return Setting(
        lambda rng, size: rng.poisson(rate, size),
        (
            f"Draws from a Poisson distribution with rate {plain(rate)}.",
            f"Each value is a Poisson distributed number of events, where {plain(rate)} are expected.",
        ),
    )


def negative_binomial(rng: np.random.Generator) -> Setting:
    """Failures before r successes, r ~ Beta(1, 1), p ~ Uniform(0, 1)."""
    r, p = random_share(rng), random_share(rng)
    return Setting(
        lambda rng, size: rng.negative_binomial(r, p, size),
        (
            f"Draws from a negative binomial distribution with r = {rounded(r, 2)} and p = {rounded(p, 2)}.",
            f"Negative binomial counts: the failures before r = {rounded(r, 2)} successes, where one trial succeeds "
            f"with probability {rounded(p, 2)}.",
        ),
    )


def zipfian(rng: np.random.Generator) -> Setting:
    """Ranks with weight proportional to rank ** -alpha, alpha ~ Uniform(1.000001, 2.5)."""
    alpha = significant(rng.uniform(1.000001, 2.5), 7)
    return Setting(
        lambda rng, size: _zipf(rng, alpha, size),
        (
            f"Draws from a Zipf distribution with exponent {max(alpha, 1.001):.3f}.",  # never 1: it has none
            f"Each value is a rank x, with probability proportional to x to the power of minus {plain(alpha)}.",
        ),
    )


def _zipf(rng: np.random.Generator, alpha: float, size: int) -> np.ndarray:
    values = rng.zipf(alpha, size)
    while (large := values > LARGEST).any():
        values[large] = rng.zipf(alpha, large.sum())
    return values


_BOUNDED = (
    "Parameters that are uniform on (0, 1) lie between 1e-6 and 1 - 1e-6, which keeps every value an exact integer."
)
_EXACT = "Parameters have six significant digits, so that a description tells them exactly."

TASKS = [
    Family("geometric", "a geometric distribution", geometric, f"{_BOUNDED} {_EXACT}").task(),
    Family("poisson", "a Poisson distribution", poisson, f"The rate is at least 1e-6. {_EXACT}").task(),
    Family("negative_binomial", "a negative binomial distribution", negative_binomial, _BOUNDED).task(),
    Family("geometric_beta", "a geometric distribution starting at 1", geometric_beta, _BOUNDED).task(),
    Family("zipfian", "a Zipf distribution", zipfian, "Values above 2**53 - 1 are drawn again.").task(),
]
