"""The column ``groups`` of a row: to which groups its people belong, by attribute, e.g. ``{"age": "18-29"}``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from datasets import Dataset

from spectrum_suite.errors import UserError

GROUPS = "groups"


def groups_text(groups: Mapping[str, object]) -> str | None:
    """The cell of a row, JSON; None without any group. A missing value leaves its attribute out."""
    known = {name: str(value) for name, value in groups.items() if value is not None and str(value).strip()}
    return json.dumps(known, ensure_ascii=False) if known else None


def groups_of_rows(rows: Dataset) -> list[dict[str, str]]:
    """Attribute -> group, for each row; empty where a row, or the whole table, has none.

    Raises:
        UserError: A cell is not an object of texts, as JSON or as a struct.
    """
    if GROUPS not in rows.column_names:
        return [{} for _ in range(len(rows))]
    return [_groups(cell, row) for row, cell in enumerate(rows[GROUPS][:])]


def _groups(cell: Any, row: int) -> dict[str, str]:
    try:
        found = json.loads(cell) if isinstance(cell, str) else cell
    except ValueError:
        found = cell
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise UserError(f'row {row}: its {GROUPS!r} is {cell!r}, not an object such as {{"age": "18-29"}}')
    return {str(name): str(value) for name, value in found.items() if value is not None}
