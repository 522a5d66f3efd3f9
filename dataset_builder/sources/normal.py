"""Draws from normal distributions on many scales, printed with a fixed number of decimals.

Upstream: none. Licence: Apache-2.0, as the code. A process is one mean, one standard deviation and one number of
decimals. A raw row:

    Draw(input=None, output="48.3071")
"""

from __future__ import annotations

import math

import numpy as np

from dataset_builder.sources.shared.exact_numbers import plain, significant
from dataset_builder.sources.shared.synthetic import SYNTHETIC, as_draws, draw_length, process_id
from dataset_builder.task_spec import Example, Mix, Sequences, TaskSpec

SMALLEST_SD, LARGEST = 1e-9, 1e12
"""Standard deviations and absolute means between which a float64 tells draws apart."""
LARGEST_RATIO = 1e9
"""Of absolute mean to standard deviation, for the same reason."""


def generate(rng: np.random.Generator, index: int) -> Example:
    """One normal distribution with Mix(128) draws."""
    mean, sd = mean_and_sd(rng)
    # The last digit is at most a tenth of the standard deviation, or small scales would print one value only.
    decimals = max(int(rng.poisson(3)) + 1, 1 - math.floor(math.log10(sd)))
    values = np.round(rng.normal(mean, sd, draw_length(rng, Mix(128))), decimals) + 0.0  # + 0.0: no "-0.0"
    draws = as_draws(f"{value:.{decimals}f}" for value in values.tolist())
    return Example(process_id(index), _texts(mean, sd, decimals), draws)


def mean_and_sd(rng: np.random.Generator) -> tuple[float, float]:
    """Parameters with six significant digits, drawn again when float64 could not tell the draws apart."""
    while True:
        mean, sd = (significant(value) for value in _any_scale(rng))
        if sd >= SMALLEST_SD and abs(mean) + sd <= LARGEST and abs(mean) <= LARGEST_RATIO * sd:
            return mean, sd


def _any_scale(rng: np.random.Generator) -> tuple[float, float]:
    case = rng.random()
    if 0.4 <= case < 0.6:  # noqa: PLR2004
        mean, sd = float(rng.choice((-1, 1)) * rng.poisson(10)), float(max(rng.poisson(20), 1))
        if rng.random() < 1 / 2:
            mean, sd = 1 / mean if mean else 0.0, 1 / sd
    else:
        mean, sd = rng.uniform(0, 100), rng.uniform(1, 5)
        if 0.2 <= case < 0.4:  # noqa: PLR2004
            mean, sd = mean * np.exp(rng.normal(0, 4)), sd * np.exp(rng.normal(0, 3))
    scale = np.exp(rng.uniform(-10, 10))
    return mean * scale, sd * scale


def _texts(mean: float, sd: float, decimals: int) -> tuple[str, ...]:
    to_three = f"mean {plain(significant(mean, 3))} and standard deviation {plain(significant(sd, 3))}"
    places = f"{decimals} decimal place{'s' if decimals > 1 else ''}"
    return (
        "Numbers.",
        f"Numbers with {places}.",
        "Draws from a normal distribution.",
        f"Draws from a normal distribution, printed with {places}.",
        f"Draws from a normal distribution with mean {plain(mean)} and standard deviation {plain(sd)}.",
        f"Draws from a normal distribution with mean {plain(mean)} and standard deviation {plain(sd)}, printed with "
        f"{places}.",
        f"Normally distributed numbers: {to_three}, rounded to three digits.",
        f"Normally distributed numbers with mean {mean:.5e} and standard deviation {sd:.5e}.",
        f"Each value is a draw from N(mean = {mean:.2e}, sd = {sd:.2e}), with {places}.",
    )


TASKS = [
    TaskSpec(
        name="normal",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Draws from a normal distribution, on scales from a billionth to a trillion.",
        process="one normal distribution",
        outputs=("value",),
        sequences=Sequences("one"),
        generate=generate,
        n_processes=1000,
        quirks=(
            "The standard deviation is never 0, and the number of decimals (Poisson(3) + 1 in the release) is raised "
            "until the last digit is at most a tenth of it, so that the draws of a small scale differ. Settings that "
            "float64 cannot tell apart (a standard deviation below 1e-9, values beyond 1e12, a mean a billion times "
            "the standard deviation) are drawn again. In the release's third case, mean and standard deviation are "
            "inverted together; a mean of 0 stays 0."
        ),
    )
]
