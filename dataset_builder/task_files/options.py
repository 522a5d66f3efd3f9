"""Which answers there are to choose from: those that a task file lists, or those that a table holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dataset_builder.task_files.definition import spelling

MOST_FOUND = 20
"""A question with more different answers than this is an open one, unless its options are listed."""

_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?(?![\d.,])")
_HIGH_CODES = {77, 88, 97, 98, 99, 777, 888, 997, 998, 999, 7777, 8888, 9997, 9998, 9999}
_FAR = 5  # times the highest answer that a code is, at least
_SCALE = 5  # ends of a scale around 0


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
    """Take texts that are spelled alike for one answer, which is written in the way most rows have."""
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


def codes_of_no_answer(texts: Iterable[str]) -> tuple[str, ...]:
    """Numbers among the answers to a question that seem to mean there is none: -99 or 99 beside a scale from 1 to 5."""
    texts = list(texts)
    numbers = {text: int(float(text)) for text in texts if re.fullmatch(r"-?\d+(?:\.0+)?", text)}
    codes = {text: number for text, number in numbers.items() if number < 0 or number in _HIGH_CODES}
    rest = [number for text, number in numbers.items() if text not in codes]
    if len(numbers) < len(texts):  # most answers are words
        return tuple(codes)
    if len(rest) < 2:  # noqa: PLR2004
        return ()
    lowest, highest = min(rest), max(rest)
    return tuple(
        text
        for text, number in codes.items()
        if (number >= _FAR * highest if number > 0 else lowest > 0 or -number > max(highest, _SCALE))
    )


def in_order(options: Sequence[str]) -> tuple[str, ...]:
    """Answers that were found: those that begin with a number by its size, others by the alphabet; whatever the order
    of the rows."""
    return tuple(sorted(options, key=lambda text: (_size(text), text)))


def _size(text: str) -> float:
    found = _NUMBER.match(text)
    return float(found[0].replace(",", ".")) if found else np.inf
