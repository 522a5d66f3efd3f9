"""Figures of alignment: target and model side by side for some items, and all tasks next to a uniform guess."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectrum_suite.evaluation.report import Report, Section

MAX_ITEMS = 6
MAX_OPTIONS = 50
_UPRIGHT = 8  # at most so many options, each of at most ...
_SHORT = 9  # ... so many characters, stand side by side; otherwise bars lie, and labels are read from left to right
_LONGEST_LABEL = 40
_TARGET, _MODEL, _UNIFORM = "#9a9a9a", "#0072b2", "#e69f00"  # distinct without colour vision
_BAR = 0.4
_PER_INCH = 10  # characters of a title, at least


def task_figure(task: str, section: Section) -> Figure:
    """Target and model side by side for up to six items, evenly spaced from the best to the worst by JS divergence."""
    items = spread(section["items"], MAX_ITEMS)
    upright = all(_fits_upright(item["options"]) for item in items)
    columns = min(len(items), 3 if upright else 2)
    rows = -(-len(items) // columns)
    most = max(min(len(item["options"]), MAX_OPTIONS) for item in items)
    height = 2.6 if upright else max(2.2, 0.9 + 0.2 * most)
    figure = Figure(figsize=(max(4.2 * columns, 6.5), height * rows + 0.9), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=not upright, sharey=upright).ravel()
    for axis, item in zip(axes, items, strict=False):
        _draw_item(axis, item, upright=upright)
    for axis in axes[len(items) :]:
        axis.set_axis_off()
    if upright:
        figure.supylabel("probability", fontsize=10)
    else:
        for axis in axes[max(len(items) - columns, 0) : len(items)]:
            axis.set_xlabel("probability")  # a label of the whole figure would lie below the legend
    mean = section["model"]["js_divergence"]["mean"]
    chosen = f", {len(items)} of them from the best to the worst" if len(items) < section["n"] else ""
    plural = "s" if section["n"] > 1 else ""
    divergence = "no score" if mean is None else f"mean JS divergence {mean:.3f} nats"
    title = f"{task}: {divergence} over {section['n']} item{plural}{chosen}"
    figure.suptitle(textwrap.fill(title, int(_PER_INCH * figure.get_figwidth())), fontsize=11)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def summary_figure(report: Report) -> Figure:
    """JS divergence and coverage of each task with two standard errors, and of the uniform guess."""
    sections = report["alignment"]
    figure = Figure(figsize=(9, 1.5 + 0.6 * len(sections)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axis, metric in ((left, "js_divergence"), (right, "coverage")):
        cells = [found["model"][metric] for found in sections.values()]
        _draw_points(axis, cells, label="model", color=_MODEL, marker="o")
        axis.grid(axis="x", color="#e5e5e5")
        axis.set_axisbelow(True)
    guesses = [found["uniform"]["js_divergence"] for found in sections.values()]
    _draw_points(left, guesses, label="uniform guess", color=_UNIFORM, marker="D")
    left.set(
        xlabel="JS divergence from the target (nats), lower is better",
        yticks=range(len(sections)),
        yticklabels=list(sections),
    )
    left.set_xlim(left=0)
    left.set_ylim(len(sections) - 0.5, -0.5)
    right.set(xlabel="coverage: mass on the declared answers", xlim=(0, 1.02))
    title = f"{report['model']['name']}, format {report['settings']['format']} (mean and two standard errors)"
    figure.suptitle(title, fontsize=11)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def spread(items: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Up to ``count`` scored items at evenly spaced ranks of JS divergence, the best and the worst among them."""
    scored = [item for item in items if item["scores"]["js_divergence"] is not None]
    ranked = sorted(scored or items[:1], key=lambda item: item["scores"]["js_divergence"] or 0.0)
    ranks = np.linspace(0, len(ranked) - 1, min(count, len(ranked)))
    return [ranked[round(rank)] for rank in ranks]


def _fits_upright(options: Sequence[str]) -> bool:
    return len(options) <= _UPRIGHT and max(map(len, options)) <= _SHORT


def _draw_item(axis: Axes, item: dict[str, Any], *, upright: bool) -> None:
    target, model = np.array(item["target"]), np.array(item["probabilities"], dtype=float)
    shown = np.arange(len(target))
    if len(target) > MAX_OPTIONS:
        shown = np.sort(np.argsort(-np.fmax(target, model), kind="stable")[:MAX_OPTIONS])
    labels = [_label(item["options"][index], _LONGEST_LABEL) for index in shown]
    places = np.arange(len(shown))
    draw = axis.bar if upright else axis.barh
    draw(places - _BAR / 2, target[shown], _BAR, label="target", color=_TARGET)
    draw(places + _BAR / 2, model[shown], _BAR, label="model", color=_MODEL)
    if upright:
        axis.set(xticks=places)
        axis.set_xticklabels(labels, fontsize=8)
    else:
        axis.set(yticks=places, ylim=(len(shown) - 0.4, -0.6))
        axis.set_yticklabels(labels, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(_title(item, hidden=len(target) - len(shown)), fontsize=8.5, loc="left")


def _title(item: dict[str, Any], hidden: int) -> str:
    scores = item["scores"]
    name = _label(item["id"].partition("/")[2] or item["id"], _LONGEST_LABEL)
    divergence = "no score" if scores["js_divergence"] is None else f"JS {scores['js_divergence']:.3f}"
    rest = f", {hidden} less likely options not shown" if hidden else ""
    coverage = "no number from the model" if scores["coverage"] is None else f"coverage {scores['coverage']:.2f}"
    return f"{name}\n{divergence}, {coverage}{rest}"


def _label(text: str, length: int) -> str:
    """The start of ``text`` on one line; a dollar sign does not start a formula here."""
    return textwrap.shorten(text, length, placeholder=" ...").replace("$", r"\$")


def _draw_points(axis: Axes, cells: Sequence[dict[str, float | None]], *, label: str, color: str, marker: str) -> None:
    means = np.array([cell["mean"] for cell in cells], dtype=float)
    errors = 2 * np.nan_to_num(np.array([cell["se"] for cell in cells], dtype=float))
    axis.errorbar(
        means, np.arange(len(cells)), xerr=errors, fmt=marker, color=color, label=label, capsize=3, clip_on=False
    )
