"""The numbers of a report one by one: what was measured, of whom, its value and its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spectrum_suite.evaluation.choices import DESIDERATA
from spectrum_suite.evaluation.intervals import mean_of
from spectrum_suite.evaluation.report import Report, Section, model_name

ALL, QUESTION = "all", "question"
"""What a number is about: all of a task, a question; else the name of an attribute of groups."""

_VALUES = ("mean", "difference", "capability", "win_rate", "correlation", "inferred")
"""Entries of a report to which the ``ci95`` next to them belongs."""

_NORMAL = 1.96  # standard errors on either side of a mean that has no interval of its own


@dataclass(frozen=True)
class ReportNumber:
    """One number; None where there is none.

    Attributes:
        model: The model, with the scale of its adapter.
        desideratum: ``alignment``, say.
        task: The task or dataset.
        measure: Its name in the report, with the names around it, as in ``calibrated.difference.js_divergence``.
        by: :data:`ALL`, :data:`QUESTION`, or the attribute that the group is of.
        group: The group or question; empty for all of a task.
        value: The number; nats, or a share.
        low: The lower end of its 95% interval: a bootstrap's, or of a mean with a standard error alone the normal one.
        high: The upper end.
        n: What it is over: items, sequences or generations.
    """

    model: str
    desideratum: str
    task: str
    measure: str
    by: str
    group: str
    value: float | None
    low: float | None
    high: float | None
    n: int | None


def report_numbers(report: Report) -> Iterator[ReportNumber]:
    """All numbers of a report that are about a task, a group of it or a question of it."""
    model = model_name(report)
    for desideratum in DESIDERATA:
        for task, section in report.get(desideratum, {}).items():
            for by, group, measure, cell in _of_section(desideratum, section):
                yield ReportNumber(model, desideratum, task, measure, by, group, *cell)
        for task, measure, cell in _compared(report, desideratum):
            yield ReportNumber(model, desideratum, task, f"minus_other.{measure}", ALL, "", *cell)


Cell = tuple[float | None, float | None, float | None, int | None]


def _of_section(desideratum: str, section: Section) -> Iterator[tuple[str, str, str, Cell]]:
    """By what, group, measure and cell of each number."""
    n = section.get("n")
    if desideratum == "steerability":
        yield from ((ALL, "", name, (section["summary"][name], *section["ci95"][name], n)) for name in section["ci95"])
    elif desideratum == "alignment":
        yield from ((ALL, "", measure, cell) for measure, cell in _of_items(section["items"]))
    rest = {name: value for name, value in section.items() if name not in _APART.get(desideratum, ())}
    yield from ((ALL, "", measure, cell) for measure, cell in _cells(rest, n))
    for attribute, groups in section.get("by", {}).items():
        for group, found in groups.items():
            yield from ((attribute, group, measure, cell) for measure, cell in _cells(found, found["n"]))
    for found in section.get("questions", ()):
        yield from ((QUESTION, found["question"], measure, cell) for measure, cell in _cells(found, found["n"]))


_APART: Mapping[str, Sequence[str]] = {
    "steerability": ("summary", "ci95", "at_largest_k", "by_k", "by"),
    "alignment": ("model", "uniform", "by"),
}


def _compared(report: Report, desideratum: str) -> Iterator[tuple[str, str, Cell]]:
    """Task, measure and cell of each difference from the other report."""
    found = (report.get("comparison") or {}).get(desideratum, {})
    if desideratum == "coverage":
        for prompting, differences in found.items():
            for task, section in differences["tasks"].items():
                yield from ((task, measure, cell) for measure, cell in _cells(section, None, f"{prompting}."))
    else:
        for task, section in found.items():
            yield from ((task, measure, cell) for measure, cell in _cells(section, None))


def _of_items(items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Cell]]:
    """The means over the items of a task with their bootstrap intervals, those of the uniform guess too."""
    for side, prefix in (("scores", ""), ("uniform", "uniform.")):
        for name in items[0][side]:
            found = mean_of([item[side].get(name) for item in items])
            yield f"{prefix}{name}", _cell(found["mean"], found["ci95"], found["n"])


def _cells(section: Mapping[str, Any], n: int | None, within: str = "") -> Iterator[tuple[str, Cell]]:
    """Measure and cell of each entry of a section, at any depth, that has an interval or a standard error."""
    n = section.get("n", n)
    name = within.removesuffix(".")
    if "ci95" in section and (value := next((each for each in _VALUES if each in section), None)):
        yield name if value in ("mean", "difference") else f"{within}{value}", _cell(section[value], section["ci95"], n)
    elif section.keys() >= {"mean", "se"}:
        yield name, _cell(section["mean"], _around(section["mean"], section["se"]), n)
    for key, value in section.items():
        if key.endswith("_ci95") and key.removesuffix("_ci95") in section:
            measure = key.removesuffix("_ci95")
            yield f"{within}{measure}", _cell(section[measure], value, n)
        elif isinstance(value, Mapping):
            yield from _cells(value, n, within if key == "scores" else f"{within}{key}.")


def _around(mean: float | None, se: float | None) -> list[float | None]:
    return [None, None] if mean is None or se is None else [mean - _NORMAL * se, mean + _NORMAL * se]


def _cell(value: float | None, ends: Sequence[float | None], n: int | None) -> Cell:
    low, high = (_known(end) for end in ends)
    return _known(value), low, high, n


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
