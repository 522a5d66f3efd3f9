"""DROP: questions about a passage that need counting, comparing or sorting (the validation split).

Upstream: https://huggingface.co/datasets/ucinlp/drop (arXiv 1903.00161). Licence: CC BY-SA 4.0. A raw row (made up):

    {"section_id": "x_1", "query_id": "0a", "passage": "Ada ran 3 km, Bo 5 km.", "question": "Who ran further?",
     "answers_spans": {"spans": ["Bo", "Bo"], "types": ["span", "span"]}}

The whole split: a passage has a row for each of its questions; ids are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.multiple_choice import one_process
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec

_PATH = "data/validation-00000-of-00001.parquet"
_TYPES = {"passage": pl.String, "question": pl.String, "answers_spans": pl.Struct({"spans": pl.List(pl.String)})}

DROP = Source(
    name="drop",
    title="DROP",
    homepage="https://huggingface.co/datasets/ucinlp/drop",
    license="cc-by-sa-4.0",
    redistributable="yes",
    creators="Dheeru Dua, Yizhong Wang, Pradeep Dasigi, Gabriel Stanovsky, Sameer Singh and Matt Gardner",
    citation="arXiv 1903.00161",
    folder="drop",
    revision="95cda593fae71b60b5b19f82de3fcf3298c1239c",
    files=(SourceFile(_PATH),),
    hub="ucinlp/drop",
)

_DESCRIPTION = (
    "Each input is a passage with a question about it. Give a short answer that stands in the passage or follows from "
    "it."
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The validation split as one process, in upstream order; the answer is the first that is listed."""
    return one_process("validation", _DESCRIPTION, _items(raw_files[_PATH]))


def _items(path: Path) -> Iterator[Draw | Dropped]:
    for row, (passage, question, answers) in enumerate(raw.read_parquet(path, _TYPES).iter_rows(), start=1):
        with raw.at_row(path, row):
            if (spans := answers["spans"]) is None:
                raise ValueError("it has no list of answers in 'answers_spans'")
            texts = [str.strip(text or "") for text in (passage, question, spans[0] if spans else "")]
        if all(texts):
            yield Draw(f"{texts[0]}\nQuestion: {texts[1]}", texts[2])
        else:
            yield Dropped("passage, question or answer is empty")


TASKS = [
    TaskSpec(
        name="drop",
        kind="icl",
        split="test",
        source=DROP,
        group="capability",
        summary="Questions about a passage that need counting, comparing or sorting.",
        process="the whole split",
        inputs=("prompt",),
        outputs=("answer_text",),
        sequences=Sequences("partition", 10),
        read=read,
    )
]
