"""Evaluate the runs of a recipe; what is done is kept, so that an interrupted comparison can be resumed."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.item_scores import divergences_with_the_rest
from spectrum_suite.evaluation.comparison.recipe import CRITERIA, LABELLED, Recipe, Run, check_tasks
from spectrum_suite.evaluation.comparison.run_results import FORMATS, Measured, Results, SeedResult
from spectrum_suite.evaluation.comparison.scores import scores_of
from spectrum_suite.evaluation.report import Report
from spectrum_suite.evaluation.run import LIBRARIES, complete, evaluate
from spectrum_suite.lm.base import last_model_kept
from spectrum_suite.models import ModelFiles, find_model
from spectrum_suite.suite import task_versions

logger = logging.getLogger(__name__)

_TRAINING = "training_report.json"
_WHICH_MODEL = ("base", "revision", "adapter_scale")
_TOLD = (
    "objective", "base_model", "steps", "rows", "rows_per_task", "seen_tokens", "trained_tokens", "seconds",
    "peak_rss_gib", "device", "before",
)  # fmt: skip
"""What a page shows of a training report."""


def compare_runs(recipe: Recipe, output: Path, *, skip_missing: bool = False, progress: bool = False) -> Results:
    """Evaluate every run of a recipe, each in ``output/<run>``.

    Args:
        recipe: What to evaluate.
        output: The folder of all reports.
        skip_missing: Leave out models that are not there, instead of refusing.
        progress: Show progress bars and say which run it is.

    Raises:
        UserError: Something in the recipe does not exist or does not fit, or no model of it is there.
    """
    recipe = recipe.without_missing_tasks()
    check_tasks(recipe)
    found = _find_models(recipe, skip_missing=skip_missing)
    runs = [run for run in recipe.runs if found[run.name]]
    if not runs:
        raise UserError(f"recipe {str(recipe.path)!r}: none of its models is there: train some")
    measured = []
    with last_model_kept():
        for place, run in enumerate(runs, 1):
            if progress:
                logger.info("run %d of %d: %s", place, len(runs), run.name)
            before = next((other for other in runs if other.name == run.before), None)
            other = before and partial(report_folder, output, before, next(iter(found[before.name])))
            measured.append(_measure(recipe, run, found[run.name], output, other, progress=progress))
    versions = task_versions(recipe.suite) if recipe.suite else {}
    results = Results(
        title=recipe.title,
        command=f"python evaluate_model.py --runs {recipe.path.as_posix()} --output {output.as_posix()}"
        + (" --skip_missing" if skip_missing else ""),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        suite=recipe.suite,
        measure=_with_common(recipe, recipe.measure),
        choose=_with_common(recipe, recipe.choose),
        criteria={desideratum: CRITERIA[desideratum] for desideratum in recipe.choose},
        libraries={name: version(name) for name in LIBRARIES},
        runs=tuple(measured),
        missing=tuple(run.name for run in recipe.runs if run not in runs),
        one_table=recipe.one_table and asdict(recipe.one_table),
    )
    chosen = {task for part in recipe.choose.values() for task in part.get("tasks", ())}
    used = results.measured_tasks | results.trained_tasks | chosen
    results = replace(results, task_versions={task: versions[task] for task in sorted(used & versions.keys())})
    results.check()
    return results


def report_folder(output: Path, run: Run, seed: int | None, desideratum: str) -> Path:
    """Where the report of one of a run's models on a desideratum is."""
    return output.joinpath(run.name, *([] if seed is None else [str(seed)]), desideratum)


