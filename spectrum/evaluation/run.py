"""Evaluate a model from its name to its report; what is done is kept, so that an interrupted run can be taken up."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedModel

from spectrum.evaluation.alignment import LIMIT, SEED, SMOOTHING, align_task, rows_fingerprint
from spectrum.evaluation.plots import write_plots
from spectrum.evaluation.report import (
    SCHEMA_VERSION,
    Report,
    Section,
    comparison_section,
    read_report,
    task_section,
    write_json,
    write_report,
)
from spectrum.formats.render import get_format
from spectrum.models import ModelFiles, find_model, load_for_scoring, load_tokenizer, scoring_device, torch_dtype
from spectrum.suite import distribution_rows, distribution_tasks, draw_rows

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "transformers", "peft", "datasets", "numpy")


@dataclass(frozen=True)
class EvaluationSettings:
    """What to evaluate, on what, and how.

    Attributes:
        model: A path, a Hub id, or ``embedded:gemma-3-270m``; a checkpoint or an adapter.
        suite: A built suite's folder, or a dataset on a Hub.
        output: The folder of the report.
        tasks: Distribution tasks; ``all`` is every one of the suite.
        text_format: ``auto``, ``spectrum``, ``colon`` or ``chat``.
        task_labels: In ``colon``, write each task's own label in place of ``Output``, as the paper does.
        limit: Items per task at most, one number or one for each task; None for all.
        seed: Of the draw of items.
        batch_size: Prompts per forward pass.
        device: By default ``cuda`` where there is a GPU, else ``cpu``.
        dtype: By default bfloat16 on a GPU and float32 elsewhere.
        base: The base model of an adapter; by default the one that its configuration names.
        revision: Branch, tag or commit of a model on a Hub.
        load_in_4bit: Load the weights as NF4.
        compare: Another report to set this one against, item by item.
    """

    model: str
    suite: str
    output: Path
    tasks: tuple[str, ...] = ("all",)
    text_format: str = "auto"
    task_labels: bool = False
    limit: int | Mapping[str, int] | None = LIMIT
    seed: int = SEED
    batch_size: int = 8
    device: str | None = None
    dtype: str | None = None
    base: str | None = None
    revision: str | None = None
    load_in_4bit: bool = False
    compare: Path | None = None

    def limit_of(self, task: str) -> int | None:
        """Items of ``task`` at most."""
        return self.limit.get(task) if isinstance(self.limit, Mapping) else self.limit


def evaluate(settings: EvaluationSettings, *, progress: bool = False) -> Report:
    """Score a model and write ``report.json``, ``report.md`` and ``plots/`` into the output folder.

    The result of each task is kept in ``output/tasks`` under a fingerprint of all that it depends on; the same call
    takes what is there and goes on. A model whose tasks are all there is not even loaded.

    Returns:
        The report; see :mod:`spectrum.evaluation.report` for its schema.

    Raises:
        UserError: Something in ``settings`` does not exist or does not fit; nothing is written then.
    """
    other = read_report(settings.compare) if settings.compare else None
    tasks = distribution_tasks(settings.suite, settings.tasks)
    run = _Run(settings, find_model(settings.model, base=settings.base, revision=settings.revision))
    sections = {task: run.section(task, progress=progress) for task in tasks}
    report = run.report(sections)
    if other is not None:
        report["comparison"] = comparison_section(report, other)
    write_report(report, settings.output)
    write_plots(report, settings.output / "plots")
    return report


class _Run:
    """One model in one format. The model is loaded when the first task needs it."""

    def __init__(self, settings: EvaluationSettings, files: ModelFiles) -> None:
        self.settings = settings
        self.files = files
        self.device = scoring_device(settings.device)
        self.dtype = torch_dtype(settings.dtype, self.device)
        self.tokenizer = load_tokenizer(files)
        self.text_format = get_format(settings.text_format, self.tokenizer)
        self.conditions = {
            "format": self.text_format.name,
            "task_labels": settings.task_labels,
            "bos": self.text_format.bos,
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": self.device.type,
            "load_in_4bit": settings.load_in_4bit,
            "smoothing": SMOOTHING,
        }
        self.depends_on = {
            "schema_version": SCHEMA_VERSION,
            "libraries": {name: version(name) for name in LIBRARIES},
            "model": files.fingerprint(),
            "conditions": self.conditions,
        }

    @cached_property
    def model(self) -> PreTrainedModel | PeftModel:
        """The model, ready to score."""
        return load_for_scoring(
            self.files, device=self.device, dtype=self.dtype, load_in_4bit=self.settings.load_in_4bit
        )[0]

    def section(self, task: str, *, progress: bool) -> Section:
        """The task's part of the report: the one kept from an earlier run if nothing it depends on has changed.

        The batch size may change: it moves results by rounding only, and is what one lowers when memory runs out.
        """
        settings = self.settings
        rows = distribution_rows(settings.suite, task)
        limit = settings.limit_of(task)
        drawn = draw_rows(rows, task, limit=limit, seed=settings.seed)
        fingerprint = _digest(self.depends_on | {"rows": rows_fingerprint(drawn), "n_available": len(rows)})
        path = settings.output / "tasks" / f"alignment-{task}.json"
        kept = _read_section(path, fingerprint)
        if kept is not None:
            logger.info("%s: kept from an earlier run", task)
            return kept
        result = align_task(
            self.model,
            self.tokenizer,
            task,
            rows,
            self.text_format,
            limit=limit,
            seed=settings.seed,
            task_labels=settings.task_labels,
            batch_size=settings.batch_size,
            progress=progress,
        )
        section = task_section(result) | {"fingerprint": fingerprint}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, section)
        return section

    def report(self, sections: dict[str, Section]) -> Report:
        """The report of the finished tasks."""
        settings = self.settings
        return {
            "schema_version": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "libraries": self.depends_on["libraries"],
            "model": _describe(self.files),
            "suite": {
                "name": settings.suite,
                "fingerprint": _digest({task: found["rows_fingerprint"] for task, found in sections.items()}),
            },
            "settings": self.conditions
            | {"seed": settings.seed, "limit": settings.limit, "batch_size": settings.batch_size},
            "seconds": round(sum(found["seconds"] for found in sections.values()), 2),
            "alignment": sections,
            "comparison": None,
        }


def _describe(files: ModelFiles) -> dict[str, Any]:
    return {
        "name": files.name,
        "revision": files.revision,
        "fingerprint": files.fingerprint(),
        "base": _describe(files.base) if files.base else None,
    }


def _read_section(path: Path, fingerprint: str) -> Section | None:
    if not path.is_file():
        return None
    section = json.loads(path.read_text(encoding="utf-8"))
    return section if section["fingerprint"] == fingerprint else None


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
