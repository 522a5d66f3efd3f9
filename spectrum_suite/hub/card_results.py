"""Results of a model as its card shows them, read from the reports of the runs that measured them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, eval_result_entries_to_yaml

from spectrum_suite.errors import UserError
from spectrum_suite.hub.fit_names import fit, fit_text
from spectrum_suite.hub.own_data import MeasuredOn, measured_dataset
from spectrum_suite.hub.report_shapes import COUNT, Each, Maybe, Number, check_shape
from spectrum_suite.json_files import read_json

LABELS = {"tuned": "this model", "uniform": "uniform guess"}
"""Whose answers were scored; ``other`` is the model that this one was compared with, and has a name of its own."""

METRICS = {
    "loss": "loss per output (nats)",
    "accuracy": "accuracy",
    "ece": "expected calibration error",
    "valid": "share of valid generations",
    "yield": "different valid generations",
    "ranking": "responses ranked above those to other instructions",
    "ends": "responses that end by themselves",
    "said": "responses longer than a limit in words of the instruction",
    "set": "responses longer than a limit that is set as a marker",
    "spearman": "rank correlation of tokens wanted and got",
    "language": "responses with every line in the language that is set",
}
"""Metrics that a card shows beside divergences, and what they are."""

ON_SUITE = ("steerability", "coverage")
"""The desiderata of these metrics whose tasks are those of the suite."""

_ROUNDING = 1e-6
_DIVERGENCE = Number(-_ROUNDING, math.log(2) + _ROUNDING, optional=True)
_SHARE = Number(-_ROUNDING, 1 + 1e-3, optional=True)
_SPREAD = Number(low=0, optional=True)
_INTERVAL = Maybe(Each(Number(optional=True), list))
_DIFFERENCE = {"difference?": Number(-1, 1, optional=True), "n?": COUNT}
_SCORED = {"js_divergence": {"mean": _DIVERGENCE, "se": _SPREAD}, "coverage": {"mean": _SHARE}}
_STEERABILITY = {
    "loss?": _SPREAD, "accuracy?": _SHARE, "ece?": _SHARE, "loss_se?": _SPREAD, "accuracy_se?": _SPREAD,
    "ece_se?": _SPREAD,
}  # fmt: skip
_COVERAGE = {"valid": {"mean": _SHARE, "se": _SPREAD}, "yield": {"mean": _SPREAD, "se": _SPREAD}}
_SECTIONS = {
    "alignment": {"n": COUNT, "n_failed?": COUNT, "model": _SCORED, "uniform": _SCORED},
    "steerability": {"n": COUNT, "n_failed?": COUNT, "summary": _STEERABILITY},
    "coverage": Each({"n": COUNT, "scores": _COVERAGE}),
    "instruction": {
        "n": COUNT,
        "ranking": {"capability": _SHARE},
        "format": {"ends": {"mean": _SHARE}},
    },
    "markers": {
        "n": COUNT,
        "length_violation": {"words": {"mean": _SHARE}, "fixed": Maybe({"mean": _SHARE})},
        "lines_in_language": {"fixed": Maybe({"mean": _SHARE})},
        "length_correlation": Maybe({"spearman": Number(-1, 1, optional=True)}),
    },
}
_EVALUATION = {
    "settings": {"format": str, "dtype": object, "device": object, "seed": object, "limit": object},
    "comparison": Maybe(
        {
            "other": {"model": str, "format": str},
            "alignment?": Each({"js_divergence": _DIFFERENCE | {"ci95": _INTERVAL}, "coverage?": _DIFFERENCE}),
        }
    ),
    "alignment": dict, "steerability?": dict, "coverage?": dict, "instruction?": dict, "markers?": dict,
    "failed?": Each({"desideratum": str, "task": Maybe(str), "reason": str}, list),
}  # fmt: skip
"""What a card reads out of reports, and within which bounds it can be."""


@dataclass(frozen=True)
class Score:
    """What one task says about one model; None where there is no value.

    Attributes:
        js_divergence: Mean Jensen-Shannon divergence to the true distribution, in nats.
        se: Its standard error.
        coverage: Mean mass on the declared answers.
        n: Items.
    """

    js_divergence: float | None
    se: float | None
    coverage: float | None
    n: int


@dataclass(frozen=True)
class TaskResult:
    """Results on one task.

    Attributes:
        name: The task.
        scores: By keys of :data:`LABELS`, and ``other``; in the order of the card.
        other: Which model this one was compared with, item by item, if with any.
        interval: 95% interval of this model's mean divergence minus the other's, in nats.
        dataset: What was measured on, where a dataset was read as it is; None for a task of a suite.
    """

    name: str
    scores: Mapping[str, Score]
    other: str = ""
    interval: tuple[float, float] | None = None
    dataset: MeasuredOn | None = None


@dataclass(frozen=True)
class MetricValue:
    """One number about this model other than a divergence.

    Attributes:
        desideratum: What it tells about.
        task: The task, or the data set.
        metric: One of :data:`METRICS`.
        value: The mean.
        se: Its standard error, or None.
        n: Sequences, generations or responses.
        prompting: What the prompt held (coverage).
        dataset: As of :class:`TaskResult`.
    """

    desideratum: str
    task: str
    metric: str
    value: float
    se: float | None
    n: int
    prompting: str = ""
    dataset: MeasuredOn | None = None

    @property
    def label(self) -> str:
        """What was measured, for people."""
        return METRICS[self.metric] + (f", prompted by {self.prompting}" if self.prompting else "")


@dataclass(frozen=True)
class CardResults:
    """The results in one file, and a sentence on how they were measured."""

    conditions: str
    tasks: tuple[TaskResult, ...]
    measures: tuple[MetricValue, ...] = ()


def read_card_results(path: str | Path) -> CardResults:
    """The results in a report of ``evaluate_model.py``.

    Raises:
        UserError: The file is missing, is not JSON or lacks an entry.
    """
    path = Path(path)
    report = read_json(path, "give report.json of evaluate_model.py")
    check_shape(report, _EVALUATION, str(path))
    for desideratum, shape in _SECTIONS.items():
        check_shape(dict(_measured(report, desideratum)), Each(shape), str(path), desideratum)
    return _from_evaluation(report)


def _from_evaluation(report: Mapping[str, Any]) -> CardResults:
    settings, comparison = fit(report["settings"]), report["comparison"]
    limit = f", at most {settings['limit']} items per task" if isinstance(settings["limit"], int) else ""
    dataset = measured_dataset(report)
    return CardResults(
        f"From `evaluate_model.py`: format `{settings['format']}`, {settings['dtype']} on {settings['device']}, seed "
        f"{settings['seed']}{limit}.{_faults(report)}",
        tuple(
            replace(_from_section(name, section, comparison), dataset=dataset)
            for name, section in _measured(report, "alignment")
        ),
        (*(replace(part, dataset=dataset) for part in _measures(report)), *_measures_on_data(report)),
    )


def _faults(report: Mapping[str, Any]) -> str:
    """Sentences on what could not be measured, and on items without a finite score."""
    said = [
        f" {part['desideratum'].capitalize()} on {fit_text(part['task'] or 'all tasks')} could not be measured: "
        f"{fit_text(part['reason'])}."
        for part in report.get("failed", ())
    ]
    unscored = [
        f" {section['n_failed']} items of {fit_text(task)} have no finite score."
        for desideratum in ("alignment", "steerability")
        for task, section in _measured(report, desideratum)
        if section.get("n_failed")
    ]
    return "".join([*said, *unscored])


def _measures(report: Mapping[str, Any]) -> Iterator[MetricValue]:
    """What a report says about steerability and coverage."""
    for task, section in _measured(report, "steerability"):
        found = section["summary"]
        for metric in ("loss", "accuracy", "ece"):
            if (value := _known(found.get(metric))) is not None:
                se = _known(found.get(f"{metric}_se"))
                yield MetricValue("steerability", fit_text(task), metric, value, se, section["n"])
    for task, promptings in _measured(report, "coverage"):
        for prompting, section in promptings.items():
            for metric in ("valid", "yield"):
                found = section["scores"][metric]
                if (value := _known(found["mean"])) is not None:
                    yield MetricValue(
                        "coverage", fit_text(task), metric, value, _known(found["se"]), section["n"], prompting
                    )


def _measures_on_data(report: Mapping[str, Any]) -> Iterator[MetricValue]:
    """What a report says about instruction following and markers."""
    for desideratum, numbers in (("instruction", _of_instruction), ("markers", _of_markers)):
        for data, section in _measured(report, desideratum):
            for metric, value in numbers(section).items():
                if value is not None:
                    yield MetricValue(desideratum, fit_text(data), metric, value, None, section["n"])


def _of_instruction(section: Mapping[str, Any]) -> dict[str, float | None]:
    return {
        "ranking": _known(section["ranking"]["capability"]),
        "ends": _known(section["format"]["ends"]["mean"]),
    }


def _of_markers(section: Mapping[str, Any]) -> dict[str, float | None]:
    shares = {name: section["length_violation"][label] for name, label in (("said", "words"), ("set", "fixed"))}
    shares["language"] = section["lines_in_language"]["fixed"]
    correlation = section["length_correlation"] or {"spearman": None}
    means = {name: found and _known(found["mean"]) for name, found in shares.items()}
    return means | {"spearman": _known(correlation["spearman"])}


def _measured(report: Mapping[str, Any], desideratum: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The tasks that were measured on a desideratum, without those that could not be."""
    for task, section in report.get(desideratum, {}).items():
        if not (isinstance(section, dict) and "error" in section):
            yield task, section


