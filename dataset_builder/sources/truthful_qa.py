"""TruthfulQA: questions that people answer wrongly out of false beliefs, with four choices.

Upstream: https://github.com/sylinrl/TruthfulQA (arXiv 2109.07958), ``data/mc_task.json``, here from a fork whose
commit is known, or https://huggingface.co/datasets/EleutherAI/truthful_qa_mc. Licence: Apache 2.0. A raw row (made up)
of each:

    {"question": "What does a bull see?", "mc2_targets": {"Movement.": 1, "Not red.": 1, "Red.": 0, ...}, ...}
    {"question": "What does a bull see?", "choices": ["Movement.", "Red.", "Nothing.", "All."], "label": 0}

A question of the original file has several true and several false answers. One true and three false ones are its four
choices; which ones, and in which order, depends on ``generator("truthful_qa", question)`` and so on nothing else.

The whole file of the fork: 790 questions, each once; 127 have fewer than three false answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.multiple_choice import one_process, shuffled_draw, task
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile
from spectrum_suite.seeding import generator

_REVISION = "4dee2311b23de20b43bfc12ace7037f3f71ba421"
_ORIGINAL_PATH = "data/mc_task.json"
_HUB_PATH = "multiple_choice/validation/0000.parquet"  # of the branch that the Hub converts to Parquet
_HUB_URL = f"https://huggingface.co/datasets/EleutherAI/truthful_qa_mc/resolve/b6468d0/{_HUB_PATH}"
_N_FALSE = 3

TRUTHFUL_QA = Source(
    name="truthful_qa",
    title="TruthfulQA multiple choice",
    homepage="https://github.com/sylinrl/TruthfulQA",
    license="apache-2.0",
    redistributable="yes",
    citation="arXiv 2109.07958",
    folder="truthful_qa",
    revision=_REVISION,
    files=(
        SourceFile(
            _ORIGINAL_PATH, f"https://raw.githubusercontent.com/koppula/TruthfulQA/{_REVISION}/{_ORIGINAL_PATH}"
        ),
    ),
    other_layouts=((SourceFile(_HUB_PATH, _HUB_URL),),),
)

_DESCRIPTION = (
    "Questions that many people answer wrongly, each with four choices of which only one is true. Answer with the "
    "letter of the true one."
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The questions as one process, in upstream order."""
    if _ORIGINAL_PATH in raw_files:
        items = _original_items(raw_files[_ORIGINAL_PATH])
    else:
        items = _hub_items(raw_files[_HUB_PATH])
    return one_process("validation", _DESCRIPTION, items)


def _original_items(path: Path) -> Iterator[Draw | Dropped]:
    questions = raw.read_json(path)
    if not isinstance(questions, list):
        raise raw.bad_row(path, 1, f"the file is not a JSON list of questions but {type(questions).__name__}")
    for row, item in enumerate(questions, start=1):
        with raw.at_row(path, row):
            question, targets = item["question"], item["mc2_targets"]
            if not isinstance(targets, dict) or not set(targets.values()) <= {0, 1}:
                raise ValueError(f"the answers are not each marked as true (1) or false (0): {targets!r}")
            answers = [(text, mark) for text, mark in targets.items() if text.strip()]
            true, false = ([text for text, mark in answers if mark == wanted] for wanted in (1, 0))
            result = _draw(question, true, false)
        yield result


def _hub_items(path: Path) -> Iterator[Draw | Dropped]:
    table = raw.read_parquet(path, {"question": pl.String, "choices": pl.List(pl.String), "label": pl.Int64})
    for row, (question, choices, label) in enumerate(table.iter_rows(), start=1):
        with raw.at_row(path, row):
            if label not in range(len(choices)):
                raise ValueError(f"the label {label!r} is not one of its {len(choices)} choices")
            result = _draw(question, [choices[label]], choices[:label] + choices[label + 1 :])
        yield result


def _draw(question: str, true: list[str], false: list[str]) -> Draw | Dropped:
    if not true:
        raise ValueError("no answer is true")
    if len(false) < _N_FALSE:
        return Dropped(f"question with fewer than {_N_FALSE} false answers")
    rng = generator("truthful_qa", question, "choices")
    right, wrong = true[rng.integers(len(true))], rng.permutation(false)[:_N_FALSE].tolist()
    return shuffled_draw((question,), right, wrong, "truthful_qa", question)


TASKS = [
    task(
        "truthful_qa",
        TRUTHFUL_QA,
        read,
        "Questions that many people answer wrongly, with one true choice of four.",
        Sequences("partition", 10),
        quirks="The true choice is any of a question's true answers and the choices are in random order; the release "
        "always shows the same true answer and keeps the order of its copy.",
    )
]
