"""What is published of a tuned model: the adapter or the merged weights, and what is needed to use and to judge it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelCard
from transformers import AutoConfig

from dataset_builder.errors import UserError
from spectrum.evaluation.report import REPORT
from spectrum.hub.answers import Repository
from spectrum.hub.card_merge import Ours
from spectrum.hub.cards import base_model_of, read_training, render_model_card, with_names
from spectrum.hub.local_files import LocalFile, scan_folder
from spectrum.hub.model_options import ModelOptions
from spectrum.hub.plan import Publication, Remote
from spectrum.hub.results import eval_results_yaml, read_json, read_results
from spectrum.models import ADAPTER, find_model, load_for_scoring
from spectrum.training.report import REPORT as TRAINING_REPORT

SUMMARY = "summary.json"
EVAL_RESULTS = ".eval_results/spectrum-suite.yaml"

_ADAPTER_WEIGHTS, _SAMPLING, _TOKENIZER = "adapter_model.safetensors", "generation_config.json", "tokenizer_config.json"
_TEMPLATE = "chat_template.jinja"
_TOKENIZER_FILES = {
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "added_tokens.json",
    "special_tokens_map.json", _TEMPLATE,
}  # fmt: skip
_OF_THIS_MACHINE = ("is_local", "local_files_only", "name_or_path")
_KEYS = {
    "model_name", "model-index", "base_model", "base_model_relation", "library_name", "pipeline_tag", "license",
    "license_name", "license_link", "language", "datasets",
}  # fmt: skip


def model_publication(folder: Path, repo_id: str, options: ModelOptions, scratch: Path) -> Publication:
    """What is published of the adapter in ``folder``.

    Args:
        folder: As ``train_sft.py`` left it.
        repo_id: Where, ``<org>/<name>``.
        options: How.
        scratch: An empty folder for merged weights, which must stay until they are sent.

    Raises:
        UserError: The folder is no such adapter, or lacks its tokenizer, template or settings for sampling; it has no
            report, or one about another model; its base model has no name on the Hub.
    """
    names = scan_folder(folder)
    for needed in (ADAPTER, _ADAPTER_WEIGHTS, TRAINING_REPORT, _SAMPLING, _TOKENIZER, _TEMPLATE):
        if needed not in names:
            raise UserError(f"folder {str(folder)!r} is no tuned adapter (no {needed!r}): give what train_sft.py left")
    _check_sampling(folder / _SAMPLING)
    training = read_training(folder)
    base = base_model_of(training, options.base_model, options.license_name, options.license_link)
    reports = _checked_reports(folder, options)
    card = model_card(folder, repo_id, options, reports)
    weights = _merged(folder, scratch) if options.merge else _adapter(folder, base.hub_id)
    dataset = options.dataset or next(iter(card.data.datasets or ()), None)
    results = eval_results_yaml([read_results(path) for path in reports], dataset) if dataset else None
    return Publication(
        repository=Repository(repo_id, "model"),
        card=str(card),
        files=(
            *weights,
            *(LocalFile(name, folder / name) for name in names if name in _TOKENIZER_FILES),
            LocalFile(_TOKENIZER, _json(_without(_read(folder / _TOKENIZER), _OF_THIS_MACHINE))),
            LocalFile(_SAMPLING, folder / _SAMPLING),
            LocalFile(TRAINING_REPORT, _json(_shown_report(folder, base.hub_id, dataset))),
            *([LocalFile(EVAL_RESULTS, results.encode())] if results else []),
        ),
        ours=lambda _: Ours(_KEYS, {"tags": lambda tag: False}),
        owns=_owns,
        message=f"{repo_id.partition('/')[2]}: {base.hub_id} tuned on {len(training['rows_per_task'])} tasks",
        loads=("model",),
        notes=_notes(dataset, reports),
        depends_on=() if options.merge else (base.hub_id,),
    )


def model_card(folder: Path, repo_id: str, options: ModelOptions, reports: Sequence[Path] | None = None) -> ModelCard:
    """The card alone; ``reports`` are looked for if they are not given."""
    return render_model_card(
        folder,
        _checked_reports(folder, options) if reports is None else reports,
        suite=options.suite,
        base_model=options.base_model,
        license_name=options.license_name,
        license_link=options.license_link,
        repo_id=repo_id,
        dataset=options.dataset,
        merged=options.merge,
    )


def find_report(folder: Path) -> Path | None:
    """The evaluation of an adapter, in its folder or, where the quickstart puts it, in the one above."""
    places = [place / name for place in (folder, folder.resolve().parent) for name in (SUMMARY, REPORT)]
    return next((path for path in places if path.is_file()), None)


def _checked_reports(folder: Path, options: ModelOptions) -> tuple[Path, ...]:
    """The reports that were given, or found; those of `evaluate_model.py` must be about this very model."""
    found = find_report(folder)
    reports = options.reports or ((found,) if found else ())
    if not reports and not options.without_report:
        raise UserError(
            f"model {str(folder)!r} has no report: measure it with evaluate_model.py and give '--report PATH', "
            "or publish it with '--without-report'"
        )
    for path in reports:
        measured = read_json(path, "give a report with '--report'").get("model", {}).get("fingerprint")
        if measured and measured != find_model(str(folder)).fingerprint():
            raise UserError(f"report {str(path)!r} is about another model than {str(folder)!r}: measure this one")
    return tuple(reports)


def _check_sampling(path: Path) -> None:
    """The method's answers are draws from the whole distribution, and so must a stranger's be."""
    settings = _read(path)
    wanted = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
    for name, value in wanted.items():
        if settings.get(name) != value:
            raise UserError(
                f"{path.name} of {str(path.parent)!r} samples with {name}={settings.get(name)}: set {value}"
            )


def _adapter(folder: Path, base: str) -> list[LocalFile]:
    """The adapter's weights, and its configuration with the base model's name on the Hub."""
    configuration = _read(folder / ADAPTER)
    trained_on = configuration.get("base_model_name_or_path")
    revision = configuration.get("revision") if trained_on == base else None  # of that repository, not of another
    configuration |= {"base_model_name_or_path": base, "revision": revision}
    return [
        LocalFile(ADAPTER, _json(configuration)),
        LocalFile(_ADAPTER_WEIGHTS, folder / _ADAPTER_WEIGHTS),
    ]


def _merged(folder: Path, output: Path) -> list[LocalFile]:
    """Merge the adapter in float32, and save in the precision of the base model's files."""
    files = find_model(str(folder))
    model, _ = load_for_scoring(files, device="cpu", dtype="float32")
    dtype = AutoConfig.from_pretrained(files.base.folder).dtype or torch.float32
    model.to(dtype).save_pretrained(output)
    (output / _SAMPLING).unlink(missing_ok=True)  # the base model's; the adapter's is published
    configuration = _without(_read(output / "config.json"), ("_name_or_path",))
    (output / "config.json").write_bytes(_json(configuration))
    return [LocalFile(name, output / name) for name in scan_folder(output)]


def _shown_report(folder: Path, base: str, dataset: str | None) -> dict[str, Any]:
    """The training report, with names on the Hub in place of this machine's folders."""
    report = _read(folder / TRAINING_REPORT)
    return with_names(report, base_model=base, suite=dataset or Path(report["suite"]).name)


def _notes(dataset: str | None, reports: Sequence[Path]) -> tuple[str, ...]:
    no_dataset = f"no --dataset ORG/NAME given: the card names no dataset, and there is no {EVAL_RESULTS}"
    return (*(f"results: {path}" for path in reports), *(() if dataset else (no_dataset,)))


def _owns(name: str, _: Remote) -> bool:
    """Files of an earlier push: an adapter's beside merged weights, say, would be loaded in their place."""
    ours = {ADAPTER, _ADAPTER_WEIGHTS, "config.json", EVAL_RESULTS, TRAINING_REPORT, *_TOKENIZER_FILES}
    return name in ours or (name.startswith("model") and name.endswith((".safetensors", ".safetensors.index.json")))


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, "run train_sft.py again")


def _without(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
