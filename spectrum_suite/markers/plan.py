"""A plan of annotation: some datasets in a YAML file, each with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spectrum_suite.errors import UserError
from spectrum_suite.markers.labels import load_labels
from spectrum_suite.markers.sets import Provenance
from spectrum_suite.markers.taxonomy import TAXONOMY, Taxonomy
from spectrum_suite.shipped import shipped
from spectrum_suite.yaml_entries import Entries, Kind, read_entries

_EXAMPLE = "write e.g. 'data: [{path: dolly.jsonl, fixed: {source: Human}, columns: {task: category}}]'"
_KINDS: dict[str, Kind] = {
    "path": str, "layout": str, "split": str, "limit": int,
    "fixed": dict, "columns": dict, "readings": dict, "labels": str,
}  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """A dataset to annotate.

    Attributes:
        data: A file, a folder or a dataset on a Hub.
        provenance: What is known of it.
        layout: How it is written; ``auto`` goes by its columns.
        split: Of a folder or a dataset on a Hub.
        limit: Its conversations at most; None for all.
    """

    data: str
    provenance: Provenance = field(default_factory=Provenance)
    layout: str = "auto"
    split: str = "train"
    limit: int | None = None


def load_plan(path: Path, sources: Path | None = None, taxonomy: Taxonomy = TAXONOMY) -> list[Planned]:
    """The datasets of a plan; ``readings`` say what the values of a column mean, and ``labels`` name a file with
    markers of prompts (see :func:`~spectrum_suite.markers.labels.load_labels`)::

        data:
        - path: dolly/databricks-dolly-15k.jsonl
          limit: 100
          fixed: {source: Human}
          columns: {task: category}
          readings: {task: {open_qa: QuestionAnswering, general_qa: null}}
          labels: dolly_labels.csv

    Args:
        path: The YAML file.
        sources: The folder that relative paths of data are below; None takes them as they are. Those of labels are
            below the working directory, or come with the project.
        taxonomy: The categories that labels are of.

    Raises:
        UserError: There is no such file, or it is not a plan; or a file of labels is not one.
    """
    path = Path(shipped(path))
    plan = read_entries(path, "plan", _EXAMPLE)
    plan.check({"data": list}, needed=["data"])
    if not plan["data"]:
        raise UserError(f"{plan.at('data')}: 'data' is empty: {_EXAMPLE}")
    return [_planned(path, entry, sources, taxonomy) for entry in plan["data"]]


def _planned(path: Path, entry: Any, sources: Path | None, taxonomy: Taxonomy) -> Planned:
    if not isinstance(entry, Entries):
        raise UserError(f"{path}: {entry!r} does not describe a dataset: {_EXAMPLE}")
    entry.check(_KINDS, needed=["path"])
    data = str(sources / entry["path"]) if sources is not None else entry["path"]
    known = {name: entry[name] for name in ("fixed", "columns", "readings") if name in entry}
    if "labels" in entry:
        known["labels"] = load_labels(entry["labels"], taxonomy)
    return Planned(
        data,
        Provenance(**known),
        **{name: entry[name] for name in ("layout", "split", "limit") if name in entry},
    )
