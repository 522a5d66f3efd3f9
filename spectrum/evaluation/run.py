"""Evaluate a model from its name to its report; what is done is kept, so that an interrupted run can be taken up."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedModel

from dataset_builder.errors import UserError
from spectrum.evaluation.alignment import LIMIT, SEED, SMOOTHING, align_task, rows_fingerprint
from spectrum.evaluation.coverage import N_GENERATIONS, PROMPTINGS, Prompting, cover_task, row_fingerprint
from spectrum.evaluation.plots import write_plots
from spectrum.evaluation.report import (
    SCHEMA_VERSION,
    Report,
    Section,
    comparison_section,
    finite,
    read_report,
    task_section,
    write_json,
    write_report,
)
from spectrum.evaluation.steerability import (
    CAPABILITY_TASKS,
    MAX_LENGTH,
    closed_answers,
    formats_of,
    sequences_fingerprint,
    steer_task,
)
from spectrum.formats.render import get_format
from spectrum.generation.logprobs import Prompt
from spectrum.generation.sample import Samples, sample
from spectrum.models import ModelFiles, find_model, load_for_scoring, load_tokenizer, scoring_device, torch_dtype
from spectrum.suite import draw_rows, is_held_out, task_kinds, task_rows

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "transformers", "peft", "datasets", "numpy")

KINDS = {"steerability": "icl", "coverage": "coverage", "alignment": "distribution"}
"""Desideratum -> the kind of task that it is measured on."""


@dataclass(frozen=True)
class EvaluationSettings:
    """What to evaluate, on what, and how.

    Attributes:
        model: A path, a Hub id, or ``embedded:gemma-3-270m``; a checkpoint or an adapter.
        suite: A built suite's folder, or a dataset on a Hub.
        output: The folder of the report.
        desiderata: What to measure: ``steerability``, ``coverage``, ``alignment``.
        tasks: Tasks of the kinds that these need; ``all`` is every one of the suite, ``icl`` tasks if held out.
        text_format: ``auto``, ``spectrum``, ``colon`` or ``chat``.
        task_labels: In ``colon``, write each task's own label in place of ``Output``, as the paper does.
        limit: Items or sequences per task at most, one number or one for each task; None for all.
        max_length: Tokens of a sequence whose outputs are scored (steerability), at most.
        generations: Samples per prompt (coverage).
        promptings: What the prompts of coverage hold: ``description``, ``examples``, ``both``.
        seed: Of the draw of items and of sampling.
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
    desiderata: tuple[str, ...] = ("alignment",)
    tasks: tuple[str, ...] = ("all",)
    text_format: str = "auto"
    task_labels: bool = False
    limit: int | Mapping[str, int] | None = LIMIT
    max_length: int = MAX_LENGTH
    generations: int = N_GENERATIONS
    promptings: tuple[Prompting, ...] = PROMPTINGS
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
    tasks = tasks_of(settings.suite, settings.tasks, settings.desiderata)
    run = _Run(settings, find_model(settings.model, base=settings.base, revision=settings.revision))
    measures = {"steerability": run.steerability, "coverage": run.coverage, "alignment": run.alignment}
    sections = {name: {task: measures[name](task, progress=progress) for task in tasks[name]} for name in tasks}
    report = run.report(sections)
    if other is not None:
        report["comparison"] = comparison_section(report, other)
    write_report(report, settings.output)
    write_plots(report, settings.output / "plots")
    return report


def tasks_of(suite: str, tasks: Sequence[str], desiderata: Sequence[str]) -> dict[str, list[str]]:
    """Desideratum -> the tasks of a suite that it is measured on.

    Raises:
        UserError: There is no such suite, task or desideratum, a task is of no kind that is asked for, or none is left.
    """
    for name in desiderata:
        if name not in KINDS:
            raise UserError(f"no desideratum {name!r}: there are {', '.join(KINDS)}")
    kinds = task_kinds(suite, tasks)
    asked = {name: KINDS[name] for name in desiderata}
    if "all" in tasks:
        kinds = {task: kind for task, kind in kinds.items() if kind != "icl" or is_held_out(suite, task)}
    for task, kind in kinds.items():
        if kind not in asked.values() and "all" not in tasks:
            raise UserError(f"task {task!r} is of kind {kind!r}, but {_needs(asked)}")
    found = {name: [task for task, kind in kinds.items() if kind == wanted] for name, wanted in asked.items()}
    if not any(found.values()):
        raise UserError(
            f"suite {suite!r} has no task to measure, for {_needs(asked)}: build some with "
            "'python -m dataset_builder build --tasks synthetic'"
        )
    return found


