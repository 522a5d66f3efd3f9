"""What a report holds: the model, the suite and the settings, and the sections of what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from spectrum_suite.evaluation.alignment.skill import means_over_tasks
from spectrum_suite.evaluation.choices import KINDS
from spectrum_suite.evaluation.report import SCHEMA_VERSION, Report, Section
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.fingerprints import fingerprint
from spectrum_suite.instruction_data import named_data
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import LM
from spectrum_suite.suite import task_versions


def report_of(
    settings: EvaluationSettings,
    lm: LM,
    sections: Mapping[str, Mapping[str, Section]],
    *,
    libraries: Mapping[str, str],
    conditions: dict[str, Any],
    processes: int,
    calibration: Mapping[str, Any],
    failed: Mapping[tuple[str, str, str | None], str],
) -> Report:
    """The report of an evaluation, not yet compared with another one.

    Args:
        settings: What was asked for.
        lm: The model.
        sections: Desideratum -> task -> what was measured.
        libraries: Their versions.
        conditions: Under which the model was asked.
        processes: How many shared the work.
        calibration: The entry of the model's calibration, empty where it has none.
        failed: Desideratum, task and prompting -> why it was not measured.
    """
    judge = {"url": settings.judge, "model": settings.judge_model, "tasks": list(settings.judge_tasks)}
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "libraries": libraries,
        "model": lm.about | {"fingerprint": lm.fingerprint},
        "suite": {
            "name": settings.dataset["name"] if settings.dataset else settings.suite,
            **({"dataset": dict(settings.dataset)} if settings.dataset else {}),
            "fingerprint": fingerprint({name: _fingerprints(tasks) for name, tasks in sections.items()}),
            "task_versions": _task_versions(settings, sections),
        },
        "settings": {"rules": None}
        | conditions
        | {
            "estimate": settings.estimate,
            **({} if settings.estimate == "logprobs" else {"n": settings.n, "precision": settings.precision}),
            "task_labels": settings.task_labels,
            **({"examples": settings.examples} if settings.examples else {}),
            "seed": settings.seed,
            "limit": settings.limit,
            "batch_size": settings.batch_size,
            "max_length": settings.max_length,
            "generations": settings.generations,
            "first_line": settings.first_line,
            "judge": judge if settings.judge else None,
            "likelihood_judge": settings.likelihood_judge,
            "data": named_data(settings.data),
            "max_new_tokens": settings.max_new_tokens,
            "processes": processes,
        },
        **({} if lm.account is None else {"service": lm.account}),
        "seconds": round(sum(section["seconds"] for section in _timed(sections)), 2),
        **sections,
        **({"alignment_mean": finite(means)} if (means := means_over_tasks(sections["alignment"])) else {}),
        **calibration,
        "failed": [
            {"desideratum": desideratum, "task": task, "prompting": prompting, "reason": reason}
            for (desideratum, task, prompting), reason in failed.items()
        ],
        "comparison": None,
    }


def _task_versions(settings: EvaluationSettings, sections: Mapping[str, Mapping[str, Section]]) -> dict[str, str]:
    """Task -> its version, for those that were measured and of which the suite has it."""
    versions = task_versions(settings.suite) if settings.suite else {}
    measured = {task for name in KINDS for task in sections[name]}
    return {task: versions[task] for task in sorted(measured & versions.keys())}


def _fingerprints(sections: Mapping[str, Section]) -> dict[str, Any]:
    """Task -> the fingerprint of its rows; that of its row for each prompting of a coverage task."""
    return {
        task: section.get("rows_fingerprint") or [part["row_fingerprint"] for part in section.values()]
        for task, section in sections.items()
    }


def _timed(sections: Mapping[str, Mapping[str, Section]]) -> Iterator[Section]:
    """Every section that holds the seconds spent on it."""
    for name, tasks in sections.items():
        for section in tasks.values():
            yield from section.values() if name == "coverage" else (section,)
