"""``.eval_results/typed-decisions.yaml``: what a model repository on the Hub says of its results on the benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from spectrum_suite.decisions.rows import TYPED_DECISIONS
from spectrum_suite.decisions.scores import BY_QUESTION
from spectrum_suite.json_files import write_whole

TrainedOn = Literal["nothing", "train"]
TRAINED_ON: tuple[TrainedOn, ...] = get_args(TrainedOn)

EVAL_RESULTS = Path(".eval_results/typed-decisions.yaml")
"""Where the file is in a repository."""

_OF_TASK = {"accuracy": "accuracy", "kl_from_gold": "kl_from_gold", "brier": "brier", "ece": BY_QUESTION}
"""Task of the benchmark -> our metric."""

_NOTES = {"nothing": "not trained on rows of this benchmark", "train": "fine-tuned on train"}


def eval_results(
    summary: Mapping[str, float],
    *,
    trained_on: TrainedOn,
    day: date,
    revision: str | None = None,
    source_url: str | None = None,
) -> list[dict[str, Any]]:
    """The entries of the file, one for each task of the benchmark.

    Args:
        summary: As :func:`spectrum_suite.decisions.scores.summarize` has it.
        trained_on: What of the benchmark the model has been trained on, which the notes have to say.
        day: Of the evaluation.
        revision: Commit of the dataset.
        source_url: Where the run can be looked at.
    """
    source = {"source": {"url": source_url, "name": "run"}} if source_url else {}
    return [
        {
            "dataset": {"id": TYPED_DECISIONS, "task_id": task} | ({"revision": revision} if revision else {}),
            "value": summary[metric],
            "date": day.isoformat(),
            **source,
            "notes": _NOTES[trained_on] + (f"; {metric}" if metric != task else ""),
        }
        for task, metric in _OF_TASK.items()
    ]


def write_eval_results(folder: Path, entries: list[dict[str, Any]]) -> Path:
    """Write the file into the folder of a model, and say where it is."""
    path = folder / EVAL_RESULTS
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, yaml.safe_dump(entries, sort_keys=False, allow_unicode=True))
    return path
