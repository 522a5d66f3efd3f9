"""JSON files: read with one line that says what is wrong, written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spectrum_suite.errors import UserError


def read_json(path: Path, remedy: str, *, what: str = "file", again: str = "write it again") -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: The file.
        remedy: What to do if it is not there.
        what: What it is, for messages.
        again: What to do if it holds something else.

    Raises:
        UserError: It is missing, or is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{what} {str(path)!r} not found: {remedy}") from error
    except ValueError as error:
        raise UserError(f"{what} {str(path)!r} is not JSON: {again}") from error
    if not isinstance(content, dict):
        raise UserError(f"{what} {str(path)!r} is not a JSON object: {again}")
    return content


def write_json(path: Path, content: Any) -> None:
    """Write JSON in one step, so that there is never half a file."""
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a text in one step, so that there is never half a file.

    Raises:
        UserError: As :func:`in_one_step`.
    """
    with in_one_step(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def in_one_step(path: Path) -> Iterator[Path]:
    """The path of a file next to ``path`` that takes its place once it is written, and goes where that fails.

    Raises:
        UserError: ``path`` is a folder, a device, or anything else that is not a file, which must not be replaced.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{str(path)!r} is not a file, and is not replaced by one: give another name")
    part = path.with_name(f".{path.name}.partial")
    try:
        yield part
        os.replace(part, path)  # noqa: PTH105
    finally:
        part.unlink(missing_ok=True)


def kept_answers(cache: Path | None, name: str) -> dict[str, Any]:
    """``key`` -> ``name`` of the lines of a cache; one that an interruption cut short is passed over.

    Args:
        cache: A file of JSON lines; nothing is kept where it is missing.
        name: What a line holds besides its key.
    """
    found = {}
    for line in cache.read_text(encoding="utf-8").splitlines() if cache is not None and cache.is_file() else ():
        try:
            entry = json.loads(line)
            found[entry["key"]] = entry[name]
        except (ValueError, KeyError, TypeError):
            continue
    return found


def append_lines(path: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Append JSON lines with a single write, on lines of their own even after half a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(file).st_size
        broken = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        os.write(file, b"\n" + lines if broken else lines)
    finally:
        os.close(file)


def finite(value: Any) -> Any:
    """``value`` with None in place of numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
