"""Numbers as they are kept in a repository."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

DIGITS = 6


def rounded(values: Iterable[float | None]) -> list[float | int | None]:
    """Values to six digits after the point; None for what is not finite."""
    return [None if value is None or not np.isfinite(value) else _short(value) for value in values]


def _short(value: float) -> float | int:
    value = round(value, DIGITS)
    return int(value) if value == int(value) else value
