"""How people answer the 120 statements of a personality questionnaire (IPIP-NEO-120, Machine Personality Inventory).

Upstream: https://github.com/jfisher52/AI_Pluralistic_Alignment, whose README links the answers (Johnson 2014) on a
shared drive. Licence: unstated; the statements are in the public domain. Raw rows (made up) of the statements (tabs
between the fields), and of the answers, a line per respondent with a column per statement:

    label_raw    text                     label_ocean    key
    Order        Leave cups in the sink   C              -1

    CASE,SEX,I1,I2
    17,1,4,0

The whole files: 120 statements below a header, and 620,000 respondents.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import Dropped, Example, RawFiles, Source, SourceFile, Target, TaskSpec

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
                raise ValueError("the statement is empty")
    return statements


SCALE = {
    1: "Very inaccurate",
    2: "Moderately inaccurate",
    3: "Neither accurate nor inaccurate",
    4: "Moderately accurate",
    5: "Very accurate",
}
OPTIONS = tuple(map(str, SCALE))
_UNANSWERED = 0
_COLUMNS_AT_A_TIME = 20  # 620,000 respondents: this bounds memory
_DESCRIPTION = (
    "A random respondent to a personality questionnaire rates how well a statement describes them, from 1 (very "
    "inaccurate: strongly disagree) to 5 (very accurate: strongly agree)."
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per statement, with the shares of the answers 1 to 5.

    What we decided, from Johnson's notes on his data and the notebook ``analyze_data_mpi.ipynb`` of the upstream:

    - 0 is no answer. It marks a statement that the respondent left out, so it is dropped like an empty value. The
      release counts it as a sixth answer, "strongly disagree", which nobody could give.
    - Answers to reversed statements (key -1) are stored recoded, 5 for 1 and so on, so that the answers of a trait can
      be added up. Here they are turned back into what the respondents said; the release leaves them recoded.
    - The five answers are named as in the questionnaire, by accuracy.
    """
    statements = read_statements(raw_files[ITEMS])
    for number, answers in enumerate(_answers(raw_files[ANSWERS], len(statements)), start=1):
        statement, name = statements[number - 1], f"I{number}"
        if n_unanswered := (answers == _UNANSWERED).sum() + answers.null_count():
            yield Dropped("answer missing: 0 or empty", n_unanswered)
        counts = [(answers == (6 - option if statement.reversed else option)).sum() for option in SCALE]
        if not (total := sum(counts)):
            yield Dropped("statement that nobody answered")
            continue
        options = (f"{option}: {meaning}" for option, meaning in SCALE.items())
        text = "\n".join((f"You {statement.text[0].lower()}{statement.text[1:]}.", *options))
        target = Target(text, OPTIONS, tuple(count / total for count in counts), n_responses=total)
        yield Example(name, (_DESCRIPTION,), target=target)


def _answers(path: Path, n_statements: int) -> Iterator[pl.Series]:
    """The answers of all respondents to each statement: 0 to 5, or null."""
    names = [f"I{number}" for number in range(1, n_statements + 1)]
    known = [float(value) for value in (_UNANSWERED, *SCALE)]
    for start in range(0, n_statements, _COLUMNS_AT_A_TIME):
        table = raw.read_csv(path, dict.fromkeys(names[start : start + _COLUMNS_AT_A_TIME], pl.Float64))
        for column in table:
            if len(bad := (~column.is_in(known)).arg_true()):
                raise raw.bad_row(path, bad[0] + 1, f"column {column.name!r} holds {column[bad[0]]}, not 0 to 5")
            yield column


TASKS = [
    TaskSpec(
        name="dist_mpi",
        kind="distribution",
        split="test",
        source=MPI_PERSONALITY,
        group="human_variation",
        summary="How well a random respondent says that a statement of a personality questionnaire describes them.",
        process="one statement of the questionnaire",
        inputs=("statement",),
        outputs=("answer",),
        options=OPTIONS,
        read=read,
        domain="SocialSciences",
        output_label="Agreement Rating (1-5)",
        quirks="0 marks a missing answer and is no option (the release has six). Answers to reversed statements, which "
        "the data hold recoded, are turned back.",
    ),
]
