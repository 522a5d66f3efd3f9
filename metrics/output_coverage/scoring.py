"""How much of a set of valid answers a model's generations reach: per task, averaged, and against their number.

Works on NumPy alone, so that it can be used without `evaluate`. A first example: four generations, three of them valid,
two of these the same:

>>> scores = score_task(["Monday", "Friday", "monday?", "Monday"], ["Monday", "Friday", None, "Monday"], set_size=7)
>>> {name: round(scores[name], 3) for name in ("valid", "unique", "yield", "reached", "unique_texts")}
{'valid': 0.75, 'unique': 0.667, 'yield': 2.0, 'reached': 0.286, 'unique_texts': 0.75}
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

METRICS = ("valid", "unique", "yield", "reached", "unique_texts")

_FEWEST_WITH_SPREAD = 2
_UNWRAP = ("to_pylist", "as_py", "to_numpy", "tolist")  # of Arrow, pandas and Polars, NumPy and torch


def score_task(texts: Sequence[str], items: Sequence[str | None], set_size: int | None = None) -> dict[str, float]:
    """Score the generations of one task.

    The yield is the paper's count of different valid answers (arXiv 2510.06084, section "valid output coverage"); it is
    n x ``valid`` x ``unique``. Standard errors say how far another ``n`` generations of the same model would be from
    these: the usual one of a share for ``valid``, and :func:`distinct_error` for the counts (for ``unique``, given how
    many are valid).

    Args:
        texts: The n generated texts, failed ones left out.
        items: For each text the item it names, in one spelling; None where it is not valid.
        set_size: How many valid items there are, if they are finitely many.

    Returns:
        ``valid``, the share of texts that are valid; ``unique``, the share of the valid ones left when each item counts
        once; ``yield``, the number of different valid items; ``reached``, their share of the set; ``unique_texts``,
        the share of all texts, valid or not, left when each counts once; each with its standard error under
        ``<metric>_se``; and ``n``. NaN: all but ``n`` where there is no text, ``unique`` where none is valid,
        ``reached`` where the set is infinite.

    Raises:
        ValueError: The lengths differ, or there are more items than the set has.
    """
    texts, items = plain(texts), [None if is_missing(item) else item for item in plain(items)]
    if len(texts) != len(items):
        raise ValueError(f"{len(texts)} texts and {len(items)} items: pass one item, or None, for each text")
    n, valid, all_texts = len(texts), Counter(item for item in items if item is not None), Counter(texts)
    n_valid, found = valid.total(), len(valid)
    if odd := [text for text in (*texts, *valid) if not isinstance(text, str)]:
        raise ValueError(f"{odd[0]!r} is not a string: pass texts, and leave generations that failed out")
    if set_size is not None and found > set_size:
        raise ValueError(f"{found} different valid items in a set of {set_size}: give the number of all valid items")
    error = distinct_error(list(valid.values()), n)
    share = n_valid / n if n else np.nan
    return {
        "valid": share,
        "valid_se": float(np.sqrt(share * (1 - share) / (n - 1))) if n >= _FEWEST_WITH_SPREAD else np.nan,
        "unique": found / n_valid if n_valid else np.nan,
        "unique_se": distinct_error(list(valid.values()), n_valid) / n_valid if n_valid else np.nan,
        "yield": float(found) if n else np.nan,
        "yield_se": error,
        "reached": found / set_size if n and set_size else np.nan,
        "reached_se": error / set_size if set_size else np.nan,
        "unique_texts": len(all_texts) / n if n else np.nan,
        "unique_texts_se": distinct_error(list(all_texts.values()), n) / n if n else np.nan,
        "n": n,
    }


def plain(value: Any) -> Any:
    """``value`` with lists in place of arrays, tensors and columns, and None in place of pandas' missing value."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if method := next((name for name in _UNWRAP if hasattr(value, name)), None):
        return plain(getattr(value, method)())
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    return list(map(plain, value)) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else value


def rarefaction(counts: ArrayLike, n: int) -> np.ndarray:
    """The expected number of different items among the first k of n generations, exactly, over all their orders.

    An item generated c times is missing from k of the n with probability C(n - c, k) / C(n, k); the sum over the items
    of 1 minus that is Hurlbert's rarefaction (1971, Ecology 52:577-586; Heck et al. 1975, Ecology 56:1459-1461). For
    independent generations it is also the unbiased estimate of what k generations yield.

    Args:
        counts: How often each different valid item was generated, (n_items,).
        n: Generations in all, invalid ones among them.

    Returns:
        (n,): the expected number for k = 1, ..., n; the last is the number of items.

    Raises:
        ValueError: A count is below 1, or the counts sum to more than n.

    >>> rarefaction([2, 1], n=4)  # of A A B x: one draw finds 3/4 items
    array([0.75      , 1.33333333, 1.75      , 2.        ])
    """
    counts = _checked_counts(counts, n)
    values, how_many = np.unique(counts, return_counts=True)
    drawn = np.arange(n)
    still_missing = np.clip(n - values[:, None] - drawn, 0, None) / (n - drawn)
    return how_many @ (1 - np.cumprod(still_missing, axis=1))