def _from_section(name: str, section: Mapping[str, Any], comparison: Mapping[str, Any] | None) -> TaskResult:
    tuned, uniform = (
        Score(
            _known(section[key]["js_divergence"]["mean"]),
            _known(section[key]["js_divergence"]["se"]),
            _known(section[key]["coverage"]["mean"]),
            section["n"],
        )
        for key in ("model", "uniform")
    )
    compared = (comparison or {}).get("alignment", {}).get(name)
    if not compared:
        return TaskResult(fit_text(name), {"tuned": tuned, "uniform": uniform})
    other = fit(comparison["other"])
    divergence, coverage = (
        _of_other(mean, compared.get(metric, {}), section["n"])
        for metric, mean in (("js_divergence", tuned.js_divergence), ("coverage", tuned.coverage))
    )
    beside = {} if divergence is None else {"other": Score(divergence, None, coverage, section["n"])}
    return TaskResult(
        fit_text(name),
        {"tuned": tuned, **beside, "uniform": uniform},
        f"`{other['model']}` in format `{other['format']}`",
        _interval(compared["js_divergence"]["ci95"]),
    )


def _of_other(mean: float | None, compared: Mapping[str, Any], n: int) -> float | None:
    """The other model's mean, where both were scored on the very same items; else None."""
    difference = _known(compared.get("difference"))
    return None if mean is None or difference is None or compared.get("n") != n else mean - difference


