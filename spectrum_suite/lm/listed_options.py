"""What a set of options is, in which order a prompt names its options, and the same prompt with another order.

Three ways of naming are distinguished:

    listed      one option a line, "A. red", "2: likely", "- red" or "red": the lines can stand in another order
    mentioned   in the text, as in "1 red ball and 2 blue balls": there is an order, which stays as it is
    neither     some options are not in the prompt, or they are numbers outside a list, which stand for much else

In a list with letters the texts move and the letters stay ("A. blue", "B. red"), so an answer of B means what A meant
before. In all other lists an option means the same wherever it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Literal

import numpy as np

from spectrum_suite.formats.render import Message
from spectrum_suite.seeding import generator

OptionKind = Literal["numbers", "letters", "polar", "ordered", "texts"]
"""A set of options: all numbers; all single letters; a yes and a no; labels with degrees; other texts."""

_POLAR = (
    {"yes", "no"}, {"true", "false"}, {"agree", "disagree"}, {"heads", "tails"}, {"correct", "incorrect"},
    {"valid", "invalid"}, {"support", "oppose"}, {"positive", "negative"},
)  # fmt: skip
_DEGREE = re.compile(
    r"(very|somewhat|strongly|slightly|extremely|completely|totally|mostly|fairly|quite|not at all|not too|not very"
    r"|a little|a lot|a great deal|never|rarely|sometimes|often|always)\b",
    re.IGNORECASE,
)
_LINE = re.compile(r"(?P<before>\s*)(?P<key>[-*•]|[^\s.:)]+)(?P<sign>[.:)]?)(?P<space>\s+)(?P<text>\S.*)")


@dataclass(frozen=True)
class Ordering:
    """A prompt whose options stand in some order.

    Attributes:
        messages: The prompt.
        places: Of each option, its place in the order, from 0.
        meanings: Of each option, the one that meant the same in the prompt as it was given.
    """

    messages: tuple[Message, ...]
    places: tuple[int, ...]
    meanings: tuple[int, ...]


@dataclass(frozen=True)
class _List:
    """The list of options in the last message of a prompt: its first line, and the option of each line."""

    first: int
    order: tuple[int, ...]


def option_kind(options: Sequence[str]) -> OptionKind:
    """What kind the options are, by their texts alone; the first that fits of numbers, letters, polar, ordered."""
    texts = [option.strip() for option in options]
    if all(_is_number(text) for text in texts):
        return "numbers"
    if all(len(text) == 1 and text.isalpha() for text in texts):
        return "letters"
    if {text.casefold().rstrip(".!") for text in texts} in _POLAR:
        return "polar"
    return "ordered" if any(_DEGREE.match(text) for text in texts) else "texts"


def option_places(messages: Sequence[Message], options: Sequence[str]) -> tuple[int, ...] | None:
    """The place of each option in the order in which a prompt names them; None where it does not name them all."""
    found = _find_list(messages, options)
    if found is not None:
        return _inverse(found.order)
    return None if option_kind(options) in ("numbers", "letters") else _mentioned(messages, options)


def orderings(messages: Sequence[Message], options: Sequence[str], count: int, *, seed: int) -> list[Ordering]:
    """The prompt as it is, and up to ``count - 1`` others that list its options in another order, all different.

    Args:
        messages: The prompt.
        options: Its options.
        count: Prompts at most; there are no more than the factorial of the number of options.
        seed: Of the orders; they depend on the prompt too.

    Returns:
        The prompts, the one as it is first; none where it has no list of its options.
    """
    found = _find_list(messages, options)
    if found is None:
        return []
    drawn = drawn_orders(len(options), count, seed=seed, text=messages[-1]["content"])
    return [_ordering(messages, options, found, order) for order in drawn]


def drawn_orders(n_options: int, count: int, *, seed: int, text: str) -> list[tuple[int, ...]]:
    """The given order and up to ``count - 1`` others, all different, as the options that stand at each place.

    Args:
        n_options: How many options there are.
        count: Orders at most; there are no more than the factorial of the number of options.
        seed: Of the orders.
        text: What the orders depend on besides.
    """
    draw = generator(seed, "orders", text)
    orders = {tuple(range(n_options)): None}
    while len(orders) < min(count, math.factorial(n_options)):
        orders[tuple(draw.permutation(n_options).tolist())] = None
    return list(orders)


def flip_rate(probabilities: np.ndarray) -> float | None:
    """The share of other orders in which another option is the likeliest one.

    Args:
        probabilities: (orders, options), the given order first, the options by what they mean.

    Returns:
        None where some are NaN, or there is no other order.
    """
    if np.isnan(probabilities).any() or len(probabilities) == 1:
        return None
    modes = probabilities.argmax(axis=1)
    return float((modes[1:] != modes[0]).mean())


def labelled_options(messages: Sequence[Message], options: Sequence[str]) -> list[tuple[str, int]]:
    """Other names of the options in a prompt that lists them with labels, each with the place of its option.

    These are the whole line ("A. red"), and of label and text the one that is not the option; none without a list, or
    where its lines have bullets or nothing before their texts.
    """
    found = _find_list(messages, options)
    if found is None:
        return []
    lines = messages[-1]["content"].split("\n")[found.first : found.first + len(options)]
    names = []
    for line, place in zip(lines, found.order, strict=True):
        matched = _LINE.fullmatch(line)
        if matched and matched["sign"]:
            names += [(name, place) for name in (line.strip(), matched["key"], matched["text"].strip())]
    return names


def _ordering(messages: Sequence[Message], options: Sequence[str], found: _List, order: tuple[int, ...]) -> Ordering:
    """``order``: which line of the list as given stands at each place."""
    *before, last = messages
    lines = last["content"].split("\n")
    listed = lines[found.first : found.first + len(order)]
    texts_move = _letters_in_order(options, found.order) or not _keyed(listed, options)
    moved = [
        _with_text(listed[place], listed[line]) if texts_move else listed[line] for place, line in enumerate(order)
    ]
    lines[found.first : found.first + len(order)] = moved
    changed = (*before, Message(role=last["role"], content="\n".join(lines)))
    if _letters_in_order(options, found.order):
        return Ordering(changed, _inverse(found.order), order)
    return Ordering(changed, _inverse([found.order[line] for line in order]), tuple(range(len(options))))


def _find_list(messages: Sequence[Message], options: Sequence[str]) -> _List | None:
    """The last run of lines, as many as there are options, that name each option once."""
    lines = messages[-1]["content"].split("\n") if messages and messages[-1]["role"] != "output" else []
    index = {option: place for place, option in enumerate(options)}
    for first in range(len(lines) - len(options), -1, -1):
        run = lines[first : first + len(options)]
        for names in (_keys(run), _texts(run)):
            if len(set(names)) == len(options) and set(names) == set(index):
                return _List(first, tuple(index[name] for name in names))
    return None


def _keys(lines: Sequence[str]) -> list[str]:
    return [found["key"] if (found := _LINE.fullmatch(line)) and found["sign"] else "" for line in lines]


def _texts(lines: Sequence[str]) -> list[str]:
    """What stands after a bullet or a key with a sign, the same on all lines; else the lines."""
    matches = [_LINE.fullmatch(line) for line in lines]
    if all(found and (found["sign"] or not found["key"][0].isalnum()) for found in matches):
        return [found["text"].strip() for found in matches]
    return [line.strip() for line in lines]


def _keyed(lines: Sequence[str], options: Sequence[str]) -> bool:
    return set(_keys(lines)) == set(options)


def _letters_in_order(options: Sequence[str], order: Sequence[int]) -> bool:
    listed = [options[option] for option in order]
    return listed == list(ascii_uppercase[: len(listed)])


def _with_text(line: str, other: str) -> str:
    """A line with its own key or bullet and the text of another line."""
    mine, theirs = _LINE.fullmatch(line), _LINE.fullmatch(other)
    if mine is None or theirs is None or _bare(mine) or _bare(theirs):
        return other
    return mine["before"] + mine["key"] + mine["sign"] + mine["space"] + theirs["text"]


def _bare(found: re.Match[str]) -> bool:
    return not found["sign"] and found["key"][0].isalnum()


def _mentioned(messages: Sequence[Message], options: Sequence[str]) -> tuple[int, ...] | None:
    """By the first mention in the description or the last message; a longer option is not one that it holds."""
    told = [message["content"] for message in messages[:-1] if message["role"] == "description"]
    text = "\n".join([*told, *(message["content"] for message in messages[-1:] if message["role"] != "output")])
    starts: dict[int, int] = {}
    for place in sorted(range(len(options)), key=lambda place: -len(options[place])):
        pattern = re.compile(rf"(?<!\w){re.escape(options[place])}(?!\w)")
        found = pattern.search(text)
        if found is None:
            return None
        starts[place] = found.start()
        text = pattern.sub(lambda match: "\0" * len(match[0]), text)
    return _inverse(sorted(starts, key=starts.__getitem__))


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    return tuple(place for _, place in sorted(zip(order, range(len(order)), strict=True)))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text.replace(",", "")))
    except ValueError:
        return False
