"""Draws from one setting of a named family: the parametric tasks whose outputs are single numbers.

Upstream: none. Licence: Apache-2.0, as the code. A process is one setting of the parameters, drawn afresh from its own
generator; a description tells the family with the exact parameters (in two phrasings) or the family alone. A draw:

    Draw(input=None, output="17")
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.synthetic import SMALLEST, Family, Setting, draw_length, plain, rounded, significant
from dataset_builder.task_spec import Mix

LARGEST = 2**53 - 1
"""Integers up to here are exact in every JSON reader."""


def _share(rng: np.random.Generator) -> float:
    return significant(rng.uniform(SMALLEST, 1 - SMALLEST))


def geometric(rng: np.random.Generator) -> Setting:
    """Trials up to the first success, p ~ Beta(1, 1)."""
    p = _share(rng)
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
    p = _share(rng)
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


def binomial(rng: np.random.Generator) -> Setting:
    """Successes in Mix(1024) trials, p ~ Beta(1, 1)."""
    n, p = draw_length(rng, Mix(1024)), _share(rng)
    return Setting(lambda rng, size: rng.binomial(n, p, size), binomial_texts(n, p))


def binomial_texts(n: int, p: float) -> tuple[str, ...]:
    """The phrasings that give the exact parameters of a binomial distribution."""
    return (
        f"Draws from a binomial distribution with n = {n} and p = {plain(p)}.",
        f"Each value is the number of successes among {n} independent trials; one trial succeeds with probability "
        f"{plain(p)}.",
    )


def negative_binomial(rng: np.random.Generator) -> Setting:
    """Failures before r successes, r ~ Beta(1, 1), p ~ Uniform(0, 1)."""
    r, p = _share(rng), _share(rng)
    return Setting(
        lambda rng, size: rng.negative_binomial(r, p, size),
        (
            f"Draws from a negative binomial distribution with r = {rounded(r, 2)} and p = {rounded(p, 2)}.",
            f"Negative binomial counts: the failures before r = {rounded(r, 2)} successes, where one trial succeeds "
            f"with probability {rounded(p, 2)}.",
        ),
    )


def hypergeometric(rng: np.random.Generator) -> Setting:
    """Positives in a sample of n from N items, K of them positive; N ~ Mix(128), K and n uniform on 1..N."""
    total = draw_length(rng, Mix(128))
    positive, sample = rng.integers(1, total, size=2, endpoint=True).tolist()
    return Setting(
        lambda rng, size: rng.hypergeometric(positive, total - positive, sample, size),
        hypergeometric_texts(total, positive, sample),
    )


def hypergeometric_texts(total: int, positive: int, sample: int) -> tuple[str, ...]:
    """The phrasing that gives the exact parameters of a hypergeometric distribution."""
    return (
        f"Draws from a hypergeometric distribution: population size {total}, positives in it {positive}, sample size "
        f"{sample}; each value counts the positives in one sample.",
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
    Family("binomial", "a binomial distribution", binomial, f"{_BOUNDED} {_EXACT}").task(),
    Family("negative_binomial", "a negative binomial distribution", negative_binomial, _BOUNDED).task(),
    Family("geometric_beta", "a geometric distribution starting at 1", geometric_beta, _BOUNDED).task(),
    Family("hypergeometric", "a hypergeometric distribution", hypergeometric, "").task(),
    Family("zipfian", "a Zipf distribution", zipfian, "Values above 2**53 - 1 are drawn again.").task(),
]
