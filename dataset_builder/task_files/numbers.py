"""Numbers as tables have them: with a decimal point or comma, a percent sign, or separated thousands."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+")  # 1,234: thousands, or a decimal comma
_GROUPED_BY_POINTS = re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?")  # 1.234,5
_BLANKS = re.compile(r"(?<=\d)[ \u00a0\u202f'’](?=\d{3}\b)")


def numbers(texts: Sequence[str]) -> np.ndarray:
    """The numbers that the texts of a column are; NaN for what is none.

    A comma is a decimal one where some text of the column can only be read so ("0,5"), and then points separate
    thousands where some text can only be read so ("1.234,5"). Where "1,234", or "1.234" beside decimal commas, may be
    either, those texts are NaN: one of two readings would be wrong.
    """
    cleaned = [_BLANKS.sub("", text.strip().removesuffix("%").strip()) for text in texts]
    with_comma = [text for text in cleaned if "," in text]
    decimal_comma = any(
        not _GROUPED.fullmatch(text) and _PLAIN.fullmatch(text.replace(",", ".", 1)) for text in with_comma
    )
    points_group = any(_GROUPED_BY_POINTS.fullmatch(text) and ("," in text or text.count(".") > 1) for text in cleaned)
    if decimal_comma or points_group:
        return np.array([_with_decimal_comma(text, points_group=points_group) for text in cleaned], float)
    grouped_and_point = any("." in text for text in with_comma)  # 1,234.5: the comma separates thousands
    return np.array([_number(text, grouped=grouped_and_point) for text in cleaned], float)


def _with_decimal_comma(text: str, *, points_group: bool) -> float:
    if _GROUPED_BY_POINTS.fullmatch(text):
        return _plain(text.replace(".", "").replace(",", ".")) if points_group else np.nan
    return _plain(text if "." in text else text.replace(",", ".", 1))


def _number(text: str, *, grouped: bool) -> float:
    whole, point, rest = text.partition(".")
    return _plain((whole.replace(",", "") if grouped and _GROUPED.fullmatch(whole) else whole) + point + rest)


def _plain(text: str) -> float:
    found = float(text) if _PLAIN.fullmatch(text) else np.nan
    return found if np.isfinite(found) else np.nan
