"""How many examples have which markers: coverage of each category, and the values that make up the long tail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spectrum_suite.markdown import markdown_table
from spectrum_suite.markers.taxonomy import TAXONOMY, Taxonomy, Value

RARE = 0.05
"""A value with less than this share of the examples is of the long tail, as in arXiv 2506.14702."""


@dataclass(frozen=True)
class CategoryCounts:
    """The examples of one category.

    Attributes:
        marked: How many have a value.
        counts: Value -> how many have it, most frequent first; empty for numbers, which hardly ever repeat.
        tail: The values of ``counts`` with less than :data:`RARE` of all examples.
        unused: Valid choices that no example has.
    """

    marked: int
    counts: dict[Value, int]
    tail: tuple[Value, ...]
    unused: tuple[Value, ...]


def count_markers(
    rows: Iterable[Mapping[str, Value | None]], taxonomy: Taxonomy = TAXONOMY
) -> tuple[int, dict[str, CategoryCounts]]:
    """How many rows there are, and for each category what they have."""
    n_rows, found = 0, {name: Counter() for name in taxonomy.names}
    for markers in rows:
        n_rows += 1
        for name, value in markers.items():
            if value is not None:
                found[name][value] += 1
    return n_rows, {name: _counts(found[name], n_rows, taxonomy[name].values) for name in taxonomy.names}


def _counts(found: Counter[Value], n_rows: int, choices: tuple[Value, ...]) -> CategoryCounts:
    counts = dict(found.most_common()) if choices else {}
    tail = tuple(value for value, count in counts.items() if count < RARE * n_rows)
    return CategoryCounts(found.total(), counts, tail, tuple(value for value in choices if value not in counts))


def marker_report(rows: Iterable[Mapping[str, Value | None]], taxonomy: Taxonomy = TAXONOMY) -> str:
    """Coverage and frequencies as a Markdown table."""
    n_rows, categories = count_markers(rows, taxonomy)
    rows = []
    for name, found in categories.items():
        common = [value for value in found.counts if value not in found.tail]
        shares = _listed(common, found.counts), _listed(found.tail, found.counts)
        rows.append([name, f"{found.marked / max(n_rows, 1):.1%}", *shares])
    return markdown_table(["category", "marked", "values", "long tail"], rows, "lrll")


def _listed(values: Iterable[Value], counts: Mapping[Value, int]) -> str:
    return ", ".join(f"{value} ({counts[value]:,})" for value in values)
