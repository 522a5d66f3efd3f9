"""DICES: what people of known demographics think of the safety of a chatbot's last turn.

Upstream: https://github.com/google-research-datasets/dices-dataset (arXiv 2306.11247). Licence: CC BY 4.0. A raw row
(made up) of the 990 set, most columns left out; the 350 set has no ``rater_locale``:

    id,rater_id,rater_gender,rater_locale,rater_raw_race,rater_age,rater_education,context,response,Q_overall
    0,29,Woman,US,White,gen z,College degree or higher,USER: Is tea good?,It can be.,No

The whole files have a row for each rater and conversation, with an id of its own. Nothing rests on the ids: only a row
that is the same in all columns is taken for a copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.gathered_answers import gathered
from dataset_builder.sources.shared.people import choose, with_and_without
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec

_REPOSITORY = "google-research-datasets/dices-dataset"
_REVISION = "c6bc01a37eace39c904eb0a3944fc6c4230a9157"
_PATHS = {size: f"{size}/diverse_safety_adversarial_dialog_{size}.csv" for size in ("990", "350")}

DICES = Source(
    name="dices",
    title="DICES: diversity in conversational AI evaluation for safety",
    homepage=f"https://github.com/{_REPOSITORY}",
    license="cc-by-4.0",
    redistributable="yes",
    creators=(
        "Lora Aroyo, Alex S. Taylor, Mark Diaz, Christopher M. Homan, Alicia Parrish, "
        "Greg Serapio-Garcia, Vinodkumar Prabhakaran and Ding Wang, Google LLC"
    ),
    citation="arXiv 2306.11247",
    folder="dices",
    revision=_REVISION,
    files=tuple(
        SourceFile(path, f"https://raw.githubusercontent.com/{_REPOSITORY}/{_REVISION}/{path}")
        for path in _PATHS.values()
    ),
    divisible=True,
)

ANSWERS = ("Yes", "No", "Unsure")
_MAX_RATERS = 500
_RACE_COLUMNS = ("rater_raw_race", "rater_race_raw")  # published copies of the 990 set differ in the name
_TEXTS = (
    "One person judges conversations between a user and a chatbot: is the chatbot's last turn unsafe? Yes, No or "
    "Unsure.",
    "All answers are by the same rater, who reads a conversation (context) and the chatbot's final turn (response), "
    "and says whether that turn is unsafe: Yes, No or Unsure.",
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per rater, first of the 990 set, then of the 350 set; raters and draws in upstream order."""
    for size, path in ((size, raw_files[name]) for size, name in _PATHS.items() if name in raw_files):
        draws: dict[str, list[Draw]] = {}
        facts: dict[str, dict[str, str | None]] = {}
        table = _table(path, size)
        rows = table.unique(pl.exclude("row"), keep="first", maintain_order=True)
        if len(rows) < len(table):
            yield Dropped("row that is a copy of an earlier one", len(table) - len(rows))
        for row in rows.iter_rows(named=True):
            with raw.at_row(path, row["row"]):
                draw = _draw(row)
            if isinstance(draw, Dropped):
                yield draw
                continue
            draws.setdefault(row["rater_id"], []).append(draw)
            facts.setdefault(row["rater_id"], _facts(row))
        raters, dropped = choose(draws, f"dices/{size}", at_most=_MAX_RATERS)
        yield from dropped
        for rater in raters:
            yield Example(f"{size}/{rater}", with_and_without(_TEXTS, facts[rater]), tuple(draws[rater]))


def _table(path: Path, size: str) -> pl.DataFrame:
    columns = ["id", "rater_id", "rater_gender", "rater_age", "rater_education", "context", "response", "Q_overall"]
    locale = ["rater_locale"] if size == "990" else []
    header = raw.column_names(path)
    race = next((name for name in _RACE_COLUMNS if name in header), _RACE_COLUMNS[0])
    return raw.read_csv(path, dict.fromkeys([*columns, *locale, race], pl.String)).with_row_index("row", offset=1)


def _draw(row: dict[str, str | None]) -> Draw | Dropped:
    context, response, answer = ((row[name] or "").strip() for name in ("context", "response", "Q_overall"))
    if not (context and response and answer):
        return Dropped("row without a conversation or an answer")
    if not row["rater_id"]:
        raise ValueError("column 'rater_id' is empty")
    if answer not in ANSWERS:
        raise ValueError(f"column 'Q_overall' holds {answer!r}, which is not one of {ANSWERS}")
    return Draw(json.dumps({"context": context, "response": response}, ensure_ascii=False), answer)


def _facts(row: dict[str, str | None]) -> dict[str, str | None]:
    race = next(row[name] for name in _RACE_COLUMNS if name in row)
    return {
        "gender": row["rater_gender"],
        "country": row.get("rater_locale"),
        "race or ethnicity": race,
        "age": row["rater_age"],
        "education": row["rater_education"],
    }


_RATERS = TaskSpec(
    name="dices",
    kind="icl",
    split="train",
    source=DICES,
    group="human_variation",
    summary="Whether one rater finds a chatbot's last turn unsafe.",
    process="one rater of the 990 or of the 350 set",
    inputs=("context", "response"),
    outputs=("Q_overall",),
    options=ANSWERS,
    sequences=Sequences("one", 100),
    read=read,
    domain="Conversation",
    quirks=(
        "Whether and how a rater is described differs between raters (in the release it is never with "
        "demographics), and the race is read from the column that the file has."
    ),
)

TASKS = [
    _RATERS,
    gathered(
        _RATERS,
        "dices",
        "Whether different raters find a chatbot's last turn unsafe.",
        "Different people judge conversations between a user and a chatbot: is the chatbot's last turn unsafe? Yes, No "
        "or Unsure. Each output is the answer of another person.",
    ),
]
