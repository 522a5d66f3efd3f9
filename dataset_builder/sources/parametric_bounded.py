"""Draws from one setting of a named family of bounded counts: binomial and hypergeometric.

Upstream: none. Licence: Apache-2.0, as the code. A process is one setting of the parameters, drawn afresh from its own
generator; a description tells the family with the exact parameters or the family alone. A raw row:

    Draw(input=None, output="17")
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.exact_numbers import plain, random_share
from dataset_builder.sources.synthetic import Family, Setting, draw_length
from dataset_builder.task_spec import Mix


def binomial(rng: np.random.Generator) -> Setting:
    """Successes in Mix(1024) trials, p ~ Beta(1, 1)."""
    n, p = draw_length(rng, Mix(1024)), random_share(rng)
    return Setting(lambda rng, size: rng.binomial(n, p, size), binomial_texts(n, p))


def binomial_texts(n: int, p: float) -> tuple[str, ...]:
    """The phrasings that give the exact parameters of a binomial distribution."""
    return (
        f"Draws from a binomial distribution with n = {n} and p = {plain(p)}.",
        f"Each value is the number of successes among {n} independent trials; one trial succeeds with probability "
        f"{plain(p)}.",
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


TASKS = [
    Family(
        "binomial",
        "a binomial distribution",
        binomial,
        "p has six significant digits, so that a description tells it exactly, and lies between 1e-6 and 1 - 1e-6.",
    ).task(),
    Family("hypergeometric", "a hypergeometric distribution", hypergeometric, "").task(),
]
