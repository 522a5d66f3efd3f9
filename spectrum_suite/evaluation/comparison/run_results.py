"""The results of a recipe of runs: all that the page is made from, in one JSON file.

A file holds ``schema_version`` and the fields of :class:`Results`; for the scores see
:mod:`spectrum_suite.evaluation.comparison.scores`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.comparison.scores import Scores, check_same_rows
from spectrum_suite.json_files import read_json, write_whole

SCHEMA_VERSION = 1
RESULTS = "results.json"

_FIRST_CRITERIA = {"steerability": "the mean loss of an output", "alignment": "the mean divergence"}
"""Of results that do not name theirs."""

FORMATS = "formats"
"""The folder of a run in which its formats are tried."""


@dataclass(frozen=True)
class SeedResult:
    """What one trained model, or the only one of a run, has scored.

    Attributes:
        seed: Of its training; None for the only one.
        model: Its name.
        fingerprint: Of its files.
        training: What ``train_sft.py`` reported: seconds, steps, tokens, device and memory; None for other models.
        scores: Kept of its reports.
        seconds: Spent on scoring and sampling.
        device: On which that was.
    """

    seed: int | None
    model: str
    fingerprint: str
    training: Mapping[str, Any] | None
    scores: Scores
    seconds: float
    device: str | None


@dataclass(frozen=True)
class Measured:
    """A run that was measured.

    Attributes:
        name: Its name.
        group: What it is an example of.
        train: The command that trains it.
        against: The run that an ablation is held against.
        ablates: What an ablation leaves out.
        formats: Desideratum -> the format in which it was asked.
        tried: Desideratum -> format -> mean loss or divergence on training tasks; the lowest was taken.
        seeds: One result per seed.
    """

    name: str
    group: str
    train: str | None
    against: str | None
    ablates: str | None
    formats: Mapping[str, str]
    tried: Mapping[str, Mapping[str, float | None]]
    seeds: tuple[SeedResult, ...]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Measured:
        """As :func:`dataclasses.asdict` wrote it."""
        return cls(**{**content, "seeds": tuple(SeedResult(**seed) for seed in content["seeds"])})


@dataclass(frozen=True)
class Results:
    """The results of a recipe.

    Attributes:
        title: What the page is called.
        command: What was run.
        created: When the last of it was, ISO 8601, UTC.
        suite: The suite's name; None where all is measured on instruction data.
        measure: Desideratum -> settings of its evaluation.
        choose: The same, of the evaluations by which formats were chosen.
        criteria: Desideratum -> the score by which formats were chosen, in words.
        libraries: Versions, by package name.
        runs: Those that were measured.
        missing: Names of those that were not there.
        one_table: ``title`` and ``measures`` of the table that the recipe asks for.
        task_versions: Task of the suite -> its version, for all that were measured, trained on or chosen formats by.
    """

    title: str
    command: str
    created: str
    suite: str | None
    measure: Mapping[str, Mapping[str, Any]]
    choose: Mapping[str, Mapping[str, Any]]
    libraries: Mapping[str, str]
    runs: tuple[Measured, ...]
    missing: tuple[str, ...] = ()
    one_table: Mapping[str, Any] | None = None
    task_versions: Mapping[str, str] = field(default_factory=dict)
    criteria: Mapping[str, str] = field(default_factory=lambda: dict(_FIRST_CRITERIA))

    @property
    def measured_tasks(self) -> set[str]:
        """The tasks that any run has scores on."""
        scores = [seed.scores for run in self.runs for seed in run.seeds]
        on_rows = {task for each in scores for name in ("alignment", "steerability") for task in each.get(name, ())}
        return on_rows | {task for each in scores for part in each.get("coverage", {}).values() for task in part["ids"]}

    @property
    def trained_tasks(self) -> set[str]:
        """The tasks that any run was trained on."""
        return {
            task for run in self.runs for seed in run.seeds for task in (seed.training or {}).get("rows_per_task", ())
        }

    def first(self, group: str) -> Measured | None:
        """The first run of a group."""
        return next((run for run in self.runs if run.group == group), None)

    def named(self, name: str | None) -> Measured | None:
        """The run of that name."""
        return next((run for run in self.runs if run.name == name), None)

    def check(self) -> None:
        """Refuse runs that were scored on different rows.

        Raises:
            UserError: Two were.
        """
        seeds = [seed for run in self.runs for seed in run.seeds]
        for seed in seeds[1:]:
            check_same_rows(seeds[0].scores, seed.scores)


def write_results(path: Path, results: Results) -> None:
    """Write results in one step; lists of numbers stand on one line each."""
    content = {"schema_version": SCHEMA_VERSION, **asdict(results)}
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\n\s*", " ", found[0]), text)
    write_whole(path, text + "\n")


def read_results(path: Path) -> Results:
    """Results from their file.

    Raises:
        UserError: There are none, or they are none of this version.
    """
    command = "with evaluate_model.py --runs"
    content = read_json(path, f"make it {command}", what="file of results", again=f"make it again {command}")
    if content.pop("schema_version", None) != SCHEMA_VERSION:
        raise UserError(f"file of results {str(path)!r} is not of version {SCHEMA_VERSION}: make it again {command}")
    return Results(
        **{
            **content,
            "runs": tuple(map(Measured.from_dict, content["runs"])),
            "missing": tuple(content["missing"]),
        }
    )
