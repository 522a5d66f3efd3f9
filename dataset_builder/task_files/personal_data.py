"""What in a table may identify people: e-mail addresses, telephone numbers and names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from dataset_builder.task_files.problems import Problems
from dataset_builder.task_files.table import NONE, Column, Table

_EMAIL = re.compile(r"[\w.+'%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})*\.[^\W\d_]{2,24}\b")
_PHONE = re.compile(r"(?<![\w.-])(?:\+\d{1,3}[ ./-]?|\(?0)\d{1,5}\)?(?:[ ./-]?\d{2,5}){2,4}(?![\w-])|"
                    r"(?<![\w.-])\(?\d{3}\)?[ .-]\d{3}[.-]\d{4}(?![\w-])")  # fmt: skip
_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1(?:\d\d|\d{4})")
_NAME_OF_COLUMN = re.compile(
    r"(?:(?:first|last|full|given|family|middle|maiden)?[ _.-]?names?|fore[ _.-]?names?|sur[ _.-]?names?|"
    r"vor[ _.-]?name|nach[ _.-]?name|pr[ée]nom|nom(?: de famille)?|apellidos?|nombres?|cognome|nome)",
    re.IGNORECASE,
)
_FULL_NAME = re.compile(r"[^\W\d_a-z][^\W\d_]+(?: [^\W\d_a-z]\.?)?(?:[ -][^\W\d_a-z][^\W\d_]+){1,2}")
_MOSTLY = 0.6  # share of the values of a column that look like names
_FEWEST = 5  # values by which that can be decided
_DIGITS = 7  # of a telephone number, at least

Look = Callable[[str], bool]


def is_email(text: str) -> bool:
    """Whether a text has an e-mail address in it."""
    return "@" in text and _EMAIL.search(text) is not None


def is_phone(text: str) -> bool:
    """Whether a text has a telephone number in it."""
    found = (each[0] for each in _PHONE.finditer(text))
    return any(sum(map(str.isdigit, each)) >= _DIGITS and not _DATE.fullmatch(each) for each in found)


def note_personal(table: Table, problems: Problems) -> None:
    """Note what looks like data on people, in the columns of a table that were read."""
    for name, column in table.columns.items():
        for what, codes in _found(name, column):
            rows = np.flatnonzero(np.isin(column.codes, codes))
            if len(rows):
                problems.warn(f"cell that looks like {what}", int(table.numbers[rows[0]]), name, rows=len(rows))


def looks_personal(table: Table) -> Iterator[str]:
    """A line for each column that looks like data on people."""
    for name, column in table.columns.items():
        for what, codes in _found(name, column):
            if codes:
                yield f"column {name!r} looks like {what}" + f" in {len(codes)} of its {len(column.texts)} values"


def personal_ids(column: Column) -> bool:
    """Whether people are identified by addresses or telephone numbers."""
    return any(is_email(text) or is_phone(text) for text in column.texts)


def _found(name: str, column: Column) -> Iterator[tuple[str, list[int]]]:
    looks: Mapping[str, Look] = {"an e-mail address": is_email, "a telephone number": is_phone}
    for what, look in looks.items():
        yield what, [code for code, text in enumerate(column.texts) if look(text)]
    if _are_names(name, column):
        yield "a person's name", list(range(len(column.texts)))


def _are_names(name: str, column: Column) -> bool:
    """Whether the values of a column are people's names: by what it is called, or since most look so and few recur."""
    like = sum(_FULL_NAME.fullmatch(text) is not None for text in column.texts)
    if _NAME_OF_COLUMN.fullmatch(name):
        return any(text.replace(" ", "").isalpha() for text in column.texts)
    rows = int((column.codes != NONE).sum())
    return _FEWEST <= len(column.texts) >= 0.5 * rows and like >= _MOSTLY * len(column.texts)
