"""The shares of answers in a table with one row per question, as shares, percentages or counts by option."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dataset_builder.sources.shared.surveys import LETTERS
from dataset_builder.task_files.answers import Asked
from dataset_builder.task_files.definition import TaskFile
from dataset_builder.task_files.kept_rows import KeptRows
from dataset_builder.task_files.numbers import numbers
from dataset_builder.task_files.personal_data import note_personal
from dataset_builder.task_files.problems import Problems
from dataset_builder.task_files.processes import Inputs
from dataset_builder.task_files.sentences import about, joined
from dataset_builder.task_files.table import NONE, Table
from dataset_builder.task_files.table_repairs import without_totals
from dataset_builder.task_spec import Example, Target
from spectrum_suite.errors import UserError

_WHOLE = {"shares": 1.0, "percentages": 100.0}
_ROUNDED = 0.005  # of the whole: each share may be off by so much, where it was rounded


class Shares(NamedTuple):
    """The shares of the questions of a table.

    Attributes:
        values: Of shape (rows, options), each row sums to 1; 0 where an option was not offered.
        offered: Whether an option was; boolean of the same shape.
        totals: Answers that they were computed from; -1 where that is not known. Of shape (rows,).
        kept: Whether a row can be used; boolean of shape (rows,).
    """

    values: np.ndarray
    offered: np.ndarray
    totals: np.ndarray
    kept: np.ndarray


def read_shares(task: TaskFile, table: Table, problems: Problems) -> Shares:
    """The shares in a table; rows without usable ones are noted, and percentages and counts are converted.

    Raises:
        UserError: It is unclear whether the numbers are shares, percentages or counts.
    """
    for number, why in table.unreadable.items():
        problems.drop(why, number)
    note_personal(table, problems)
    raw, offered = _numbers(task, table)
    kept = KeptRows(table, problems)
    without_totals(table, task.question, kept)
    for place, column in enumerate(task.options):
        kept.leave_out(~(offered & np.isnan(raw))[:, place], "share that is not a number", column)
        kept.leave_out(~(offered & (raw < 0))[:, place], "share below zero", column)
    values = np.where(offered & ~np.isnan(raw), raw, 0.0)
    sums = values.sum(axis=1)
    kept.leave_out(offered.sum(axis=1) > 1, "question with shares of fewer than two options")
    kept.leave_out(sums > 0, "question whose shares sum to zero")
    scale = _scale(task, values, offered, kept.mask)
    if scale == "counts":
        kept.leave_out((values == np.floor(values)).all(axis=1), "counts that are not whole numbers")
    else:
        fits = _fits(values, offered, _WHOLE[scale])
        kept.leave_out(fits, f"question whose {scale} do not sum to {_WHOLE[scale]:g}", task.question)
    if scale != "shares" and kept.mask.any():
        first = int(table.numbers[np.argmax(kept.mask)])
        problems.mend(f"question whose {scale} were divided by their sum", first, rows=int(kept.mask.sum()),
                      is_fault=False)  # fmt: skip
    totals = _totals(task, table, sums if scale == "counts" else None, kept)
    return Shares(values / np.where(sums > 0, sums, 1)[:, None], offered, totals, kept.mask)


def _numbers(task: TaskFile, table: Table) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of all options, of shape (rows, options), and where there is one."""
    texts = list(dict.fromkeys(text for name in task.options for text in table[name].texts))
    known = dict(zip(texts, numbers(texts).tolist(), strict=True))
    read = [
        np.array([*(known[text] for text in table[name].texts), np.nan])[table[name].codes] for name in task.options
    ]
    return np.stack(read, axis=1), np.stack([table[name].codes != NONE for name in task.options], axis=1)


def _fits(values: np.ndarray, offered: np.ndarray, whole: float) -> np.ndarray:
    """Which rows sum to the whole, but for rounding of each share."""
    off = np.abs(values.sum(axis=1) - whole)
    return off <= _ROUNDED * whole * np.maximum(offered.sum(axis=1), 2) + 1e-9


def _scale(task: TaskFile, values: np.ndarray, offered: np.ndarray, kept: np.ndarray) -> str:
    """What the numbers of the table are: the one reading that most rows allow."""
    if task.shares != "auto":
        return task.shares
    fitting = {name: int((_fits(values, offered, whole) & kept).sum()) for name, whole in _WHOLE.items()}
    best = max(fitting, key=fitting.__getitem__)
    if 2 * fitting[best] > kept.sum() or not kept.any():
        return best
    if (values[kept] == np.floor(values[kept])).all():
        return "counts"
    found = f"{fitting['shares']} of {kept.sum()} questions sum to 1, {fitting['percentages']} to 100"
    raise UserError(
        f"task file {str(task.path)!r}: it is unclear whether the numbers in its table are shares, percentages or "
        f"counts: {found}; say which in 'shares'"
    )


def _totals(task: TaskFile, table: Table, counted: np.ndarray | None, kept: KeptRows) -> np.ndarray:
    """How many answers each row was computed from."""
    if not task.responses:
        return np.full(len(table), NONE) if counted is None else counted.astype(int)
    found = np.append(numbers(table[task.responses].texts), np.nan)[table[task.responses].codes]
    good = np.isnan(found) & (table[task.responses].codes == NONE) | (found >= 1)
    kept.leave_out(good, "number of answers that is not a number of at least 1", task.responses)
    return np.where(np.isnan(found), NONE, found).astype(int)


def examples(task: TaskFile, table: Table, shares: Shares, problems: Problems, rows: np.ndarray) -> Iterator[Example]:
    """One process per row."""
    inputs, texts = Inputs(task, table), list(task.options.values())
    for row in rows.tolist():
        offered = np.flatnonzero(shares.offered[row]).tolist()
        options = tuple(texts[place] for place in offered)
        values = table.row(row, table.columns)
        asked = Asked(f"{row:05d}", values[task.question], options, task.ordered, ())
        if (given := inputs.text(asked, row)) is None:
            problems.drop("question whose input has no text, since a value is missing", int(table.numbers[row]))
            continue
        values |= {"question": inputs.question(asked), "options": list(options), "about": about(task.about, values)}
        described = (joined(clauses, values) for clauses in task.descriptions)
        total = int(shares.totals[row])
        target = Target(
            given,
            tuple(LETTERS[: len(options)]) if task.letters else options,
            tuple(float(shares.values[row, place]) for place in offered),
            None if total == NONE else total,
        )
        descriptions = tuple(dict.fromkeys(text for text in described if text))
        groups = tuple((name, values[name]) for name in task.about if values[name])
        yield Example(f"{table.numbers[row]:05d}", descriptions, target=target, groups=groups, ordered=task.ordered)
