"""Ways to say how often each of several named things comes up: counts, percentages, odds, weights, words, lists.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. A raw row:

    names ["tea", "coffee"], counts [3, 1] -> "3 tea and 1 coffee", "tea 75%, coffee 25%", '{"tea": 3, "coffee": 1}'
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from dataset_builder.sources.everyday_topics import Topic

Shares = tuple[list[str], list[int]]
"""Names and their counts."""


def join(parts: list[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _pairs(names: list[str], values: list, pattern: str) -> list[str]:
    return [pattern.format(name=name, value=value) for name, value in zip(names, values, strict=True)]


def _percent(counts: list[int]) -> list[str]:
    shares = [100 * count / sum(counts) for count in counts]
    return [f"{share:.0f}" if share == round(share) else f"{share:.1f}" for share in shares]


def _decimals(counts: list[int]) -> list[str]:
    return [f"{count / sum(counts):.3f}".rstrip("0").rstrip(".") for count in counts]


AFTER_A_COLON: tuple[Callable[[list[str], list[int]], str], ...] = (
    lambda names, counts: join(_pairs(names, counts, "{value} {name}")),
    lambda names, counts: ", ".join(_pairs(names, counts, "{name} {value}")),
    lambda names, counts: ", ".join(_pairs(names, counts, "{name}: {value}")),
    lambda names, counts: join(_pairs(names, counts, "{name} ({value})")),
    lambda names, counts: "; ".join(_pairs(names, counts, "{value} x {name}")),
    lambda names, counts: ", ".join(_pairs(names, counts, "{name} {value} times")),
    lambda names, counts: "\n" + "\n".join(_pairs(names, counts, "{name} | {value}")),
    lambda names, counts: "\n" + "\n".join(_pairs(names, counts, "- {value} {name}")),
    lambda names, counts: json.dumps(dict(zip(names, counts, strict=True))),
    lambda names, counts: join(_pairs(names, _percent(counts), "{value}% {name}")),
    lambda names, counts: ", ".join(_pairs(names, _percent(counts), "{name} {value}%")),
    lambda names, counts: ", ".join(_pairs(names, _percent(counts), "{name}: {value} percent")),
    lambda names, counts: join(_pairs(names, _percent(counts), "{name} ({value}%)")),
    lambda names, counts: ", ".join(_pairs(names, _decimals(counts), "P({name}) = {value}")),
    lambda names, counts: join(_pairs(names, _decimals(counts), "{name} with probability {value}")),
    lambda names, counts: json.dumps(dict(zip(names, map(float, _decimals(counts)), strict=True))),
    lambda names, counts: join([f"{c}/{sum(counts)} {n}" for n, c in zip(names, counts, strict=True)]),
    lambda names, counts: join([f"{c} in {sum(counts)} {n}" for n, c in zip(names, counts, strict=True)]),
    lambda names, counts: f"{', '.join(names)} in the ratio {':'.join(map(str, counts))}",
    lambda names, counts: f"{' to '.join(names)} as {' to '.join(map(str, counts))}",
)
"""Phrases that stand after a colon or a verb."""

NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def with_unit(names: list[str], counts: list[int], topic: Topic, *, words: bool = False) -> str:
    """``3 tea orders and 1 coffee order``, or ``three tea orders and one coffee order``."""
    said = [NUMBER_WORDS[count] if words and count < len(NUMBER_WORDS) else str(count) for count in counts]
    units = [topic.unit if count == 1 else topic.units for count in counts]
    return join([f"{number} {name} {unit}" for number, name, unit in zip(said, names, units, strict=True)])


def clauses(rng: np.random.Generator, names: list[str], counts: list[int]) -> str:
    """``12 chose tea and 5 chose coffee``, with one of several verbs."""
    patterns = (
        "{value} said {name}", "{value} were {name}", "{name} came up {value} times", "{name} made {value}",
        "{name} was seen {value} times", "{value} had {name}", "{value} went to {name}", "{name} got {value}",
    )  # fmt: skip
    return join(_pairs(names, counts, patterns[rng.integers(len(patterns))]))


def listing(rng: np.random.Generator, names: list[str], counts: list[int]) -> str:
    """Every occurrence by itself in random order: ``tea, coffee, tea, tea``."""
    return ", ".join(rng.permutation(np.repeat(names, counts)).tolist())


_PARTS = {
    "half": 12, "a third": 8, "two thirds": 16, "a quarter": 6, "three quarters": 18, "a sixth": 4, "five sixths": 20,
    "a twelfth": 2, "almost never": 0, "an eighth": 3,
}  # fmt: skip


def in_words(names: list[str], counts: list[int]) -> str | None:
    """``half tea, a third coffee and a sixth juice`` where each share has a word, else None."""
    total = sum(counts)
    words = {parts: word for word, parts in _PARTS.items() if parts}
    if any(24 * count % total or 24 * count // total not in words for count in counts):
        return None
    return join([f"{words[24 * count // total]} {name}" for name, count in zip(names, counts, strict=True)])


def plural(noun: str) -> str:
    """``city`` -> ``cities``, ``dish`` -> ``dishes``, ``fish`` -> ``fish``."""
    if noun in ("fish", "weather", "transport"):
        return noun
    if noun.endswith("y") and noun[-2] not in "aeo":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "sh", "ch")) else "s")
