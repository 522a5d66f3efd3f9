"""A plan of annotation: some datasets in a YAML file, each with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.markers.labels import load_labels
from spectrum_suite.markers.sets import Provenance
from spectrum_suite.markers.taxonomy import TAXONOMY, Taxonomy
from spectrum_suite.shipped import shipped

_EXAMPLE = "e.g. 'data: [{path: dolly.jsonl, fixed: {source: Human}, columns: {task: category}}]'"


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
    if not path.is_file():
        raise UserError(f"no plan {str(path)!r}: give a YAML file, {_EXAMPLE}")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML ({' '.join(str(error).split())})") from error
    entries = found.get("data") if isinstance(found, dict) else None
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path} has no list 'data': {_EXAMPLE}")
    return [_planned(path, entry, sources, taxonomy) for entry in entries]


def _planned(path: Path, entry: Any, sources: Path | None, taxonomy: Taxonomy) -> Planned:
    kinds = {
        "path": str, "layout": str, "split": str, "limit": int,
        "fixed": dict, "columns": dict, "readings": dict, "labels": str,
    }  # fmt: skip
    if not isinstance(entry, dict) or "path" not in entry:
        raise UserError(f"{path}: {entry!r} names no dataset: {_EXAMPLE}")
    for name, value in entry.items():
        if name not in kinds:
            raise UserError(f"{path}: no entry {name!r}{did_you_mean(str(name), kinds)}: there are {', '.join(kinds)}")
        if not isinstance(value, kinds[name]):
            raise UserError(f"{path}: {name!r} is {value!r}: {_EXAMPLE}")
    data = str(sources / entry["path"]) if sources is not None else entry["path"]
    known = {name: entry[name] for name in ("fixed", "columns", "readings") if name in entry}
    if "labels" in entry:
        known["labels"] = load_labels(entry["labels"], taxonomy)
    return Planned(
        data,
        Provenance(**known),
        **{name: entry[name] for name in ("layout", "split", "limit") if name in entry},
    )
