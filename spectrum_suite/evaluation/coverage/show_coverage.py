"""Tables and figures of coverage: valid against unique, and the yield against the number of generations.

All take the tasks' parts of a report, ``task -> prompting -> section`` (:meth:`TaskCoverage.as_dict`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectrum_suite.evaluation.choices import PROMPTINGS
from spectrum_suite.evaluation.coverage.summarize_coverage import mean_section
from spectrum_suite.evaluation.report import Section
from spectrum_suite.markdown import markdown_table

Sections = Mapping[str, Mapping[str, Section]]

_COLORS = {"description": "#0072b2", "examples": "#e69f00", "both": "#009e73"}  # distinct without colour vision
_MARKERS = {"description": "o", "examples": "D", "both": "s"}
_GREY = "#9a9a9a"
_SHOWN = {"valid": 3, "unique": 3, "yield": 1, "reached": 3}  # and with how many decimals
_COLUMNS = 5


def coverage_figures(sections: Sections) -> dict[str, Figure]:
    """Name -> figure."""
    return {"coverage": valid_unique_figure(sections), "coverage-yield": yield_figure(sections)}


def coverage_markdown(sections: Sections) -> str:
    """A table per prompting, one line per task and the mean over tasks; standard errors where there are any."""
    return "\n\n".join(_table(sections, prompting) for prompting in promptings_of(sections)) + "\n"


def promptings_of(sections: Sections) -> list[str]:
    """The promptings that any task has, in their usual order."""
    return [prompting for prompting in PROMPTINGS if any(prompting in task for task in sections.values())]


def valid_unique_figure(sections: Sections) -> Figure:
    """Share of valid generations against share of these that is unique: a point per task, a panel per prompting.

    On a grey line the yield, n x valid x unique, is the same everywhere. Tasks with nothing valid stand at 0.
    """
    promptings = promptings_of(sections)
    figure = Figure(figsize=(5.2 * len(promptings), 5.6), layout="constrained")
    for axis, prompting in zip(figure.subplots(1, len(promptings), squeeze=False)[0], promptings, strict=True):
        found = {task: of_task[prompting] for task, of_task in sections.items() if prompting in of_task}
        _draw_yield_lines(axis, max(section["n"] for section in found.values()))
        for section in found.values():
            _draw_point(axis, section, prompting)
        _name_points(axis, found)
        mean = mean_section(found.values())["scores"]["yield"]["mean"]
        axis.set_title(
            f"{prompting}: mean yield {mean:.1f} over {len(found)} task{'s' * (len(found) > 1)}", fontsize=10
        )
        axis.set(xlabel="valid: share of generations", xlim=(-0.03, 1.03), ylim=(-0.03, 1.05))
    figure.axes[0].set_ylabel("unique: share of the valid generations")
    return figure


def yield_figure(sections: Sections) -> Figure:
    """Different valid items against the number of generations, a panel per task and a line per prompting.

    The dotted line is what an even sampler over the task's set would yield, m (1 - (1 - 1/m)^k) of m items.
    """
    columns = min(_COLUMNS, len(sections))
    rows = -(-len(sections) // columns)
    figure = Figure(figsize=(3 * columns + 0.5, 2.5 * rows + 0.8), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (task, of_task) in zip(axes, sections.items(), strict=False):
        _draw_curves(axis, of_task)
        axis.set_title(task, fontsize=9)
    for axis in axes[len(sections) :]:
        axis.set_axis_off()
    figure.supxlabel("generations", fontsize=10)
    figure.supylabel("different valid items", fontsize=10)
    handles = {handle.get_label(): handle for axis in axes for handle in axis.lines}
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=len(handles), frameon=False)
    return figure


def even_yield(set_size: int, n: int) -> np.ndarray:
    """(n,): the expected number of different items among k even draws from ``set_size``, for k = 1, ..., n."""
    return -set_size * np.expm1(np.arange(1, n + 1) * np.log1p(-1 / set_size)) if set_size > 1 else np.ones(n)


def _table(sections: Sections, prompting: str) -> str:
    found = {task: of_task[prompting] for task, of_task in sections.items() if prompting in of_task}
    rows = [_row(task, section, section["n"]) for task, section in found.items()]
    rows.append(_row("**mean**", mean_section(found.values()), ""))
    return markdown_table([prompting, "generations", *_SHOWN, "unfinished"], rows)


def _row(name: str, section: Section, generations: int | str) -> list[object]:
    cells = [_cell(section["scores"][metric], digits) for metric, digits in _SHOWN.items()]
    return [name, generations, *cells, section["unfinished"]]


def _cell(cell: Mapping[str, float | None], digits: int) -> str:
    if cell["mean"] is None:
        return "-"
    error = "" if cell["se"] is None else f" ± {cell['se']:.{digits}f}"
    return f"{cell['mean']:.{digits}f}{error}"


def _draw_yield_lines(axis: Axes, n: int) -> None:
    valid = np.linspace(0.01, 1, 200)
    for share in (0.1, 0.25, 0.5, 0.75):
        unique = share / valid
        axis.plot(valid[unique <= 1], unique[unique <= 1], color=_GREY, linewidth=0.7, zorder=1)
        axis.annotate(f"{share * n:g}", (1, share), color=_GREY, fontsize=7, xytext=(2, 0), textcoords="offset points")


def _draw_point(axis: Axes, section: Section, prompting: str) -> None:
    valid, unique = (section["scores"][metric] for metric in ("valid", "unique"))
    axis.errorbar(
        *_place(section), xerr=valid["se"] or 0.0, yerr=unique["se"] or 0.0, fmt=_MARKERS[prompting],
        color=_COLORS[prompting], markersize=4, elinewidth=0.6, clip_on=False,
    )  # fmt: skip


def _name_points(axis: Axes, sections: Mapping[str, Section]) -> None:
    """Write the tasks' names next to their points, on the side with more room; those of one point above each other."""
    names: dict[tuple[float, float], list[str]] = {}
    for task, section in sections.items():
        names.setdefault(_place(section), []).append(task.removeprefix("cov_"))
    for place, tasks in names.items():
        right = place[0] > 0.5  # noqa: PLR2004  # half of the axis
        offset, side = ((-4, 3), "right") if right else ((4, 3), "left")
        axis.annotate("\n".join(tasks), place, fontsize=6.5, xytext=offset, textcoords="offset points", ha=side)


def _place(section: Section) -> tuple[float, float]:
    return section["scores"]["valid"]["mean"], section["scores"]["unique"]["mean"] or 0.0


def _draw_curves(axis: Axes, of_task: Mapping[str, Section]) -> None:
    for prompting, section in of_task.items():
        axis.plot(_steps(section["n"]), section["yield_curve"], color=_COLORS[prompting], label=prompting)
    longest = max(of_task.values(), key=lambda section: section["n"])
    if longest["set_size"]:
        steps = _steps(longest["n"])
        axis.plot(steps, even_yield(longest["set_size"], len(steps)), ":", color=_GREY, label="even sampler")
    axis.set_ylim(bottom=0)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def _steps(n: int) -> Sequence[int]:
    return range(1, n + 1)
