"""Which answers there are to choose from: those that a task file lists, or those that a table holds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dataset_builder.task_files.definition import spelling

MOST_FOUND = 20
"""A question with more different answers than this is an open one, unless its options are listed."""

_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")


class Resolved(NamedTuple):
    """What the texts of a column mean.

    Attributes:
        texts: The answers.
        places: For each text of the column, the place of its answer; -1 for a text that is none of the options.
        respelled: For each text, whether its answer is written in another way.
    """

    texts: Sequence[str]
    places: np.ndarray
    respelled: np.ndarray


def resolve_listed(texts: Sequence[str], options: Mapping[str, str]) -> Resolved:
    """Match texts with listed options, by their codes or themselves."""
    answers = list(dict.fromkeys(options.values()))
    exact = {answer: place for place, answer in enumerate(answers)}
    exact |= {code: exact[answer] for code, answer in options.items()}
    loose = {spelling(text): place for text, place in exact.items()}
    places = np.array([exact.get(text, loose.get(spelling(text), -1)) for text in texts], dtype=np.int32)
    respelled = np.array([text not in exact and place >= 0 for text, place in zip(texts, places, strict=True)], bool)
    return Resolved(answers, places, respelled)


def resolve_found(texts: Sequence[str], counts: np.ndarray) -> Resolved:
    """Take texts that differ in blanks or capitals alone for one answer, which is written in the way most rows have."""
    most: dict[str, int] = {}
    for place, text in enumerate(texts):
        key = spelling(text)
        if key not in most or counts[place] > counts[most[key]]:
            most[key] = place
    places = np.array([most[spelling(text)] for text in texts], dtype=np.int32)
    return Resolved(texts, places, places != np.arange(len(texts)))


def resolve_open(texts: Sequence[str]) -> Resolved:
    """Every text is an answer."""
    return Resolved(texts, np.arange(len(texts), dtype=np.int32), np.zeros(len(texts), bool))


def in_order(options: Sequence[str]) -> tuple[str, ...]:
    """Answers that were found: numbers by their size, texts by the alphabet; whatever the order of the rows."""
    return tuple(sorted(options, key=lambda text: (_size(text), text)))


def _size(text: str) -> float:
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else np.inf
