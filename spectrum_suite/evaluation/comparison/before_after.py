"""Two runs of a recipe side by side, task by task: a model before and after tuning, and a uniform guess."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from spectrum_suite.evaluation.comparison.compare import format_of, report_folder
from spectrum_suite.evaluation.comparison.recipe import Recipe, Run
from spectrum_suite.evaluation.report import Report, read_report

SIDES = ("base", "tuned", "uniform")

_COLUMNS = (
    "task", "n", "base format", "base", "tuned", "uniform guess", "tuned - base, 95%", "coverage base", "tuned",
)  # fmt: skip


def before_and_after(recipe: Recipe, output: Path) -> Iterator[tuple[Run, Table]]:
    """Each run that was compared with another on alignment, and the table of both.

    Args:
        recipe: Whose runs have been measured.
        output: The folder of their reports.
    """
    for run in recipe.runs:
        before = next((other for other in recipe.runs if other.name == run.before), None)
        if before is None:
            continue
        reports = [report_folder(output, side, next(iter(side.models())), "alignment") for side in (before, run)]
        if all(path.is_dir() for path in reports):
            yield run, _table(*map(read_report, reports))


def cells_of(base: Report, tuned: Report) -> dict[str, dict[str, Any]]:
    """Task -> what two reports say about alignment on it.

    Returns:
        For each task of ``tuned``, under ``base``, ``tuned`` and ``uniform`` the mean ``js_divergence`` in nats, its
        standard error ``se``, the mean ``coverage`` and ``n``; and ``difference_ci95``, the 95% interval of tuned minus
        base, with None at both ends where there is none.
    """
    found = {}
    for task, section in tuned["alignment"].items():
        sides = (base["alignment"][task]["model"], section["model"], section["uniform"])
        found[task] = {
            side: {
                "js_divergence": cell["js_divergence"]["mean"],
                "se": cell["js_divergence"]["se"],
                "coverage": cell["coverage"]["mean"],
                "n": section["n"],
            }
            for side, cell in zip(SIDES, sides, strict=True)
        } | {"difference_ci95": tuned["comparison"]["alignment"][task]["js_divergence"]["ci95"]}
    return found


def _table(base: Report, tuned: Report) -> Table:
    table = Table(title="Jensen-Shannon divergence to the true distribution, in nats (standard error)")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == "task" else "right")
    for task, cells in cells_of(base, tuned).items():
        low, high = cells["difference_ci95"]
        table.add_row(
            task,
            str(cells["tuned"]["n"]),
            format_of(base),
            *(_divergence(cells[side]) for side in SIDES),
            "one item" if low is None else f"[{low:+.4f}, {high:+.4f}]",
            *(_number(cells[side]["coverage"], 3) for side in SIDES[:2]),
        )
    return table


def _divergence(cell: dict[str, Any]) -> str:
    """``0.0123 (0.0010)``."""
    error = "" if cell["se"] is None else f" ({_number(cell['se'], 4)})"
    return f"{_number(cell['js_divergence'], 4)}{error}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
