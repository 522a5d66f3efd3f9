"""The figures of a comparison: runs side by side, losses by examples, yield by validity, lengths that markers set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectrum_suite.evaluation.comparison.claims import samples
from spectrum_suite.evaluation.comparison.marker_tables import marker_sections
from spectrum_suite.evaluation.comparison.measures import MEASURES, Measure
from spectrum_suite.evaluation.comparison.pooling import estimate
from spectrum_suite.evaluation.comparison.run_results import Measured, Results

_SHOWN = ("loss", "ece", "yield", "js_divergence")
_COLORS = {
    "base": "#7f7f7f",
    "instruction-tuned": "#e69f00",
    "spectrum": "#0072b2",
    "ablation": "#56b4e9",
    "response-tuned": "#d55e00",
    "single-task": "#cc79a7",
    "rules": "#8c564b",
    "markers": "#009e73",
}
"""By group; distinct without colour vision, and every point is next to its name."""

_PANEL, _ROW = 3.2, 0.34
_DIAGONAL = "#9a9a9a"


def write_figures(results: Results, folder: Path, prefix: str) -> list[Path]:
    """Write ``<prefix><name>.png`` of every figure that there is something for into ``folder``; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, make in FIGURES.items():
        if figure := make(results):
            paths.append(folder / f"{prefix}{name}.png")
            figure.savefig(paths[-1], dpi=110, metadata={"Software": None})
    return paths


def runs_figure(results: Results) -> Figure:
    """A panel per number and a line per run: its mean with the 95% interval, and each of its seeds."""
    measured = [measure for measure in MEASURES.values() if measure.desideratum in results.measure]
    measures = [measure for measure in measured if measure.name in _SHOWN] or measured
    size = (1.6 + _PANEL * len(measures), 1.1 + _ROW * len(results.runs))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(measures), squeeze=False, sharey=True)[0]
    for axis, measure in zip(axes, measures, strict=True):
        for place, run in enumerate(results.runs):
            _draw_run(axis, place, run, measure)
        axis.set_title(f"{measure.label}\n{measure.better} is better", fontsize=9)
        axis.grid(axis="x", color="#e5e5e5")
        axis.set_axisbelow(True)
        _plain(axis)
    axes[0].set(yticks=range(len(results.runs)), ylim=(len(results.runs) - 0.5, -0.5))
    axes[0].set_yticklabels([run.name for run in results.runs], fontsize=9)
    return figure


def _draw_run(axis: Axes, place: int, run: Measured, measure: Measure) -> None:
    found = estimate(samples(run, measure), measure.pooled)
    if found is None:
        return
    color = _COLORS[run.group]
    reach = np.abs(np.nan_to_num(np.array(found.ci95), nan=found.value) - found.value)[:, None]
    axis.errorbar([found.value], [place], xerr=reach, fmt="o", color=color, capsize=3, markersize=5)
    if len(run.seeds) > 1:
        alone = [estimate([sample], measure.pooled).value for sample in samples(run, measure)]
        axis.plot(alone, [place] * len(alone), "|", color=color, markersize=9)


def examples_figure(results: Results) -> Figure | None:
    """The loss of outputs by the number of examples before them: a panel per task, a line per run; None without any."""
    scored = [(run, seed.scores["steerability"]) for run in results.runs for seed in run.seeds[:1]
              if "steerability" in seed.scores]  # fmt: skip
    tasks = list(dict.fromkeys(
        task for _, scores in scored for task, section in scores.items()
        if not section["capability"] and section.get("after")
    ))  # fmt: skip
    if not tasks:
        return None
    figure = Figure(figsize=(1.6 + _PANEL * len(tasks), 3.4), layout="constrained")
    axes = figure.subplots(1, len(tasks), squeeze=False)[0]
    for axis, task in zip(axes, tasks, strict=True):
        for run, scores in scored:
            after = {int(k): part["loss"] for k, part in scores.get(task, {}).get("after", {}).items()}
            means = [np.mean([loss for loss in losses if loss is not None]) for losses in after.values()]
            axis.plot(list(after), means, marker="o", markersize=4, linewidth=1.2, label=run.name)
        axis.set(xlabel="examples", title=task)
        _plain(axis)
    axes[0].set_ylabel("loss of an output (nats)")
    axes[-1].legend(frameon=False, fontsize=7)
    return figure


def yield_figure(results: Results) -> Figure | None:
    """Different valid generations against the share of valid ones, a point per run; None where there are none."""
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axis = figure.subplots()
    for run in results.runs:
        found = [estimate(samples(run, MEASURES[name]), MEASURES[name].pooled) for name in ("valid", "yield")]
        if all(found):
            place = tuple(each.value for each in found)
            axis.plot(*place, "o", color=_COLORS[run.group])
            axis.annotate(run.name, place, (4, 4), textcoords="offset points", fontsize=8)
    if not axis.lines:
        return None
    axis.set(xlabel="share of valid generations", ylabel="different valid generations (yield)", xlim=(0, 1), ylim=0)
    _plain(axis)
    return figure


def wanted_figure(results: Results) -> Figure | None:
    """Tokens wanted against the median of those that came, a line for each run and dataset; None without any."""
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axis = figure.subplots()
    for name, data, section in marker_sections(results):
        if section["got"]:
            wanted = list(map(int, section["got"]))
            low, median, high = np.percentile(list(section["got"].values()), [25, 50, 75], axis=1)
            axis.errorbar(wanted, median, yerr=[median - low, high - median], marker="o", capsize=3,
                          label=f"{name}, {data}")  # fmt: skip
    if not axis.containers:
        return None
    axis.plot(wanted, wanted, color=_DIAGONAL, linestyle="--", linewidth=1, label="as wanted")
    axis.set(xlabel="tokens wanted", ylabel="tokens got: median, quartiles", xlim=0, ylim=0)
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _plain(axis: Axes) -> None:
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


FIGURES: Mapping[str, Callable[[Results], Figure | None]] = {
    "runs": runs_figure,
    "examples": examples_figure,
    "yield": yield_figure,
    "wanted": wanted_figure,
}
"""Those that a page may have, by the names of their files."""
