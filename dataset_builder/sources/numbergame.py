"""The number game: people see numbers of a hidden set and say whether another belongs to it.

Upstream: https://doi.org/10.7910/DVN/A8ZWLF (doi 10.5334/jopd.19), to be fetched by hand. Licence: unstated. Raw rows
(made up), where p is the share of people who said yes for the set and target; other columns are not read:

    set,target,rating,id,p
    2_ 4_ 8,16,1,0,0.9

The whole file: 272,640 rows, for 9,088 times that a person saw one of 255 sets and judged 30 targets. The sets are
written with a space after each underscore, and their numbers are not in order.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import (
    Draw,
    Dropped,
    Example,
    Mix,
    RawFiles,
    Sequences,
    Source,
    SourceFile,
    Target,
    TaskSpec,
)

_PATH = "numbergame_data.csv"

NUMBERGAME = Source(
    name="numbergame",
    title="The number game: judgements of generalisation",
    homepage="https://doi.org/10.7910/DVN/A8ZWLF",
    license="unstated",
    redistributable="unknown",
    citation="Bigelow and Piantadosi 2016, Journal of Open Psychology Data, doi 10.5334/jopd.19",
    folder="numbergame",
    files=(SourceFile(_PATH),),
)

ANSWERS = {1.0: "Yes", 0.0: "No"}
GAME = (
    "In the number game, some numbers between 1 and 100 are drawn from a hidden set, such as the even numbers or the "
    "numbers from 20 to 30. People see them and say whether a further number, the target, belongs to the set."
)
_LISTS_OF_FIELDS = (
    "Given: given_numbers, target_number. To produce: target_belongs_to_set.",
    "The input has the fields given_numbers and target_number, the output is target_belongs_to_set.",
)
_SHARE_TEXTS = (
    f"{GAME} The output is the percentage of people who said yes.",
    f"{GAME} For the numbers that were seen and the target, give the share of yes among all answers as a percentage.",
)
_FIELDS = ("given_numbers", "target_number")


def read_table(raw_files: RawFiles) -> Generator[Dropped, None, pl.DataFrame]:
    """Yield what is left out; return the answers of yes (1) and no (0), in upstream order, with sets like ``2_4_8``."""
    path = raw_files[_PATH]
    columns = {"set": pl.String, "target": pl.Int64, "rating": pl.Float64, "id": pl.String, "p": pl.Float64}
    table = raw.read_csv(path, columns)
    bad = ~pl.col("set").str.contains(r"^\s*\d+(\s*_\s*\d+)*\s*$") | ~pl.col("p").is_between(0, 1)
    if len(rows := table.select(bad.arg_true()).to_series()):
        raise raw.bad_row(path, rows[0] + 1, "a set must be numbers joined by _, and p a share between 0 and 1")
    table = table.with_columns(pl.col("set").str.replace_all(r"\s", ""))
    kept = table.drop_nulls().filter(pl.col("rating").is_in(list(ANSWERS)))
    if len(kept) < len(table):
        yield Dropped("row with an empty cell, or a rating other than 0 and 1", len(table) - len(kept))
    return kept


def read_people(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per person, in order of appearance."""
    table = yield from read_table(raw_files)
    draws: dict[str, list[Draw]] = {}
    for person, numbers, target, rating in table.select("id", "set", "target", "rating").rows():
        draws.setdefault(person, []).append(Draw(_given(numbers, target), ANSWERS[rating]))
    for person, answered in draws.items():
        yield Example(person, _LISTS_OF_FIELDS, tuple(answered))


def read_shares(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The table as one process, with one draw per set and target."""
    table = yield from read_table(raw_files)
    pairs = table.unique(["set", "target"], keep="first", maintain_order=True)
    percent = (100 * pl.col("p")).round(mode="half_away_from_zero").cast(pl.Int64)
    rows = pairs.select("set", "target", percent).rows()
    if rows:
        draws = tuple(Draw(_given(numbers, target), f"{percent}%") for numbers, target, percent in rows)
        yield Example("table", _SHARE_TEXTS, draws)


def _given(numbers: str, target: int) -> str:
    return json.dumps({"given_numbers": listed(numbers), "target_number": str(target)})


def listed(numbers: str) -> str:
    """The numbers of a set as they are shown."""
    return numbers.replace("_", ", ")


_MIN_ANSWERS = 9


def read_targets(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per set and target with at least 9 answers, in order of appearance."""
    table = yield from read_table(raw_files)
    pairs = table.group_by("set", "target", maintain_order=True).agg(pl.len(), pl.col("rating").sum()).rows()
    for numbers, target, answers, yes in pairs:
        if answers < _MIN_ANSWERS:
            yield Dropped(f"answer to a pair with fewer than {_MIN_ANSWERS}", answers)
            continue
        prompt = f"Numbers of the set: {listed(numbers)}\nTarget: {target}"
        shares = (yes / answers, 1 - yes / answers)
        truth = Target(prompt, tuple(ANSWERS.values()), shares, n_responses=answers)
        yield Example(f"{numbers}/{target}", (f"{GAME} Does the target belong to the set: Yes or No?",), target=truth)


TASKS = [
    TaskSpec(
        name="numbergame_individual",
        kind="icl",
        split="test",
        source=NUMBERGAME,
        group="human_variation",
        summary="How one person plays the number game.",
        process="one participant",
        inputs=_FIELDS,
        outputs=("target_belongs_to_set",),
        options=tuple(ANSWERS.values()),
        sequences=Sequences("one"),
        read=read_people,
        domain="Math",
    ),
    TaskSpec(
        name="numbergame_perc",
        kind="icl",
        split="test",
        source=NUMBERGAME,
        group="human_variation",
        summary="What percentage of people take a number for a member of a set of which they know some numbers.",
        process="the whole table",
        inputs=_FIELDS,
        outputs=("perc",),
        sequences=Sequences("partition", Mix(128)),
        read=read_shares,
        version="1.1.0",
        domain="Math",
    ),
    TaskSpec(
        name="dist_numbergame",
        kind="distribution",
        split="test",
        source=NUMBERGAME,
        group="human_variation",
        summary="Whether a random person takes a number for a member of a set of which they know some numbers.",
        process="one set of numbers and one target number",
        inputs=("example",),
        outputs=("answer",),
        options=tuple(ANSWERS.values()),
        read=read_targets,
        domain="Math",
        output_label="Target Number Membership (Yes/No)",
    ),
]
