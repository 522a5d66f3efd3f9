"""Checkpoints that are complete or not there at all, and know which run they are of.

A checkpoint is written next to the others under another name and takes its own only when every byte is on the disk. Its
manifest lists the files with their sizes, so that one that was cut short later is seen and passed over.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spectrum_suite.errors import UserError

logger = logging.getLogger(__name__)

MANIFEST = "spectrum_run.json"
WRITING = "checkpoint.writing"
"""The folder in which a checkpoint is written; what is there was not finished."""

AUTO, NEVER = "auto", "never"
_NAME = re.compile(r"checkpoint-(\d+)")


def finish(folder: Path, target: Path, run: dict[str, Any]) -> None:
    """Give a written checkpoint its manifest and its name.

    Args:
        folder: Where it was written, on the same disk as ``target``.
        target: The name that it takes; what had it before is replaced.
        run: What to keep with the files, as JSON.
    """
    files = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    (folder / MANIFEST).write_text(json.dumps(run | {"files": files}, indent=1), encoding="utf-8")
    for path in [*folder.rglob("*"), folder]:
        _flush(path)
    if target.is_dir():
        shutil.rmtree(target)
    folder.replace(target)
    _flush(target.parent)


def read(checkpoint: Path) -> dict[str, Any]:
    """What was kept with the files of a checkpoint.

    Raises:
        UserError: It is incomplete: its manifest or a file is missing, or a file has another size.
    """
    try:
        kept = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        sizes = kept["files"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"checkpoint {str(checkpoint)!r} is incomplete: it has no readable {MANIFEST}") from error
    for name, size in sizes.items():
        path = checkpoint / name
        if not path.is_file() or path.stat().st_size != size:
            raise UserError(f"checkpoint {str(checkpoint)!r} is incomplete: {name} was cut short; use an earlier one")
    return kept


def find(output: Path, asked: str | None, settings: dict[str, Any]) -> Path | None:
    """The checkpoint from which a run resumes, or None where it starts.

    Args:
        output: The folder of the run.
        asked: ``auto`` is the latest complete checkpoint, if there is any; ``never`` is none; else it is the one.
        settings: What decides the outcome of this run. A checkpoint of other settings is refused.

    Raises:
        UserError: The checkpoint that was asked for is incomplete, or it is of a run with other settings.
    """
    if asked == NEVER:
        return None
    if asked not in (AUTO, None):
        found = [Path(asked)]
    else:
        found = sorted((path for path in output.glob("checkpoint-*") if _step(path)), key=_step, reverse=True)
    for checkpoint in found:
        try:
            kept = read(checkpoint)
        except UserError as error:
            if asked not in (AUTO, None):
                raise
            logger.warning("passed over: %s", error)
            continue
        compare(checkpoint, kept.get("settings", {}), settings)
        return checkpoint
    return None


def discard(output: Path) -> None:
    """Remove the checkpoints of a run that starts over, which a later call would take for those of the new one."""
    for path in output.glob("checkpoint-*"):
        if _step(path) and (path / MANIFEST).is_file():
            shutil.rmtree(path)


def compare(place: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to resume what a run with other settings has left.

    Raises:
        UserError: A setting differs; it is named.
    """
    before, now = json.loads(json.dumps(before)), json.loads(json.dumps(now))
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            raise UserError(
                f"{str(place)!r} is of another run, with {name} {before.get(name)!r} and not {now.get(name)!r}: "
                f"choose another --output_dir, or start over with --resume_from_checkpoint {NEVER}"
            )


def _step(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    return int(found[1]) if found else 0


def _flush(path: Path) -> None:
    """Wait until a file or the entries of a folder are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