def _with_common(recipe: Recipe, parts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {desideratum: {**recipe.settings, **part} for desideratum, part in parts.items()}


def _find_models(recipe: Recipe, *, skip_missing: bool) -> dict[str, dict[int | None, ModelFiles]]:
    """Run -> seed -> the files of its model, for those that are there.

    Raises:
        UserError: One is not, and none may be skipped.
    """
    found: dict[str, dict[int | None, ModelFiles]] = {}
    for run in recipe.runs:
        found[run.name] = {}
        for seed, model in run.models().items():
            try:
                found[run.name][seed] = find_model(
                    model, **{name: run.settings[name] for name in _WHICH_MODEL if name in run.settings}
                )
            except UserError as error:
                if not skip_missing:
                    raise UserError(f"run {run.name!r}: {error}; or leave it out with --skip_missing") from error
                logger.warning("left out: run %r, %s", run.name, error)
    return found


def _measure(
    recipe: Recipe,
    run: Run,
    models: Mapping[int | None, ModelFiles],
    output: Path,
    other: Callable[[str], Path] | None,
    *,
    progress: bool,
) -> Measured:
    """A run's scores, in the format that suits its first model best, compared with the reports in ``other``, if any."""
    first = next(iter(models.values()))
    tried = _try_formats(recipe, run, first.name, output / run.name / FORMATS, progress=progress)
    formats = {
        name: _lowest(tried[recipe.criterion(name)]) if tried else run.formats[0] for name in recipe.measured(run)
    }
    seeds = []
    asked: dict[str, str] = {}
    for seed, files in models.items():
        reports = {}
        for name, text_format in formats.items():
            settings = recipe.evaluation(
                name,
                run,
                files.name,
                text_format,
                report_folder(output, run, seed, name),
                seed=seed,
                compare=other and other(name),
            )
            reports[name] = complete(evaluate(settings, progress=progress))
        asked = {name: format_of(report) for name, report in reports.items()}
        seeds.append(_seed_result(seed, files, reports))
    return Measured(
        name=run.name,
        group=run.group,
        train=run.train,
        against=run.against,
        ablates=run.ablates,
        formats=asked,
        tried=tried,
        seeds=tuple(seeds),
    )


def _lowest(tried: Mapping[str, float | None]) -> str:
    """The format with the lowest score; one without a score comes last."""
    return min(tried, key=lambda name: math.inf if tried[name] is None else tried[name])


def _try_formats(
    recipe: Recipe, run: Run, model: str, output: Path, *, progress: bool
) -> dict[str, dict[str, float | None]]:
    """Desideratum -> format -> its score on training tasks, lower is better; nothing where there is no choice."""
    if len(run.formats) == 1:
        return {}
    return {
        desideratum: {
            name: _score(
                complete(
                    evaluate(
                        recipe.evaluation(
                            desideratum, run, model, name, output / f"{desideratum}-{name}", choosing=True
                        ),
                        progress=progress,
                    )
                ),
                desideratum,
            )
            for name in run.formats
        }
        for desideratum in recipe.choose
    }


def _score(report: Report, desideratum: str) -> float | None:
    """The mean over tasks of :data:`CRITERIA`; None where a task has none."""
    sections = report[desideratum].values()
    if desideratum == "steerability":
        values = [section["summary"]["loss"] for section in sections]
    else:
        values = [fmean(divergences_with_the_rest(section["items"])) for section in sections]
    return None if None in values else fmean(values)


def format_of(report: Report) -> str:
    """The format in which a report was made, as a recipe names it."""
    settings = report["settings"]
    return settings["format"] + (LABELLED if settings["task_labels"] else "")


def _seed_result(seed: int | None, files: ModelFiles, reports: Mapping[str, Report]) -> SeedResult:
    scores = {}
    for report in reports.values():
        scores |= scores_of(report)
    last = next(reversed(reports.values()))
    return SeedResult(
        seed=seed,
        model=files.name,
        fingerprint=last["model"]["fingerprint"],
        training=_training(files.folder),
        scores=scores,
        seconds=round(sum(report["seconds"] for report in reports.values()), 1),
        device=last["settings"]["device"],
    )


def _training(folder: Path) -> dict[str, Any] | None:
    """What is shown of how a model was trained; None for a model without a report."""
    path = folder / _TRAINING
    if not path.is_file():
        return None
    report = json.loads(path.read_text(encoding="utf-8"))
    return {name: report[name] for name in _TOLD if name in report}
