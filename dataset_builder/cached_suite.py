"""The suite of task files, built into the cache the first time that it is asked for."""

from __future__ import annotations

import logging
from pathlib import Path

from filelock import FileLock
from huggingface_hub import constants

from dataset_builder.build import build, fingerprints
from dataset_builder.build_task import BuildOptions
from dataset_builder.preview import row_lines
from spectrum_suite.fingerprints import fingerprint

logger = logging.getLogger(__name__)


def cached_suite(path: Path) -> Path:
    """The folder of the suite of a task file, or of a folder of them.

    It is built again when a file or the code that reads it has changed, under another name; the old one stays.

    Raises:
        UserError: A file cannot be read, or none of its tasks can be built.
    """
    made_of = fingerprints([str(path)], BuildOptions(Path()))
    folder = Path(constants.HF_HOME) / "spectrum_suite" / "suites" / fingerprint(made_of)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if folder.is_dir():
            return folder
        report = build([str(path)], BuildOptions(folder))
    for line in row_lines(report["tasks"]):
        logger.info("%s", line)
    logger.info("built %s into %s", path, folder)
    return folder
