"""Titanic: passengers with their class, sex, age, family, fare and port, and whether they survived.

Upstream, licence and a raw row: see ``titanic.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from dataset_builder.sources.titanic import NAMES, PORTS, TITANIC, read_passengers
from dataset_builder.task_spec import Draw, Dropped, Example, Group, Mix, RawFiles, Sequences, TaskSpec

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
