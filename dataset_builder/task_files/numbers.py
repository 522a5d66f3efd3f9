"""Numbers as tables have them: with a decimal point or comma, a percent sign, or separated thousands."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+")  # 1,234: thousands, or a decimal comma
_BLANKS = re.compile(r"(?<=\d)[ \u00a0\u202f'’](?=\d{3}\b)")


def numbers(texts: Sequence[str]) -> np.ndarray:
    """The numbers that the texts of a column are; NaN for what is none.

    A comma is a decimal one where some text of the column can only be read so ("0,5"). Where each may separate
    thousands as well ("1,234"), those texts are NaN: one of two readings would be wrong.
    """
    cleaned = [_BLANKS.sub("", text.strip().removesuffix("%").strip()) for text in texts]
    with_comma = [text for text in cleaned if "," in text]
    decimal_comma = any(
        not _GROUPED.fullmatch(text) and _PLAIN.fullmatch(text.replace(",", ".", 1)) for text in with_comma
    )
    grouped_and_point = any("." in text for text in with_comma)  # 1,234.5: the comma separates thousands
    return np.array([_number(text, decimal_comma=decimal_comma, grouped=grouped_and_point) for text in cleaned], float)


def _number(text: str, *, decimal_comma: bool, grouped: bool) -> float:
    if decimal_comma and "." not in text:
        text = text.replace(",", ".", 1)
    elif grouped:
        whole, point, rest = text.partition(".")
        text = (whole.replace(",", "") if _GROUPED.fullmatch(whole) else whole) + point + rest
    found = float(text) if _PLAIN.fullmatch(text) else np.nan
    return found if np.isfinite(found) else np.nan
