"""ValuePrism: situations, and the values, rights and duties that bear on them (machine-written, checked by people).

Upstream: https://huggingface.co/datasets/allenai/ValuePrism (gated). Licence: AI2 ImpACT, medium risk. A raw row
(made up), where the kind is Value, Right or Duty and the valence Supports, Opposes or Either:

    situation,vrd,text,explanation,valence
    Keeping a found umbrella,Value,Honesty,Returning it would be honest.,Opposes

The whole table has a row for each consideration, so that situations and texts come again; nothing rests on ids.
"""

from __future__ import annotations

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import Dropped, RawFiles, Source, SourceFile

_PATH = "full/full.csv"

VALUEPRISM = Source(
    name="valueprism",
    title="ValuePrism",
    homepage="https://huggingface.co/datasets/allenai/ValuePrism",
    license="AI2 ImpACT License for medium risk artifacts",
    redistributable="no",
    citation="arXiv 2309.00779",
    folder="valueprism",
    hub="allenai/ValuePrism",
    files=(SourceFile(_PATH),),
)

KINDS = ("Value", "Right", "Duty")
CLOSED = {"vrd": KINDS, "valence": ("Supports", "Opposes", "Either")}


def read_rows(raw_files: RawFiles, *columns: str) -> tuple[list[tuple[str, ...]], list[Dropped]]:
    """The rows with text in all of the columns, in upstream order, and what is dropped for want of it.

    Raises:
        UserError: The file is malformed, or a kind or valence is none of those that there are.
    """
    path = raw_files[_PATH]
    rows, dropped = [], []
    table = raw.read_csv(path, dict.fromkeys(columns, pl.String))
    for number, values in enumerate(table.rows(), start=1):
        row = tuple((value or "").strip() for value in values)
        if not all(row):
            dropped.append(Dropped(f"{columns[row.index('')]} is empty"))
            continue
        for column, value in zip(columns, row, strict=True):
            if value not in CLOSED.get(column, (value,)):
                raise raw.bad_row(path, number, f"{column} holds {value!r}, which is none of {list(CLOSED[column])}")
        rows.append(row)
    return rows, dropped
