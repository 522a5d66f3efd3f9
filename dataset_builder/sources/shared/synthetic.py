"""What the tasks without an upstream share: their source, helpers to draw, and training targets.

Upstream: none, every process is drawn from a generator. Licence: Apache-2.0, as the code. A raw row: none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import TypeVar

import numpy as np

from dataset_builder.task_spec import Draw, Example, Mix, Source, TaskSpec

Choice = TypeVar("Choice")

N_DRAWS = 32
"""Draws of a process in the tasks of our own: about as many as show its distribution."""

HELD_OUT = ("dist_binomial", "dist_categorical", "dist_coinflip", "dist_hypergeometric", "dist_states", "dist_urn")
"""The held-out tasks whose distributions the builder itself draws."""

SYNTHETIC = Source(
    name="synthetic",
    title="Data drawn by the builder itself (no upstream)",
    homepage="https://arxiv.org/abs/2510.06084",
    license="apache-2.0",
    redistributable="yes",
    citation="arXiv 2510.06084",
)


def draw_length(rng: np.random.Generator, mix: Mix) -> int:
    """A length from Geometric(2 / mean) + Poisson(mean / 2); at least 1."""
    return int(rng.geometric(2 / mix.mean) + rng.poisson(mix.mean / 2))


def as_draws(values: Iterable[object]) -> tuple[Draw, ...]:
    """One draw without input per value, in its plain string form."""
    return tuple(map(Draw, repeat(None), map(str, values)))


def pick(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """One of the choices, each with the same probability."""
    return choices[rng.integers(len(choices))]


def process_id(index: int) -> str:
    """The id of the index-th generated process."""
    return f"{index:04d}"


def training_target(
    family: str, generate: Callable[[np.random.Generator, int], Example], count: int, summary: str, process: str
) -> TaskSpec:
    """The training task of known distributions ``dist_train_<family>``, none of which a held-out task has.

    Families without an upper end (Poisson, geometric, Zipf and the like), those with as many outcomes as the
    multinomial, and real numbers have no options to list: they are trained on as draws only.

    Args:
        family: What follows ``dist_train_`` in the name.
        generate: (generator, index) -> the index-th process.
        count: How many processes there are.
        summary: One sentence for the card.
        process: What one process is.
    """
    return TaskSpec(
        name=f"dist_train_{family}",
        kind="distribution",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary=summary,
        process=process,
        outputs=("value",),
        generate=generate,
        n_processes=count,
        apart_from=HELD_OUT,
        origin="ours",
    )
