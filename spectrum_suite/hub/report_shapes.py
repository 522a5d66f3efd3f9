"""Whether a report that others may have edited is what it should be, before anything is read out of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spectrum_suite.errors import UserError


@dataclass(frozen=True)
class Number:
    """A number between two bounds; reports write null, and Python's JSON NaN, for no value.

    Attributes:
        low: The lowest.
        high: The highest.
        whole: Whether it is an integer.
        optional: Whether there may be no value.
    """

    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    optional: bool = False

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None if self.optional else "has no value"
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return f"is {_shown(value)}, not {'an integer' if self.whole else 'a number'}"
        if math.isinf(value):
            return "is infinite"
        if not self.low <= value <= self.high:
            return f"is {value}, not {self._bounds()}"
        return None

    def _bounds(self) -> str:
        return f"at least {self.low:g}" if math.isinf(self.high) else f"between {self.low:g} and {self.high:g}"


@dataclass(frozen=True)
class Each:
    """An object with any names, or a list, of values of one shape.

    Attributes:
        shape: Of each value.
        kind: ``dict`` or ``list``.
    """

    shape: Any
    kind: type = dict


@dataclass(frozen=True)
class Maybe:
    """A shape, or null."""

    shape: Any


COUNT = Number(low=0, whole=True)


def check_shape(value: Any, shape: Any, file: str, where: str = "") -> None:
    """Compare a value with a shape: a type, :class:`Number`, :class:`Each`, :class:`Maybe`, or a dictionary of shapes.

    Args:
        value: As read from JSON.
        shape: An entry of a dictionary whose name ends in ``?`` need not be there.
        file: The file, for the message.
        where: The place in it.

    Raises:
        UserError: An entry is missing or is something else; the file and the place are named.
    """
    if isinstance(shape, Maybe):
        if value is not None:
            check_shape(value, shape.shape, file, where)
    elif isinstance(shape, Number):
        if why := shape.fault(value):
            raise _fault(file, where, why)
    else:
        _check_kind(value, shape, file, where)
        for name, entry, expected in _entries(value, shape, file, where):
            check_shape(entry, expected, file, _place(where, name))


def _check_kind(value: Any, shape: Any, file: str, where: str) -> None:
    wanted = dict if isinstance(shape, Mapping) else shape.kind if isinstance(shape, Each) else shape
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise _fault(file, where, f"is {_shown(value)}, not {_NAMES.get(wanted, getattr(wanted, '__name__', wanted))}")


def _entries(value: Any, shape: Any, file: str, where: str) -> Iterator[tuple[object, Any, Any]]:
    """The entries of an object or a list: name, value and shape."""
    if isinstance(shape, Each):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        yield from ((name, entry, shape.shape) for name, entry in entries)
    elif isinstance(shape, Mapping):
        for name, expected in shape.items():
            key = name.removesuffix("?")
            if key in value:
                yield key, value[key], expected
            elif key == name:
                raise UserError(f"file {file!r} has no entry {_place(where, key)!r}: write it again with this version")


_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "an integer"}


def _place(where: str, name: object) -> str:
    return f"{where}.{name}" if where else str(name)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004


def _fault(file: str, where: str, why: str) -> UserError:
    entry = f"entry {where!r} of " if where else ""
    return UserError(f"{entry}file {file!r} {why}: write it again with this version")
