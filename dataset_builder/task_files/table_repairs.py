"""What is mended in a table as a whole: groups and questions that are spelled in two ways, totals below the data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from dataset_builder.task_files.kept_rows import KeptRows
from dataset_builder.task_files.options import resolve_found
from dataset_builder.task_files.problems import Problems
from dataset_builder.task_files.table import NONE, Column, Table

SPELLED_ALIKE = "text that is spelled otherwise than in most rows"
TOTALS = "row of totals below the data"

_TOTAL = re.compile(
    r"(?:grand |sub)?totals?|sums?|gesamt|insgesamt|summe|total general|somme|suma|totale", re.IGNORECASE
)


def spelled_alike(table: Table, names: Iterable[str], problems: Problems) -> Table:
    """The table with one spelling of each text in some columns: "chile" is no country beside "Chile"."""
    return replace(table, columns={**table.columns, **{name: _one_spelling(table, name, problems) for name in names}})


def _one_spelling(table: Table, name: str, problems: Problems) -> Column:
    column = table[name]
    counts = np.bincount(column.codes[column.codes != NONE], minlength=len(column.texts))
    resolved = resolve_found(column.texts, counts)
    KeptRows(table, problems).mend(np.append(resolved.respelled, False)[column.codes], SPELLED_ALIKE, name)
    if not resolved.respelled.any():
        return column
    kept = {place: code for code, place in enumerate(dict.fromkeys(resolved.places.tolist()))}
    codes = np.array([*(kept[place] for place in resolved.places.tolist()), NONE], dtype=np.int32)
    return Column([column.texts[place] for place in kept], codes[column.codes])


def without_totals(table: Table, name: str, kept: KeptRows) -> None:
    """Leave out the last rows of a table where the text of a column says that they are totals."""
    column = table[name]
    are_totals = np.array([*(bool(_TOTAL.fullmatch(text.rstrip(":"))) for text in column.texts), False])[column.codes]
    last = len(are_totals) - int(np.argmin(are_totals[::-1])) if not are_totals.all() else 0
    kept.leave_out(~(are_totals & (np.arange(len(are_totals)) >= last)), TOTALS, name)
