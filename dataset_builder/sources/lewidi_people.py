"""The people of LeWiDi 2025: what each of them answered, and what is told of them.

Upstream: see ``lewidi.py``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dataset_builder import raw
from dataset_builder.sources.lewidi import read_items
from dataset_builder.task_spec import Draw, Dropped, Example

_UNTOLD = {"", "nan", "DATA_EXPIRED", "CONSENT_REVOKED", "Prefer not to say"}

Answers = Iterable[tuple[str, Draw | Dropped]]
"""(person, draw) for each person who annotated an item."""


def read_by_person(
    items: Path,
    people: Mapping[str, Mapping[str, Any]],
    answers: Callable[[dict[str, Any]], Answers],
    describe: Callable[[str], tuple[str, ...]],
) -> Iterator[Example | Dropped]:
    """One process per person, in the order of the file of people; draws in the order of items.

    Args:
        items: The file of items.
        people: Id -> what is told of a person.
        answers: Item -> the answers to it.
        describe: What is known of a person (see :func:`about`) -> descriptions.
    """
    draws: dict[str, list[Draw]] = {person: [] for person in people}
    for row, item in read_items(items):
        with raw.at_row(items, row):
            given = list(answers(item))
        for person, draw in given:
            if isinstance(draw, Dropped):
                yield draw
            else:
                draws.setdefault(person, []).append(draw)
    for person, answered in draws.items():
        if answered:
            yield Example(person, describe(about(people.get(person, {}))), tuple(answered))


def about(person: Mapping[str, Any]) -> str:
    """What is known of a person as the end of a description, or nothing."""
    told = {name.removesuffix(" simplified").lower(): _told(value) for name, value in person.items()}
    known = "; ".join(f"{name}: {value}" for name, value in told.items() if value not in _UNTOLD)
    return f" About this person: {known}." if known else ""


def rated(item: dict[str, Any], given: dict[str, str], ratings: Collection[str]) -> Answers:
    """The answers to an item, each one of ``ratings``; ``given`` is what the people saw."""
    given_text = json.dumps({name: value.strip() for name, value in given.items()}, ensure_ascii=False)
    empty = [name for name, value in given.items() if not value.strip()]
    for person, rating in item["annotations"].items():
        if rating not in ratings:
            raise ValueError(f"the rating {rating!r} is none of {list(ratings)}")
        yield person, Dropped(f"annotation of an empty {empty[0]}") if empty else Draw(given_text, rating)


def _told(value: object) -> str:
    """A value as text: ages are numbers in some files, and not a number where they are unknown."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return str(value).strip()
