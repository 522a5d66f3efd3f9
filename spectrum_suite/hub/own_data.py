"""Data of a user's own in the card of a model that was trained on it: which it is, how much, and under which terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from spectrum_suite.instruction_data import named_data

_ADDRESS = "hf://datasets/"
_COMMIT = 12  # digits of a commit that are shown


@dataclass(frozen=True)
class OwnData:
    """Data that was trained on: what it is in Markdown, the rows used, and what the user says of its terms."""

    shown: str
    rows: int
    terms: str | None


class MeasuredOn(NamedTuple):
    """What a model was measured on, as the Hub's index of models has it."""

    dataset: str
    config: str
    split: str
    title: str
    is_on_hub: bool = True


def measured_dataset(report: Mapping[str, Any]) -> MeasuredOn | None:
    """The dataset that an evaluation read as it is."""
    if not (source := (report.get("suite") or {}).get("dataset")):
        return None
    on_hub = hub_dataset(source)
    name = on_hub or Path(source["name"]).name
    return MeasuredOn(name, source.get("config") or "default", source["split"], name, on_hub is not None)


def hub_dataset(source: Mapping[str, Any] | None) -> str | None:
    """The id on a Hub of a dataset that a run read as it is, by the entry ``dataset`` of its report; None of files."""
    if not source or not source.get("revision"):
        return None
    owner, name = source["name"].removeprefix(_ADDRESS).split("/")[:2]
    return f"{owner}/{name.partition('@')[0]}"


def own_data(runs: Iterable[Mapping[str, Any]], terms: Mapping[str, str]) -> list[OwnData]:
    """The data of runs that are not on a suite.

    Args:
        runs: Training reports, of the run and of those that it resumed from.
        terms: Name of data -> where it is from and under which terms, in Markdown.
    """
    rows: Counter[tuple[str, str]] = Counter()
    for run in runs:
        source = run.get("dataset")
        for name, number in run["rows_per_task"].items():
            is_dataset = source and name not in named_data(run.get("data") or ())
            rows[_described(source) if is_dataset else (name, f"`{name}`")] += number
    return [OwnData(shown, number, terms.get(name)) for (name, shown), number in rows.items()]


def _described(source: Mapping[str, Any]) -> tuple[str, str]:
    """The name of a dataset that was read as it is, and what it is."""
    parts = [f"configuration `{source['config']}`"] if source.get("config") else []
    if name := hub_dataset(source):
        parts.append(f"split `{source['split']}` at commit `{source['revision'][:_COMMIT]}`")
        return name, ", ".join([f"[`{name}`](https://huggingface.co/datasets/{name})", *parts])
    name = Path(source["name"]).name
    return name, ", ".join([f"`{name}`", *parts, f"split `{source['split']}`"])
