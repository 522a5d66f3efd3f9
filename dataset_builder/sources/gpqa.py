"""GPQA: science questions that are hard even for experts of a neighbouring field (the main set).

Upstream: https://github.com/idavidrein/gpqa (arXiv 2311.12022), ``gpqa_main.csv`` in the password-protected
``dataset.zip``. Licence: CC BY 4.0, but the authors ask not to publish the questions where they could be crawled, so
the file is fetched by hand and what is built from it stays private. A raw row (made up, most columns left out):

    Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3,Subdomain
    How many legs has a spider?,8,6,4,10,Counting

The whole file: 448 questions; ids are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.multiple_choice import one_process, shuffled_draw, task
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile

GPQA = Source(
    name="gpqa",
    title="GPQA (main set)",
    homepage="https://github.com/idavidrein/gpqa",
    license="cc-by-4.0",
    redistributable="no",
    creators="David Rein and others",
    citation="arXiv 2311.12022",
    folder="gpqa",
    files=(SourceFile("dataset/gpqa_main.csv"),),  # its path in the archive
    other_layouts=((SourceFile("gpqa_main.csv"),),),
)

_COLUMNS = ("Subdomain", "Question", "Correct Answer", *(f"Incorrect Answer {number}" for number in (1, 2, 3)))
_DESCRIPTION = (
    "Science questions that are very hard, each with four choices. Answer with the letter of the correct choice and "
    "nothing else."
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The main set as one process, in upstream order."""
    [path] = raw_files.values()
    return one_process("main", _DESCRIPTION, _items(path))


def _items(path: Path) -> Iterator[Draw | Dropped]:
    for row, (subject, question, right, *wrong) in enumerate(
        raw.read_csv(path, dict.fromkeys(_COLUMNS, pl.String)).iter_rows(), start=1
    ):
        with raw.at_row(path, row):
            heading = (f"Subject: {subject.strip()}",) if subject and subject.strip() else ()
            item = shuffled_draw((*heading, question), right, wrong, "gpqa", str(question))
        yield item


TASKS = [
    task(
        "gpqa",
        GPQA,
        read,
        "Science questions that experts find hard.",
        Sequences("several", 20, count=1000),
        domain="Sciences",
        quirks="The order of the choices depends on the question alone, so it is the same in every row and build.",
    )
]
