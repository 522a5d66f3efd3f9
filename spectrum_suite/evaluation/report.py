"""The report of an evaluation: what it holds, how it is written and read, and how two of them are compared.

``report.json`` is one object (units: nats and seconds; a number that is not finite is null):

    schema_version  2
    created         when the report was written, ISO 8601, UTC
    libraries       versions, by package name
    model           name (as given), revision (commit on a Hub, or null), fingerprint (of the files; of the server and
                    the tokenizer for a served model), base (the same of an adapter's base, or null)
    suite           name (as given; null where there is none), fingerprint (of all scored items), task_versions (task ->
                    its version, where the suite tells it; numbers on different versions must not be compared)
    settings        format, task_labels, bos (its text as put before each prompt, or ""), dtype, device, load_in_4bit
                    (null for a served model), endpoint ({url, model} or null), rules (weights of the adapter that the
                    model is multiplied by, or null), smoothing, seed, limit, batch_size, max_length (of scored
                    sequences), generations (per prompt), first_line (whether only that of a generation was checked),
                    judge ({url, model, tasks} or null), likelihood_judge, data (name -> as given), max_new_tokens (of
                    a response), processes (their number)
    seconds         spent on scoring and sampling
    steerability    task -> {
        n, n_available, n_too_long, capability, max_length, seconds, rows_fingerprint,
        options         the closed answers of the outputs, a list of these lists where questions differ, or null
        without_options why outputs have none, and so neither accuracy nor calibration -> how many of the drawn ones
        n_outputs, n_failed  scored outputs, and those of them for which the model gave NaN
        summary, at_largest_k  loss (with the terminator), loss_per_token, accuracy, ece, each with <metric>_se
        ci95            metric -> bootstrap 95% interval over sequences
        by_k            the same by the number of examples, as columns
        reliability     the columns of a reliability diagram, or null
        sequences       [{id, content (a hash), k, losses, tokens, answers, log_probs, asked (the place of an output's
                        answers among options, or null), failed (the k of outputs that are NaN)}]
    }
    coverage        task -> prompting -> {
        n, unfinished, set_size, validity, seconds, row_fingerprint,
        scores          valid, unique, yield, reached, unique_texts -> {mean, se}
        yield_curve     mean number of different valid items among the first k
        messages, texts, items
    }
    alignment       task -> {
        n_available, n, n_scored, n_failed (items for which the model gave NaN), refused (why items were not asked ->
        how many), seconds, rows_fingerprint,
        model           metric -> {mean, se}
        uniform         the same of the uniform guess
        items           [{id, options, target, log_probs, probabilities, scores, uniform, refused (or null)}]
    }
    instruction     name of a data set -> {
        n, n_available, seconds, rows_fingerprint
        ranking         capability, ci95, n, n_failed, pairs (ids), margins (of both sides of each pair)
        format          measure -> {mean, ci95, n}
        win_rate        null, or judge, n, win_rate, length_controlled, consistency and intervals: over the data's own
                        responses
        similarity      null, or to, n, correlation, ci95, nearness_by_quarter, likeness_by_quarter
        items           [{id, instruction, reference, response, scores}]
    }
    markers         name of a data set -> {
        n, n_available, seconds, rows_fingerprint, marked (whether the model's tokenizer takes markers), n_failed
        accuracy        category -> {inferred, ci95, majority, n}; null without markers, as the next four
        own_length_error  median relative error of the length that the model announces, against its own response's
        length_curve    [{wanted, mean, median, quartiles}], tokens
        moved           category -> value -> {set, not_set}: the share of responses that have the value
        problems        what was wrong with lists -> how often
        length_violation  {words, fixed} -> {mean, ci95, n}: said in words, and set as a marker (or null)
        lines_in_language {inferred, fixed} -> the same: every line is in the language
        nats_per_token  {inferred, fixed} -> the same: of the data's own responses, behind the inferred list (or none)
                        and behind their own
        by_frequency    category -> the same by bucket (common, medium, tail), with win_rate where there is a judge
        items           [{id, instruction, markers, limit, nats_per_token, responses}]
    }
    failed          [{desideratum, task, prompting (of a coverage task, or null), reason}]: what could not be measured
    comparison      null, or {other: {model, format}, steerability, alignment and instruction: task -> metric ->
                    {difference, ci95, n}, coverage: prompting -> {tasks: task -> metric -> {difference, ci95}, mean:
                    the same}}; with instruction also win_rate, over the other model; markers: length_violation
                    (baseline is the other model told in words, inferred this one, fixed this one by a marker),
                    too_long and nats_per_token -> {difference, ci95, n}; refused: [{desideratum, task, reason}], what
                    both have and what cannot be compared

A desideratum on data sets may be missing in reports of earlier versions. The metrics of alignment are those of
``metrics/spectrum_alignment``; ``scores`` and ``uniform`` of its items hold one number each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.coverage.score_coverage import compare_coverage
from spectrum_suite.evaluation.coverage.show_coverage import coverage_markdown
from spectrum_suite.evaluation.markers.show_markers import markers_markdown
from spectrum_suite.evaluation.steerability.summarize_steerability import (
    TaskSteerability,
    paired_steerability,
    summary_by_group,
)
from spectrum_suite.json_files import finite, read_json, write_json
from spectrum_suite.markdown import markdown_templates
from spectrum_suite.metrics.spectrum_alignment.scoring import paired_difference_interval

SCHEMA_VERSION = 2
REPORT = "report.json"

Report = dict[str, Any]
"""What ``report.json`` holds."""

Section = dict[str, Any]
"""What ``report.json`` holds about one task."""

CompareData = Callable[[str, Section, Section], dict[str, Any]]
"""The name of a data set, and two reports' sections on it -> the one set against the other."""


