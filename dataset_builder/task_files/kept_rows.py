"""Which rows of a table can be used; those that cannot are noted, with the reason and the first of them."""

from __future__ import annotations

import numpy as np

from dataset_builder.task_files.problems import Problems
from dataset_builder.task_files.table import Table


class KeptRows:
    """The rows of a table that are kept.

    Attributes:
        mask: Whether a row is; boolean of shape (rows,).
    """

    def __init__(self, table: Table, problems: Problems) -> None:
        self._table, self._problems = table, problems
        self.mask = np.ones(len(table), bool)

    def copy(self) -> KeptRows:
        """The same rows, of which others may be left out."""
        copy = KeptRows(self._table, self._problems)
        copy.mask = self.mask.copy()
        return copy

    def leave_out(self, good: np.ndarray, reason: str, column: str = "", *, is_fault: bool = True) -> None:
        """Leave out the rows that are not good.

        Args:
            good: Whether a row is; boolean of shape (rows,).
            reason: What is wrong with the others.
            column: Where it is.
            is_fault: Whether a strict build stops.
        """
        rows = np.flatnonzero(self.mask & ~good)
        if len(rows):
            value = self._table[column].get(rows[0]) if column else None
            self._problems.drop(reason, int(self._table.numbers[rows[0]]), column, value, rows=len(rows),
                                is_fault=is_fault)  # fmt: skip
            self.mask &= good

    def mend(self, cells: np.ndarray, what: str, column: str) -> None:
        """Note the kept rows whose cell of a column was converted."""
        rows = np.flatnonzero(self.mask & cells)
        if len(rows):
            value = self._table[column].get(rows[0])
            self._problems.mend(what, int(self._table.numbers[rows[0]]), column, value, rows=len(rows))
