"""MMLU: multiple choice questions from 57 subjects, of which the test split is read.

Upstream: https://huggingface.co/datasets/cais/mmlu (arXiv 2009.03300), config ``all``, or the CSV files of the original
archive (https://github.com/hendrycks/test), one per subject and without a header. Licence: MIT. A raw row (made up) of
each; the Hub counts the answer from 0:

    {"question": "Which of these floats?", "subject": "physics", "choices": ["a key", "a cork", "a coin", "a nail"],
     "answer": 1}
    Which of these floats?,a key,a cork,a coin,a nail,B

The whole files: 14,042 questions of 57 subjects. The layouts need not have the subjects in one order, so that here they
are sorted by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.multiple_choice import draw, one_process, task
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile

_HUB_PATH = "all/test-00000-of-00001.parquet"
_ORIGINAL_PATHS = "data/test/*_test.csv"

MMLU = Source(
    name="mmlu",
    title="MMLU",
    homepage="https://huggingface.co/datasets/cais/mmlu",
    license="mit",
    redistributable="yes",
    notices=("Copyright (c) 2020 Dan Hendrycks",),
    citation="arXiv 2009.03300",
    folder="mmlu",
    revision="c30699e8356da336a370243923dbaf21066bb9fe",
    files=(SourceFile(_HUB_PATH),),
    hub="cais/mmlu",
    other_layouts=((SourceFile(_ORIGINAL_PATHS),),),
)

_DESCRIPTION = (
    "Multiple choice questions from many subjects of school, university and working life. Answer each with the letter "
    "of the correct choice."
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The test split as one process, by subject and then in upstream order: the same in both layouts."""
    if _HUB_PATH in raw_files:
        items = _hub_items(raw_files[_HUB_PATH])
    else:
        files = sorted(raw.matching(raw_files, _ORIGINAL_PATHS), key=lambda file: _subject(file[0]))
        items = (item for _, path in files for item in _original_items(path))
    return one_process("test", _DESCRIPTION, items)


def _hub_items(path: Path) -> Iterator[Draw | Dropped]:
    columns = {"subject": pl.String, "question": pl.String, "choices": pl.List(pl.String), "answer": pl.Int64}
    table = raw.read_parquet(path, columns).with_row_index("row", offset=1).sort("subject", maintain_order=True)
    for row, _, question, choices, answer in table.iter_rows():
        with raw.at_row(path, row):
            item = draw((question,), choices, answer, names=range(4))
        yield item


def _subject(path: str) -> str:
    return PurePosixPath(path).name.removesuffix("_test.csv")


def _original_items(path: Path) -> Iterator[Draw | Dropped]:
    columns = dict.fromkeys(("question", "A", "B", "C", "D", "answer"), pl.String)
    for row, (question, *choices, answer) in enumerate(
        raw.read_csv(path, columns, has_header=False).iter_rows(), start=1
    ):
        with raw.at_row(path, row):
            item = draw((question,), choices, answer)
        yield item


TASKS = [
    task(
        "mmlu",
        MMLU,
        read,
        "Multiple choice questions from 57 subjects.",
        Sequences("several", 20, count=1000),
        quirks="Which questions are in a row depends on the seed alone; the release shuffles with a global generator.",
        version="1.1.0",
    )
]