@dataclass(frozen=True)
class Difference:
    """The mean of a metric in one report minus that in another, over the items that both scored.

    Attributes:
        difference: The mean difference.
        ci95: Paired bootstrap 95% interval; NaN for fewer than two items.
        n: Items.
    """

    difference: float
    ci95: tuple[float, float]
    n: int

    @property
    def significant(self) -> bool:
        """Whether the interval excludes zero."""
        low, high = self.ci95
        return low > 0 or high < 0


def compare(report: Report, other: Report) -> dict[str, dict[str, Difference]]:
    """Task -> metric -> ``report`` minus ``other``, item by item, for the tasks and items that both hold.

    Raises:
        UserError: They share no item, or an item has other options or another target in one of them.
    """
    differences = {}
    for task in report["alignment"]:
        if task in other["alignment"]:
            mine, theirs = (_items(found["alignment"][task]) for found in (report, other))
            shared = [item_id for item_id in mine if item_id in theirs]
            if shared:
                differences[task] = _task_differences(task, [(mine[i], theirs[i]) for i in shared])
    if not differences:
        raise UserError("the two reports share no item: compare reports on the same tasks with the same seed and limit")
    return differences


def comparison_section(
    report: Report, other: Report, on_data: Mapping[str, CompareData] | None = None
) -> dict[str, Any]:
    """The part of ``report`` that compares it with ``other``, on the tasks that both measured.

    A task that cannot be compared, since its rows or settings differ, is under ``refused`` with the reason.

    Args:
        report: A report.
        other: Another.
        on_data: Desideratum that is measured on data sets -> what compares the two sections on one.

    Raises:
        UserError: They share no task.
    """
    ways: dict[str, CompareData] = {
        "steerability": _compare_steerability,
        "coverage": _compare_coverage_task,
        "alignment": _compare_alignment,
        **(on_data or {}),
    }
    found: dict[str, Any] = {name: {} for name in ways}
    refused = []
    for name, compare_task in ways.items():
        for task in report[name]:
            if task not in other.get(name, {}):
                continue
            try:
                found[name][task] = compare_task(task, report[name][task], other[name][task])
            except UserError as error:
                refused.append({"desideratum": name, "task": task, "reason": str(error)})
    if not refused and not any(found.values()):
        raise UserError("the two reports share no task: compare reports on the same tasks with the same seed and limit")
    if tasks := found["coverage"]:
        found["coverage"] = compare_coverage(
            *({task: side["coverage"][task] for task in tasks} for side in (report, other))
        )
    about = {"model": other["model"]["name"], "format": other["settings"]["format"]}
    return finite(found | {"other": about, "refused": refused})


def _compare_steerability(task: str, mine: Section, theirs: Section) -> dict[str, Any]:
    return paired_steerability(*(TaskSteerability.from_dict(section) for section in (mine, theirs)))


