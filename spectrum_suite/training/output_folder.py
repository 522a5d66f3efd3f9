"""What the output folder of a run of training holds: a finished run is not repeated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from spectrum_suite.held_folder import held
from spectrum_suite.training import checkpoints
from spectrum_suite.training.training_report import REPORT

LOCK = ".training.lock"
RUN = ".spectrum_run"
"""The settings whose result is in the folder."""

held_for_training = partial(held, lock_name=LOCK, doing="training into", option="--output_dir")
"""Hold the folder of a run of training; see :func:`spectrum_suite.held_folder.held`."""

_WEIGHTS = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")


def is_finished(output: Path, settings: Mapping[str, Any]) -> bool:
    """Whether the folder holds the result of a run with these settings.

    Raises:
        UserError: It holds that of another run.
    """
    try:
        before = json.loads((output / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # nothing, or what an earlier version left
    if not ((output / REPORT).is_file() and any((output / name).is_file() for name in _WEIGHTS)):
        return False
    checkpoints.compare(output, before, settings)
    return True


def begin(output: Path) -> None:
    """Forget that a run was finished: its files are about to be replaced."""
    (output / RUN).unlink(missing_ok=True)


def finish(output: Path, report: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Write the report of a run, and then that it is finished."""
    (output / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    part = output / f"{RUN}.part"
    part.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    part.replace(output / RUN)
