"""What the data sets of LeWiDi 2025 (third edition) share: their repository and the format of their files.

Upstream: https://github.com/Le-Wi-Di/le-wi-di.github.io. Licence: unstated. Raw rows (made up), an item and a person:

    "101": {"annotation task": "...", "text": {"context": "It rains.", "statement": "It is wet."}, "annotators": "Ann1",
            "annotations": {"Ann1": "entailment"}, "lang": "en", "other_info": {...}, ...}
    "Ann1": {"Gender": "Female", "Age": "30",}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataset_builder import raw
from dataset_builder.task_spec import Source, SourceFile

_REVISION = "45d7b06e4c36b59472d6bdf9281f7f1e395eb0e0"
_FIELDS = {"text": dict, "annotators": str, "annotations": dict, "lang": str, "other_info": dict}
_STRING_OR_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


def source(name: str, title: str, citation: str, files: dict[str, str | None]) -> Source:
    """The source of one data set.

    Args:
        name: Our name for it.
        title: Its full name.
        citation: Where it is described.
        files: Upstream path -> sha256 of the whole file, where known.
    """
    url = f"https://raw.githubusercontent.com/Le-Wi-Di/le-wi-di.github.io/{_REVISION}"
    return Source(
        name=name,
        title=title,
        homepage="https://github.com/Le-Wi-Di/le-wi-di.github.io",
        license="unstated",
        redistributable="unknown",
        citation=citation,
        folder="lewidi",
        revision=_REVISION,
        files=tuple(SourceFile(path, f"{url}/{path}", sha256) for path, sha256 in files.items()),
    )


def read_items(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number from 1, item), with fields of the types that every data set has."""
    for row, item in enumerate(_object(path, raw.read_json(path)).values(), start=1):
        with raw.at_row(path, row):
            for name, kind in _FIELDS.items():
                if not isinstance(item[name], kind):
                    raise TypeError(f"field {name!r} holds {item[name]!r}, which is not {kind.__name__}")
            for name in ("text", "annotations"):
                if not all(isinstance(value, str) for value in item[name].values()):
                    raise TypeError(f"field {name!r} holds something that is not text: {item[name]!r}")
        yield row, item


def read_people(path: Path) -> dict[str, dict[str, str]]:
    """Id -> what is told of a person. Some files have commas before closing brackets, which JSON does not allow."""
    text = _STRING_OR_TRAILING_COMMA.sub(lambda match: match[1] or "", raw.read_text(path))
    try:
        people = _object(path, json.loads(text))
    except json.JSONDecodeError as error:
        raise raw.bad_row(path, error.lineno, f"the line is not JSON: {error.msg}") from error
    for row, person in enumerate(people.values(), start=1):
        if not isinstance(person, dict):
            raise raw.bad_row(path, row, f"the person is not a JSON object but {person!r}")
    return people


def about(person: dict[str, str]) -> str:
    """What is known of a person as the end of a description, or nothing."""
    known = "; ".join(f"{name.lower()}: {value}" for name, value in person.items() if value)
    return f" About this person: {known}." if known else ""


def _object(path: Path, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise raw.bad_row(path, 1, f"the file is not a JSON object but {type(value).__name__}")
    return value
