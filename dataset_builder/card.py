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

from dataset_builder.mixtures import mixtures
from dataset_builder.registry import get_task
from dataset_builder.suite_folder import Record, has_rows
from dataset_builder.tables import FEATURES
from dataset_builder.task_spec import Source, Split, TaskSpec

_TEMPLATE = Path(__file__).parent / "templates" / "suite_card.md.jinja"
_HUB_LICENSES = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "odc-by"}
_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
_SHOWN_ITEMS, _SHOWN_CHARACTERS = 5, 240
_ABOUT = {
    "icl": (
        "Draws of one process. `n_outputs` counts them; `options` has their closed answers, one list for all of them "
        "or one for each, and none where any answer is possible; rows of the same `process` show it again."
    ),
    "distribution": (
        "A prompt, the answers it can have and how probable each one is. `n_responses` is the number of answers behind "
        "the shares (null: they are known exactly); `output_label` is what plain text formats call the answer."
    ),
    "coverage": (
        "What to generate, and the rule by which an answer is valid: `validator` names it, and `valid_items` has "
        "the valid answers where they are a list. `examples` are outputs to show in the prompt."
    ),
}


def render_card(folder: Path, report: Mapping[str, Any], repo_id: str = "spectrum-suite") -> str:
    """The text of ``README.md``: metadata for the Hub and for `load_dataset`, and what a person should know.

    Args:
        folder: Where the tasks' Parquet files are.
        report: The build report. No time from it enters the card, so that equal builds have equal cards.
        repo_id: What its examples load: the repository that the suite is in, once it is published.
    """
    records: dict[str, Record] = report["tasks"]
    built = {get_task(name): record for name, record in records.items() if has_rows(record)}
    card = DatasetCard.from_template(
        _metadata(folder, built),
        template_path=str(_TEMPLATE),
        tasks=list(built.items()),
        sources=_sources(built),
        quirks=[spec for spec in built if spec.quirks],
        missing=_names(n for n, record in records.items() if record["status"] == "missing"),
        failed=_names(n for n, record in records.items() if record["status"] == "failed"),
        partial=_names(n for n, record in records.items() if record["status"] == "partial"),
        limited=_names(spec.name for spec, record in built.items() if record["max_rows"] is not None),
        mixtures=mixtures(built),
        samples=_samples(folder, built),
        about=_ABOUT,
        repo_id=repo_id,
        seed=report["seed"],
    )
    return f"{card}\n"


def _metadata(folder: Path, built: Mapping[TaskSpec, Record]) -> DatasetCardData:
    data = DatasetCardData(
        pretty_name="Spectrum Suite",
        language=sorted({language for spec in built for language in spec.languages}),
        task_categories=["text-generation", "text-classification"],
        size_categories=_size_category(sum(record["rows"] for record in built.values())),
        source_datasets=sorted({f"extended|{spec.source.hub}" if spec.source.hub else "original" for spec in built}),
        tags=["distributional-modeling", "in-context-learning", "pluralistic-alignment", "calibration"],
        **_license(_sources(built)),
    )
    groups = {spec.name: {spec.split: [spec]} for spec in built} | mixtures(built)
    infos = {name: _dataset_info(folder, splits, built) for name, splits in groups.items()}
    DatasetInfosDict(infos).to_dataset_card_data(data)
    configs = {name: {"data_files": _data_files(splits)} for name, splits in groups.items()}
    MetadataConfigs(configs).to_dataset_card_data(data)
    return data


def _data_files(splits: Mapping[Split, list[TaskSpec]]) -> list[dict[str, Any]]:
    """The files of a configuration; a mixture names those of its tasks, so no row is there twice."""
    paths = {split: [f"{spec.name}/{split}-*.parquet" for spec in specs] for split, specs in splits.items()}
    return [{"split": split, "path": path if len(path) > 1 else path[0]} for split, path in paths.items()]


def _dataset_info(
    folder: Path, splits: Mapping[Split, list[TaskSpec]], built: Mapping[TaskSpec, Record]
) -> DatasetInfo:
    sizes = SplitDict()
    for split, specs in splits.items():
        totals = {key: sum(built[spec][key] for spec in specs) for key in ("bytes", "rows")}
        sizes.add(SplitInfo(split, num_bytes=totals["bytes"], num_examples=totals["rows"]))
    specs = [spec for specs in splits.values() for spec in specs]
    return DatasetInfo(
        features=FEATURES[specs[0].kind],
        splits=sizes,
        dataset_size=sum(size.num_bytes for size in sizes.values()),
        download_size=sum(path.stat().st_size for spec in specs for path in (folder / spec.name).iterdir()),
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
    for message in row.get("messages", ()):
        if len(message["content"]) > _SHOWN_CHARACTERS:
            message["content"] = message["content"][:_SHOWN_CHARACTERS] + " ..."
    return {name: _shortened(value) if isinstance(value, list) else value for name, value in row.items()}


def _shortened(items: list[Any]) -> list[Any]:
    return items if len(items) <= _SHOWN_ITEMS else [*items[:_SHOWN_ITEMS], "..."]
