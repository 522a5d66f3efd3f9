"""Draws among named outcomes: tossed coins, categorical and multinomial draws.

Upstream: none. Licence: Apache-2.0, as the code. A process is one coin or one setting of the parameters. Raw rows:

    Draw(input=None, output="Heads")            coinflip
    Draw(input=None, output="3")                categorical: an index
    Draw(input=None, output='{"0": 4, "1": 28}')  multinomial: counts per category, or the list '[4, 28]'
"""

from __future__ import annotations

import json

import numpy as np

from dataset_builder.sources.exact_numbers import SMALLEST, listed, percent, random_shares, rounded
from dataset_builder.sources.synthetic import SYNTHETIC, Family, Setting, as_draws, draw_length, process_id
from dataset_builder.task_spec import Example, Mix, Sequences, TaskSpec

SIDES = ("Heads", "Tails")


def coinflip(rng: np.random.Generator, index: int) -> Example:
    """One coin with its own bias, tossed Mix(128) times."""
    p_heads = rng.uniform(SMALLEST, 1 - SMALLEST)
    tails = rng.random(draw_length(rng, Mix(128))) >= p_heads
    return Example(process_id(index), _coin_texts(p_heads), as_draws(np.take(SIDES, tails).tolist()))


def _coin_texts(p_heads: float) -> tuple[str, ...]:
    likelier, other = SIDES if p_heads > 0.5 else SIDES[::-1]  # noqa: PLR2004
    return (
        "Each output is Heads or Tails.",
        "Tosses of a coin. It may be biased.",
        f"Tosses of a biased coin: {likelier} is likelier than {other}.",
        f"Tosses of a coin that shows {likelier} more often.",
        *coin_exact_texts(p_heads),
    )


def coin_exact_texts(p_heads: float) -> tuple[str, ...]:
    """The phrasings that tell the bias of a coin, to two decimals or as a percentage."""
    heads, tails = rounded(p_heads, 2), rounded(1 - p_heads, 2)
    return (
        f"Tosses of a coin with P(Heads) = {heads} and P(Tails) = {tails}.",
        f"Tosses of a coin that shows Heads with probability {heads}, otherwise Tails.",
        f"A coin is tossed. It shows Heads in {percent(p_heads)} of all tosses and Tails in {percent(1 - p_heads)}.",
    )


def categorical(rng: np.random.Generator) -> Setting:
    """An index from 0 to k - 1, k = max(2, Mix(12)), probabilities from a flat Dirichlet."""
    k = max(2, draw_length(rng, Mix(12)))
    shares = random_shares(rng, k)
    return Setting(lambda rng, size: rng.choice(k, size, p=shares), categorical_texts(shares))


def categorical_texts(shares: np.ndarray) -> tuple[str, ...]:
    """The phrasings that give the exact parameters of a categorical distribution over indices."""
    k = len(shares)
    return (
        f"Draws from a categorical distribution over {k} categories with probabilities {listed(shares)}.",
        f"Each value is the index (0 to {k - 1}) of one of {k} categories. In order, their probabilities are "
        f"{listed(shares)}.",
    )


def multinomial(rng: np.random.Generator) -> Setting:
    """Counts of n = Mix(32) trials over k = max(2, Mix(12)) categories, as JSON: an object or a list, per process."""
    k, n = max(2, draw_length(rng, Mix(12))), draw_length(rng, Mix(32))
    shares = random_shares(rng, k)
    form = json.dumps(dict.fromkeys(map(str, range(k)), 0) if rng.random() < 1 / 2 else [0] * k)
    template = form.replace(" 0", " %d").replace("[0", "[%d")

    def sample(rng: np.random.Generator, size: int) -> np.ndarray:
        counts = rng.multinomial(n, shares, size)
        return np.array([template % tuple(row) for row in counts.tolist()])

    return Setting(
        sample,
        (
            f"Draws from a multinomial distribution: {n} trials over {k} categories with probabilities "
            f"{listed(shares)}; each value gives the count of every category.",
        ),
    )


_EXACT = "Probabilities are whole ten-thousandths that sum to 1, so that four decimals tell them exactly."

TASKS = [
    TaskSpec(
        name="coinflip",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Tosses of a coin whose bias differs from process to process.",
        process="one coin with its own bias",
        outputs=("outcome",),
        options=SIDES,
        sequences=Sequences("one"),
        generate=coinflip,
        n_processes=1000,
        quirks="A probability that would round to 0 or 1 is told with more decimals.",
    ),
    Family("categorical", "a categorical distribution", categorical, _EXACT).task(),
    Family("multinomial", "a multinomial distribution", multinomial, f"{_EXACT} Counts are JSON numbers.").task(),
]
