"""The dataset card of a built suite."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import DatasetInfo, SplitDict, SplitInfo
from datasets.config import REPOYAML_FILENAME
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard, DatasetCardData
from jinja2 import Template

from dataset_builder.licences import (
    addresses,
    attribution,
    commercial_use,
    licence_files,
    notice_file,
)
from dataset_builder.mixtures import DEFAULT, mixtures
from dataset_builder.recorded_tasks import recorded_task
from dataset_builder.registry import all_tasks
from dataset_builder.suite_folder import Record, has_rows
from dataset_builder.tables import features
from dataset_builder.task_spec import Source, Split, TaskSpec

_TEMPLATES = Path(__file__).parent / "templates"
CARD = "README.md"

LISTED = 100
"""Most configurations in the card's metadata: with more, the Hub's Croissant and its snippets do not work."""

_HUB_LICENSES = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "odc-by"}
_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
_SHOWN_ITEMS, _SHOWN_CHARACTERS = 5, 240
_ABOUT = {
    "icl": (
        "Draws of one process. `n_outputs` counts them; `options` has their closed answers, one list for all of them "
        "or one for each, and none where any answer is possible; rows of the same `process` show it again."
    ),
    "distribution": (
        "A prompt, its possible answers and their probabilities. `n_responses` is the number of answers that the "
        "shares were computed from (null: they are known exactly); `output_label` names the answer in plain text "
        "formats."
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
    built = _built(report)
    groups = _groups(built)
    card = DatasetCard.from_template(
        _metadata(folder, built),
        template_path=str(_TEMPLATES / "suite_card.md.jinja"),
        tasks=list(built.items()),
        sources=sources_of(built),
        quirks=[spec for spec in built if spec.quirks],
        missing=_names(n for n, record in records.items() if record["status"] == "missing"),
        failed=_names(n for n, record in records.items() if record["status"] == "failed"),
        partial=_names(n for n, record in records.items() if record["status"] == "partial"),
        limited=_names(spec.name for spec, record in built.items() if record["max_rows"] is not None),
        mixtures=mixtures(built),
        verbatim=[spec for spec in built if spec.verbatim],
        default=_default(groups),
        unlisted=max(len(groups) - LISTED, 0),
        configurations=len(groups),
        licences=report.get("licences", "all"),
        commercial_use=commercial_use,
        **shared_sections(built),
        samples=_samples(folder, built),
        about=_ABOUT,
        repo_id=repo_id,
        seed=report["seed"],
    )
    return f"{card}\n"


def suite_documents(folder: Path, report: Mapping[str, Any], repo_id: str = "spectrum-suite") -> dict[str, str]:
    """The texts of a suite: name -> content of its card, of the files about licences, and of all configurations.

    The latter, ``.huggingface.yaml``, is written only if there are more than the card lists; `datasets` reads it like
    the metadata of the card, and prefers it.

    Args:
        folder: Where the tasks' Parquet files are.
        report: The build report.
        repo_id: What the examples of the card load.
    """
    built = _built(report)
    texts = {CARD: render_card(folder, report, repo_id), **licence_files(built)}
    if len(groups := _groups(built)) > LISTED:
        data = DatasetCardData(configs=_configs(groups), dataset_info=_infos(folder, groups, built))
        texts[REPOYAML_FILENAME] = data.to_yaml() + "\n"
    return texts


def _built(report: Mapping[str, Any]) -> dict[TaskSpec, Record]:
    """The tasks that have rows."""
    return {recorded_task(name, record): record for name, record in report["tasks"].items() if has_rows(record)}


def _metadata(folder: Path, built: Mapping[TaskSpec, Record]) -> DatasetCardData:
    groups = _groups(built)
    more: dict[str, Any] = {"configs": _configs(dict(islice(groups.items(), LISTED)))}
    if len(groups) <= LISTED:
        more["dataset_info"] = _infos(folder, groups, built)
    return DatasetCardData(
        pretty_name="Spectrum Suite",
        language=sorted({language for spec in built for language in spec.languages}),
        task_categories=["text-generation", "text-classification"],
        size_categories=_size_category(sum(record["rows"] for record in built.values())),
        source_datasets=_source_datasets(spec.source for spec in built),
        tags=["distributional-modeling", "in-context-learning", "pluralistic-alignment", "calibration"],
        **license_of(sources_of(built)),
        **_non_commercial(groups),
        **more,
    )


_Groups = dict[str, dict[Split, list[TaskSpec]]]


def _groups(built: Mapping[TaskSpec, Record]) -> _Groups:
    """The configurations of a suite: name -> split -> its tasks.

    Mixtures come first, then what no mixture has, then the rest. The smallest mixture is the first: `datasets` looks
    for all files of the first configuration, whichever is asked for, and on a Hub that is a request for each task.
    """
    mixed = sorted(mixtures(built).items(), key=lambda item: sum(map(len, item[1].values())))
    single = sorted(built, key=lambda spec: (spec.kind == "icl", spec.name))
    return {**dict(mixed), **{spec.name: {spec.split: [spec]} for spec in single}}


def _configs(groups: _Groups) -> list[dict[str, Any]]:
    """Where the files of each configuration are, in order; the training mixture is the default."""
    default = {"default": True}
    return [
        {"config_name": name, "data_files": _data_files(splits)} | (default if name == _default(groups) else {})
        for name, splits in groups.items()
    ]


def _default(groups: _Groups) -> str:
    return DEFAULT if DEFAULT in groups else next(iter(groups))


def _infos(folder: Path, groups: _Groups, built: Mapping[TaskSpec, Record]) -> list[dict[str, Any]]:
    """What `datasets` may know of each configuration before it reads a file, and its licence."""
    data = DatasetCardData()
    DatasetInfosDict(
        {name: _dataset_info(folder, splits, built) for name, splits in groups.items()}
    ).to_dataset_card_data(data)
    infos = data["dataset_info"] if len(groups) > 1 else [data["dataset_info"]]
    for info in infos:
        if licence := _shared_license(groups[info["config_name"]]):
            info["license"] = licence
    return infos


def _shared_license(splits: Mapping[Split, list[TaskSpec]]) -> str | None:
    """The licence that all tasks of a configuration have, in upstream's words."""
    found = {spec.source.license for specs in splits.values() for spec in specs}
    return found.pop() if len(found) == 1 else None


