"""Figures as files: PNG to look at, PDF and SVG to print; the same figure gives the same bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

METADATA: Mapping[str, Mapping[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}
"""Kind of file -> metadata that leaves out when it was written and by what."""

_DPI = 130
_STYLE = {"svg.hashsalt": "spectrum-suite", "svg.fonttype": "none", "pdf.fonttype": 42}
"""Names within an SVG that do not change, and text that stays text."""


def figure_names(name: str) -> list[str]:
    """The names of the files of a figure."""
    return [f"{name}.{kind}" for kind in METADATA]


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure in every kind; returns the files, the PNG first."""
    paths = [folder / each for each in figure_names(name)]
    with rc_context(_STYLE), _quiet_fonts():
        for path in paths:
            figure.savefig(path, dpi=_DPI, metadata=dict(METADATA[path.suffix[1:]]))
            figure.set_layout_engine("none")  # where everything stands is settled, and takes most of the time
    return paths


@contextmanager
def _quiet_fonts() -> Iterator[None]:
    """Within, the tables of fonts that a PDF embeds are not logged."""
    fonts = logging.getLogger("fontTools")
    before = fonts.level
    fonts.setLevel(logging.WARNING)
    try:
        yield
    finally:
        fonts.setLevel(before)
