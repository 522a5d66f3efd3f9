"""An adapter at several scales: a report for each, which anything that reads reports takes, and a table of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.report import Report
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.markdown import markdown_table

TABLE = "scales.md"


def settings_at_scales(settings: EvaluationSettings, scales: Sequence[float]) -> list[EvaluationSettings]:
    """What to evaluate to see an adapter at each scale, in ascending order; a single one as the settings say.

    Of several, each has its report in ``output/scale-<scale>``. All but the lowest are compared with the lowest, item
    by item, unless the settings name another report.

    Args:
        settings: Of the evaluation, but for the scale.
        scales: How much of the adapter's change is taken.

    Raises:
        UserError: There is no scale.
    """
    if not scales:
        raise UserError("--adapter_scale lists no scale: give at least one, such as 0 0.5 1")
    if len(scales) == 1:
        return [replace(settings, adapter_scale=scales[0])]
    outputs = {factor: settings.output / f"scale-{factor:g}" for factor in sorted(set(scales))}
    lowest = next(iter(outputs.values()))
    return [
        replace(
            settings,
            adapter_scale=factor,
            output=output,
            compare=settings.compare or (None if output == lowest else lowest),
        )
        for factor, output in outputs.items()
    ]


def scales_markdown(reports: Mapping[float, Report]) -> str:
    """A table of reports at several scales: a row for each number of each task, a column for each scale."""
    compared = next((report["comparison"]["other"] for report in reports.values() if report["comparison"]), None)
    found: dict[tuple[str, ...], dict[float, str]] = {}
    for factor, report in reports.items():
        for row, value, difference in _numbers(report):
            low, high = (difference or {}).get("ci95") or (None, None)
            mark = " *" if low is not None and (low > 0 or high < 0) else ""
            found.setdefault(row, {})[factor] = "-" if value is None else f"{value:.4f}{mark}"
    lines = [
        "# One adapter at several scales",
        "",
        "Weights are those of the base (0) plus so much of the adapter's change (1 is all of it).",
        *(
            []
            if compared is None
            else [f"A star: the 95% interval of the difference to {compared['model']} leaves 0 out."]
        ),
        "",
        markdown_table(
            ["task", "measure", *(f"{factor:g}" for factor in reports)],
            [[*row, *(cells.get(factor, "-") for factor in reports)] for row, cells in found.items()],
        ),
    ]
    return "\n".join(lines) + "\n"


def _numbers(report: Report) -> Iterator[tuple[tuple[str, str], float | None, Mapping[str, Any] | None]]:
    """Task and measure, its number, and how it differs from the other report's, where there is one."""
    compared = report["comparison"] or {}
    for task, section in report["steerability"].items():
        differences = compared.get("steerability", {}).get(task, {})
        for metric in ("loss", "accuracy", "ece"):
            yield (task, metric), section["summary"][metric], differences.get(metric)
    for task, promptings in report["coverage"].items():
        for prompting, section in promptings.items():
            differences = compared.get("coverage", {}).get(prompting, {}).get("tasks", {}).get(task, {})
            for metric in ("valid", "yield"):
                yield (task, f"{metric}, {prompting}"), section["scores"][metric]["mean"], differences.get(metric)
    for task, section in report["alignment"].items():
        differences = compared.get("alignment", {}).get(task, {})
        for metric in ("js_divergence", "coverage"):
            yield (task, metric), section["model"][metric]["mean"], differences.get(metric)