def distinct_error(counts: ArrayLike, n: int) -> float:
    """The jackknife's standard error of the number of different items among n independent generations.

    Leaving one generation out loses an item if and only if it is the item's only one, so with f such items the variance
    is (n - 1) / n x f (1 - f / n). It is too large on average rather than too small (Efron and Stein 1981, Annals of
    Statistics 9:586-596): up to twice the true variance where most generations differ, and more for a set that is
    nearly exhausted, where both are below one item.

    Args:
        counts: How often each different item was generated, (n_items,).
        n: Generations in all.

    Returns:
        In items; NaN for fewer than two generations.

    Raises:
        ValueError: As in :func:`rarefaction`.
    """
    counts = _checked_counts(counts, n)
    if n < _FEWEST_WITH_SPREAD:
        return np.nan
    once = int((counts == 1).sum())
    return float(np.sqrt((n - 1) / n * once * (1 - once / n)))


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, or the NaN that pandas puts among texts and flags."""
    return value is None or (isinstance(value, float) and np.isnan(value))


def summarize(per_task: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric over the tasks that have it.

    The tasks are taken as they are, and only the generations as random: the standard error of a mean over T tasks is
    the root of the sum of the squared errors, over T. It says what another run of the same model on the same tasks
    would give, not what other tasks would.

    Args:
        per_task: One result of :func:`score_task` per task.

    Returns:
        ``<metric>`` and ``<metric>_se`` for each metric, NaN where no task has it; ``n`` tasks, and ``n_scored`` tasks
        with at least one generation.
    """
    summary: dict[str, float] = {}
    for name in METRICS:
        scored = [scores for scores in per_task if not np.isnan(scores[name])]
        errors = np.array([scores[f"{name}_se"] for scores in scored])
        summary[name] = float(np.mean([scores[name] for scores in scored])) if scored else np.nan
        summary[f"{name}_se"] = float(np.sqrt(np.square(errors).sum()) / len(scored)) if scored else np.nan
    return summary | {"n": len(per_task), "n_scored": sum(scores["n"] > 0 for scores in per_task)}


def one_of(text: str) -> str:
    r"""The form under which texts are the same where upper and lower case are: as rule ``one_of`` of the suite.

    >>> one_of(" Martian\u2019s Moon ")
    "martian's moon"
    """
    return unicodedata.normalize("NFC", text.strip().casefold()).replace("\u2019", "'")


def one_of_exact(text: str) -> str:
    """The form under which texts are the same where case counts: without white space around them."""
    return text.strip()


RULES: Mapping[str, Callable[[str], str]] = {"one_of": one_of, "one_of_exact": one_of_exact}
"""Rule -> the form under which a text and a valid item are the same."""


def listed_items(
    texts: Sequence[str], valid_items: Sequence[str], validator: str = "one_of_exact"
) -> tuple[list[str | None], int]:
    """For each text the form of the valid item that it is, or None; and how many different valid items there are.

    Args:
        texts: Generated texts.
        valid_items: All valid answers.
        validator: ``one_of_exact``, or ``one_of`` to ignore case.

    Raises:
        ValueError: There is no such rule.

    >>> listed_items(["teal", "Mauve ", "red"], ["Teal", "Mauve"], "one_of")
    (['teal', 'mauve', None], 2)
    """
    if validator not in RULES:
        raise ValueError(
            f"validator is {validator!r}: use 'one_of_exact' or 'one_of' (case ignored) with 'valid_items', "
            "or check the texts yourself and pass 'valid', one flag for each"
        )
    key = RULES[validator]
    known = set(map(key, valid_items))
    return [item if (item := key(text)) in known else None for text in texts], len(known)


def _checked_counts(counts: ArrayLike, n: int) -> np.ndarray:
    counts = np.asarray(counts, dtype=int)
    if (counts < 1).any() or counts.sum() > n:
        raise ValueError(f"counts are {counts.tolist()} of {n} generations: give one positive count for each item")
    return counts
