"""Titanic: passengers with their class, sex, age, family, fare and port, and whether they survived.

Upstream: https://huggingface.co/datasets/mstz/titanic, a copy of Kaggle's table. Licence: "cc", as the card says. A raw
row (made up) of the file on the Hub (missing values are ? or empty quotes), of its Parquet form and of Kaggle's file:

    has_survived,passenger_class,sex,age,sibsp,parch,ticket,fare,cabin,embarked: 1,2,female,?,0,1,'A 1',20.5,'',S
    passenger_class,is_male,age,sibsp,parch,ticket,fare,cabin,embarked,has_survived: 2,false,-1,0,1,'A 1',20.5,'',S,1
    PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked: 1,1,2,...,female,,0,1,A 1,20.5,,S

The whole file: 891 passengers, every id once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import (
    Draw,
    Dropped,
    Example,
    Group,
    Mix,
    RawFiles,
    Sequences,
    Source,
    SourceFile,
    TaskSpec,
)

_CSV, _PARQUET = "titanic.csv", "survival/train/0000.parquet"

TITANIC = Source(
    name="titanic",
    title="Titanic passengers",
    homepage="https://huggingface.co/datasets/mstz/titanic",
    license="cc (as the card of the dataset states)",
    redistributable="unknown",
    citation="Titanic - Machine Learning from Disaster, Kaggle",
    folder="titanic",
    revision="8d2e7341082841e69c0d18a43267d8fc2406d2bc",
    hub="mstz/titanic",
    files=(SourceFile(_CSV),),
    other_layouts=((SourceFile(_PARQUET),),),
)

PORTS = {"C": "Cherbourg", "Q": "Queenstown", "S": "Southampton"}
_MISSING = {None, "", "?", "''"}
_IS_MALE = {"male": True, "female": False, "true": True, "false": False}
NAMES = ("has_survived", "passenger_class", "is_male", "age", "sibsp", "parch", "fare", "embarked")
_KAGGLE_NAMES = ("Survived", "Pclass", "Sex", "Age", "SibSp", "Parch", "Fare", "Embarked")


def read_passengers(raw_files: RawFiles) -> Iterator[dict[str, Any]]:
    """Yield each passenger as name of ``NAMES`` -> value, in upstream order."""
    path, table = _read_table(raw_files)
    for number, row in enumerate(table.iter_rows(named=True), start=1):
        with raw.at_row(path, number):
            passenger = _passenger(row)
        yield passenger


def _read_table(raw_files: RawFiles) -> tuple[Path, pl.DataFrame]:
    """The columns of ``NAMES`` as text, in whichever layout they are there."""
    if (path := raw_files.get(_PARQUET)) is not None:
        return path, raw.read_parquet(path, dict.fromkeys(NAMES, pl.String))
    path = raw_files[_CSV]
    if "Pclass" not in raw.read_text(path).partition("\n")[0]:
        names = [{"is_male": "sex"}.get(name, name) for name in NAMES]
        return path, raw.read_csv(path, dict.fromkeys(names, pl.String)).rename({"sex": "is_male"})
    table = raw.read_csv(path, dict.fromkeys(("PassengerId", *_KAGGLE_NAMES), pl.String))
    if len(again := (~table["PassengerId"].is_first_distinct()).arg_true()):
        raise raw.bad_row(path, again[0] + 1, f"passenger {table['PassengerId'][again[0]]} is repeated")
    return path, table.rename(dict(zip(_KAGGLE_NAMES, NAMES, strict=True)))


def _passenger(row: dict[str, str | None]) -> dict[str, Any]:
    for name, known in {"has_survived": "01", "passenger_class": "123", "is_male": _IS_MALE}.items():
        if not row[name] or row[name] not in known:
            raise ValueError(f"{name} is {row[name]!r}, which is not one of {list(known)}")
    port = "unknown" if row["embarked"] in _MISSING else row["embarked"]
    if port not in {*PORTS, "unknown"}:
        raise ValueError(f"embarked is {port!r}, which is not one of {list(PORTS)}")
    return {
        "has_survived": row["has_survived"],
        "passenger_class": int(row["passenger_class"]),
        "is_male": _IS_MALE[row["is_male"]],
        "age": -1.0 if row["age"] in _MISSING else _number(row, "age"),
        **{name: _number(row, name) for name in ("sibsp", "parch", "fare")},
        "embarked": port,
    }


def _number(row: dict[str, str | None], name: str) -> float:
    number = float(row[name] or "nan")
    if not math.isfinite(number):
        raise ValueError(f"{name} is {row[name]!r}, which is not a number")
    return number


_ATTRIBUTES = (
    "passenger_class (1 to 3), is_male, age in years (-1 if unknown), sibsp (siblings and spouses aboard), parch "
    "(parents and children aboard), fare (price of the ticket) and embarked (port: "
    f"{', '.join(f'{letter} for {port}' for letter, port in PORTS.items())}, or unknown)"
)
_TABLE_TEXTS = (
    f"Passengers of the Titanic, each as JSON with has_survived (0: no, 1: yes), {_ATTRIBUTES}.",
    f"Each output is one passenger of the Titanic. The fields of the JSON are has_survived (1 for survivors, 0 for the "
    f"others), {_ATTRIBUTES}.",
)
_SURVIVAL_TEXTS = (
    f"Did this passenger of the Titanic survive (1) or not (0)? Given are {_ATTRIBUTES}.",
    f"Predict from what is known of a passenger of the Titanic whether they lived: 0 for no, 1 for yes. The input has "
    f"{_ATTRIBUTES}.",
)


def read(raw_files: RawFiles, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Iterator[Example | Dropped]:
    """All passengers as one process, in upstream order."""
    draws = tuple(
        Draw(_text(passenger, inputs) if inputs else None, _text(passenger, outputs))
        for passenger in read_passengers(raw_files)
    )
    yield Example("train", _SURVIVAL_TEXTS if inputs else _TABLE_TEXTS, draws)


def _text(passenger: dict[str, Any], names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return passenger[names[0]]
    return json.dumps({name: passenger[name] for name in names})


def _task(name: str, group: Group, summary: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> TaskSpec:
    return TaskSpec(
        name=f"titanic_{name}",
        kind="icl",
        split="train",
        source=TITANIC,
        group=group,
        summary=summary,
        process="the whole table",
        inputs=inputs,
        outputs=outputs,
        options=("0", "1") if inputs else None,
        sequences=Sequences("partition", Mix(64)),
        read=partial(read, inputs=inputs, outputs=outputs),
        domain="Culture",
        quirks="A port that is not known is called unknown.",
    )


TASKS = [
    _task("all_variables", "text_collections", "Passengers of the Titanic.", (), NAMES),
    _task("survival_prediction", "uncertainty", "Who survived the Titanic.", NAMES[1:], ("has_survived",)),
]
