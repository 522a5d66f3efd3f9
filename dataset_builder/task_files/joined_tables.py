"""The table of a task, with the columns of further tables added by a key."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dataset_builder.task_files.definition import Join, TaskFile, path_of, spelling
from dataset_builder.task_files.problems import Problems
from dataset_builder.task_files.read_table import column_names, read_table
from dataset_builder.task_files.table import NONE, Column, Table
from dataset_builder.task_spec import RawFiles
from spectrum_suite.errors import UserError


def read_tables(task: TaskFile, raw_files: RawFiles, problems: Problems) -> tuple[TaskFile, Table]:
    """The columns that a task uses, from its table and those that are joined to it.

    Args:
        task: A task file.
        raw_files: Its files.
        problems: Gets the rows of one table that have no match in another.

    Returns:
        The task, with the columns of the table in the place of patterns; and the table, in whose rows the values of a
        joined table are missing where that has no row with the key.

    Raises:
        UserError: A table cannot be read, lacks a column or shares one with another, or no key is in both.
    """
    path = raw_files[path_of(task.table)]
    known = column_names(path, task.reading)
    task = task.with_columns(known)
    wanted = [*task.columns(), *(join.column for join in task.join)]
    added: dict[Join, list[str]] = {}
    for join in task.join:
        there = set(column_names(raw_files[path_of(join.table)], join.reading)) - {join.key}
        taken = {*known, *(name for names in added.values() for name in names)}
        if shared := [name for name in task.columns() if name in there & taken]:
            raise UserError(
                f"column {shared[0]!r} is in {path_of(join.table)!r} and in a table before it: rename it in one of them"
            )
        added[join] = [name for name in task.columns() if name in there]
    elsewhere = {name for names in added.values() for name in names}
    table = read_table(path, [name for name in wanted if name not in elsewhere], task.reading)
    for join, names in added.items():
        reading = replace(join.reading, missing=task.reading.missing)
        table = _joined(table, read_table(raw_files[path_of(join.table)], [join.key, *names], reading), join, problems)
    return task, replace(table, columns={name: table[name] for name in dict.fromkeys(task.columns())})


def _joined(table: Table, other: Table, join: Join, problems: Problems) -> Table:
    """A table with the columns of another."""
    places = _first_rows(other, join, problems)
    by_spelling: dict[str, set[int]] = {}
    for text, place in places.items():
        by_spelling.setdefault(spelling(text), set()).add(place)
    alike = {text: next(iter(found)) for text, found in by_spelling.items() if len(found) == 1}
    column = table[join.column]
    found = np.array([*(places.get(text, alike.get(spelling(text), NONE)) for text in column.texts), NONE], np.int64)
    if (found == NONE).all():
        raise UserError(
            f"no {join.column!r} of table {table.path.name!r} is among the {join.key!r} of {other.path.name!r} "
            f"({_shown(column)} and {_shown(other[join.key])}): check 'key'"
        )
    rows = found[column.codes]
    if len(alone := np.flatnonzero((rows == NONE) & (column.codes != NONE))):
        what = f"row that has no match in {other.path.name!r}, whose columns are missing"
        problems.mend(what, _number_of(table, alone), join.column, column.get(alone[0]), rows=len(alone),
                      is_fault=False)  # fmt: skip
    new = {name: Column(each.texts, np.append(each.codes, NONE)[rows].astype(np.int32))
           for name, each in other.columns.items() if name != join.key}  # fmt: skip
    return replace(
        table,
        columns={**table.columns, **new},
        labels={**{name: other.labels[name] for name in new if name in other.labels}, **table.labels},
        options={**{name: other.options[name] for name in new if name in other.options}, **table.options},
    )


def _first_rows(other: Table, join: Join, problems: Problems) -> dict[str, int]:
    """Key -> the first row that has it."""
    keys = other[join.key]
    codes, first = np.unique(keys.codes, return_index=True)
    further = np.ones(len(other), bool)
    further[first] = False
    if len(again := np.flatnonzero(further & (keys.codes != NONE))):
        problems.drop(f"row of {other.path.name!r} whose key an earlier one has", _number_of(other, again), join.key,
                      keys.get(again[0]), rows=len(again))  # fmt: skip
    return {keys.texts[code]: int(row) for code, row in zip(codes, first, strict=True) if code != NONE}


def _number_of(table: Table, rows: np.ndarray) -> int:
    """The number of the first of some rows."""
    return int(table.numbers[rows[0]])


def _shown(column: Column) -> str:
    return ", ".join(map(repr, column.texts[:3])) + (", ..." if len(column.texts) > 3 else "")  # noqa: PLR2004
