"""The 120 statements of the Machine Personality Inventory, those of the IPIP-NEO-120, and where its files are.

Upstream: https://github.com/jfisher52/AI_Pluralistic_Alignment. Licence: unstated; the statements are in the public
domain. A raw row (made up; tabs between the fields):

    label_raw    text                     label_ocean    key
    Order        Leave cups in the sink   C              -1

The whole file: 120 statements below a header.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dataset_builder import raw
from dataset_builder.task_spec import Source, SourceFile

_REVISION = "5056ab9f21d7ba19d4bdcecba8fd139a2ee1ca50"
_REPOSITORY = "jfisher52/AI_Pluralistic_Alignment"
ITEMS, ANSWERS = "data/mpi_questions.csv", "data/mpi_human_resp.csv"

MPI_PERSONALITY = Source(
    name="mpi_personality",
    title="Machine Personality Inventory: answers to the IPIP-NEO-120",
    homepage=f"https://github.com/{_REPOSITORY}",
    license="unstated",
    redistributable="unknown",
    citation="Johnson 2014, Journal of Research in Personality 51; arXiv 2206.07550",
    folder="mpi",
    revision=_REVISION,
    files=(
        SourceFile(
            ITEMS,
            f"https://raw.githubusercontent.com/{_REPOSITORY}/{_REVISION}/{ITEMS}",
            "6bdfa77097d84393265a8352fe7358872bcc292196e8688af0a6ec121affaeb6",
        ),
        SourceFile(ANSWERS),
    ),
)


class Statement(NamedTuple):
    """A statement of the questionnaire; ``reversed`` where agreeing with it speaks against its trait."""

    text: str
    reversed: bool


def read_statements(path: Path) -> list[Statement]:
    """The statements in the order of the questionnaire."""
    header, *lines = raw.read_text(path).splitlines()
    if header.split("\t") != ["label_raw", "text", "label_ocean", "key"]:
        raise raw.bad_row(path, 1, f"the header is {header!r}")
    statements = []
    for row, line in enumerate(lines, start=2):
        with raw.at_row(path, row):
            _, text, _, key = line.split("\t")
            statements.append(Statement(text.strip().rstrip("."), {"1": False, "-1": True}[key]))
            if not statements[-1].text:
                raise ValueError("there is no statement")
    return statements
