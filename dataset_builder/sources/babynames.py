"""First names of children born in the United States: the most frequent, or drawn in proportion to their frequency.

Upstream: https://www.ssa.gov/oact/babynames/limits.html (names.zip). Licence: public domain. Raw rows (made up) of
yob1999.txt, which has no header, so that the first row is the year's most frequent name of girls: name, sex, count.

    Adaline,F,21000
    Borin,M,19500

The whole files: 144 of them, from 1880 to 2023, with 2,117,219 rows. None has a header, and each name appears once per
sex in a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.seeding import generator

BABYNAMES = Source(
    name="babynames",
    title="US Social Security baby names",
    homepage="https://www.ssa.gov/oact/babynames/limits.html",
    license="public domain",
    redistributable="yes",
    citation="US Social Security Administration, national data on baby names",
    folder="babynames",
    files=(SourceFile("yob*.txt", "https://www.ssa.gov/oact/babynames/names.zip"),),
)

SEXES = ("F", "M")
ALL_YEARS = 0
_YEARS = range(1880, 2024)

Pools = dict[tuple[int, str], tuple[list[str], np.ndarray]]
"""(year or 0 for all, sex) -> names, the most frequent first, and how many children got each."""


def read_pools(raw_files: RawFiles) -> Pools:
    """The names of each year and sex, and of all years; names of one count are in alphabetical order."""
    tables = []
    for name, path in raw.matching(raw_files, "yob*.txt"):
        if (match := re.fullmatch(r"yob(\d{4})\.txt", name)) and int(match[1]) in _YEARS:
            tables.append(_year(path).with_columns(year=pl.lit(int(match[1]))))
    table = pl.concat(tables)
    in_all = table.group_by("name", "sex", maintain_order=True).agg(pl.col("count").sum()).with_columns(year=ALL_YEARS)
    table = pl.concat([table, in_all.select(table.columns)]).sort("count", "name", descending=[True, False])
    groups = table.partition_by("year", "sex", as_dict=True, maintain_order=True)
    return {key: (group["name"].to_list(), group["count"].to_numpy()) for key, group in groups.items()}


def _year(path: Path) -> pl.DataFrame:
    table = raw.read_csv(path, {"name": pl.String, "sex": pl.String, "count": pl.Int64}, has_header=False)
    table = table.with_columns(pl.col("name").str.strip_chars())
    usable = (pl.col("name") != "") & pl.col("sex").is_in(SEXES) & (pl.col("count") > 0)
    bad = ~usable.fill_null(value=False) | ~pl.struct("name", "sex").is_first_distinct()
    if len(rows := table.select(bad.arg_true()).to_series()):
        raise raw.bad_row(path, rows[0] + 1, "it needs a name, new for its sex, then F or M, then a count above 0")
    if table["sex"].n_unique() < len(SEXES):
        raise raw.bad_row(path, len(table), "the file ends before the names of boys")
    return table


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
        """The names of the list; one that girls and boys share appears once."""
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
    ),
]
