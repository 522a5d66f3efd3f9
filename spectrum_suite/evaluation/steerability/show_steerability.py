"""The figure of steerability: the loss of an output by the examples before it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from spectrum_suite.evaluation.report import Section

_COLOR = "#0072b2"
_PANELS = 4


def steerability_figure(sections: Mapping[str, Section]) -> Figure:
    """Loss of an output against the number of examples before it: a panel per task, with standard errors."""
    columns = min(len(sections), _PANELS)
    rows = -(-len(sections) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.8 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (task, section) in zip(axes, sections.items(), strict=False):
        k, loss = (np.array(section["by_k"][name], dtype=float) for name in ("k", "loss"))
        error = np.array(section["by_k"]["loss_se"], dtype=float)
        axis.plot(k, loss, color=_COLOR, marker=".", markersize=3, linewidth=1)
        axis.fill_between(k, loss - error, loss + error, color=_COLOR, alpha=0.2, linewidth=0)
        axis.set_title(task, fontsize=8)
    for axis in axes[len(sections) :]:
        axis.set_axis_off()
    figure.supxlabel("examples before the output", fontsize=10)
    figure.supylabel("loss of an output, nats", fontsize=10)
    return figure
