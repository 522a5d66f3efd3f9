"""``build --as lm-eval``: distribution tasks as tasks of lm-evaluation-harness, scored by our divergence.

The folder has a YAML file and a file of rows for each task, and Python files with what the harness calls: they read
rows, and compare the log-likelihoods of options with their true distribution. Nothing of ours has to be installed.

    lm_eval --model hf --model_args pretrained=MODEL --include_path FOLDER --tasks spectrum

The harness knows no token ids, so what begins another option ("1" of "10") cannot be told from it: rows with such
options are left out, and so is a task without others.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from spectrum_suite.metrics.spectrum_alignment import scoring

from dataset_builder.export import Export, Rows, built_tasks, task_rows, write_texts
from dataset_builder.licences import licence_files
from dataset_builder.task_spec import TaskSpec
from spectrum_suite.systemone import likeliest

logger = logging.getLogger(__name__)

FUNCTIONS = "spectrum_functions.py"

_PREFIX = "spectrum_"
_TEMPLATES = Path(__file__).parent / "templates"
_METRICS = {"js_divergence": False, "total_variation": False, "brier": False, "mode_match": True, "coverage": True}
"""Metric -> whether higher is better."""

_TASK = """\
task: {prefix}{name}
tag: spectrum
custom_dataset: !function spectrum_functions.rows
dataset_kwargs:
  task: {name}
test_split: test
output_type: multiple_choice
num_fewshot: 0
doc_to_text: prompt
doc_to_choice: choices
doc_to_target: label
target_delimiter: ""
process_results: !function spectrum_functions.scores
metric_list:
{metrics}
metadata:
  version: {version}
"""
_METRIC = """\
  - metric: {name}
    aggregation: mean
    higher_is_better: {higher}"""


def write_lm_eval(suite: Path, folder: Path, report: Mapping[str, Any]) -> Rows:
    """Write the distribution tasks of a built suite; returns the rows of each."""
    found: Rows = {}
    specs = [spec for spec in built_tasks(report) if spec.kind == "distribution"]
    texts: dict[str, str] = {}
    for spec in specs:
        built = list(task_rows(suite, spec.name))
        rows = [_row(row) for row in built if not _one_begins_another(row["options"])]
        if 0 < len(rows) < len(built):
            logger.warning(
                "%s: %d rows whose options begin one another are left out", spec.name, len(built) - len(rows)
            )
        if rows:
            found[spec.name] = len(rows)
            texts |= {f"{spec.name}.yaml": _yaml(spec), f"rows/{spec.name}.jsonl": _lines(rows)}
    if found:
        functions = (_TEMPLATES / "lm_eval_functions.py.txt").read_text(encoding="utf-8")
        texts |= {FUNCTIONS: functions, "spectrum_scoring.py": Path(scoring.__file__).read_text(encoding="utf-8")}
        texts |= licence_files(spec for spec in specs if spec.name in found)
        write_texts(folder, texts)
    return found


def _yaml(spec: TaskSpec) -> str:
    metrics = "\n".join(_METRIC.format(name=name, higher=str(higher).lower()) for name, higher in _METRICS.items())
    return _TASK.format(prefix=_PREFIX, name=spec.name, metrics=metrics, version=f'"{spec.version}"')


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its prompt in plain text, as ``--format colon`` writes it."""
    heads = {"description": ("Description: ", "\n\n"), "input": ("Input: ", "\n")}
    said = "".join(message["content"].join(heads[message["role"]]) for message in row["messages"])
    return {
        "id": row["id"],
        "prompt": f"{said}Output:",
        "choices": [f" {option}" for option in row["options"]],
        "label": likeliest(row["probabilities"]),
        "probabilities": row["probabilities"],
        "n_responses": row["n_responses"],
    }


def _one_begins_another(options: Sequence[str]) -> bool:
    """Whether an option begins another; in sorted order it comes right before one that it begins."""
    ordered = sorted(options)
    return any(other.startswith(option) for option, other in pairwise(ordered))


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


LM_EVAL = Export(
    "tasks of lm-eval", FUNCTIONS, "a distribution over answers that do not begin one another", write_lm_eval
)
