"""What a model writes where it is asked for JSON: read strictly, since a guess at what was meant is not an answer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from spectrum_suite.lm.answers import Answer

NOT_JSON, CUT, REPEATED = "no JSON", "cut off", "an answer twice"
"""Why what is written cannot be read."""

_FENCED = re.compile(r"```[a-zA-Z]*\n(.*)\n```", re.DOTALL)

Match = Callable[[str], int | str]
"""A text -> the place of its option, or why it is none."""


class UnreadableError(Exception):
    """What is written is not what was asked for; its text says why."""


def options_as_json(options: Sequence[str]) -> str:
    """A JSON array of the options, as it stands in a request."""
    return json.dumps(list(options), ensure_ascii=False)


def read_distribution(answer: Answer, n_options: int, match: Match) -> tuple[list[float], float]:
    """The weights of all options in a JSON object from answers to numbers, and the sum of all its numbers.

    Raises:
        UnreadableError: It is something else, an option is missing or there twice, or a number is none from 0 on.
    """
    found = _read(answer)
    if not isinstance(found, dict):
        raise UnreadableError(NOT_JSON)
    weights: list[float | None] = [None] * n_options
    for text, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise UnreadableError("a probability that is not a number of at least 0")
        place = match(text)
        if isinstance(place, str):
            continue
        if weights[place] is not None:
            raise UnreadableError(REPEATED)
        weights[place] = float(value)
    if None in weights:
        raise UnreadableError("an option is missing")
    total = math.fsum(found.values())
    if not 0 < total < math.inf:
        raise UnreadableError("all probabilities are 0")
    return weights, total


def read_sequence(answer: Answer) -> list[str]:
    """The texts of a JSON array; numbers are taken as they are written.

    Raises:
        UnreadableError: It is something else, or empty.
    """
    found = _read(answer)
    if not isinstance(found, list) or not found:
        raise UnreadableError(NOT_JSON)
    return [each if isinstance(each, str) else json.dumps(each) for each in found]


def _read(answer: Answer) -> Any:
    if answer.refused:
        raise UnreadableError("refused")
    if not answer.ended:
        raise UnreadableError(CUT)
    text = answer.text.strip()
    if fenced := _FENCED.fullmatch(text):
        text = fenced[1]
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(NOT_JSON) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UnreadableError(REPEATED)
    return found


def _no_number(name: str) -> float:
    raise UnreadableError(f"a probability that is {name}")
