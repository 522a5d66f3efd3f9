"""What the data sets of LeWiDi 2025 (third edition) share: their repository and the format of their files.

Upstream: https://github.com/Le-Wi-Di/le-wi-di.github.io. Licence: unstated. Raw rows (made up), an item and a person:

    "101": {"annotation task": "...", "text": {"context": "It rains.", "statement": "It is wet."}, "annotators": "Ann1",
            "annotations": {"Ann1": "entailment"}, "lang": "en", "other_info": {...}, ...}
    "Ann1": {"Gender": "Female", "Age": "30",}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dataset_builder import raw
from dataset_builder.task_spec import Source, SourceFile
from spectrum_suite.errors import UserError

_REVISION = "45d7b06e4c36b59472d6bdf9281f7f1e395eb0e0"
_FIELDS = {"text": dict, "annotators": str, "annotations": dict, "lang": str, "other_info": dict}
_STRING_OR_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


def source(name: str, title: str, citation: str, *layouts: Mapping[str, str | None]) -> Source:
    """The source of one data set.

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
    """Yield (number from 1, item), with fields of the types that every data set has."""
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
    """Id -> what is told of a person. Some files have commas before closing brackets, which JSON does not allow."""
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
