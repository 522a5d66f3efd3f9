"""The figure of a comparison: every run's main numbers with their intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectrum_suite.evaluation.comparison.claims import samples
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
"""By group; told apart without colour vision, and every point is next to its name."""

_PANEL, _ROW = 3.2, 0.34


def write_figures(results: Results, folder: Path, prefix: str) -> list[Path]:
    """Write ``<prefix>runs.png`` into ``folder``; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{prefix}runs.png"
    runs_figure(results).savefig(path, dpi=110, metadata={"Software": None})
    return [path]


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
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
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
