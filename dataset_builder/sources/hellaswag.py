"""HellaSwag: which of four endings continues the description of an activity (the validation split).

Upstream: https://huggingface.co/datasets/Rowan/hellaswag (arXiv 1905.07830), or the original JSON lines. Licence: MIT.
Part of the texts comes from wikiHow, which had the original repository taken down in September 2026, so whether they
may be redistributed is unclear. A raw row (made up, most fields left out); the Hub has the label as a string:

    {"activity_label": "Rowing", "ctx": "Two people sit in a boat. they", "label": 2,
     "endings": ["sing to a cat.", "eat the oars.", "take up the oars.", "paint it."]}

The whole split: 10,042 rows; ids are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.multiple_choice import draw, one_process, task
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile

_HUB_PATH = "data/validation-00000-of-00001.parquet"
_ORIGINAL_PATH = "data/hellaswag_val.jsonl"

HELLASWAG = Source(
    name="hellaswag",
    title="HellaSwag",
    homepage="https://huggingface.co/datasets/Rowan/hellaswag",
    license="mit",
    redistributable="unknown",
    notices=("Copyright (c) 2019 Rowan Zellers",),
    citation="arXiv 1905.07830",
    folder="hellaswag",
    revision="218ec52e09a7e7462a5400043bb9a69a41d06b76",
    files=(SourceFile(_HUB_PATH),),
    hub="Rowan/hellaswag",
    other_layouts=((SourceFile(_ORIGINAL_PATH),),),
)

_DESCRIPTION = (
    "Each input names an activity and begins a text about it, followed by four endings. The output is the letter of "
    "the ending that continues the text best."
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The validation split as one process, in upstream order."""
    return one_process("validation", _DESCRIPTION, _items(raw_files))


def _items(raw_files: RawFiles) -> Iterator[Draw | Dropped]:
    [path] = raw_files.values()
    if _HUB_PATH in raw_files:
        types = {"activity_label": pl.String, "ctx": pl.String, "endings": pl.List(pl.String), "label": pl.String}
        rows: Iterator[tuple[int, dict[str, Any]]] = enumerate(raw.read_parquet(path, types).iter_rows(named=True), 1)
    else:
        fields = {"activity_label": str, "ctx": str, "endings": list, "label": int | str}
        rows = raw.read_json_lines(path, fields)
    for number, row in rows:
        with raw.at_row(path, number):
            activity = str.strip(row["activity_label"] or "")
            parts = (f"Activity: {activity}" if activity else "", row["ctx"])
            item = draw(parts, row["endings"], str(row["label"]), names=("0", "1", "2", "3"))
        yield item


TASKS = [
    task(
        "hellaswag",
        HELLASWAG,
        read,
        "Which of four endings continues the description of an activity.",
        Sequences("partition", 20),
    )
]
