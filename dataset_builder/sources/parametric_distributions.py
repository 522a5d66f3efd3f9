"""Fresh settings of four training families as described distributions: what a tuned model should do best.

Upstream: none. Licence: Apache-2.0, as the code. A process is one setting, never trained on, told exactly in the
phrasings of the training tasks. A raw row:

    description "Draws from a binomial distribution with n = 3 and p = 0.5.", options 0, 1, 2, 3 at 1/8, 3/8, 3/8, 1/8
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dataset_builder.sources.coins_and_categories import SIDES, categorical_texts, coin_exact_texts
from dataset_builder.sources.exact_numbers import random_share, random_shares
from dataset_builder.sources.parametric_bounded import binomial_texts, hypergeometric_texts
from dataset_builder.sources.synthetic import SYNTHETIC, process_id
from dataset_builder.task_spec import Example, Target, TaskSpec

FRESH_COINS = tuple(range(1, 100, 4))
"""The biases of these coins in percent; the coins of ``small_settings`` have the others."""


def coinflip(rng: np.random.Generator, index: int) -> Example:
    """A coin whose bias is a whole percentage, so that every phrasing tells it exactly."""
    return coin(index, int(rng.choice(FRESH_COINS)))


def coin(index: int, percent: int) -> Example:
    """A coin that shows Heads in so many percent of all tosses."""
    p_heads = percent / 100
    return _item(index, coin_exact_texts(p_heads), SIDES, (p_heads, 1 - p_heads))


def categorical(rng: np.random.Generator, index: int) -> Example:
    """2 to 12 categories with probabilities from a flat Dirichlet, in ten-thousandths."""
    shares = random_shares(rng, int(rng.integers(2, 12, endpoint=True)))
    return _item(index, categorical_texts(shares), range(len(shares)), shares.tolist())


def binomial(rng: np.random.Generator, index: int) -> Example:
    """2 to 20 trials, all counts listed."""
    n, p = int(rng.integers(2, 20, endpoint=True)), random_share(rng)
    return _item(index, binomial_texts(n, p), range(n + 1), binomial_pmf(n, p))


def hypergeometric(rng: np.random.Generator, index: int) -> Example:
    """A population of 2 to 30 with at least two possible counts, all listed."""
    while True:
        total = int(rng.integers(2, 30, endpoint=True))
        positive, sample = rng.integers(1, total, size=2, endpoint=True).tolist()
        pmf = hypergeometric_pmf(total, positive, sample)
        if len(pmf) > 1:
            return _item(index, hypergeometric_texts(total, positive, sample), pmf, pmf.values())


def binomial_pmf(n: int, p: float) -> list[float]:
    """Probabilities of 0, ..., n successes in n trials."""
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def hypergeometric_pmf(total: int, positive: int, sample: int) -> dict[int, float]:
    """Possible count of positives in a sample without replacement -> its probability."""
    counts = range(max(0, sample + positive - total), min(sample, positive) + 1)
    ways = {k: math.comb(positive, k) * math.comb(total - positive, sample - k) for k in counts}
    return {k: way / math.comb(total, sample) for k, way in ways.items()}


def _item(index: int, descriptions: tuple[str, ...], options: object, probabilities: object) -> Example:
    target = Target(None, tuple(map(str, options)), tuple(probabilities))
    return Example(process_id(index), descriptions, target=target)


def _task(family: str, generate: Callable[[np.random.Generator, int], Example], version: str = "1.0.0") -> TaskSpec:
    return TaskSpec(
        name=f"dist_{family}",
        kind="distribution",
        split="test",
        source=SYNTHETIC,
        group="random_draws",
        summary=f"Fresh settings of the training task {family}, described exactly, with all outcomes listed.",
        process="one parameter setting of the distribution",
        outputs=("value",),
        generate=generate,
        n_processes=100,
        origin="ours",
        version=version,
    )


TASKS = [
    _task("coinflip", coinflip, version="1.1.0"),
    _task("categorical", categorical),
    _task("binomial", binomial),
    _task("hypergeometric", hypergeometric),
]
