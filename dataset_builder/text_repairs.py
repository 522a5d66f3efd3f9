"""Repairs the faults of a text.

What is repaired, in this order (the names are those under which the build report counts changed texts):

    lone surrogates             halves of a UTF-16 pair: joined, or U+FFFD
    mojibake                    UTF-8 that was read as another encoding, e.g. "rÃ©sumÃ©" (`ftfy`)
    C1 control characters       Windows-1252 punctuation that was read as Latin-1 (`ftfy`)
    HTML entities               "&amp;", "&#39;", "&nbsp;"; "&" and "<" alone are left
    HTML line breaks            "<br />": a line break, several in a row an empty line
    line endings                "\\r\\n", "\\r" and Unicode's line and paragraph separators
    control characters          those without a meaning in text; a vertical tab and a form feed end a line
    e-mail addresses            replaced by "email@example.com"; addresses of example domains are left
    runs of blanks              one blank; indentation and columns of a table are left

The values of a JSON object are repaired, not its notation, and code between Markdown's fences keeps its entities and
blanks. A repair is idempotent, and depends on the text alone: a draw, an option and a target that are the same text
stay the same text.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ftfy import fix_encoding_and_explain
from ftfy.badness import is_bad
from ftfy.fixes import (
    fix_surrogates,
    remove_control_chars,
    remove_terminal_escapes,
    unescape_html,
)

from dataset_builder.raw import GUARD, GUARDED

EMAIL = "email@example.com"
"""What replaces an e-mail address."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_C1 = re.compile("[\x80-\x9f]")
_ENTITY = re.compile(r"&#?[A-Za-z0-9]{1,24};")
_HTML_BLANK = re.compile("&(?:nbsp|#160|#xa0);", re.IGNORECASE)
_BREAK = re.compile(r"</?br\b[^<>]{0,80}>", re.IGNORECASE)
_LINE_ENDING = re.compile("\r\n?|[\x0b\x0c\u2028\u2029]")
_LETTER = "A-Za-z\u00c0-\u02af\u0370-\u052f"
_SIGN = f"{_LETTER}0-9"
_ADDRESS = re.compile(
    rf"(?<![{_SIGN}._%+-])[{_SIGN}][{_SIGN}._%+'-]{{0,63}}@(?:[{_SIGN}][{_SIGN}-]{{0,62}}\.)+[{_LETTER}]{{2,24}}(?![{_SIGN}-])"
)
_EXAMPLE_DOMAIN = re.compile(r"[@.](?:example\.(?:com|net|org)|example|invalid|test)$", re.IGNORECASE)
_BLANK = " \t\xa0\u2000-\u200a\u202f\u205f\u3000"
_RUN = re.compile(rf"(?<=\S)[{_BLANK}]{{2,}}")
_RUN_AT_LINE_END = re.compile(rf"[{_BLANK}]{{2,}}\n")
_CELL = re.compile(rf"[^{_BLANK}]+(?:[{_BLANK}][^{_BLANK}]+)*")
_CODE = re.compile(r"(^[ \t]*```.*?(?:^[ \t]*```[ \t]*$|\Z)|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_LETTERED = re.compile(r"^\(?[A-Z][.):] (.+)$", re.MULTILINE)
_JSON_START = re.compile(r'\{"|\["|\[\{"')
_BAD_SIGN = rf"\x00-\x08\x0b-\x1f\x7f@\u2028\u2029\ud800-\udfff\ufeff\ufff9-\ufffc{GUARD}"
_SUSPECT = re.compile(
    rf"[{_BAD_SIGN}&<\\](?:(?<=[{_BAD_SIGN}])|(?<=&)#?[A-Za-z0-9]+;|(?<=<)/?[bB][rR]\b|(?<=\\)[rufb])"
)
_TWO_BLANKS = re.compile(rf"[{_BLANK}][{_BLANK}]")
"""A text that matches neither needs no repair, except perhaps of its encoding; in JSON, escapes count as characters.
Both patterns begin with a set of characters, which `re` finds quickly."""
_REMEMBERED_LINES = 5_000  # lines already checked for mojibake: each is checked several times
_UNUSUAL = re.compile("[^\x00-\x7f‘’“”…–—]")  # without such a character, a line cannot be mojibake
_SUSPECT_SIGNS = ("  ", "&", "<", "@", "\\")  # without these, a printable ASCII text has nothing to repair


class SameOnceCleanedError(ValueError):
    """Two different answers to choose from would become the same text."""


def clean(text: str) -> tuple[str, tuple[str, ...]]:
    """A text without its faults, and the names of what was repaired.

    Raises:
        SameOnceCleanedError: Different items of a JSON list in it, or of its lettered answers, would become the same.
    """
    return clean_suspect(text) if is_suspect(text) else (text, ())


def clean_suspect(text: str) -> tuple[str, tuple[str, ...]]:
    """:func:`clean`, for a text that is known to be suspect."""
    repairs: dict[str, None] = {}
    return _cleaned(text, repairs), tuple(repairs)


def is_suspect(text: str) -> bool:
    """Whether a text, or any of several joined by line breaks, may need a repair: quick; true in case of doubt."""
    if not text.isascii():
        return _has_suspect(text) or any(map(_is_mojibake, text.split("\n")))
    return not _is_plain(text) and _has_suspect(text)


def _has_suspect(text: str) -> bool:
    return _SUSPECT.search(text) is not None or _TWO_BLANKS.search(text) is not None


def _is_plain(text: str) -> bool:
    """Whether a text is printable ASCII with nothing to repair: quick; false in case of doubt."""
    return _is_printable(text) and not any(map(text.__contains__, _SUSPECT_SIGNS))


def _is_printable(text: str) -> bool:
    """Whether a text is printable ASCII and line breaks only."""
    return text.isascii() and text.replace("\n", "").isprintable()


def _cleaned(text: str, repairs: dict[str, None]) -> str:
    """The text after repeated repairs, until none applies; records them in ``repairs``."""
    before = text = text.replace(GUARD, GUARDED)
    for _ in range(_MOST_ROUNDS):
        if _is_plain(text):
            break
        done: dict[str, None] = {}
        new = "".join(
            part if isinstance(part, str) else json.dumps(_values(part.value, done), **part.form)
            for part in _repaired_parts(text, done)
        )
        if new == text:
            break
        text = new.strip()
        repairs |= done
    if text != before and len(_lettered(text)) < len(_lettered(before)):
        raise SameOnceCleanedError
    return text


def _lettered(text: str) -> set[str]:
    """The different lettered answers that a prompt lists."""
    return {match[1].strip() for match in _LETTERED.finditer(text)}


@dataclass(frozen=True)
class _Json:
    """A part of a text that is JSON as `json.dumps` writes it with the settings of ``form``."""

    value: Any
    form: Mapping[str, Any]


def _repaired_parts(text: str, repairs: dict[str, None]) -> Iterator[str | _Json]:
    """The text in parts: JSON that we can write as it was, and all else, repaired."""
    position = 0
    for match in islice(_JSON_START.finditer(text), _MOST_STARTS):
        if match.start() < position:
            continue
        try:
            value, end = json.JSONDecoder().raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        yield _prose(text[position : match.start()], repairs)
        written = text[match.start() : end]
        form = next((form for form in _JSON_FORMS if json.dumps(value, **form) == written), None)
        yield _Json(value, form) if form else _notation(written, repairs)
        position = end
    yield _prose(text[position:], repairs)


def _values(value: Any, repairs: dict[str, None]) -> Any:
    """A JSON value whose texts are repaired."""
    if isinstance(value, str):
        return _cleaned(value, repairs)
    if isinstance(value, dict):
        keys = _apart(list(value), repairs)
        return {key: _values(item, repairs) for key, item in zip(keys, value.values(), strict=True)}
    if isinstance(value, list):
        _apart([item for item in value if isinstance(item, str)], {})
        return [_values(item, repairs) for item in value]
    return value


def _apart(texts: list[str], repairs: dict[str, None]) -> list[str]:
    cleaned = [_cleaned(text, repairs) for text in texts]
    if len(set(cleaned)) < len(set(texts)):
        raise SameOnceCleanedError
    return cleaned


def _prose(text: str, repairs: dict[str, None]) -> str:
    """Prose, repaired; code between Markdown's fences or backticks keeps its notation."""
    text = _notation(text, repairs)
    if "`" not in text:
        return _repair(text, repairs, _IN_PROSE)
    return "".join(
        part if index % 2 else _repair(part, repairs, _IN_PROSE) for index, part in enumerate(_CODE.split(text))
    )


def _repair(text: str, repairs: dict[str, None], how: dict[str, Callable[[str], str]]) -> str:
    for name, repair in how.items():
        if (new := repair(text)) != text:
            text, repairs[name] = new, None
    return text


def _notation(text: str, repairs: dict[str, None]) -> str:
    """The repairs that apply to code and foreign JSON as well as to prose."""
    if _is_printable(text):
        return _repair(text, repairs, {"e-mail addresses": _replace_addresses})
    text = _repair(text, repairs, _FIRST)
    return _repair(_fix_encoding(text, repairs), repairs, _ANYWHERE)


def _fix_encoding(text: str, repairs: dict[str, None]) -> str:
    """Mojibake and C1 control characters line by line, as `ftfy` advises: lines may have been read differently."""
    if text.isascii():
        return text
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if _is_mojibake(line):
            lines[index], steps = fix_encoding_and_explain(line)
            decoded = {how for action, how in steps or () if action in ("decode", "apply", "transcode")}
            if decoded & _C1_ONLY:
                repairs["C1 control characters"] = None
            if decoded - _C1_ONLY:
                repairs["mojibake"] = None
    return "\n".join(lines)


@functools.lru_cache(_REMEMBERED_LINES)
def _is_mojibake(line: str) -> bool:
    return not line.isascii() and _UNUSUAL.search(line) is not None and is_bad(line)


def _unescape(text: str) -> str:
    """Until nothing is left to unescape: "&amp;quot;" is a quotation mark that was escaped twice."""
    while "&" in text and _ENTITY.search(text) and (new := unescape_html(_HTML_BLANK.sub(" ", text))) != text:
        text = new
    return text


def _break_lines(text: str) -> str:
    """HTML's line breaks as line breaks, and two or more in a row as an empty line."""
    if "<" not in text:
        return text
    first, *pieces = _BREAK.split(text)
    if not pieces:
        return text
    lines, breaks = [first.rstrip()], 0
    *inner, last = pieces
    for piece in (*(piece.strip() for piece in inner), last.lstrip()):
        breaks += 1
        if piece:
            lines.append("\n" * min(breaks, 2) + piece)
            breaks = 0
    return "".join(lines) + "\n" * min(breaks, 2)


def _remove_controls(text: str) -> str:
    return _C1.sub("", remove_control_chars(remove_terminal_escapes(text)))


def _replace_addresses(text: str) -> str:
    if "@" not in text:
        return text
    return _ADDRESS.sub(lambda match: match[0] if _EXAMPLE_DOMAIN.search(match[0]) else EMAIL, text)


def _shorten_runs(text: str) -> str:
    """One blank for several within a line; none at its end. Lines with cells aligned in columns are left."""
    if not _TWO_BLANKS.search(text) or not _RUN.search(text):
        return text
    lines = [_Line.of(line) for line in _RUN_AT_LINE_END.sub("\n", text).split("\n")]
    around = zip([None, *lines], [*lines[1:], None], strict=False)
    return "\n".join(
        line.text if line.is_row(neighbours) else _RUN.sub(_one_blank, line.text)
        for line, neighbours in zip(lines, around, strict=True)
    )


def _one_blank(run: re.Match[str]) -> str:
    return " " if {" ", "\t"} & set(run[0]) else run[0][0]


@dataclass(frozen=True)
class _Line:
    """A line, and where its cells, which runs of blanks part, begin and end."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> _Line:
        cells = [match.span() for match in _CELL.finditer(text)]
        return cls(text, tuple(start for start, _ in cells), tuple(end for _, end in cells))

    def is_row(self, neighbours: tuple[_Line | None, ...]) -> bool:
        """Whether it is a row of a table: in Markdown, or with a line above or below that is parted alike."""
        return self.text.lstrip().startswith("|") or any(map(self._is_parted_like, filter(None, neighbours)))

    def _is_parted_like(self, other: _Line) -> bool:
        """By tabs, or in as many columns, whose left or right edges are the same."""
        if "\t" in self.text.strip() and "\t" in other.text.strip():
            return True
        if not 1 < len(self.starts) == len(other.starts):
            return False
        return self.starts[1:] == other.starts[1:] or self.ends[1:] == other.ends[1:]


_MOST_STARTS = 100  # places at which a text may begin to be JSON
_MOST_ROUNDS = 5  # a repair may uncover another: "&#13;" is an entity, then a line ending
_JSON_FORMS = tuple(
    {"ensure_ascii": ascii_only, "separators": separators}
    for separators in (None, (",", ":"))
    for ascii_only in (False, True)
)
_C1_ONLY = {"windows-1252", "fix_c1_controls"}  # what `ftfy` calls the steps that repair these alone
_FIRST: dict[str, Callable[[str], str]] = {
    "lone surrogates": lambda text: fix_surrogates(text) if _SURROGATE.search(text) else text,
}
_ANYWHERE: dict[str, Callable[[str], str]] = {
    "line endings": lambda text: _LINE_ENDING.sub("\n", text),
    "control characters": _remove_controls,
    "e-mail addresses": _replace_addresses,
}
"""Repairs in order, before that of the encoding, after it, and after both in prose: name -> what it does."""
_IN_PROSE: dict[str, Callable[[str], str]] = {
    "HTML entities": _unescape,
    "HTML line breaks": _break_lines,
    "runs of blanks": _shorten_runs,
}
