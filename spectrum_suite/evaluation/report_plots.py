"""The figures of a report, by the names of their files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from spectrum_suite.evaluation.alignment.show_alignment import summary_figure, task_figure
from spectrum_suite.evaluation.coverage.show_coverage import write_coverage_plots
from spectrum_suite.evaluation.markers.show_markers import write_marker_plots
from spectrum_suite.evaluation.report import Report
from spectrum_suite.evaluation.steerability.show_steerability import steerability_figure


def plot_names(report: Report) -> list[str]:
    """The names of the files that :func:`write_plots` writes for a report."""
    names = ["alignment", *(f"alignment-{task}" for task in report["alignment"])] if report["alignment"] else []
    names += ["steerability"] if report["steerability"] else []
    names += [f"markers-{name}" for name, section in report.get("markers", {}).items() if section["marked"]]
    names += ["coverage", "coverage-yield"] if report["coverage"] else []
    return [f"{name}.png" for name in names]


def remove_plots(report: Report, folder: Path, *, but_those_of: Report) -> None:
    """Remove the plots of a report that another one in its place does not have; other files stay."""
    for name in set(plot_names(report)) - set(plot_names(but_those_of)):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def write_plots(report: Report, folder: Path) -> list[Path]:
    """Write the figures of what the report holds into ``folder``; returns the files.

    They are ``alignment.png`` and an ``alignment-<task>.png`` per task, ``steerability.png``, ``coverage.png``,
    ``coverage-yield.png`` and a ``markers-<data>.png`` per data set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Figure] = {}
    if report["alignment"]:
        figures["alignment"] = summary_figure(report)
        figures |= {f"alignment-{task}": task_figure(task, section) for task, section in report["alignment"].items()}
    if report["steerability"]:
        figures["steerability"] = steerability_figure(report["steerability"])
    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        figure.savefig(path, dpi=130)
    paths += write_marker_plots(report.get("markers", {}), folder)
    return paths + (write_coverage_plots(report["coverage"], folder) if report["coverage"] else [])
