r"""Makes of a run the adapter that comes with this project, in checkpoints/<name>.

    python -m benchmarks.checkpoints outputs/spectrum/1 --name gemma-3-270m-spectrum
    python evaluate_model.py --runs recipes/results/spectrum.yaml --output outputs/results/spectrum --skip_missing
    python -m benchmarks.checkpoints --name gemma-3-270m-spectrum --suite spectrum-suite \
        --report outputs/results/spectrum/spectrum/*/report.json

The weights are kept in bfloat16, and the vocabulary is that of the embedded base model, so that an adapter takes a few
megabytes. It is measured as it is kept, since rounding changes its fingerprint. Reports lie in its folder ``reports``,
one for each desideratum, with the numbers of every item and without the texts that may not be redistributed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file, save

from dataset_builder.registry import all_tasks
from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.evaluation.choices import DESIDERATA, ON_DATA
from spectrum_suite.hub.local_files import LocalFile
from spectrum_suite.hub.model import REPORTS, ModelOptions, kept_reports, model_publication
from spectrum_suite.json_files import read_json, write_json
from spectrum_suite.lm.calibration_file import CALIBRATION
from spectrum_suite.models import find_vocabulary
from spectrum_suite.shipped import own_folder
from spectrum_suite.training.training_report import REPORT as TRAINING_REPORT

LARGEST = 12 * 10**6
"""Bytes of the weights of a checkpoint, at most."""

_TEXTS = frozenset({"instruction", "reference"})
_SHARES = frozenset({"options", "target", "log_probs", "probabilities"})

_WEIGHTS, _CONFIGURATION = "adapter_model.safetensors", "adapter_config.json"


def pack(run: Path, folder: Path) -> None:
    """Write what is published of a run to a folder, with weights in bfloat16 and without the base model's vocabulary.

    Args:
        run: What ``train_sft.py`` left of an adapter of an embedded model.
        folder: The checkpoint; one of an earlier run is replaced.

    Raises:
        UserError: It is not such a run, or its weights are too large.
    """
    base = read_json(run / TRAINING_REPORT, "give the folder that train_sft.py wrote")["base_model"]
    if not str(base).startswith("embedded:"):
        raise UserError(f"{str(run)!r} is tuned on {base!r}: a checkpoint of this project is of an embedded model")
    weights = save(
        {name: tensor.to(torch.bfloat16) for name, tensor in load_file(run / _WEIGHTS).items()}, {"format": "pt"}
    )
    if len(weights) > LARGEST:
        raise UserError(
            f"the adapter in {str(run)!r} takes {len(weights):,} bytes: {LARGEST:,} at most, lower --lora_r"
        )
    with TemporaryDirectory() as scratch:
        options = ModelOptions(without_report=True)
        published = model_publication(run, f"spectrum-suite/{folder.name}", options, Path(scratch))
        vocabulary = {path.name for path in find_vocabulary(str(run))}
        files = {file.name: _content(file) for file in published.files if file.name not in vocabulary}
    configuration = json.loads(files[_CONFIGURATION]) | {"base_model_name_or_path": base}
    files |= {_WEIGHTS: weights, _CONFIGURATION: (json.dumps(configuration, indent=2) + "\n").encode()}
    report = json.loads(files[TRAINING_REPORT]) | {"base_model": base}
    files |= {TRAINING_REPORT: (json.dumps(report, indent=1) + "\n").encode(), "README.md": published.card.encode()}
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*kept_reports(folder), folder / CALIBRATION):  # of the weights before
        name.unlink(missing_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def describe(folder: Path, reports: Sequence[Path], suite: Path | None) -> None:
    """Keep the evaluations of a checkpoint beside it, and write its card anew.

    Raises:
        UserError: A report is about another model, or two are about one desideratum.
    """
    kept = {}
    for path in reports:
        report = read_json(path, "measure the checkpoint with evaluate_model.py")
        measured = [name for name in DESIDERATA if report.get(name)]
        if kept.keys() & set(measured):
            raise UserError(f"report {str(path)!r} is a second one about {', '.join(measured)}: give one of each")
        kept |= dict.fromkeys(measured, report)
    options = ModelOptions(reports=tuple(reports), suite=suite)
    with TemporaryDirectory() as scratch:
        published = model_publication(folder, f"spectrum-suite/{folder.name}", options, Path(scratch))
    for path in kept_reports(folder):
        path.unlink()
    (folder / REPORTS).mkdir(exist_ok=True)
    for name, report in kept.items():
        write_json(folder / REPORTS / f"{name}.json", without_texts(report))
    (folder / "README.md").write_text(published.card, encoding="utf-8")


def without_texts(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report without what may not be redistributed.

    That are the instructions and responses of instruction data, whatever it is, and options and shares of the suite's
    tasks whose sources do not allow it.
    """
    found = dict(report)
    for name in ON_DATA:
        found[name] = {data: _numbers_alone(section, _TEXTS) for data, section in report.get(name, {}).items()}
    open_tasks = {spec.name for spec in all_tasks() if spec.source.redistributable == "yes"}
    found["alignment"] = {
        task: section if task in open_tasks else _numbers_alone(section, _SHARES)
        for task, section in report.get("alignment", {}).items()
    }
    return found


def _numbers_alone(section: Mapping[str, Any], left_out: frozenset[str]) -> dict[str, Any]:
    items = [{name: value for name, value in item.items() if name not in left_out} for item in section["items"]]
    return {**section, "items": items}


def _content(file: LocalFile) -> bytes:
    return file.source if isinstance(file.source, bytes) else file.source.read_bytes()


def main() -> None:
    """Pack a run, or describe a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="the output folder of train_sft.py")
    parser.add_argument("--name", required=True, help="what it is called after 'embedded:'")
    parser.add_argument("--report", type=Path, nargs="+", help="each report.json of an evaluation of the checkpoint")
    parser.add_argument("--suite", type=Path, help="the suite that was trained on, for the card")
    options = parser.parse_args()
    folder = own_folder("checkpoints") / options.name
    with exit_on_user_error():
        if options.run:
            pack(options.run, folder)
        if options.report:
            describe(folder, options.report, options.suite)


if __name__ == "__main__":
    main()
