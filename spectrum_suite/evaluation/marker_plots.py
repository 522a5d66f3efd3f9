"""The figure of what a length marker does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from spectrum_suite.evaluation.report import Section

_COLOR, _DIAGONAL = "#0072b2", "#9a9a9a"


def write_marker_plots(sections: Mapping[str, Section], folder: Path) -> list[Path]:
    """Write ``markers-<data>.png`` for each data set that was measured on a model with markers; returns the files."""
    paths = []
    for name, section in sections.items():
        if section["marked"]:
            path = folder / f"markers-{name}.png"
            length_figure(name, section).savefig(path, dpi=130)
            paths.append(path)
    return paths


def length_figure(name: str, section: Section) -> Figure:
    """The tokens that came against those that were wanted: medians with quartiles, and the diagonal."""
    points = section["length_curve"]
    wanted, medians = [point["wanted"] for point in points], [point["median"] for point in points]
    below, above = zip(
        *((m - point["quartiles"][0], point["quartiles"][1] - m) for m, point in zip(medians, points, strict=True)),
        strict=True,
    )
    figure = Figure(figsize=(4.6, 4.0), layout="constrained")
    axis = figure.subplots()
    axis.plot(wanted, wanted, color=_DIAGONAL, linestyle="--", linewidth=1, label="as wanted")
    axis.errorbar(wanted, medians, yerr=[below, above], color=_COLOR, marker="o", capsize=3, label="median, quartiles")
    axis.set(xlabel="length_tokens that was set", ylabel="tokens of the response", title=name, xlim=0, ylim=0)
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return figure
