"""Markers as text, and back: a list that ends a prompt and begins a completion.

    <MARKER_LIST> <length_tokens> 199 </length_tokens> <lang> French </lang> </MARKER_LIST>

What could be taken for a part of the list is escaped in a value, so that any text can be one. The same escapes make the
beginning of the chat template that a published tokenizer carries; a test holds the two together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Message
from spectrum_suite.markers.taxonomy import TAXONOMY, Markers, Taxonomy, Value

OPEN, CLOSE = "<MARKER_LIST>", "</MARKER_LIST>"
BEFORE_LIST = " "
"""What stands between a prompt's own text and its list."""
AFTER_LIST = "\n"
"""What stands between the list of a completion and its own text."""

ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
"""Character -> how it is written in a value. The ampersand is escaped first, and all are undone at once."""

_ESCAPED = re.compile("|".join(map(re.escape, ESCAPES.values())))
_UNESCAPE = {written: character for character, written in ESCAPES.items()}
_MARKER = re.compile(r"<([^<>\s/]+)> ([^<>]*) </\1>")
_SHOWN = 40  # characters of what cannot be read that a message quotes


@dataclass(frozen=True)
class Completion:
    """What a model wrote.

    Attributes:
        text: What a user sees: all that comes after the list.
        markers: What could be read of the list, in the order it was written.
        problems: What is wrong with the list, one phrase each; empty where it is whole and valid.
    """

    text: str
    markers: Markers
    problems: tuple[str, ...] = ()


def render(markers: Mapping[str, Value]) -> str:
    """The list of ``markers``, in their order."""
    return " ".join([OPEN, *(f"<{name}> {_escape(str(value))} </{name}>" for name, value in markers.items()), CLOSE])


def parse(text: str, taxonomy: Taxonomy = TAXONOMY) -> Markers:
    """The markers of a list: the inverse of :func:`render` for all that are valid.

    Raises:
        UserError: ``text`` is not a list of valid markers, each at most once.
    """
    completion = split_completion(text + AFTER_LIST, taxonomy)
    if completion.text:
        raise UserError(f"{completion.text[:_SHOWN]!r} comes after the list of markers: give the list alone")
    if completion.problems:
        raise UserError(f"not a list of markers ({'; '.join(completion.problems)})")
    return completion.markers


def mark_completion(markers: Mapping[str, Value], text: str) -> str:
    """A completion as it is trained: its list, then its own text. It has a list even when that is empty."""
    return render(markers) + AFTER_LIST + text


def split_completion(text: str, taxonomy: Taxonomy = TAXONOMY) -> Completion:
    """A completion without its list, and what the list said: the inverse of :func:`mark_completion`.

    Whatever a model wrote, nothing is raised: a list that is missing or garbled is a problem that the result names,
    and nothing that could be meant for the user is hidden.
    """
    start = text.lstrip()
    if not start.startswith(OPEN):
        return Completion(text, {}, ("there is no list",))
    inside, closed, after = start.removeprefix(OPEN).partition(CLOSE)
    problems = []
    if not closed:
        end = max((found.end() for found in _MARKER.finditer(inside)), default=0)
        inside, after = inside[:end], inside[end:].lstrip(" ")
        problems.append("the list does not end")
    markers: Markers = {}
    problems += _read(inside, taxonomy, markers)
    return Completion(after.removeprefix(AFTER_LIST), markers, tuple(problems))


def mark_prompt(messages: Sequence[Message], markers: Mapping[str, Value]) -> list[Message]:
    """Messages that ask for one more output, with the markers that it should have.

    The list ends the last message. After a description or an output it is an input by itself, so that what is said
    once of a process and what is wanted of one draw stay apart. Without markers nothing changes.
    """
    if not markers:
        return list(messages)
    written = render(markers)
    if not messages or messages[-1]["role"] in ("description", "output"):
        return [*messages, {"role": "input", "content": written}]
    *before, last = messages
    return [*before, {"role": last["role"], "content": last["content"] + BEFORE_LIST + written}]


def chat_template(template: str) -> str:
    """A chat template that also takes ``markers={...}``, and does with it what :func:`mark_prompt` does.

    ``tokenizer.apply_chat_template(messages, markers={"lang": "French"}, add_generation_prompt=True)`` then needs none
    of our code. Without ``markers`` it renders as before.

    Args:
        template: That of one of our formats (:meth:`spectrum_suite.formats.render.Format.chat_template`), or any other.
    """
    constants = {"open": OPEN, "close": CLOSE, "before_list": BEFORE_LIST, "escapes": list(ESCAPES.items())}
    preamble = "".join(f"{{%- set marker_{name} = {json.dumps(value)} -%}}\n" for name, value in constants.items())
    return preamble + (Path(__file__).parent / "markers.jinja").read_text(encoding="utf-8") + template


def _escape(text: str) -> str:
    for character, written in ESCAPES.items():
        text = text.replace(character, written)
    return text


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: _UNESCAPE[found[0]], text)


def _read(inside: str, taxonomy: Taxonomy, markers: Markers) -> Iterator[str]:
    """Put what is between the ends of a list into ``markers``; yields what is wrong with it."""
    end = 0
    for found in _MARKER.finditer(inside):
        yield from _unreadable(inside[end : found.start()])
        end = found.end()
        name = found[1]
        if name in markers:
            yield f"{name!r} is there twice"
            continue
        try:
            markers[name] = taxonomy[name].read(_unescape(found[2]))
        except UserError as error:
            yield str(error)
    yield from _unreadable(inside[end:])


def _unreadable(text: str) -> Iterator[str]:
    if text.strip():
        yield f"{text.strip()[:_SHOWN]!r} is not a marker"
