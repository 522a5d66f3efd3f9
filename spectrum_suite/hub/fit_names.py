"""Names fit to publish: what a report or a card calls a file or a folder of this machine becomes its last name.

A run names its model, data and suite as they were given, which is often by a path. Where the file lay is nobody's
business, and a home folder tells who ran it. Everything that is published of a report goes through :func:`fit`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import unquote

_END = r"[^\s\"'`|<>,;()\[\]{}]"
_IN_TEXT = (
    r"(?<=[`'\"])(?:~[\w.-]*/|/(?!/)|[A-Za-z]:[\\/])[^`'\"\n]+(?=[`'\"])"  # in quotes there may be spaces
    r"|file:/{1,3}[^\s\"'`|<>]+"
    rf"|(?<![A-Za-z0-9])[A-Za-z]:[\\/]{_END}*"  # a drive
    rf"|(?<![\\\w])\\\\{_END}+"  # a share
    rf"|(?<![\w/.~<])~[\w.-]*/{_END}*"
    rf"|(?<![\w/<.:])\.{{1,2}}/{_END}*"
    rf"|(?<![\w/<.~])/(?![/\s]){_END}+"
)
"""What looks like a path inside a text."""

_WHOLE = re.compile(r"(?:file:|~[\w.-]*[\\/]|\.{1,2}[\\/]|[A-Za-z]:[\\/]|\\\\|/(?!/)).*", re.DOTALL)
_PREFIXED = re.compile(r"([\w.-]{2,}[:=])((?:file:|~[\w.-]*[\\/]|\.{1,2}[\\/]|[A-Za-z]:[\\/]|\\\\|/(?!/)).*)")
_RELATIVE = re.compile(r"(?=.*[A-Za-z])[\w.@-]+(?:/[\w.@-]+){2,}/?")


def fit(value: Any) -> Any:
    """A value of a report, with every path in it, at any depth and in any text, reduced to its last name.

    Names on a Hub (``org/name``), addresses and everything else stay. A folder that is the whole of one text is known
    in all others too, even where blanks in its name would hide where it ends.
    """
    folders = {folder for text in _texts(value) for folder in _folders(text)}
    return _fit(value, _pattern(folders))


def fit_text(text: str) -> str:
    """The same of one text: it is a path, or has a path after its first word (``transplant:/folder``), or in it."""
    return _fit_text(text, _pattern(()))


def _fit(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return _fit_text(value, pattern)
    if isinstance(value, Mapping):
        return {_fit_name(name, pattern): _fit(entry, pattern) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_fit(entry, pattern) for entry in value]
    return value


def _fit_name(name: Any, pattern: re.Pattern[str]) -> Any:
    """The name of an entry; one with slashes in it is not taken for a path, so that no two become one."""
    is_relative = isinstance(name, str) and _RELATIVE.fullmatch(name) and not _WHOLE.fullmatch(name)
    return name if is_relative else _fit(name, pattern)


def _fit_text(text: str, pattern: re.Pattern[str]) -> str:
    if path := _whole_path(text):
        return text.removesuffix(path) + _last(path)
    return pattern.sub(lambda found: _last(found[0]), text)


def _whole_path(text: str) -> str | None:
    """The path that a text is, or is from its first word on."""
    if "\n" in text:
        return None
    if _WHOLE.fullmatch(text) or _RELATIVE.fullmatch(text):
        return text
    prefixed = _PREFIXED.fullmatch(text)
    return prefixed[2] if prefixed else None


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from (*_texts(name), *_texts(entry))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _texts(entry)


def _folders(text: str) -> list[str]:
    """The absolute path that a text is, and those of the folders around it."""
    path = _whole_path(text) or ""
    places = PurePosixPath(path) if path.startswith("/") else PureWindowsPath(path)
    if not places.is_absolute():
        return []
    return [str(place) for place in (places, *places.parents) if len(place.parts) > 2]  # noqa: PLR2004 - not "/home"


def _pattern(folders: Collection[str]) -> re.Pattern[str]:
    """What finds paths in a text: those below known folders, and what looks like one."""
    known = [rf"{re.escape(folder)}(?:[\\/]{_END}+)*" for folder in sorted(folders, key=len, reverse=True)]
    return re.compile("|".join([*known, _IN_TEXT]))


def fit_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of a model or tokenizer, in which only a text that is a path as a whole is one.

    Tokens and templates may look like paths, so nothing that is nested is touched.
    """
    return {
        name: _last(value) if isinstance(value, str) and "\n" not in value and _is_long_path(value) else value
        for name, value in values.items()
    }


def _is_long_path(text: str) -> bool:
    return bool(_WHOLE.fullmatch(text)) and len(re.findall(r"[\\/]+[^\\/]+", text)) > 1


def _last(path: str) -> str:
    """The last name of a path of either system; a folder without one is called by no name."""
    path = unquote(path.removeprefix("file:")) if path.startswith("file:") else path
    name = PureWindowsPath(path).name if "\\" in path else PurePosixPath(path).name
    return "." if name in ("", "..") else name
