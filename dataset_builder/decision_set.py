"""``build --as decisions``: a data set of decisions from the tasks of a suite, with its card and ``eval.yaml``."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from huggingface_hub import DatasetCard, DatasetCardData

from dataset_builder.build import build
from dataset_builder.build_task import BuildOptions
from dataset_builder.card import license_of, shared_sections, sources_of
from dataset_builder.decision_rows import QUESTION, SCHEMA, decision_rows
from dataset_builder.licences import licence_files
from dataset_builder.registry import get_task
from dataset_builder.suite_folder import Record, has_rows
from dataset_builder.task_spec import TaskSpec
from spectrum_suite.errors import UserError

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


def build_decisions(names: Iterable[str], options: BuildOptions) -> tuple[dict[str, int], dict[str, str]]:
    """Build tasks and write those with closed answers as rows of decisions.

    Args:
        names: Tasks, or the words of :data:`dataset_builder.registry.WORDS`.
        options: How to build; the output becomes the data set of decisions.

    Returns:
        Task -> its rows, and task that was left out -> why.

    Raises:
        UserError: As :func:`dataset_builder.build.build`, no task has closed answers, or the output holds something
            that was not written so.
    """
    output = options.output
    if output.exists() and (not output.is_dir() or (any(output.iterdir()) and not (output / EVAL).is_file())):
        raise UserError(f"output {str(output)!r} holds something else than decisions: give another '--output'")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as work:
        suite, staging = Path(work) / "suite", Path(work) / "decisions"
        report = build(names, replace(options, output=suite))
        written = list(_write_tasks(suite, staging, report))
        if not written:
            raise UserError("none of these tasks has closed answers to decide between: name others, such as dist_urn")
        _write_documents(staging, written, report)
        if output.exists():
            shutil.rmtree(output)
        os.replace(staging, output)  # noqa: PTH105
    rows = {each.spec.name: each.rows for each in written}
    return rows, {name: _why(record) for name, record in report["tasks"].items() if name not in rows}


def _why(record: Record) -> str:
    if has_rows(record):
        return "it has no closed answers"
    return record["error"] or f"its raw files are {record['status']}"


def _write_tasks(suite: Path, output: Path, report: Mapping[str, Any]) -> Iterator[Written]:
    for name, record in report["tasks"].items():
        spec = get_task(name)
        if not has_rows(record) or spec.kind == "coverage":
            continue
        rows = decision_rows(_rows(suite / name), name, spec.kind, spec.split, of_people=spec.read is not None)
        found = _write(rows, output / name / f"{spec.split}.parquet")
        if found:
            yield Written(spec, *found)


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1000):
            yield from batch.to_pylist()


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
    for name, text in {CARD: f"{card}\n", EVAL: _eval_yaml(written), **licence_files(specs)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def _eval_yaml(written: list[Written]) -> str:
    """What makes the data set a benchmark on the Hub: one task for each that is held out."""
    held_out = [each.spec for each in written if each.spec.split == "test"] or [each.spec for each in written]
    content = {
        "name": NAME,
        "description": "Typed decisions whose true probabilities come from people's answers or from mathematics.",
        "evaluation_framework": "spectrum-suite",
        "tasks": [{"id": spec.name, "config": spec.name, "split": spec.split} for spec in held_out],
    }
    return yaml.safe_dump(content, sort_keys=False)
