"""What the tasks without an upstream share: their source, families of distributions, and how numbers are told.

Upstream: none, every process is drawn from a generator. Licence: Apache-2.0, as the code. A raw row: none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from dataset_builder.task_spec import Draw, Example, Mix, Sequences, Source, TaskSpec

SYNTHETIC = Source(
    name="synthetic",
    title="Data drawn by the builder itself (no upstream)",
    homepage="https://arxiv.org/abs/2510.06084",
    license="apache-2.0",
    redistributable="yes",
    citation="arXiv 2510.06084",
)

SMALLEST = 1e-6
"""How near to 0 and 1 a random share may come, so that no draw grows beyond exact integers."""

_PARTS = 10_000


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


def process_id(index: int) -> str:
    """The id of the index-th generated process."""
    return f"{index:04d}"


def significant(value: float, digits: int = 6) -> float:
    """``value`` rounded to so many significant digits, so that a description can tell it exactly.

    >>> significant(1234.56789), significant(0.000123456789)
    (1234.57, 0.000123457)
    """
    return float(f"{value:.{digits}g}")


def plain(value: float) -> str:
    """The shortest exact decimal form, without an exponent.

    >>> plain(0.0000125), plain(12.0)
    ('0.0000125', '12')
    """
    return np.format_float_positional(value, trim="-")


def rounded(share: float, decimals: int) -> str:
    """A number strictly between 0 and 1 with so many decimals, or more if it would read as 0 or 1.

    >>> rounded(0.257, 2), rounded(0.0004, 2), rounded(0.997, 2)
    ('0.26', '0.0004', '0.997')
    """
    text = f"{share:.{decimals}f}"
    return text if 0 < float(text) < 1 else rounded(share, decimals + 1)


def random_shares(rng: np.random.Generator, k: int) -> np.ndarray:
    """Dirichlet(1, ..., 1) over ``k`` categories in whole ten-thousandths that sum to 1, so four decimals are exact.

    Returns:
        Shape (k,), float64.
    """
    ideal = rng.dirichlet(np.ones(k)) * _PARTS
    parts = np.floor(ideal).astype(int)
    parts[np.argsort(parts - ideal, kind="stable")[: _PARTS - parts.sum()]] += 1  # largest remainders
    return parts / _PARTS


def listed(shares: np.ndarray) -> str:
    """Shares with four decimals, separated by commas."""
    return ", ".join(f"{share:.4f}" for share in shares)
