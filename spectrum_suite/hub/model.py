"""What is published of a tuned model: the adapter or the merged weights, and what is needed to use and to judge it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from huggingface_hub import ModelCard
from transformers import AutoConfig

from spectrum_suite.decisions.eval_results import EVAL_RESULTS as DECISION_RESULTS
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.comparison.run_results import FORMATS, RESULTS
from spectrum_suite.evaluation.report import REPORT
from spectrum_suite.hub.card_merge import Ours
from spectrum_suite.hub.card_results import eval_results_yaml, read_card_results
from spectrum_suite.hub.cards import BaseModel, base_model_of, read_training, render_model_card, with_names
from spectrum_suite.hub.decision_results import decision_results
from spectrum_suite.hub.fit_names import fit, fit_values
from spectrum_suite.hub.local_files import LocalFile, scan_folder
from spectrum_suite.hub.push_plan import Publication, Remote, Repository
from spectrum_suite.hub.terms import NOTICE, Terms, terms_of
from spectrum_suite.hub.weights import SAFETENSORS, check_weights
from spectrum_suite.json_files import read_json
from spectrum_suite.lm.calibration_file import CALIBRATION, Calibration
from spectrum_suite.models import ADAPTER, find_model, find_vocabulary, load_merged
from spectrum_suite.training.training_report import REPORT as TRAINING_REPORT

REPORTS = "reports"
"""A folder beside an adapter."""

EVAL_RESULTS = ".eval_results/spectrum-suite.yaml"

_ADAPTER_WEIGHTS, _SAMPLING, _TOKENIZER = "adapter_model.safetensors", "generation_config.json", "tokenizer_config.json"
_TEMPLATE = "chat_template.jinja"
_TOKENIZER_FILES = {"tokenizer.json", "added_tokens.json", "special_tokens_map.json", _TEMPLATE}
_OF_THIS_MACHINE = ("is_local", "local_files_only", "name_or_path")
_KEYS = {
    "model_name", "model-index", "base_model", "base_model_relation", "library_name", "pipeline_tag", "license",
    "license_name", "license_link", "language", "datasets",
}  # fmt: skip


@dataclass(frozen=True)
class ModelOptions:
    """How a model is published.

    Attributes:
        reports: Its evaluation; by default :func:`spectrum_suite.hub.model.find_reports` looks for it.
        without_report: Publish it even if it has none.
        merge: Publish the base model with the adapter merged into it, in place of the adapter.
        adapter_scale: How much of the adapter's change is merged: 0 would be the base, 1 is the adapter.
        suite: The built suite that was trained on; by default the folder that the training report names.
        dataset: The suite on the Hub.
        base_model: The base model on the Hub, where the training report names a folder.
        license_name: The base model's licence as the Hub calls it.
        license_link: Where its terms are.
        terms_of_data: Name of data of one's own that was trained on -> where it is from and under which terms.
        decisions: What `decide` wrote of the model, for the Hub to show its results on the benchmark of decisions.
    """

    reports: tuple[Path, ...] = ()
    without_report: bool = False
    merge: bool = False
    adapter_scale: float = 1.0
    suite: Path | None = None
    dataset: str | None = None
    base_model: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    terms_of_data: Mapping[str, str] = field(default_factory=dict)
    decisions: Path | None = None

    def __post_init__(self) -> None:
        if self.adapter_scale != 1 and not self.merge:
            raise UserError("--adapter_scale is baked into merged weights: give --merge too, or leave it out")


def model_publication(folder: Path, repo_id: str, options: ModelOptions, scratch: Path) -> Publication:
    """What is published of the adapter in ``folder``.

    Args:
        folder: The output folder of ``train_sft.py``.
        repo_id: Where, ``<org>/<name>``.
        options: How.
        scratch: An empty folder for merged weights, which must stay until they are sent.

    Raises:
        UserError: The folder is not such an adapter, or lacks its tokenizer, template or settings for sampling; it has
            no report, or one about another model; its base model has no name on the Hub.
    """
    needed = (ADAPTER, _ADAPTER_WEIGHTS, TRAINING_REPORT, _SAMPLING, _TOKENIZER, _TEMPLATE)
    names = scan_folder(folder, *needed, what="a tuned adapter of train_sft.py")
    _check_sampling(folder / _SAMPLING)
    tokenizer = _tokenizer_files(folder, names)
    check_weights(LocalFile(_ADAPTER_WEIGHTS, folder / _ADAPTER_WEIGHTS))
    training = read_training(folder)
    base = base_model_of(training, options.base_model, options.license_name, options.license_link)
    terms = _terms(training, base, options, scratch / "terms")
    reports, not_used = _checked_reports(folder, options)
    card = model_card(folder, repo_id, options, reports, terms)
    weights = (
        _merged(folder, scratch / "weights", options.adapter_scale) if options.merge else _adapter(folder, base.hub_id)
    )
    dataset = options.dataset or next(iter(card.data.datasets or ()), None)
    results = eval_results_yaml([read_card_results(path) for path in reports], dataset) if dataset else None
    return Publication(
        repository=Repository(repo_id, "model"),
        card=str(card),
        files=(
            *weights,
            *tokenizer,
            LocalFile(_TOKENIZER, _json(fit_values(_without(_read(folder / _TOKENIZER), _OF_THIS_MACHINE)))),
            LocalFile(_SAMPLING, _json(fit_values(_read(folder / _SAMPLING)))),
            *terms.files,
            *_calibration(folder),
            LocalFile(TRAINING_REPORT, _json(_shown_report(folder, base.hub_id, dataset))),
            *([LocalFile(EVAL_RESULTS, results.encode())] if results else []),
            *_decisions(folder, training, options),
        ),
        ours=lambda _: Ours(_KEYS),
        owns=_owns,
        message=f"{repo_id.partition('/')[2]}: {base.hub_id} tuned on {len(training['rows_per_task'])} tasks",
        kind="model",
        notes=(*_notes(dataset, reports), *not_used),
        depends_on=() if options.merge else (base.hub_id,),
    )


def model_card(
    folder: Path,
    repo_id: str,
    options: ModelOptions,
    reports: Sequence[Path] | None = None,
    terms: Terms | None = None,
) -> ModelCard:
    """The card alone; ``reports`` and ``terms`` are looked for if they are not given."""
    if terms is None:
        training = read_training(folder)
        base = base_model_of(training, options.base_model, options.license_name, options.license_link)
        with TemporaryDirectory(prefix="spectrum-terms-") as scratch:
            terms = _terms(training, base, options, Path(scratch))
    return render_model_card(
        folder,
        _checked_reports(folder, options)[0] if reports is None else reports,
        suite=options.suite,
        base_model=options.base_model,
        license_name=options.license_name,
        license_link=options.license_link,
        terms=terms,
        terms_of_data=options.terms_of_data,
        repo_id=repo_id,
        dataset=options.dataset,
        merged=options.merge,
        adapter_scale=options.adapter_scale,
    )


def find_reports(folder: Path) -> list[Path]:
    """What may be the evaluation of an adapter: in its folder, and in the one above."""
    return [place / REPORT for place in (folder, folder.resolve().parent) if (place / REPORT).is_file()]


def kept_reports(folder: Path) -> tuple[Path, ...]:
    """The evaluations that lie beside an adapter, one for each desideratum, as with those that come with us."""
    return tuple(sorted((folder / REPORTS).glob("*.json")))


def _reports_of_comparison(folder: Path, adapter_scale: float) -> tuple[Path, ...]:
    """The reports about an adapter of a comparison in the folder above, where the quickstart puts it."""
    above = folder.resolve().parent
    reports = sorted(above.glob(f"*/**/{REPORT}")) if (above / RESULTS).is_file() else []
    measured = [path for path in reports if FORMATS not in path.relative_to(above).parts]
    return tuple(path for path in measured if not _why_not_used(path, folder, adapter_scale))


def _checked_reports(folder: Path, options: ModelOptions) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The reports about these very weights, given or found, and a line for each other one that was found.

    Raises:
        UserError: A report that was given is about other weights, or does not say about which; or there is none.
    """
    if given := options.reports or (() if options.without_report else kept_reports(folder)):
        for path in given:
            if why := _not_about(read_json(path, "give a report with '--report'"), folder, options.adapter_scale):
                raise UserError(f"report {str(path)!r} {why}: measure this one with evaluate_model.py")
        return given, ()
    if options.without_report:
        return (), ()
    not_used = []
    for path in find_reports(folder):
        if why := _why_not_used(path, folder, options.adapter_scale):
            not_used.append(f"not used: {path} ({why})")
        else:
            return (path,), tuple(not_used)
    if found := _reports_of_comparison(folder, options.adapter_scale):
        return found, tuple(not_used)
    raise UserError(
        f"model {str(folder)!r} has no report: measure it with evaluate_model.py and give '--report PATH', "
        f"or publish it with '--without_report'{''.join(f'; {line}' for line in not_used)}"
    )


