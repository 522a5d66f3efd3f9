"""The folder of a run: one run writes it at a time, and a finished run is not repeated."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dataset_builder.errors import UserError
from spectrum.training import checkpoints
from spectrum.training.report import REPORT

LOCK = ".training.lock"
RUN = ".spectrum_run.json"
"""The settings whose result lies in the folder."""

_WEIGHTS = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")


def check_output(output: Path) -> None:
    """Refuse, before anything is loaded, a folder that could not be written.

    Raises:
        UserError: It, or a part of its path, is a file or read-only.
    """
    found = next(path for path in (output.absolute(), *output.absolute().parents) if path.exists())
    if not found.is_dir():
        raise UserError(f"--output_dir {str(output)!r}: {str(found)!r} is a file: give a folder")
    if not os.access(found, os.W_OK | os.X_OK):
        raise UserError(f"--output_dir {str(output)!r}: {str(found)!r} cannot be written: give another folder")


@contextmanager
def held(
    output: Path,
    *,
    is_main: bool = True,
    lock_name: str = LOCK,
    doing: str = "training into",
    option: str = "--output_dir",
) -> Iterator[None]:
    """Hold the folder of a run, which is made if it is not there; one that stays empty is removed.

    Args:
        output: The folder.
        is_main: Whether this process is the one of several that writes.
        lock_name: The file that says so: runs of one kind exclude one another.
        doing: What such a run does with the folder, for the message.
        option: What names the folder on its command line.

    Raises:
        UserError: Another run holds it, or it cannot be written.
    """
    if not is_main:
        yield
        return
    made = [path for path in (output, *output.parents) if not path.exists()]
    lock = FileLock(output / lock_name, timeout=0)
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise UserError(f"another run is {doing} {str(output)!r}: wait for it, or give another {option}") from error
    except OSError as error:
        raise UserError(
            f"{option} {str(output)!r} cannot be written ({error.strerror}): give another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()
        (output / lock_name).unlink(missing_ok=True)
        for path in made:
            if any(path.iterdir()):
                break
            path.rmdir()


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