def _compare_coverage_task(task: str, mine: Section, theirs: Section) -> dict[str, Any]:
    return compare_coverage({task: mine}, {task: theirs})


def _compare_alignment(task: str, mine: Section, theirs: Section) -> dict[str, Any]:
    found = compare({"alignment": {task: mine}}, {"alignment": {task: theirs}})
    return {metric: asdict(difference) for metric, difference in found[task].items()}


def failure_text(failure: Mapping[str, Any]) -> str:
    """One line that says what was not measured, or not compared, and why."""
    how = f", {failure['prompting']}" if failure.get("prompting") else ""
    return f"{failure['task']} ({failure['desideratum']}{how}): {failure['reason']}"


def write_report(report: Report, folder: Path) -> None:
    """Write ``report.json`` and ``report.md`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / REPORT, report)
    (folder / "report.md").write_text(markdown(report), encoding="utf-8")


def read_report(path: str | Path) -> Report:
    """A report from its ``report.json``, or from the folder that holds it.

    Raises:
        UserError: There is none, or it does not read as one of this version.
    """
    path = Path(path).expanduser()
    file = path / REPORT if path.is_dir() else path
    remedy, again = f"give a {REPORT}, or the folder that holds one", "write it again with evaluate_model.py"
    report = read_json(file, remedy, what="report", again=again)
    if report.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"report {str(file)!r} is not of version {SCHEMA_VERSION}: write it with this evaluate_model.py"
        )
    return report


def markdown(report: Report) -> str:
    """The report as tables, without the items."""
    tables = {"coverage_tables": coverage_markdown(report["coverage"]) if report["coverage"] else ""}
    tables["marker_tables"] = markers_markdown(report.get("markers", {}))
    groups = finite(summary_by_group(report["steerability"].values()))
    return _environment().get_template("report.md.jinja").render(report=report, groups=groups, **tables)


def _items(section: Section) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in section["items"]}


def _task_differences(task: str, pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Difference]:
    for mine, theirs in pairs:
        if list(mine["options"]) != list(theirs["options"]) or not np.allclose(mine["target"], theirs["target"]):
            raise UserError(
                f"item {mine['id']!r} of task {task!r} is not the same in both reports: evaluate both on one suite"
            )
    shared = [metric for metric in pairs[0][0]["scores"] if metric in pairs[0][1]["scores"]]
    return {
        metric: paired_difference(*(_column(side, metric) for side in zip(*pairs, strict=True))) for metric in shared
    }


def _column(items: tuple[dict[str, Any], ...], metric: str) -> np.ndarray:
    return np.array([item["scores"][metric] for item in items], dtype=float)  # None becomes NaN


def paired_difference(mine: np.ndarray, theirs: np.ndarray) -> Difference:
    """The mean of ``mine - theirs``, arrays of shape (items,), over the items that neither has as NaN."""
    both = ~np.isnan(mine - theirs)
    mean = float((mine - theirs)[both].mean()) if both.any() else math.nan
    return Difference(mean, paired_difference_interval(mine, theirs), int(both.sum()))


@cache
def _environment() -> Environment:
    environment = markdown_templates(Path(__file__).parent / "templates")
    environment.filters |= {
        "failure": failure_text,
        "with_error": _with_error,
        "interval": _with_interval,
        "estimate": _estimate,
        "within": _within,
    }
    return environment


def _with_error(cell: Mapping[str, float | None]) -> str:
    return _number(cell["mean"]) + ("" if cell["se"] is None else f" ± {_number(cell['se'])}")


def _estimate(summary: Mapping[str, float | None], metric: str) -> str:
    return _with_error({"mean": summary[metric], "se": summary[f"{metric}_se"]})


def _with_interval(cell: Mapping[str, Any]) -> str:
    low, high = cell["ci95"]
    if low is None:
        return _signed(cell["difference"])
    mark = " *" if low > 0 or high < 0 else ""
    return f"{_signed(cell['difference'])} [{_signed(low)}, {_signed(high)}]{mark}"


def _within(cell: Mapping[str, Any], name: str = "mean") -> str:
    """A value and its interval, which stands beside it as ``ci95``, or ``<name>_ci95`` where there are several."""
    low, high = cell.get(f"{name}_ci95") or cell["ci95"]
    return _number(cell[name]) + ("" if low is None else f" [{_number(low)}, {_number(high)}]")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"
