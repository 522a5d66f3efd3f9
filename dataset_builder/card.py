"""The dataset card of a built suite."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import DatasetInfo, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData

from dataset_builder.registry import get_task
from dataset_builder.suite_folder import Record
from dataset_builder.tables import FEATURES
from dataset_builder.task_spec import Source, TaskSpec

_TEMPLATE = Path(__file__).parent / "templates" / "suite_card.md.jinja"
_HUB_LICENSES = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "odc-by"}
_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
_SHOWN_ITEMS, _SHOWN_CHARACTERS = 5, 240
_ABOUT = {
    "icl": "Draws of one process. `n_outputs` counts them; rows of the same `process` show the same process again.",
    "distribution": (
        "A prompt, the answers it can have and how probable each one is. `n_responses` is the number of answers behind "
        "the shares (null: they are known exactly); `output_label` is what plain text formats call the answer."
    ),
}


def render_card(folder: Path, report: Mapping[str, Any]) -> str:
    """The text of ``README.md``: metadata for the Hub and for `load_dataset`, and what a person should know.

    Args:
        folder: Where the tasks' Parquet files are.
        report: The build report. No time from it enters the card, so that equal builds have equal cards.
    """
    records: dict[str, Record] = report["tasks"]
    built = {get_task(name): record for name, record in records.items() if record["status"] != "missing"}
    card = DatasetCard.from_template(
        _metadata(folder, built),
        template_path=str(_TEMPLATE),
        tasks=list(built.items()),
        sources=_sources(built),
        quirks=[spec for spec in built if spec.quirks],
        missing=_names(n for n, record in records.items() if record["status"] == "missing"),
        partial=_names(n for n, record in records.items() if record["status"] == "partial"),
        limited=_names(spec.name for spec, record in built.items() if record["max_rows"] is not None),
        samples=_samples(folder, built),
        about=_ABOUT,
        seed=report["seed"],
    )
    return f"{card}\n"


def _metadata(folder: Path, built: Mapping[TaskSpec, Record]) -> DatasetCardData:
    data = DatasetCardData(
        pretty_name="Spectrum Suite",
        language=sorted({language for spec in built for language in spec.languages}),
        task_categories=["text-generation"],
        size_categories=_size_category(sum(record["rows"] for record in built.values())),
        tags=["distributional-modeling", "in-context-learning", "pluralistic-alignment", "calibration"],
        **_license(_sources(built)),
    )
    infos = {spec.name: _dataset_info(folder, spec, record) for spec, record in built.items()}
    DatasetInfosDict(infos).to_dataset_card_data(data)
    files = {spec.name: [{"split": spec.split, "path": f"{spec.name}/{spec.split}-*.parquet"}] for spec in built}
    MetadataConfigs({name: {"data_files": paths} for name, paths in files.items()}).to_dataset_card_data(data)
    return data


def _dataset_info(folder: Path, spec: TaskSpec, record: Record) -> DatasetInfo:
    splits = SplitDict()
    splits.add(SplitInfo(spec.split, num_bytes=record["bytes"], num_examples=record["rows"]))
    return DatasetInfo(
        features=FEATURES[spec.kind],
        splits=splits,
        dataset_size=record["bytes"],
        download_size=sum(path.stat().st_size for path in (folder / spec.name).iterdir()),
    )


def _license(sources: Iterable[Source]) -> dict[str, str]:
    """The suite's licence in the Hub's terms: that of its sources if they share one, else ``other``."""
    licenses = {source.license.lower().replace(" ", "-") for source in sources}
    if len(licenses) == 1 and licenses <= _HUB_LICENSES:
        return {"license": licenses.pop()}
    return {"license": "other", "license_name": "one-per-source", "license_link": "README.md#sources-and-licences"}


def _size_category(rows: int) -> str:
    return next((name for bound, name in _SIZES if rows < bound), "n>10M")


def _sources(built: Iterable[TaskSpec]) -> list[Source]:
    by_name = {spec.source.name: spec.source for spec in built}
    return [by_name[name] for name in sorted(by_name)]


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _samples(folder: Path, built: Iterable[TaskSpec]) -> dict[str, str]:
    """The first row of the first task of each kind, shortened, as JSON."""
    first: dict[str, TaskSpec] = {}
    for spec in built:
        first.setdefault(spec.kind, spec)
    return {
        kind: json.dumps(_first_row(folder / spec.name), indent=1, ensure_ascii=False) for kind, spec in first.items()
    }


def _first_row(task_folder: Path) -> dict[str, Any]:
    parquet = pq.ParquetFile(min(task_folder.glob("*.parquet")))
    row = next(parquet.iter_batches(batch_size=1)).to_pylist()[0]
    for message in row["messages"]:
        if len(message["content"]) > _SHOWN_CHARACTERS:
            message["content"] = message["content"][:_SHOWN_CHARACTERS] + " ..."
    return {name: _shortened(value) if isinstance(value, list) else value for name, value in row.items()}


def _shortened(items: list[Any]) -> list[Any]:
    return items if len(items) <= _SHOWN_ITEMS else [*items[:_SHOWN_ITEMS], "..."]
