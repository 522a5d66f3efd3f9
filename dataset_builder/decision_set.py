"""``build --as decisions``: a dataset of decisions from the tasks of a suite, with its card and ``eval.yaml``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from huggingface_hub import DatasetCard, DatasetCardData

from dataset_builder.card import license_of, shared_sections, sources_of
from dataset_builder.decision_rows import QUESTION, SCHEMA, decision_rows
from dataset_builder.export import Export, Rows, built_tasks, task_rows, write_texts
from dataset_builder.licences import licence_files
from dataset_builder.task_spec import TaskSpec

CARD, EVAL = "README.md", "eval.yaml"
NAME = "Spectrum decisions"

_TEMPLATE = Path(__file__).parent / "templates" / "decisions_card.md.jinja"
_BATCH = 5_000
_LETTERS = 26


@dataclass(frozen=True)
class Written:
    """A task that was written as decisions.

    Attributes:
        spec: The task.
        rows: How many rows it has.
        most_options: Of a row.
    """

    spec: TaskSpec
    rows: int
    most_options: int


def write_decisions(suite: Path, folder: Path, report: Mapping[str, Any]) -> Rows:
    """Write the tasks of a built suite that have closed answers; returns the rows of each."""
    written = []
    for spec in built_tasks(report):
        if spec.kind == "coverage":
            continue
        rows = decision_rows(
            task_rows(suite, spec.name), spec.name, spec.kind, spec.split, of_people=spec.read is not None
        )
        if found := _write(rows, folder / spec.name / f"{spec.split}.parquet"):
            written.append(Written(spec, *found))
    if written:
        _write_documents(folder, written, report)
    return {each.spec.name: each.rows for each in written}


def _write(rows: Iterator[dict[str, Any]], path: Path) -> tuple[int, int] | None:
    """Write rows, a batch at a time; returns their number and the most options of one, or None where there are none."""
    first = list(islice(rows, _BATCH))
    if not first:
        return None
    path.parent.mkdir(parents=True)
    count = most = 0
    with pq.ParquetWriter(path, SCHEMA) as writer:
        while first:
            writer.write_table(pa.Table.from_pylist(first, schema=SCHEMA))
            count += len(first)
            most = max(most, *(len(json.loads(row["gold"])[QUESTION]["probabilities"]) for row in first))
            first = list(islice(rows, _BATCH))
    return count, most


def _write_documents(folder: Path, written: list[Written], report: Mapping[str, Any]) -> None:
    specs = [each.spec for each in written]
    configs = [
        {"config_name": spec.name, "data_files": [{"split": spec.split, "path": f"{spec.name}/{spec.split}.parquet"}]}
        for spec in specs
    ]
    data = DatasetCardData(
        pretty_name=NAME,
        language=sorted({language for spec in specs for language in spec.languages}),
        task_categories=["text-classification"],
        tags=["typed-decisions", "system-one", "calibration"],
        configs=configs,
        **license_of(sources_of(specs)),
    )
    card = DatasetCard.from_template(
        data,
        template_path=str(_TEMPLATE),
        tasks=written,
        letters=_LETTERS,
        **shared_sections(specs),
        seed=report["seed"],
    )
    write_texts(folder, {CARD: f"{card}\n", EVAL: _eval_yaml(written), **licence_files(specs)})


def _eval_yaml(written: list[Written]) -> str:
    """What makes the dataset a benchmark on the Hub: one task for each that is held out."""
    held_out = [each.spec for each in written if each.spec.split == "test"] or [each.spec for each in written]
    content = {
        "name": NAME,
        "description": "Typed decisions whose true probabilities come from people's answers or from mathematics.",
        "evaluation_framework": "spectrum-suite",
        "tasks": [{"id": spec.name, "config": spec.name, "split": spec.split} for spec in held_out],
    }
    return yaml.safe_dump(content, sort_keys=False)


DECISIONS = Export("decisions", EVAL, "closed answers to decide between", write_decisions)
