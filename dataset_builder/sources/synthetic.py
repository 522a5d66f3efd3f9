"""What the tasks without an upstream share: their source, and families of distributions as tasks.

Upstream: none, every process is drawn from a generator. Licence: Apache-2.0, as the code. A raw row: none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TypeVar

import numpy as np

from dataset_builder.task_spec import Draw, Example, Mix, Sequences, Source, TaskSpec

Choice = TypeVar("Choice")

N_DRAWS = 32
"""Draws of a process in the tasks of our own: about as many as show its distribution."""

SYNTHETIC = Source(
    name="synthetic",
    title="Data drawn by the builder itself (no upstream)",
    homepage="https://arxiv.org/abs/2510.06084",
    license="apache-2.0",
    redistributable="yes",
    citation="arXiv 2510.06084",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a family's parameters.

    Attributes:
        sample: (generator, size) -> array of shape (size,).
        exact: The phrasings that tell the parameters.
    """

    sample: Callable[[np.random.Generator, int], np.ndarray]
    exact: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """A named family of distributions; ``setting`` draws its parameters."""

    name: str
    title: str
    setting: Callable[[np.random.Generator], Setting]
    quirks: str

    def generate(self, rng: np.random.Generator, index: int) -> Example:
        """The index-th process: a fresh setting, and Mix(1024) draws from it."""
        setting = self.setting(rng)
        values = setting.sample(rng, draw_length(rng, Mix(1024)))
        descriptions = (*setting.exact, f"Draws from {self.title}.")
        return Example(process_id(index), descriptions, as_draws(values.tolist()))

    def task(self) -> TaskSpec:
        """The training task of 500 settings of this family."""
        return TaskSpec(
            name=self.name,
            kind="icl",
            split="train",
            source=SYNTHETIC,
            group="random_draws",
            summary=f"Draws from {self.title} whose parameters differ from process to process.",
            process="one parameter setting of the distribution",
            outputs=("value",),
            sequences=Sequences("one"),
            generate=self.generate,
            n_processes=500,
            quirks=f"Every process has a setting of its own; the release shares few settings. {self.quirks}",
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
