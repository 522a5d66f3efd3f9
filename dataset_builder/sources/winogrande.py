"""WinoGrande: which of two words fills the blank of a sentence (the validation split).

Upstream: https://huggingface.co/datasets/allenai/winogrande (arXiv 1907.10641), config ``winogrande_xl``, or
``dev.jsonl`` of the original archive. Licence of the data: CC BY. A raw row (made up):

    {"sentence": "The jar fits in the box because the _ is big.", "option1": "jar", "option2": "box", "answer": "2"}

The whole split: 1,267 sentences, each once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.multiple_choice import LETTERS, draw, one_process, task
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile

_HUB_PATH = "winogrande_xl/validation-00000-of-00001.parquet"
_FIELDS = ("sentence", "option1", "option2", "answer")

WINOGRANDE = Source(
    name="winogrande",
    title="WinoGrande 1.1",
    homepage="https://huggingface.co/datasets/allenai/winogrande",
    license="CC BY",
    redistributable="yes",
    creators="Keisuke Sakaguchi, Ronan Le Bras, Chandra Bhagavatula and Yejin Choi, Allen Institute for AI",
    citation="arXiv 1907.10641",
    folder="winogrande",
    revision="01e74176c63542e6b0bcb004dcdea22d94fb67b5",
    files=(SourceFile(_HUB_PATH),),
    hub="allenai/winogrande",
    other_layouts=((SourceFile("dev.jsonl"),),),
)

_DESCRIPTION = (
    "Each sentence has a blank, written as an underscore, and two fillers for it. The output is the letter of the "
    "filler that makes sense."
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The validation split as one process, in upstream order."""
    return one_process("validation", _DESCRIPTION, _items(raw_files))


def _items(raw_files: RawFiles) -> Iterator[Draw | Dropped]:
    [path] = raw_files.values()
    if _HUB_PATH in raw_files:
        table = raw.read_parquet(path, dict.fromkeys(_FIELDS, pl.String))
        rows: Iterator[tuple[int, dict[str, Any]]] = enumerate(table.iter_rows(named=True), 1)
    else:
        rows = raw.read_json_lines(path, dict.fromkeys(_FIELDS, str))
    for number, row in rows:
        with raw.at_row(path, number):
            item = draw((row["sentence"],), (row["option1"], row["option2"]), row["answer"], names=("1", "2"))
        yield item if "_" in (row["sentence"] or "") else Dropped("sentence without a blank")


TASKS = [
    task(
        "winogrande",
        WINOGRANDE,
        read,
        "Which of two words fills the blank of a sentence.",
        Sequences("partition", 10),
        options=LETTERS[:2],
        version="1.1.0",
    )
]
