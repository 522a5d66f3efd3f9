"""What a recipe needs, by the commands that it names: a suite, annotated data, a calibration, and trained models."""

from __future__ import annotations

import logging
import shlex
import subprocess
import sys
from collections.abc import Container, Iterator
from pathlib import Path

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.comparison.recipe import Recipe, Run

logger = logging.getLogger(__name__)

_PROGRAMS = {
    ("python", "-m", "dataset_builder", "build"): "build",
    ("spectrum-suite", "build"): "build",
    ("spectrum-suite", "annotate"): "annotate",
    ("spectrum-suite", "calibrate"): "calibrate",
    ("python", "train_sft.py"): "train",
    ("spectrum-suite", "train"): "train",
}
"""How a command in a recipe may begin -> which of our commands it is. Nothing else in a recipe is ever run."""

_DOES = {"build": "building the suite", "annotate": "annotating data", "calibrate": "calibrating"}

_TRAINED, _SETTINGS = "training_report.json", ".spectrum_run"
"""What a finished run of training leaves, and what it compares its own settings with when it is called again."""

_SOME_TASKS_FAILED = 1
"""Exit code of a build that names the tasks that it could not build, and has built the others."""


def prepare(recipe: Recipe) -> None:
    """Build the suite, annotate the data and train the models of a recipe.

    A build and a training keep what is finished and resume what was interrupted; a model of other settings than the
    recipe's is refused by the training command. A model without a record of its settings is left as it is.

    Raises:
        UserError: A command is not one of ours, or it failed.
    """
    commands = {run.name: list(_commands(run)) for run in recipe.runs}  # read first, so that a mistake costs no time
    for words in [_words(command, "build", _DOES) for command in recipe.build]:
        code = _call(words)
        if code and (words[0], code) != ("build", _SOME_TASKS_FAILED):
            raise UserError(f"{_DOES[words[0]]} stopped: see the line above")
    for run in recipe.runs:
        for model, words in commands[run.name]:
            folder = Path(model)
            if (folder / _TRAINED).is_file() and not (folder / _SETTINGS).is_file():
                logger.info("run %r: %s is kept as it is", run.name, model)
            elif _call(words):
                raise UserError(f"training run {run.name!r} stopped: see the line above")


def _commands(run: Run) -> Iterator[tuple[str, list[str]]]:
    """Each model of a run, and the command that trains it; nothing where it is not trained here."""
    for seed, model in run.models().items():
        if run.train:
            yield model, _words(run.train.replace("{seed}", str(seed)), f"train, run {run.name!r}", ("train",))


def _words(command: str, where: str, programs: Container[str]) -> list[str]:
    """The command of ours that a recipe names, one of some programs, and its arguments."""
    words = shlex.split(command)
    begun = {begins: program for begins, program in _PROGRAMS.items() if program in programs}
    for begins, program in begun.items():
        if tuple(words[: len(begins)]) == begins:
            return [program, *words[len(begins) :]]
    known = " or ".join(repr(" ".join(begins)) for begins in begun)
    raise UserError(f"{where}: {command!r} cannot be run from a recipe: start it with {known}")


def _call(words: list[str]) -> int:
    """Run a command of ours in a process of its own, its output on the screen; returns the exit code."""
    return subprocess.run([sys.executable, "-m", "spectrum_suite", *words], check=False).returncode  # noqa: S603
