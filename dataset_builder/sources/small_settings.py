"""Small settings of four parametric families, with a few dozen draws each: numbers that a short description can carry.

Upstream: none. Licence: Apache-2.0, as the code. The paper's settings are large (a thousand trials), their rows long;
these are drawn as in the evaluation tasks ``dist_coinflip``, ``dist_categorical``, ``dist_binomial`` and
``dist_hypergeometric``, with seeds of their own. A raw row:

    description "Draws from a binomial distribution with n = 3 and p = 0.5.", outputs 1, 2, 2
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.parametric_distributions import FRESH_COINS, binomial, categorical, coin, hypergeometric
from dataset_builder.sources.synthetic import N_DRAWS, SYNTHETIC, as_draws, process_id
from dataset_builder.task_spec import Example, Sequences, TaskSpec

TRAINING_COINS = tuple(sorted(set(range(1, 100)) - set(FRESH_COINS)))


def coinflip(rng: np.random.Generator, index: int) -> Example:
    """A coin with a bias that no coin of the evaluation has."""
    return coin(index, int(rng.choice(TRAINING_COINS)))


FAMILIES = (coinflip, categorical, binomial, hypergeometric)


def small_setting(rng: np.random.Generator, index: int) -> Example:
    """Draws from a small setting of a family chosen at random."""
    setting = FAMILIES[rng.integers(len(FAMILIES))](rng, index)
    outputs = rng.choice(setting.target.options, size=N_DRAWS, p=setting.target.probabilities).tolist()
    return Example(process_id(index), setting.descriptions, as_draws(outputs), options=(setting.target.options,))


TASKS = [
    TaskSpec(
        name="small_settings",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Draws from coins and small categorical, binomial and hypergeometric distributions, told exactly.",
        process="one parameter setting of one of four families",
        outputs=("value",),
        sequences=Sequences("one"),
        generate=small_setting,
        n_processes=8_000,
        origin="ours",
        version="1.1.0",
    ),
]
