"""First names of children born in the United States, by sex and year of birth.

Upstream: https://www.ssa.gov/oact/babynames/limits.html (names.zip). Licence: public domain. Raw rows (made up) of
yob1999.txt, which has no header, so that the first row is the year's most frequent name of girls: name, sex, count.

    Adaline,F,21000
    Borin,M,19500

The whole files: 144 of them, from 1880 to 2023, with 2,117,219 rows. None has a header, and in each a name stands once
for each sex.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import RawFiles, Source, SourceFile

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
