"""What the datasets of LeWiDi 2025 (third edition) share: repository, format of the files, and people.

Upstream: https://github.com/Le-Wi-Di/le-wi-di.github.io. Licence: unstated. Raw rows (made up), an item and a person:

    "101": {"annotation task": "...", "text": {"context": "It rains.", "statement": "It is wet."}, "annotators": "Ann1",
            "annotations": {"Ann1": "entailment"}, "lang": "en", "other_info": {...}, ...}
    "Ann1": {"Gender": "Female", "Age": "30",}
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, Source, SourceFile
from spectrum_suite.errors import UserError

_REVISION = "45d7b06e4c36b59472d6bdf9281f7f1e395eb0e0"
_FIELDS = {"text": dict, "annotators": str, "annotations": dict, "lang": str, "other_info": dict}
_STRING_OR_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


def source(name: str, title: str, citation: str, *layouts: Mapping[str, str | None]) -> Source:
    """The source of one dataset.

    Args:
        name: Our name for it.
        title: Its full name.
        citation: Where it is described.
        *layouts: Upstream path -> sha256 of the whole file, where known. Each layout is a set of files that can be
            read; the first is the one to fetch.
    """
    files, *other_layouts = map(_pinned, layouts)
    return Source(
        name=name,
        title=title,
        homepage="https://github.com/Le-Wi-Di/le-wi-di.github.io",
        license="unstated",
        redistributable="unknown",
        citation=citation,
        folder="lewidi",
        revision=_REVISION,
        files=files,
        other_layouts=tuple(other_layouts),
    )


def read_items(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number from 1, item), with fields of the types that every dataset has."""
    for row, item in enumerate(_read_object(path, raw.read_text(path)).values(), start=1):
        with raw.at_row(path, row):
            for name, kind in _FIELDS.items():
                if not isinstance(item[name], kind):
                    raise TypeError(f"field {name!r} holds {item[name]!r}, which is not {kind.__name__}")
            for name in ("text", "annotations"):
                if not all(isinstance(value, str) for value in item[name].values()):
                    raise TypeError(f"field {name!r} holds something that is not text: {item[name]!r}")
        yield row, item


def read_people(path: Path) -> dict[str, dict[str, Any]]:
    """Id -> what is known of a person. Some files have commas before closing brackets, which JSON does not allow."""
    people = _read_object(path, _STRING_OR_TRAILING_COMMA.sub(lambda match: match[1] or "", raw.read_text(path)))
    for row, person in enumerate(people.values(), start=1):
        if not isinstance(person, dict):
            raise raw.bad_row(path, row, f"the person is not a JSON object but {person!r}")
    return people


def _pinned(files: Mapping[str, str | None]) -> tuple[SourceFile, ...]:
    url = f"https://raw.githubusercontent.com/Le-Wi-Di/le-wi-di.github.io/{_REVISION}"
    return tuple(SourceFile(path, f"{url}/{path}", sha256) for path, sha256 in files.items())


def _read_object(path: Path, text: str) -> dict[str, Any]:
    def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(value := dict(pairs)) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"raw file {str(path)!r} has the key {twice!r} twice in an object; fetch it again")
        return value

    try:
        value = json.loads(text, object_pairs_hook=without_repetition)
    except json.JSONDecodeError as error:
        raise raw.bad_row(path, error.lineno, f"the line is not JSON: {error.msg}") from error
    if not isinstance(value, dict):
        raise raw.bad_row(path, 1, f"the file is not a JSON object but {type(value).__name__}")
    return value


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
        people: Id -> what is known of a person.
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
            raise ValueError(f"the rating {rating!r} is not one of {list(ratings)}")
        yield person, Dropped(f"annotation of an empty {empty[0]}") if empty else Draw(given_text, rating)


def _told(value: object) -> str:
    """A value as text: ages are numbers in some files, and not a number where they are unknown."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return str(value).strip()
