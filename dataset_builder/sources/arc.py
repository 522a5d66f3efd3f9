"""ARC Challenge: school science questions with three to five choices (the test split).

Upstream: https://huggingface.co/datasets/allenai/ai2_arc (arXiv 1803.05457), config ``ARC-Challenge``, or the JSON
lines of the original archive. Licence: CC BY-SA 4.0. A raw row (made up) of each:

    {"id": "X_1", "question": "What melts?", "choices": {"text": ["ice", "air", "fire"], "label": ["A", "B", "C"]},
     "answerKey": "A"}
    {"id": "X_1", "question": {"stem": "What melts?", "choices": [{"text": "ice", "label": "A"}, ...]},
     "answerKey": "A"}

The whole file: 1,172 questions, whose ids upstream calls unique; in a copy with 1,150 of them every id came once, and
two questions came twice under other ids. Most have four choices, some three or five.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.multiple_choice import LETTERS, draw, task
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile

_HUB_PATH = "ARC-Challenge/test-00000-of-00001.parquet"
_HUB_TYPES = {
    "id": pl.String,
    "question": pl.String,
    "choices": pl.Struct({"text": pl.List(pl.String), "label": pl.List(pl.String)}),
    "answerKey": pl.String,
}

ARC = Source(
    name="arc",
    title="ARC Challenge",
    homepage="https://huggingface.co/datasets/allenai/ai2_arc",
    license="cc-by-sa-4.0",
    redistributable="yes",
    creators=(
        "Peter Clark, Isaac Cowhey, Oren Etzioni, Tushar Khot, Ashish Sabharwal, Carissa Schoenick and Oyvind Tafjord"
    ),
    citation="arXiv 1803.05457",
    folder="arc",
    revision="210d026faf9955653af8916fad021475a3f00453",
    files=(SourceFile(_HUB_PATH),),
    hub="allenai/ai2_arc",
    other_layouts=((SourceFile("ARC-Challenge-Test.jsonl"),),),
)

OPTIONS = (*LETTERS, "E", "1", "2", "3", "4")
_DESCRIPTION = (
    "Science questions from school, each with labelled choices. Answer with the letter of the right choice, or its "
    "number where the choices are numbered."
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The test split as one process, in upstream order."""
    draws, labels = [], []
    for item, of_question in _items(raw_files):
        if isinstance(item, Dropped):
            yield item
        else:
            draws.append(item)
            labels.append(of_question)
    if draws:
        yield Example("test", (_DESCRIPTION,), tuple(draws), options=tuple(labels))


def _items(raw_files: RawFiles) -> Iterator[tuple[Draw | Dropped, tuple[str, ...]]]:
    """Each question, and the labels of its choices."""
    [path] = raw_files.values()
    if _HUB_PATH in raw_files:
        table = raw.read_parquet(path, _HUB_TYPES)
        rows: Iterator[tuple[int, dict[str, Any]]] = enumerate(table.iter_rows(named=True), 1)
    else:
        rows = raw.read_json_lines(path, {"id": str, "question": dict, "answerKey": str})
    ids = set()
    for number, row in rows:
        with raw.at_row(path, number):
            if row["id"] in ids:
                raise ValueError(f"the id {row['id']!r} came before")
            ids.add(row["id"])
            item = _item(row)
        yield item


def _item(row: dict[str, Any]) -> tuple[Draw | Dropped, tuple[str, ...]]:
    if isinstance(row["question"], dict):
        question, choices = row["question"]["stem"], row["question"]["choices"]
        texts, labels = ([choice[name] for choice in choices] for name in ("text", "label"))
    else:
        question, texts, labels = row["question"], row["choices"]["text"], row["choices"]["label"]
    if not set(labels) <= set(OPTIONS) or len(set(labels)) != len(labels):
        raise ValueError(f"the labels {labels!r} repeat, or are not all of {', '.join(OPTIONS)}")
    return draw((question,), texts, row["answerKey"], names=labels, labels=labels), tuple(labels)


TASKS = [
    task(
        "arc",
        ARC,
        read,
        "Science questions from school with labelled choices.",
        Sequences("partition", 10),
        options=OPTIONS,
        domain="Sciences",
    )
]