def _why_not_used(path: Path, folder: Path, adapter_scale: float) -> str | None:
    """Why a report that was found does not count; None where it does."""
    try:
        return _not_about(read_json(path, "measure it again"), folder, adapter_scale)
    except UserError as error:
        return str(error)


def _not_about(report: Mapping[str, Any], folder: Path, adapter_scale: float) -> str | None:
    """Why a report does not count for the weights in a folder; None where it does."""
    model = report.get("model")
    measured = model.get("fingerprint") if isinstance(model, dict) else None
    if not isinstance(measured, str) or not measured:
        return "does not say which weights it is about"
    if measured != find_model(str(folder), adapter_scale=adapter_scale).fingerprint():
        at_scale = "" if adapter_scale == 1 else f" at adapter scale {adapter_scale:g}"
        return f"is about another model than {str(folder)!r}{at_scale}"
    return None


def _terms(training: Mapping[str, Any], base: BaseModel, options: ModelOptions, scratch: Path) -> Terms:
    return terms_of(
        base.hub_id,
        training["base_model"],
        scratch,
        license_name=options.license_name,
        license_link=options.license_link,
    )


def _check_sampling(path: Path) -> None:
    """The method's answers are draws from the whole distribution, and so must a user's be."""
    settings = _read(path)
    wanted = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
    for name, value in wanted.items():
        if settings.get(name) != value:
            raise UserError(
                f"{path.name} of {str(path.parent)!r} samples with {name}={settings.get(name)}: set {value}"
            )


