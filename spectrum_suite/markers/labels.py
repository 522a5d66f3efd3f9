"""Markers of prompts, as people or models gave them one by one: a table in which a prompt stands by its hash."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from spectrum_suite.errors import UserError
from spectrum_suite.fingerprints import HEX_DIGITS, fingerprint_of_bytes
from spectrum_suite.instruction_data import read_data
from spectrum_suite.markers.taxonomy import TAXONOMY, Category, Markers, Taxonomy
from spectrum_suite.shipped import shipped

PROMPT = "prompt"

_KEY = re.compile(f"[0-9a-f]{{{HEX_DIGITS}}}")
_EXAMPLE = f"give one whose header is '{PROMPT},task,domain' or the like"


def prompt_key(prompt: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a prompt, in UTF-8."""
    return fingerprint_of_bytes([prompt.encode()])


def load_labels(path: str | Path, taxonomy: Taxonomy = TAXONOMY) -> dict[str, Markers]:
    """The labels of a CSV file: the key of a prompt -> its markers.

    Args:
        path: With a column ``prompt``, as :func:`prompt_key` gives it, and a column for each category that is labelled;
            an empty cell is not a label. It may be a file that comes with the project.
        taxonomy: The categories.

    Raises:
        UserError: There is no such file, or it cannot be read; a column is missing or no category; a prompt is not
            given by its key, or twice; or a value is not valid.
    """
    path = Path(shipped(path))
    if not path.is_file() or path.suffix != ".csv":
        raise UserError(f"labels file {str(path)!r} is not a CSV file that exists: {_EXAMPLE}")
    rows = read_data(str(path))
    categories = _categories(path, rows.column_names, taxonomy)
    found: dict[str, Markers] = {}
    for number, row in enumerate(rows, start=1):
        try:
            found[_new_key(row[PROMPT], found)] = {
                each.name: each.read(row[each.name]) for each in categories if row[each.name]
            }
        except UserError as error:
            raise UserError(f"labels file {str(path)!r}, row {number}: {error}") from error
    return found


def _categories(path: Path, columns: Sequence[str], taxonomy: Taxonomy) -> list[Category]:
    """The categories of the columns other than the prompt's."""
    names = [name for name in columns if name != PROMPT]
    if PROMPT not in columns or not names:
        missing = "column of a category" if PROMPT in columns else f"column {PROMPT!r}"
        raise UserError(f"labels file {str(path)!r} has no {missing}: {_EXAMPLE}")
    try:
        return [taxonomy[name] for name in names]
    except UserError as error:
        raise UserError(f"labels file {str(path)!r}, header: {error}") from error


def _new_key(key: str, known: Collection[str]) -> str:
    if not _KEY.fullmatch(key):
        raise UserError(f"{key!r} is not a prompt: give the first {HEX_DIGITS} hexadecimal digits of its SHA-256")
    if key in known:
        raise UserError(f"the prompt {key!r} has labels in an earlier row: give it one row")
    return key
