"""Movie reviews with their sentiment.

Upstream: https://huggingface.co/datasets/stanfordnlp/imdb, a copy of https://ai.stanford.edu/~amaas/data/sentiment/
(Maas et al. 2011). Licence: unstated. A raw row (made up), where 0 is negative and 1 positive; the original has a text
file per review instead, whose folder tells the label:

    {"text": "Two hours of fog.<br /><br />I liked the fog.", "label": 1}
    aclImdb/train/pos/17_8.txt

The whole files: 12,500 negative and 12,500 positive reviews; 96 are repeated, all with the same label. The table and
the folder have them in different orders, so that here they are sorted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec

_PARQUET = "plain_text/train-00000-of-00001.parquet"
_ARCHIVE = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_FOLDERS = {"neg": "negative", "pos": "positive"}
_LABELS = tuple(_FOLDERS.values())  # 0, 1

IMDB = Source(
    name="imdb",
    title="Large Movie Review Dataset (IMDB)",
    homepage="https://huggingface.co/datasets/stanfordnlp/imdb",
    license="unstated",
    redistributable="unknown",
    citation="Maas et al. 2011, https://aclanthology.org/P11-1015",
    folder="imdb",
    revision="e6281661ce1c48d982bc483cf8a173c1bbeb5d31",
    files=(SourceFile(_PARQUET),),
    hub="stanfordnlp/imdb",
    other_layouts=(tuple(SourceFile(f"aclImdb/train/{folder}/*.txt", _ARCHIVE) for folder in _FOLDERS),),
)

_DESCRIPTIONS = (
    "Classify movie reviews as positive or negative.",
    "The input is a review of a movie. The output says whether its rating of the movie is positive or negative.",
    "Sentiment of movie reviews: positive or negative.",
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The training reviews as one process, sorted by rating and text: the same in both layouts."""
    draws = []
    for review, rating in _table(raw_files[_PARQUET]) if _PARQUET in raw_files else _text_files(raw_files):
        if review:
            draws.append(Draw(review, rating))
        else:
            yield Dropped("empty review")
    if draws:
        yield Example("train", _DESCRIPTIONS, tuple(sorted(draws, key=lambda draw: (draw.output, draw.input))))


def _table(path: Path) -> Iterator[tuple[str, str]]:
    table = raw.read_parquet(path, {"text": pl.String, "label": pl.Int64})
    for row, (text, label) in enumerate(table.iter_rows(), start=1):
        if label not in range(len(_LABELS)):
            raise raw.bad_row(path, row, f"the label is {label!r}, neither 0 nor 1")
        # As a text file is read, where every kind of line ending becomes the same.
        yield (text or "").replace("\r\n", "\n").replace("\r", "\n").strip(), _LABELS[label]


def _text_files(raw_files: RawFiles) -> Iterator[tuple[str, str]]:
    for folder, rating in _FOLDERS.items():
        for _, path in raw.matching(raw_files, f"aclImdb/train/{folder}/*.txt"):
            yield raw.read_text(path).strip(), rating


TASKS = [
    TaskSpec(
        name="imdb",
        kind="icl",
        split="train",
        source=IMDB,
        group="text_collections",
        summary="Whether a movie review is positive or negative.",
        process="the whole training table",
        inputs=("review",),
        outputs=("rating",),
        options=_LABELS,
        sequences=Sequences("several", Mix(128), count=200),
        read=read,
        domain="Culture",
        version="1.1.0",
    )
]
