"""A report for people: ``report.md`` with its tables, and the figures in ``plots/``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, Undefined
from matplotlib.figure import Figure

from spectrum_suite.evaluation.alignment.show_alignment import summary_figure, task_figure
from spectrum_suite.evaluation.coverage.show_coverage import coverage_figures, coverage_markdown
from spectrum_suite.evaluation.figures import figure_names, save_figure
from spectrum_suite.evaluation.markers.show_markers import marker_figures, markers_markdown
from spectrum_suite.evaluation.report import REPORT, SCHEMA_VERSION, Report, failure_text, model_name
from spectrum_suite.evaluation.show_groups import (
    SHOWN,
    groups_figure,
    groups_markdown,
    questions_markdown,
    with_groups,
)
from spectrum_suite.evaluation.steerability.show_steerability import steerability_figure
from spectrum_suite.evaluation.steerability.summarize_steerability import summary_by_group
from spectrum_suite.evaluation.trained_rows import trained_lines
from spectrum_suite.json_files import finite, write_json
from spectrum_suite.markdown import markdown_templates


def replace_report(report: Report, folder: Path) -> None:
    """Write a report and its plots into ``folder``, in place of those of an earlier report."""
    path, plots = folder / REPORT, folder / "plots"
    before = _content(path)
    if before is not None:
        remove_plots(before, plots, but_those_of=report)
    write_report(report, folder)
    names = plot_names(report)
    there = all((plots / name).is_file() for name in names)
    if names and (_content(path) != before or not there):  # drawing them takes longer than all else
        write_plots(report, plots)


def write_report(report: Report, folder: Path) -> None:
    """Write ``report.json`` and ``report.md`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / REPORT, report)
    (folder / "report.md").write_text(markdown(report), encoding="utf-8")


def _content(path: Path) -> dict[str, Any] | None:
    """A report without the time at which it was written; None where there is none of ours."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(content, dict) and content.get("schema_version") == SCHEMA_VERSION
    return content | {"created": None} if ours else None


def markdown(report: Report) -> str:
    """The report as tables, without the items."""
    tables: dict[str, Any] = {"coverage_tables": coverage_markdown(report["coverage"]) if report["coverage"] else ""}
    tables["marker_tables"] = markers_markdown(report.get("markers", {}))
    tables |= {"group_tables": groups_markdown(report), "question_tables": questions_markdown(report)}
    tables["trained_on"] = list(trained_lines(report))
    tables["drawn_tasks"] = {
        task: section for task, section in report["alignment"].items() if "corrected" in section.get("drawn", {})
    }
    groups = finite(summary_by_group(report["steerability"].values()))
    return _environment().get_template("report.md.jinja").render(report=report, groups=groups, **tables)


def plot_names(report: Report) -> list[str]:
    """The names of the files that :func:`write_plots` writes for a report."""
    names = ["alignment", *(f"alignment-{task}" for task in report["alignment"])] if report["alignment"] else []
    names += ["steerability"] if report["steerability"] else []
    names += [f"markers-{name}" for name, section in report.get("markers", {}).items() if section["marked"]]
    names += ["coverage", "coverage-yield"] if report["coverage"] else []
    names += [f"groups-{task}" for _, task, _ in with_groups(report)]
    return [each for name in names for each in figure_names(name)]


def remove_plots(report: Report, folder: Path, *, but_those_of: Report) -> None:
    """Remove the plots of a report that another one in its place does not have; other files stay."""
    for name in set(plot_names(report)) - set(plot_names(but_those_of)):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def write_plots(report: Report, folder: Path) -> list[Path]:
    """Write the figures of what the report holds into ``folder``; returns the files.

    They are ``alignment`` and an ``alignment-<task>`` per task, ``steerability``, ``coverage``, ``coverage-yield``, a
    ``markers-<data>`` per dataset and a ``groups-<task>`` per task that was measured by group, each as PNG, PDF and
    SVG.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Figure] = {}
    if report["alignment"]:
        figures["alignment"] = summary_figure(report)
        figures |= {f"alignment-{task}": task_figure(task, section) for task, section in report["alignment"].items()}
    if report["steerability"]:
        figures["steerability"] = steerability_figure(report["steerability"])
    figures |= marker_figures(report.get("markers", {}))
    figures |= coverage_figures(report["coverage"]) if report["coverage"] else {}
    for desideratum, task, section in with_groups(report):
        figures[f"groups-{task}"] = groups_figure(task, section, SHOWN[desideratum])
    return [path for name, figure in figures.items() for path in save_figure(figure, folder, name)]


@cache
def _environment() -> Environment:
    environment = markdown_templates(Path(__file__).parent / "templates")
    environment.filters |= {
        "failure": failure_text,
        "model_name": model_name,
        "with_error": _with_error,
        "interval": _with_interval,
        "estimate": _estimate,
        "within": _within,
        "number": _number,
    }
    return environment


def _with_error(cell: Mapping[str, float | None]) -> str:
    return _number(cell["mean"]) + ("" if cell["se"] is None else f" ± {_number(cell['se'])}")


def _estimate(summary: Mapping[str, float | None], metric: str) -> str:
    return _with_error({"mean": summary[metric], "se": summary[f"{metric}_se"]})


def _with_interval(cell: Mapping[str, Any]) -> str:
    low, high = cell["ci95"]
    if low is None:
        return _signed(cell["difference"])
    mark = " *" if low > 0 or high < 0 else ""
    return f"{_signed(cell['difference'])} [{_signed(low)}, {_signed(high)}]{mark}"


def _within(cell: Mapping[str, Any], name: str = "mean") -> str:
    """A value and its interval, which is next to it as ``ci95``, or ``<name>_ci95`` where there are several."""
    low, high = cell.get(f"{name}_ci95") or cell["ci95"]
    return _number(cell[name]) + ("" if low is None else f" [{_number(low)}, {_number(high)}]")


def _number(value: float | None) -> str:
    return "-" if value is None or isinstance(value, Undefined) else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"