def _needs(asked: Mapping[str, str]) -> str:
    return " and ".join(f"{name} needs {kind} tasks" for name, kind in asked.items())


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

    def alignment(self, task: str, *, progress: bool) -> Section:
        """The task's part of the report. The batch size is in no fingerprint: it moves results by rounding only."""
        settings = self.settings
        rows = task_rows(settings.suite, task)
        limit = settings.limit_of(task)
        drawn = draw_rows(rows, task, limit=limit, seed=settings.seed)

        def measure() -> Section:
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
            return task_section(result)

        return self._kept("alignment", task, {"rows": rows_fingerprint(drawn), "n_available": len(rows)}, measure)

    def steerability(self, task: str, *, progress: bool) -> Section:
        """The task's part of the report."""
        settings = self.settings
        rows = task_rows(settings.suite, task)
        limit = settings.limit_of(task)
        drawn = draw_rows(rows, task, limit=limit, seed=settings.seed)

        def measure() -> Section:
            result = steer_task(
                self.model,
                self.tokenizer,
                task,
                rows,
                self.text_format,
                written=formats_of(self.tokenizer),
                options=closed_answers(rows),
                capability=task in CAPABILITY_TASKS,
                max_length=settings.max_length,
                limit=limit,
                seed=settings.seed,
                batch_size=settings.batch_size,
                progress=progress,
            )
            return finite(result.as_dict())

        depends = {"rows": sequences_fingerprint(drawn), "n_available": len(rows), "max_length": settings.max_length}
        return self._kept("steerability", task, depends, measure)

    def coverage(self, task: str, *, progress: bool) -> Section:
        """The task's part of the report: prompting -> section."""
        settings = self.settings
        (row,) = task_rows(settings.suite, task)

        def sampler(prompts: Sequence[Prompt], n: int, *, max_new_tokens: int, seed: int) -> list[Samples]:
            return sample(
                self.model,
                self.tokenizer,
                prompts,
                n,
                text_format=self.text_format,
                max_new_tokens=max_new_tokens,
                seed=seed,
                progress=progress,
            )

        def measure() -> Section:
            return {
                prompting: finite(
                    cover_task(sampler, task, row, prompting, n=settings.generations, seed=settings.seed).as_dict()
                )
                for prompting in settings.promptings
            }

        depends = {
            "row": row_fingerprint(row),
            "n": settings.generations,
            "promptings": settings.promptings,
            "seed": settings.seed,
        }
        section = self._kept("coverage", task, depends, measure)
        return {prompting: section[prompting] for prompting in settings.promptings}

    def _kept(self, desideratum: str, task: str, depends: Mapping[str, Any], measure: Callable[[], Section]) -> Section:
        """What ``measure`` gives, or what an earlier run kept if nothing it depends on has changed."""
        fingerprint = _digest(self.depends_on | dict(depends))
        path = self.settings.output / "tasks" / f"{desideratum}-{task}.json"
        kept = _read_section(path, fingerprint)
        if kept is not None:
            logger.info("%s: kept from an earlier run", task)
            return kept
        section = measure() | {"fingerprint": fingerprint}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, section)
        return section

    def report(self, sections: Mapping[str, Mapping[str, Section]]) -> Report:
        """The report of the finished tasks."""
        settings = self.settings
        return {
            "schema_version": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "libraries": self.depends_on["libraries"],
            "model": _describe(self.files),
            "suite": {
                "name": settings.suite,
                "fingerprint": _digest({name: _fingerprints(tasks) for name, tasks in sections.items()}),
            },
            "settings": self.conditions
            | {
                "seed": settings.seed,
                "limit": settings.limit,
                "batch_size": settings.batch_size,
                "max_length": settings.max_length,
                "generations": settings.generations,
            },
            "seconds": round(sum(part["seconds"] for part in _parts(sections)), 2),
            "steerability": sections.get("steerability", {}),
            "coverage": sections.get("coverage", {}),
            "alignment": sections.get("alignment", {}),
            "comparison": None,
        }


def _describe(files: ModelFiles) -> dict[str, Any]:
    return {
        "name": files.name,
        "revision": files.revision,
        "fingerprint": files.fingerprint(),
        "base": _describe(files.base) if files.base else None,
    }


def _fingerprints(sections: Mapping[str, Section]) -> dict[str, Any]:
    """Task -> the fingerprint of its rows; that of its row for each prompting of a coverage task."""
    return {
        task: section.get("rows_fingerprint") or [part["row_fingerprint"] for part in section.values()]
        for task, section in sections.items()
    }


def _parts(sections: Mapping[str, Mapping[str, Section]]) -> Iterator[Section]:
    """Every section that holds the seconds spent on it."""
    for name, tasks in sections.items():
        for section in tasks.values():
            yield from section.values() if name == "coverage" else (section,)


def _read_section(path: Path, fingerprint: str) -> Section | None:
    if not path.is_file():
        return None
    section = json.loads(path.read_text(encoding="utf-8"))
    return section if section["fingerprint"] == fingerprint else None


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
