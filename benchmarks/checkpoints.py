r"""Makes of a run the adapter that comes with this project, in checkpoints/<name>.

    python -m benchmarks.checkpoints outputs/spectrum/1 --name gemma-3-270m-spectrum
    python evaluate_model.py --model embedded:gemma-3-270m-spectrum ... --output outputs/evaluation/spectrum
    python -m benchmarks.checkpoints --name gemma-3-270m-spectrum --report outputs/evaluation/spectrum/report.json \
        --suite spectrum-suite

The weights are kept in bfloat16, and the vocabulary is that of the embedded base model, so that an adapter takes a few
megabytes. It is measured as it is kept, since rounding changes its fingerprint.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save

from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.evaluation.report import REPORT
from spectrum_suite.hub.local_files import LocalFile
from spectrum_suite.hub.model import VOCABULARY, ModelOptions, model_publication
from spectrum_suite.json_files import read_json, write_json
from spectrum_suite.shipped import own_folder
from spectrum_suite.training.training_report import REPORT as TRAINING_REPORT

LARGEST = 12 * 10**6
"""Bytes of the weights of a checkpoint, at most."""

_WEIGHTS, _CONFIGURATION = "adapter_model.safetensors", "adapter_config.json"


def pack(run: Path, folder: Path) -> None:
    """Write what is published of a run to a folder, with weights in bfloat16 and without the base model's vocabulary.

    Args:
        run: What ``train_sft.py`` left of an adapter of an embedded model.
        folder: The checkpoint; one of an earlier run is replaced.

    Raises:
        UserError: It is no such run, or its weights are too large.
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
        files = {file.name: _content(file) for file in published.files if file.name not in VOCABULARY}
    configuration = json.loads(files[_CONFIGURATION]) | {"base_model_name_or_path": base}
    files |= {_WEIGHTS: weights, _CONFIGURATION: (json.dumps(configuration, indent=2) + "\n").encode()}
    report = json.loads(files[TRAINING_REPORT]) | {"base_model": base}
    files |= {TRAINING_REPORT: (json.dumps(report, indent=1) + "\n").encode(), "README.md": published.card.encode()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).unlink(missing_ok=True)  # of the weights before
    for name, content in files.items():
        (folder / name).write_bytes(content)


def describe(folder: Path, report: Path, suite: Path | None) -> None:
    """Keep the evaluation of a checkpoint beside it, and write its card anew.

    Raises:
        UserError: The report is about another model.
    """
    write_json(folder / REPORT, read_json(report, "measure the checkpoint with evaluate_model.py"))
    options = ModelOptions(reports=(folder / REPORT,), suite=suite)
    with TemporaryDirectory() as scratch:
        published = model_publication(folder, f"spectrum-suite/{folder.name}", options, Path(scratch))
    (folder / "README.md").write_text(published.card, encoding="utf-8")


def _content(file: LocalFile) -> bytes:
    return file.source if isinstance(file.source, bytes) else file.source.read_bytes()


def main() -> None:
    """Pack a run, or describe a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="the output folder of train_sft.py")
    parser.add_argument("--name", required=True, help="what it is called after 'embedded:'")
    parser.add_argument("--report", type=Path, help="report.json of an evaluation of the checkpoint")
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
