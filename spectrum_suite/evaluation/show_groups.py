"""Tables and figures of results by group of people and by question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectrum_suite.evaluation.report import Report, Section
from spectrum_suite.markdown import markdown_table

_MODEL, _UNIFORM = "#0072b2", "#e69f00"  # distinct without colour vision
_MOST_QUESTIONS = 20
_FURTHEST = 5
_LONGEST = 90  # of a question in a table
_MOST_GROUPS = 40  # in a figure


@dataclass(frozen=True)
class Shown:
    """What tables of a desideratum show.

    Attributes:
        people: What is counted.
        columns: Measure -> its name.
        first: The measure that figures show, and by which questions are ranked: lower is better.
        label: Of its axis.
        from_zero: Whether the axis begins at zero.
    """

    people: str
    columns: Mapping[str, str]
    first: str
    label: str
    from_zero: bool


SHOWN: Mapping[str, Shown] = {
    "alignment": Shown(
        "items",
        {
            "js_divergence": "JS divergence", "uniform": "uniform guess", "coverage": "coverage",
            "mode_match": "mode match",
        },
        "js_divergence",
        "JS divergence (nats), lower is better",
        from_zero=True,
    ),
    "steerability": Shown(
        "sequences",
        {"loss": "loss", "accuracy": "accuracy", "ece": "calibration error"},
        "loss",
        "loss of an output (nats), lower is better",
        from_zero=False,
    ),
}  # fmt: skip
"""Desideratum -> what its tables by group and by question show."""


def with_groups(report: Report) -> Iterator[tuple[str, str, Section]]:
    """Desideratum, task and section of each task that was measured by group."""
    for desideratum in SHOWN:
        for task, section in report.get(desideratum, {}).items():
            if section.get("by"):
                yield desideratum, task, section


def groups_markdown(report: Report) -> str:
    """A table for each task and attribute; empty where nothing was measured by group."""
    parts = []
    for desideratum, task, section in with_groups(report):
        parts += [
            f"### {task} by {attribute}\n\n{_table(attribute, list(groups.items()), desideratum)}"
            for attribute, groups in section["by"].items()
        ]
        parts.append(f"![{task} by group](plots/groups-{task}.png)")
    return "\n\n".join(parts)


def questions_markdown(report: Report) -> str:
    """A table for each task; of many questions those that the model is furthest from."""
    parts = (
        _of_task(task, section["questions"], desideratum)
        for desideratum in SHOWN
        for task, section in report.get(desideratum, {}).items()
        if section.get("questions")
    )
    return "\n\n".join(filter(None, parts))


def groups_figure(task: str, section: Section, shown: Shown) -> Figure:
    """A panel for each attribute: the first measure of each group with its interval, and the uniform guess."""
    by = {name: _largest(groups) for name, groups in section["by"].items()}
    heights = [max(len(groups), 2) for groups in by.values()]
    figure = Figure(figsize=(7.5, 1.3 + sum(0.34 * height + 0.6 for height in heights)), layout="constrained")
    axes = figure.subplots(len(by), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights}).ravel()
    for axis, (attribute, groups) in zip(axes, by.items(), strict=True):
        _draw(axis, groups, shown, attribute)
    axes[-1].set_xlabel(shown.label)
    if shown.from_zero:
        axes[-1].set_xlim(left=0)
    figure.suptitle(f"{task}: groups ({shown.people}) with 95% intervals", fontsize=11)
    handles, labels = axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _of_task(task: str, questions: Sequence[Section], desideratum: str) -> str:
    first = SHOWN[desideratum].first
    scored = [each for each in questions if each[first]["mean"] is not None]
    if len(scored) <= 1:
        return ""
    ranked = sorted(scored, key=lambda each: -each[first]["mean"])
    few = len(ranked) <= _MOST_QUESTIONS
    title = f"### {task}, {len(ranked)} questions" + (
        "" if few else f", the {_FURTHEST} that the model is furthest from"
    )
    rows = [(_line(each["question"]), each) for each in (ranked if few else ranked[:_FURTHEST])]
    return f"{title}\n\n{_table('question', rows, desideratum)}"


def _line(text: str) -> str:
    """A text as the cell of a table in Markdown."""
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
    return short.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _table(what: str, cells: Sequence[tuple[str, Section]], desideratum: str) -> str:
    shown = SHOWN[desideratum]
    columns = [name for name in shown.columns if any(name in cell for _, cell in cells)]
    rows = [[_line(name), cell["n"], *(_cell(cell.get(column)) for column in columns)] for name, cell in cells]
    return markdown_table(
        [what, shown.people, *(shown.columns[name] for name in columns)], rows, "l" + "r" * (len(columns) + 1)
    )


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None or found["mean"] is None:
        return "-"
    low, high = found["ci95"]
    return f"{found['mean']:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")


def _largest(groups: Mapping[str, Section]) -> dict[str, Section]:
    """The groups, or the largest of them where there are many, in the same order."""
    kept = sorted(groups, key=lambda name: -groups[name]["n"])[:_MOST_GROUPS]
    return {name: groups[name] for name in groups if name in kept}


def _draw(axis: Axes, groups: Mapping[str, Section], shown: Shown, attribute: str) -> None:
    places = np.arange(len(groups))
    cells = [cell[shown.first] for cell in groups.values()]
    means = np.array([cell["mean"] for cell in cells], dtype=float)
    ends = np.array([cell["ci95"] for cell in cells], dtype=float).reshape(-1, 2)
    errors = np.nan_to_num(np.maximum([means - ends[:, 0], ends[:, 1] - means], 0))
    axis.errorbar(means, places, xerr=errors, fmt="o", color=_MODEL, label="model", capsize=3, clip_on=False)
    if all("uniform" in cell for cell in groups.values()):
        guesses = np.array([cell["uniform"]["mean"] for cell in groups.values()], dtype=float)
        axis.plot(guesses, places, "D", color=_UNIFORM, label="uniform guess", markersize=5, clip_on=False)
    names = [_tick(name, cell["n"]) for name, cell in groups.items()]
    axis.set(yticks=places, ylim=(len(groups) - 0.5, -0.5), ylabel=attribute.replace("$", r"\$"))
    axis.set_yticklabels(names, fontsize=8)
    axis.grid(axis="x", color="#e5e5e5")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _tick(name: str, count: int) -> str:
    short = name if len(name) <= 32 else f"{name[:28]} ..."  # noqa: PLR2004 - beside an axis
    return f"{short} ({count})".replace("$", r"\$")
