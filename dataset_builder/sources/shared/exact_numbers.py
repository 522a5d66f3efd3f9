"""Random parameters that a description can tell exactly, and how it tells them.

Upstream: none. Licence: Apache-2.0, as the code. A raw row: none.
"""

from __future__ import annotations

import numpy as np

SMALLEST = 1e-6
"""How near to 0 and 1 a random share may come, so that no draw grows beyond exact integers."""

_PARTS = 10_000


def significant(value: float, digits: int = 6) -> float:
    """``value`` rounded to so many significant digits, so that a description can tell it exactly.

    >>> significant(1234.56789), significant(0.000123456789)
    (1234.57, 0.000123457)
    """
    return float(f"{value:.{digits}g}")


def plain(value: float) -> str:
    """The shortest exact decimal form, without an exponent.

    >>> plain(0.0000125), plain(12.0)
    ('0.0000125', '12')
    """
    return np.format_float_positional(value, trim="-")


def rounded(share: float, decimals: int) -> str:
    """A number strictly between 0 and 1 with so many decimals, or more if it would read as 0 or 1.

    >>> rounded(0.257, 2), rounded(0.0004, 2), rounded(0.997, 2)
    ('0.26', '0.0004', '0.997')
    """
    text = f"{share:.{decimals}f}"
    return text if 0 < float(text) < 1 else rounded(share, decimals + 1)


def percent(share: float) -> str:
    """A share as a whole percentage, with decimals only where it would read as 0% or 100%.

    >>> percent(0.257), percent(0.0004), percent(0.998)
    ('26%', '0.04%', '99.8%')
    """
    for decimals in range(15):
        text = f"{100 * share:.{decimals}f}"
        if 0 < float(text) < 100:  # noqa: PLR2004
            break
    return f"{text}%"


def random_share(rng: np.random.Generator) -> float:
    """A number from Uniform(1e-6, 1 - 1e-6) with six significant digits."""
    return significant(rng.uniform(SMALLEST, 1 - SMALLEST))


def random_shares(rng: np.random.Generator, k: int) -> np.ndarray:
    """Dirichlet(1, ..., 1) over ``k`` categories in whole ten-thousandths that sum to 1, so four decimals are exact.

    Returns:
        Shape (k,), float64.
    """
    ideal = rng.dirichlet(np.ones(k)) * _PARTS
    parts = np.floor(ideal).astype(int)
    parts[np.argsort(parts - ideal, kind="stable")[: _PARTS - parts.sum()]] += 1  # largest remainders
    return parts / _PARTS


def listed(shares: np.ndarray) -> str:
    """Shares with four decimals, separated by commas."""
    return ", ".join(f"{share:.4f}" for share in shares)
