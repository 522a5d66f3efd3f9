"""Evaluate a model from its name to its report; what is done is kept, so that an interrupted run can be resumed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from spectrum_suite.errors import UserError, first_line
from spectrum_suite.evaluation.alignment.calibrated import about_model, pooled_difference
from spectrum_suite.evaluation.alignment.item_scores import SMOOTHING
from spectrum_suite.evaluation.alignment.score_alignment import AlignmentWork
from spectrum_suite.evaluation.choices import DESIDERATA, KINDS, ON_DATA
from spectrum_suite.evaluation.compare_reports import CompareTask, comparison_section
from spectrum_suite.evaluation.coverage.summarize_coverage import CoverageWork
from spectrum_suite.evaluation.engine import find_engine
from spectrum_suite.evaluation.group_tables import check_attributes
from spectrum_suite.evaluation.instruction.summarize_instruction import InstructionWork
from spectrum_suite.evaluation.judge import JUDGE_TIMEOUT_S, EndpointJudge
from spectrum_suite.evaluation.measured_tasks import tasks_of
from spectrum_suite.evaluation.memory import say_memory
from spectrum_suite.evaluation.preference import EndpointPreference, LikelihoodPreference, Preference
from spectrum_suite.evaluation.processes import Processes, processes
from spectrum_suite.evaluation.report import (
    SCHEMA_VERSION,
    Report,
    Section,
    damaged,
    failure_text,
    read_report,
)
from spectrum_suite.evaluation.report_content import report_of
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.evaluation.show_report import replace_report
from spectrum_suite.evaluation.steerability.drawn_steerability import DrawnSteerabilityWork
from spectrum_suite.evaluation.steerability.summarize_steerability import SteerabilityWork
from spectrum_suite.evaluation.trained_rows import trained_rows, trained_text
from spectrum_suite.evaluation.work import Work
from spectrum_suite.fingerprints import fingerprint
from spectrum_suite.held_folder import held
from spectrum_suite.instruction_data import named_data
from spectrum_suite.json_files import finite, write_json
from spectrum_suite.lm.base import LM, TokenLM, kept
from spectrum_suite.lm.calibration_file import Calibration
from spectrum_suite.lm.client import Endpoint, NoAnswerError
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.lm.service import Plan, PlannedError
from spectrum_suite.models import scoring_device, torch_dtype

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "transformers", "peft", "datasets", "numpy")

Unit = tuple[str, str, str | None]
"""A desideratum, a task and a way of prompting: what is measured as a whole, or not at all."""

LOCK = ".evaluation.lock"


@dataclass(frozen=True)
class Part:
    """A part of the work: its task, measured for which desideratum, and its name there."""

    desideratum: str
    task: str
    name: str

    @property
    def unit(self) -> Unit:
        """What is reported as a whole: the task, or one way of prompting it."""
        return self.desideratum, self.task, self.name if self.desideratum == "coverage" else None


def evaluate(settings: EvaluationSettings, *, progress: bool = False) -> Report | None:
    """Score a model and write ``report.json``, ``report.md`` and ``plots/`` into the output folder.

    The result of each part of a task is kept in ``output/tasks`` under a fingerprint of all that it depends on; the
    same call resumes from what is there. A model with nothing left to measure is not even loaded. Processes
    that were started together share the work; the main one keeps it and writes. A task that this model cannot be
    measured on does not end the others: the report says why under ``failed``.

    Returns:
        The report (its schema: :mod:`spectrum_suite.evaluation.report`); None in a process that is not the main one.

    Raises:
        UserError: Something in ``settings`` does not exist or does not fit, another evaluation writes into the folder,
            or nothing at all could be measured; no report is written then.
    """
    with processes(settings.device) as team, ExitStack() as held_until_done:
        run = _Run(settings, team, progress=progress and team.is_main)

        def begin() -> list[Part]:
            held_until_done.enter_context(
                held(settings.output, lock_name=LOCK, doing="evaluating into", option="--output")
            )
            return run.unfinished()

        left = team.from_main(begin)
        if left and team.is_main:
            run.say_memory()
        with tqdm(total=len(left), desc="Evaluating", unit="part", leave=None, disable=not run.progress) as bar:
            for parts, mine in team.rounds(left):
                for part, (result, reason) in zip(parts, team.gather(mine and run.attempt(mine)), strict=False):
                    if reason is not None:
                        run.failed.setdefault(part.unit, reason)
                    elif team.is_main:
                        run.keep(part, result)
                    bar.update()
        return run.report() if team.is_main else None


def planned(settings: EvaluationSettings) -> tuple[Plan, dict[Unit, str]]:
    """What a service would be asked by :func:`evaluate`, and what would not be measured and why; nothing is asked.

    Where answers are drawn to a precision, all that it may take are counted.

    Raises:
        UserError: Something in ``settings`` does not exist or does not fit.
    """
    run = _Run(replace(settings, precision=None), Processes(), plan=Plan())
    for part in run.unfinished():
        reason = run.count(part)
        if reason is not None:
            run.failed.setdefault(part.unit, reason)
    return run.plan, run.failed


def complete(report: Report) -> Report:
    """The report, if everything in it was measured.

    Raises:
        UserError: Something was not.
    """
    for failure in report["failed"]:
        raise UserError(f"{failure_text(failure)}; measure without it, or repair it")
    return report


class _Run:
    """One evaluation, as one of its processes sees it. What only the main one needs is made there alone."""

    def __init__(
        self, settings: EvaluationSettings, team: Processes, *, progress: bool = False, plan: Plan | None = None
    ) -> None:
        self.plan = plan
        self.settings = settings
        self.team = team
        self.progress = progress
        self.works: dict[tuple[str, str], Work] = {}
        self.fingerprints: dict[Part, str] = {}
        self.results: dict[Part, Section] = {}
        self.failed: dict[Unit, str] = {}
        self.trained_on: dict[tuple[str, str], list[str]] = {}
        self.compared: Report | None = None

    def unfinished(self) -> list[Part]:
        """The parts that no earlier run has kept."""
        settings = self.settings
        if settings.compare:
            self.compared = read_report(settings.compare)
        for desideratum, tasks in self._tasks().items():
            for task in tasks:
                for name, depends in self._work(desideratum, task).parts():
                    self.fingerprints[Part(desideratum, task, name)] = fingerprint(self._model_depends | depends)
        if settings.by:
            check_attributes(settings.by, {work.task: work.drawn for work in self.works.values() if work.has_groups})
        self._warn_of_trained_rows()
        if self.compared is not None:
            with damaged(settings.compare):
                self._check_comparable(self.compared)
        for part, depends in self.fingerprints.items():
            kept = _read_kept(self._path(part), depends)
            if kept is not None:
                self.results[part] = kept
        if self.results:
            logger.info("%d of %d parts are kept from an earlier run", len(self.results), len(self.fingerprints))
        return [part for part in self.fingerprints if part not in self.results]

    def _tasks(self) -> dict[str, list[str]]:
        """Desideratum -> the tasks or datasets that it is measured on."""
        settings = self.settings
        on_suite = [name for name in settings.desiderata if name in KINDS]
        found = tasks_of(settings.suite, settings.tasks, on_suite) if on_suite else {}
        return found | {name: list(named_data(settings.data)) for name in settings.desiderata if name in ON_DATA}

    def _warn_of_trained_rows(self) -> None:
        """Say which of the measured rows the model was trained on, by its training report."""
        if not isinstance(self.lm, TokenLM):  # nobody knows what a service was trained on
            return
        fingerprints = trained_rows(self.lm.files)
        for (desideratum, task), work in self.works.items():
            if found := work.trained_on(fingerprints):
                self.trained_on[desideratum, task] = found
                logger.warning("%s: %s", task, trained_text(found))

    def _check_comparable(self, other: Report) -> None:
        """Refuse, before anything is scored, another report with which nothing can be compared."""
        reasons = {
            (desideratum, task): work.not_comparable(other[desideratum][task])
            for (desideratum, task), work in self.works.items()
            if task in other.get(desideratum, {})
        }
        if not reasons:
            raise UserError(
                "the two reports share no task: compare reports on the same tasks with the same seed and limit"
            )
        if all(reasons.values()):
            raise UserError(next(iter(reasons.values())))
        for (_, task), reason in reasons.items():
            if reason:
                logger.warning("%s is not compared: %s", task, reason)

    def say_memory(self) -> None:
        """Log how much memory scoring takes, where the model will be loaded here and its shapes can be run."""
        lm = self.lm
        try:
            if isinstance(lm, LocalLM):  # said once of a model that stays loaded: it is in the process by then
                kept("memory", lm.loaded_as, lambda: say_memory(lm, self.settings))
        except Exception as error:  # a model may do with its tensors what cannot be done without their content
            logger.info("how much memory scoring takes cannot be estimated: %s", first_line(error))

    def attempt(self, part: Part) -> tuple[Section | None, str | None] | UserError:
        """The result of a part, or why there is none; after a failure the rest of its task is left out.

        An error stands for both where nothing else could be measured either: the model cannot be loaded, or its server
        is gone.
        """
        if part.unit in self.failed:
            return None, self.failed[part.unit]
        try:
            self.lm.load()
        except UserError as error:
            return error
        try:
            work = self._work(part.desideratum, part.task)
            if reason := next(filter(None, map(self.lm.cannot, work.questions)), None):
                return None, reason
            started = time.monotonic()
            result = finite(work.score(part.name, self.lm))
            return result | {"seconds": time.monotonic() - started}, None
        except NoAnswerError as error:
            return error
        except Exception as error:  # a failure on one task must not end the others
            logger.debug("%s failed", part, exc_info=error)
            return None, _said(error)

    def count(self, part: Part) -> str | None:
        """Count what a part asks of a service; why it asks nothing, if so."""
        work = self._work(part.desideratum, part.task)
        if reason := next(filter(None, map(self.lm.cannot, work.questions)), None):
            return reason
        try:
            work.score(part.name, self.lm)
        except PlannedError:  # at its first question that is not answered already
            return None
        except UserError as error:
            return str(error)
        return None

    def keep(self, part: Part, result: Section) -> None:
        """Keep the result of a part."""
        path = self._path(part)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result | {"fingerprint": self.fingerprints[part]})
        self.results[part] = result

    def report(self) -> Report:
        """Write and return the report of the finished parts."""
        sections: dict[str, dict[str, Section]] = {name: {} for name in DESIDERATA}
        for (desideratum, task), work in self.works.items():
            parts = [part for part in self.fingerprints if (part.desideratum, part.task) == (desideratum, task)]
            done = {part.name: self.results[part] for part in parts if part.unit not in self.failed}
            if not done:
                continue
            try:
                sections[desideratum][task] = work.section(done)
                if found := self.trained_on.get((desideratum, task)):
                    sections[desideratum][task]["trained_on"] = found
            except UserError as error:
                self.failed[desideratum, task, None] = str(error)
        if not any(sections.values()):
            reasons = list(self.failed.values())
            others = f" (and {len(reasons) - 1} more tasks failed)" if len(reasons) > 1 else ""
            raise UserError(f"nothing could be measured: {reasons[0]}{others}")
        report = report_of(
            self.settings,
            self.lm,
            sections,
            libraries=self._libraries,
            conditions=self._conditions,
            processes=self.team.count,
            calibration=self._calibrated(sections),
            failed=self.failed,
        )
        if self.compared is not None:
            with damaged(self.settings.compare):
                report["comparison"] = comparison_section(report, self.compared, self._comparers)
        replace_report(report, self.settings.output)
        return report

    @cached_property
    def lm(self) -> LM:
        """The model."""
        return find_engine(self.settings, self.team.device, progress=self.progress, plan=self.plan)

    def _work(self, desideratum: str, task: str) -> Work:
        """The work on a task. The batch size is in no fingerprint: it moves results by rounding only."""
        if (desideratum, task) not in self.works:
            self.works[desideratum, task] = self._new_work(desideratum, task)
        return self.works[desideratum, task]

    def _new_work(self, desideratum: str, task: str) -> Work:
        if desideratum == "coverage":
            judged = self.settings.judge is not None and {task, "all"} & set(self.settings.judge_tasks)
            return CoverageWork(self.settings, task, self._judge if judged else None)
        if desideratum == "instruction":
            return InstructionWork(self.settings, task, self._preference)
        if desideratum == "markers":
            # imported here because the libraries that find markers come with an extra
            from spectrum_suite.evaluation.markers.summarize_markers import MarkersWork  # noqa: PLC0415

            return MarkersWork(self.settings, task, self._preference)
        if desideratum == "alignment":
            return AlignmentWork(self.settings, task, self._calibration)
        if self.settings.api == "chat":
            return DrawnSteerabilityWork(self.settings, task)
        return SteerabilityWork(self.settings, task, lambda: self.lm)

    @cached_property
    def _calibration(self) -> Calibration | None:
        """That of this very model.

        Raises:
            UserError: There is none, or it is another model's.
        """
        if self.settings.calibration is None:
            return None
        found = Calibration.read(self.settings.calibration)
        found.check(about_model(self.lm))
        return found

    def _calibrated(self, sections: Mapping[str, Mapping[str, Section]]) -> dict[str, Any]:
        """What the report says of the calibration: nothing where there is none."""
        if self._calibration is None or not sections["alignment"]:
            return {}
        content = {name: self._calibration.content[name] for name in ("suite", "items", "kinds")}
        return {"calibration": finite(content | pooled_difference(sections["alignment"]))}

    @cached_property
    def _judge(self) -> EndpointJudge:
        verdicts = self.settings.output / "tasks" / "judge.jsonl"
        endpoint = Endpoint(self.settings.judge, self.settings.judge_model, timeout_s=JUDGE_TIMEOUT_S)
        return EndpointJudge(endpoint, cache=verdicts, progress=self.progress)

    @cached_property
    def _preference(self) -> Preference | None:
        """Who says which of two responses is better."""
        settings = self.settings
        if settings.judge is not None:
            return EndpointPreference(self._judge)
        if settings.likelihood_judge is None:
            return None
        device = scoring_device(settings.device)
        return LikelihoodPreference.of(settings.likelihood_judge, device, torch_dtype(settings.dtype, device))

    @cached_property
    def _comparers(self) -> dict[str, CompareTask]:
        """Of the desiderata on datasets."""

        def compare(desideratum: str, task: str, mine: Section, theirs: Section) -> dict[str, Any]:
            return self.works[desideratum, task].compare(mine, theirs)

        return {name: partial(compare, name) for name in ON_DATA}

    @cached_property
    def _conditions(self) -> dict[str, Any]:
        return {**self.lm.writing, **self.lm.conditions, "smoothing": SMOOTHING}

    @cached_property
    def _libraries(self) -> dict[str, str]:
        return {name: version(name) for name in LIBRARIES}

    @cached_property
    def _model_depends(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "libraries": self._libraries,
            "model": self.lm.fingerprint,
            "conditions": self._conditions,
        }

    def _path(self, part: Part) -> Path:
        return self.settings.output / "tasks" / f"{part.desideratum}-{part.task}-{part.name}.json"


def _said(error: Exception) -> str:
    """What an error says on one line; that of a library with its kind."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"


def _read_kept(path: Path, depends: str) -> Section | None:
    if not path.is_file():
        return None
    result = json.loads(path.read_text(encoding="utf-8"))
    return result if result["fingerprint"] == depends else None
