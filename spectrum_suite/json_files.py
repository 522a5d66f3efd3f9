"""JSON files: read with one line that says what is wrong, written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
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
    """Write a text in one step, so that there is never half a file."""
    part = path.with_name(f".{path.name}.partial")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)  # noqa: PTH105


def finite(value: Any) -> Any:
    """``value`` with None in place of numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
