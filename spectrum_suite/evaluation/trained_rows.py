"""Rows of an evaluation that its model was trained on, by the training report in the model's folder or repository."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from spectrum_suite.evaluation.choices import DESIDERATA
from spectrum_suite.models import ModelFiles
from spectrum_suite.row_fingerprints import trained_fingerprints

_REPORT = "training_report.json"
_WITHIN_RUN = ("merged", "checkpoint-")  # folders in that of a run, which has the report
_NAMED = 3


def trained_rows(files: ModelFiles) -> frozenset[str]:
    """Fingerprints of the rows that a model, or the base of an adapter, was trained on, as far as reports show.

    Of an adapter at scale 0 only its base counts.
    """
    if files.base is not None and files.adapter_scale == 0:
        return trained_rows(files.base)
    above = files.folder.name.startswith(_WITHIN_RUN)
    own = trained_fingerprints((files.folder.parent if above else files.folder) / _REPORT)
    return own | (trained_rows(files.base) if files.base else frozenset())


def trained_text(ids: Sequence[str]) -> str:
    """How many rows a model was trained on, and the first of them by name."""
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    rows = "row" if len(ids) == 1 else "rows"
    return f"the model was trained on {len(ids)} {rows} that it is measured on: {', '.join(ids[:_NAMED])}{more}"


def trained_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """A line for each task of a report of which the model was trained on rows."""
    sections = chain.from_iterable(report.get(name, {}).items() for name in DESIDERATA)
    for task, section in sections:
        if ids := section.get("trained_on"):
            yield f"{task}: {trained_text(ids)} ({len(ids)} of {section['n']})"
