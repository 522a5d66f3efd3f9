"""Lists of first names: the most frequent of a period, or names drawn in proportion to how frequent they are.

Upstream: https://www.ssa.gov/oact/babynames/limits.html. Licence: public domain. A raw row: see ``babynames.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dataset_builder.sources.babynames import ALL_YEARS, BABYNAMES, SEXES, Pools, read_pools
from dataset_builder.task_spec import Draw, Example, RawFiles, Sequences, TaskSpec
from spectrum_suite.seeding import generator

_PROCESSES = 500
_SEXES = {"balanced": SEXES, "M": ("M",), "F": ("F",)}
_CHILDREN = {"balanced": "children", "M": "boys", "F": "girls"}


@dataclass(frozen=True, slots=True)
class Setting:
    """The parameters of a process: which names are listed."""

    sex: str
    rule: str
    length: int
    year: int

    def names(self, pools: Pools, rng: np.random.Generator) -> list[str]:
        """The names of the list; one that girls and boys share comes once."""
        sexes = _SEXES[self.sex]
        parts = [self._of_sex(*pools[self.year, sex], self.length // len(sexes), rng) for sex in sexes]
        return list(dict.fromkeys(name for part in parts for name in part))

    def _of_sex(self, names: list[str], counts: np.ndarray, size: int, rng: np.random.Generator) -> list[str]:
        if self.rule == "uniform":
            return names[:size]
        # The first of exponential clocks: draws without replacement in proportion to the counts.
        return [names[i] for i in np.argsort(rng.exponential(size=len(names)) / counts, kind="stable")[:size]]

    def descriptions(self, size: int, years: list[int]) -> tuple[str, ...]:
        """Two wordings of the setting, for a list of ``size`` names from files of ``years``."""
        when = f"in {self.year}" if self.year else f"from {years[0]} to {years[-1]} ({len(years)} years)"
        who = f"{_CHILDREN[self.sex]} born in the United States {when}"
        half = self.length // 2
        halves = f" Up to {half} are names of girls and up to {half} of boys." * (self.sex == "balanced")
        if self.rule == "uniform":
            return (
                f"The {size} most frequent first names of {who}, in random order, each as likely as any other.{halves}",
                f"{size} first names, drawn evenly and without replacement from the most frequent of {who}.{halves}",
            )
        return (
            f"{size} first names of {who}, drawn without replacement in proportion to how frequent they are.{halves}",
            f"A list of {size} different first names of {who}. The more children got a name, the likelier it is drawn."
            f"{halves}",
        )


def read(raw_files: RawFiles) -> Iterator[Example]:
    """One process per setting; settings and names depend on the process's number and the files alone."""
    pools = read_pools(raw_files)
    years = sorted({year for year, _ in pools} - {ALL_YEARS})
    for index in range(_PROCESSES):
        rng = generator("babynames", index)
        setting = _setting(rng, years)
        names = setting.names(pools, rng)
        process = f"{index:03d}-{setting.sex}-{setting.year or 'all'}-{setting.length}-{setting.rule}"
        yield Example(process, setting.descriptions(len(names), years), tuple(Draw(None, name) for name in names))


def _setting(rng: np.random.Generator, years: list[int]) -> Setting:
    periods = [ALL_YEARS, *reversed(years)]
    weights = np.arange(len(periods), 0, -1)
    return Setting(
        sex=str(rng.choice(list(_SEXES))),
        rule=str(rng.choice(["uniform", "population"])),
        length=int(rng.choice([10, 100, 1000, 5000])),
        year=int(rng.choice(periods, p=weights / weights.sum())),
    )


TASKS = [
    TaskSpec(
        name="babynames",
        kind="icl",
        split="train",
        source=BABYNAMES,
        group="text_collections",
        summary="Lists of first names given in the United States.",
        process="one combination of sex, period, list length and sampling rule",
        outputs=("name",),
        sequences=Sequences("one"),
        read=read,
        domain="Culture",
        quirks=(
            "The first row of each file is kept. In proportion to frequency, the names are drawn from all of the "
            "period: the release lists the most frequent ones under both rules, so that the rule leaves no trace."
        ),
    )
]