def _non_commercial(groups: _Groups) -> dict[str, list[str]]:
    """The configurations that hold tasks of a source that does not allow commercial use."""
    found = [
        name
        for name, splits in groups.items()
        if any(commercial_use(spec.source) == "no" for specs in splits.values() for spec in specs)
    ]
    return {"nc": found} if found else {}


def _source_datasets(sources: Iterable[Source]) -> list[str]:
    """The sources as the Hub names those of a dataset; ``original`` is what the builder itself draws."""
    hubs = {spec.source.name: spec.source.hub for spec in all_tasks() if spec.source.hub}
    return sorted(
        {
            f"extended|{hubs.get(source.name, f'other-{source.name}')}" if source.files else "original"
            for source in sources
        }
    )


def _data_files(splits: Mapping[Split, list[TaskSpec]]) -> list[dict[str, Any]]:
    """The files of a configuration; a mixture names those of its tasks, so no row is stored twice."""
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
        features=features(specs),
        splits=sizes,
        dataset_size=sum(size.num_bytes for size in sizes.values()),
        download_size=sum(path.stat().st_size for spec in specs for path in (folder / spec.name).iterdir()),
    )


def shared_sections(specs: Iterable[TaskSpec]) -> dict[str, str]:
    """The texts that every card of tasks has: ``sources_section``, with their licences, and ``known_limits``."""
    told = {
        "commercial_use": commercial_use, "addresses": addresses, "attribution": attribution,
        "notice_file": notice_file, "sources": sources_of(specs),
    }  # fmt: skip
    names = {"sources_section": "sources.md.jinja", "known_limits": "known_limits.md.jinja"}
    return {
        name: Template((_TEMPLATES / file).read_text(encoding="utf-8"), autoescape=False).render(told)
        for name, file in names.items()
    }


def license_of(sources: Iterable[Source]) -> dict[str, str]:
    """A dataset's licence in the Hub's terms: that of its sources if they share one, else ``other``."""
    licenses = {source.license.lower().replace(" ", "-") for source in sources}
    if len(licenses) == 1 and licenses <= _HUB_LICENSES:
        return {"license": licenses.pop()}
    return {"license": "other", "license_name": "one-per-source", "license_link": CARD}


def _size_category(rows: int) -> str:
    return next((name for bound, name in _SIZES if rows < bound), "n>10M")


def sources_of(built: Iterable[TaskSpec]) -> list[Source]:
    """The sources of tasks, by name."""
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
