"""What markers do in each run of a comparison: tokens wanted and got, languages, frequent and rare kinds of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from spectrum_suite.evaluation.comparison.run_results import Results
from spectrum_suite.evaluation.intervals import mean_of
from spectrum_suite.evaluation.markers.score_markers import BUCKETS
from spectrum_suite.markdown import markdown_table


def marker_tables(results: Results) -> dict[str, str]:
    """What a table shows -> the table; those without rows are left out."""
    tables = {
        "Tokens that came where so many were wanted (`length_tokens` was set): medians, with quartiles in brackets": (
            _got(results)
        ),
        "Responses of which every line is in a language, where it is set and where nothing is": _languages(results),
        "Nats per token of the data's own responses, by how frequent the value of a category is": _buckets(results),
    }
    return {title: table for title, table in tables.items() if table}


def marker_sections(results: Results) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The name of a run, and seed, and of a dataset, and what is kept of it."""
    for run in results.runs:
        for seed in run.seeds:
            for data, section in seed.scores.get("markers", {}).items():
                yield run.name if seed.seed is None else f"{run.name} {seed.seed}", data, section


def _got(results: Results) -> str:
    rows, wanted = [], []
    for name, data, section in marker_sections(results):
        if section["got"]:
            wanted = list(section["got"])
            found = section["correlation"]
            low, high = found["ci95"]
            told = "-" if found["spearman"] is None else f"{found['spearman']:.2f} [{low:.2f}, {high:.2f}]"
            rows.append([name, data, *map(_median, section["got"].values()), told])
    return markdown_table(["run", "data", *wanted, "rank correlation"], rows, "ll" + "r" * 6) if rows else ""


def _median(tokens: Sequence[int]) -> str:
    """``48 (31, 70)``."""
    return "{1:g} ({0:g}, {2:g})".format(*np.percentile(tokens, [25, 50, 75]))


def _languages(results: Results) -> str:
    rows = [
        [name, data, language, *(_share(found.get(column)) for column in ("set", "not_set"))]
        for name, data, section in marker_sections(results)
        for language, found in section["language"].items()
    ]
    return markdown_table(["run", "data", "language", "set", "not set"], rows, "lllrr") if rows else ""


def _buckets(results: Results) -> str:
    rows = [
        [name, data, category, *(_nats(found["inferred"].get(bucket)) for bucket in BUCKETS)]
        for name, data, section in marker_sections(results)
        for category, found in section["by_frequency"].items()
        if found["inferred"]
    ]
    return markdown_table(["run", "data", "category", *BUCKETS], rows, "lllrrr") if rows else ""


def _share(values: Sequence[int | None] | None) -> str:
    """``81% [74%, 88%] of 120``; one alone has no interval."""
    found = mean_of(values or [])
    if not found["n"]:
        return "-"
    low, high = found["ci95"]
    interval = "" if math.isnan(low) else f" [{low:.0%}, {high:.0%}]"
    return f"{found['mean']:.0%}{interval} of {found['n']}"


def _nats(found: dict[str, Any] | None) -> str:
    return "-" if found is None else f"{found['mean']:.3f} (n = {found['n']})"
