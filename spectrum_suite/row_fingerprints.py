"""Fingerprints of rows: by them an evaluation knows which of its rows a model was trained on.

They are hashes and nothing else: no text can be read from them, though who has a row can tell whether it is among them.
The order of draws and of options and white space do not count, ids neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from datasets import Dataset

from spectrum_suite.fingerprints import fingerprint

DIGITS = 12
"""Hexadecimal digits of a row: a million rows and another million have one in common by chance once in 280 times."""

ENTRY = "row_fingerprints"
"""Where a training report has them: task -> those of its rows, one after another."""

_COLUMNS = ("messages", "options", "probabilities")


def row_fingerprint(row: Mapping[str, Any]) -> str:
    """That of a row with ``messages``; the options count where they have ``probabilities``."""
    alone: list[str] = []
    draws: list[tuple[str, str]] = []
    given = ""
    for message in row["messages"]:
        text = " ".join(message["content"].split())
        if message["role"] == "output":
            draws.append((given, text))
            given = ""
        elif message["role"] == "input":
            given = text
        else:
            alone.append(text)
    options = [" ".join(option.split()) for option in row["options"]] if row.get("probabilities") is not None else []
    return fingerprint([alone, sorted(draws), given, sorted(options)])[:DIGITS]


def fingerprints_of(rows: Dataset) -> Iterator[str]:
    """Those of rows of a task or of conversations, in order."""
    yield from map(row_fingerprint, rows.select_columns([name for name in _COLUMNS if name in rows.column_names]))


def packed_by_task(tables: Iterable[Dataset | None], rows_per_task: Mapping[str, int]) -> dict[str, str]:
    """Task -> the fingerprints of its rows, sorted, one after another, each once.

    Args:
        tables: Rows of all tasks, those of a task next to one another.
        rows_per_task: How many there are of each, in the same order.
    """
    found = (each for table in tables if table is not None for each in fingerprints_of(table))
    return {task: "".join(sorted(set(islice(found, count)))) for task, count in rows_per_task.items()}


def trained_fingerprints(report: Path) -> frozenset[str]:
    """Those of all rows in a training report, of this run and of those before it; none without a report."""
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        packed = [text for run in (content, *content.get("before", ())) for text in run.get(ENTRY, {}).values()]
        return frozenset(text[start : start + DIGITS] for text in packed for start in range(0, len(text), DIGITS))
    except (OSError, ValueError, AttributeError, TypeError):  # none, or of another maker
        return frozenset()
