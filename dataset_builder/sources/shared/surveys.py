"""What survey sources share: options with letters, and lists that upstream writes as Python literals.

A made-up raw cell and the prompt made of it:

    "['Often', 'Never']"        ->      How often do you swim?\\nA. Often\\nB. Never
"""

from __future__ import annotations

import ast
import string
from collections.abc import Sequence

LETTERS = string.ascii_uppercase


def lettered(question: str, options: Sequence[str]) -> str:
    """The question and below it one line per option, with letters.

    Raises:
        ValueError: There are more options than letters.
    """
    if len(options) > len(LETTERS):
        raise ValueError(f"{len(options)} options are more than the letters")
    return "\n".join((question, *(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))))


def literal(text: str | None) -> object:
    """The value of a cell that holds a Python literal, without running any code.

    Raises:
        ValueError: The cell holds something else.
    """
    text = (text or "").strip()
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"{text[:80]!r} is not a Python literal") from error


def text_list(value: object) -> tuple[str, ...]:
    """The items of a list of texts (numbers are written out), without white space around them.

    Raises:
        ValueError: It is not a list, or an item is neither text nor a number, or is empty.
    """
    if not isinstance(value, list) or not all(isinstance(item, str | int | float) for item in value):
        raise ValueError(f"{value!r} is not a list of texts")
    items = tuple(str(item).strip() for item in value)
    if not all(items):
        raise ValueError(f"{value!r} has an empty item")
    return items