def _tokenizer_files(folder: Path, names: Sequence[str]) -> list[LocalFile]:
    """The files of the tokenizer besides its settings; its vocabulary is the base model's where the folder has none."""
    _check_tokenizer_file(folder / _TOKENIZER)
    found = [_check_tokenizer_file(folder / name) for name in sorted(_TOKENIZER_FILES & set(names))]
    vocabulary = [_check_tokenizer_file(path) for path in find_vocabulary(str(folder)) if path not in found]
    return [LocalFile(path.name, path) for path in (*found, *vocabulary)]


def _check_tokenizer_file(path: Path) -> Path:
    """The path of a file of the tokenizer, which is not empty, and reads where it is JSON."""
    if not path.stat().st_size:
        raise UserError(f"file {str(path)!r} of the tokenizer is empty: save the tokenizer again")
    if path.suffix == ".json":
        _read(path)
    return path


def _adapter(folder: Path, base: str) -> list[LocalFile]:
    """The adapter's weights, and its configuration with the base model's name on the Hub."""
    trained = _read(folder / ADAPTER)
    revision = trained.get("revision") if trained.get("base_model_name_or_path") == base else None  # not of another one
    configuration = fit_values(trained) | {"base_model_name_or_path": base, "revision": revision}
    return [
        LocalFile(ADAPTER, _json(configuration)),
        LocalFile(_ADAPTER_WEIGHTS, folder / _ADAPTER_WEIGHTS),
    ]


def _calibration(folder: Path) -> list[LocalFile]:
    """The model's calibration, if it has one, with a fitting name of the model in it.

    Raises:
        UserError: It is damaged.
    """
    if not (folder / CALIBRATION).is_file():
        return []
    return [LocalFile(CALIBRATION, _json(fit(dict(Calibration.read(folder).content))))]


def _decisions(folder: Path, training: Mapping[str, Any], options: ModelOptions) -> list[LocalFile]:
    """What the Hub shows of its decisions, if they were measured."""
    if options.decisions is None:
        return []
    return [decision_results(options.decisions, folder, training, adapter_scale=options.adapter_scale)]


def _merged(folder: Path, output: Path, adapter_scale: float) -> list[LocalFile]:
    """Merge the adapter at its scale in float32, and save in the precision of the base model's files.

    Raises:
        UserError: The merged weights are not finite.
    """
    files = find_model(str(folder), adapter_scale=adapter_scale)
    model = load_merged(files, dtype=torch.float32)
    dtype = AutoConfig.from_pretrained(files.base.folder).dtype or torch.float32
    model.to(dtype).save_pretrained(output)
    (output / _SAMPLING).unlink(missing_ok=True)  # the base model's; the adapter's is published
    configuration = _nameless(_read(output / "config.json"))
    (output / "config.json").write_bytes(_json(configuration))
    merged = [LocalFile(name, output / name) for name in scan_folder(output)]
    for file in merged:
        if file.name.endswith(SAFETENSORS):
            check_weights(file)
    return merged


def _nameless(configuration: Any) -> Any:
    """A configuration without the places on this machine that it and the parts of it were loaded from."""
    if not isinstance(configuration, dict):
        return configuration
    kept = {name: _nameless(value) for name, value in configuration.items() if name != "_name_or_path"}
    return fit_values(kept)


def _shown_report(folder: Path, base: str, dataset: str | None) -> dict[str, Any]:
    """The training report, with names on the Hub in place of this machine's files and folders."""
    fitting = fit(_read(folder / TRAINING_REPORT))
    names = {"base_model": base} | ({"suite": dataset or fitting["suite"]} if "suite" in fitting else {})
    return with_names(fitting, **names)


def _notes(dataset: str | None, reports: Sequence[Path]) -> tuple[str, ...]:
    no_dataset = f"no --dataset ORG/NAME given: the card names no dataset, and there is no {EVAL_RESULTS}"
    return (*(f"results: {path}" for path in reports), *(() if dataset else (no_dataset,)))


def _owns(name: str, _: Remote) -> bool:
    """Files of an earlier push: an adapter's next to merged weights, say, would be loaded in their place."""
    ours = {ADAPTER, _ADAPTER_WEIGHTS, "config.json", EVAL_RESULTS, TRAINING_REPORT, NOTICE, *_TOKENIZER_FILES}
    ours |= {CALIBRATION, DECISION_RESULTS.as_posix()}
    return name in ours or (name.startswith("model") and name.endswith((".safetensors", ".safetensors.index.json")))


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, "run train_sft.py again")


def _without(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