def _interval(ends: Sequence[float | None] | None) -> tuple[float, float] | None:
    known = [end for end in map(_known, ends or ()) if end is not None]
    return (known[0], known[1]) if len(known) == 2 else None  # noqa: PLR2004


def _known(value: float | None) -> float | None:
    """``value``, or None where it is none: reports write null, and Python's JSON NaN."""
    return None if value is None or math.isnan(value) else value


def aligned_tasks(results: Sequence[CardResults]) -> list[TaskResult]:
    """The results of each task of alignment, from the first file that has it."""
    return list({task.name: task for table in reversed(results) for task in table.tasks}.values())


def model_index(results: Sequence[CardResults], suite: str) -> list[EvalResult] | None:
    """This model's entries of the model index, or None: no value, no entry."""
    found = []
    for task in aligned_tasks(results):
        score = task.scores["tuned"]
        values = {
            ("js_divergence", "Jensen-Shannon divergence (nats)"): score.js_divergence,
            ("coverage", "Mass on the declared answers"): score.coverage,
        }
        found += [
            _entry(task.dataset or _of_suite(suite, task.name), "Distributional alignment", (metric, label, value))
            for (metric, label), value in values.items()
            if value is not None
        ]
    parts = [part for table in results for part in table.measures if part.desideratum in ON_SUITE]
    measures = {(part.task, part.label): part for part in parts}
    found += [
        _entry(
            part.dataset or _of_suite(suite, part.task),
            part.desideratum.capitalize(),
            (part.metric, part.label.capitalize(), part.value),
        )
        for part in measures.values()
    ]
    return found or None


def _of_suite(suite: str, task: str) -> MeasuredOn:
    return MeasuredOn(suite, task, "test", f"Spectrum Suite: {task}")


def _entry(dataset: MeasuredOn, what: str, measured: tuple[str, str, float]) -> EvalResult:
    metric, label, value = measured
    return EvalResult(
        task_type="text-generation",
        task_name=what,
        dataset_type=dataset.dataset,
        dataset_name=dataset.title,
        dataset_config=dataset.config,
        dataset_split=dataset.split,
        metric_type=metric,
        metric_name=label,
        metric_value=value,
    )


def eval_results_yaml(results: Sequence[CardResults], dataset: str) -> str | None:
    """The content of ``.eval_results/*.yaml``: the divergence on each task of alignment, or None if there is none.

    Args:
        results: As read from the reports.
        dataset: The suite on the Hub.
    """
    entries = [
        EvalResultEntry(
            dataset_id=task.dataset.dataset if task.dataset else dataset,
            task_id=task.name,
            value=score.js_divergence,
            notes=_notes(score),
        )
        for task in aligned_tasks(results)
        if (score := task.scores["tuned"]).js_divergence is not None
        and (task.dataset is None or task.dataset.is_on_hub)
    ]
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False) if entries else None


def _notes(score: Score) -> str:
    coverage = "" if score.coverage is None else f", {score.coverage:.3f} of the model's mass on the answers"
    return f"mean Jensen-Shannon divergence in nats, lower is better; {score.n} items{coverage}"


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Name the file in which an entry is missing."""
    try:
        yield
    except KeyError as error:
        raise UserError(f"file {str(path)!r} has no entry {error}: write it again with this version") from error
