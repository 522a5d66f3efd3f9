"""Two reports compared, on the tasks that both measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.summarize_alignment import compare_alignment
from spectrum_suite.evaluation.coverage.summarize_coverage import compare_coverage
from spectrum_suite.evaluation.report import Report, Section, model_name
from spectrum_suite.evaluation.steerability.summarize_steerability import compare_steerability
from spectrum_suite.json_files import finite

CompareTask = Callable[[str, Section, Section], dict[str, Any]]
"""The name of a task or dataset, and two reports' sections on it -> how they differ."""


def comparison_section(
    report: Report, other: Report, on_data: Mapping[str, CompareTask] | None = None
) -> dict[str, Any]:
    """The part of ``report`` that compares it with ``other``, on the tasks that both measured.

    A task that cannot be compared, since its rows or settings differ, is under ``refused`` with the reason.

    Args:
        report: A report.
        other: Another.
        on_data: Desideratum that is measured on datasets -> what compares the two sections on one.

    Raises:
        UserError: They share no task.
    """
    ways: dict[str, CompareTask] = {
        "steerability": compare_steerability,
        "coverage": _compare_coverage_task,
        "alignment": compare_alignment,
        **(on_data or {}),
    }
    found: dict[str, Any] = {name: {} for name in ways}
    refused = []
    for name, compare_task in ways.items():
        for task in report[name]:
            if task not in other.get(name, {}):
                continue
            try:
                found[name][task] = compare_task(task, report[name][task], other[name][task])
            except UserError as error:
                refused.append({"desideratum": name, "task": task, "reason": str(error)})
    if not refused and not any(found.values()):
        raise UserError("the two reports share no task: compare reports on the same tasks with the same seed and limit")
    if tasks := found["coverage"]:
        found["coverage"] = compare_coverage(
            *({task: side["coverage"][task] for task in tasks} for side in (report, other))
        )
    about = {"model": model_name(other), "format": other["settings"]["format"]}
    return finite(found | {"other": about, "refused": refused})


def _compare_coverage_task(task: str, mine: Section, theirs: Section) -> dict[str, Any]:
    return compare_coverage({task: mine}, {task: theirs})
