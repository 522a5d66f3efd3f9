"""Instruction following of a model, scored: which of two responses it finds more likely, and what its own are like.

**Ranking.** In how many random pairs is p(response | instruction) > p(other response | instruction) (arXiv 2409.14254)?
Pairs are disjoint and are looked at from both sides, so that a model that ignores instructions is right exactly
once in each pair, whatever it thinks of the responses, and gets 50%.

**Format.** What can be said of a response without a judge: does it end, how long is it, does it repeat, does it answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.intervals import interval, mean_of
from spectrum_suite.formats.render import Message
from spectrum_suite.generation.respond import Response
from spectrum_suite.lm.base import LM
from spectrum_suite.seeding import generator

N_GRAM = 4
"""Words of an n-gram, as in Welleck et al. 2020 (arXiv 1908.04319, section 5.1: seq-rep-4)."""

_NEW_INSTRUCTION = re.compile(
    r"^\W*(?:instruction|input|question|user|human|task|exercise|q|description)\s*\d*\s*(?:\W*:|\|>|\]|$)",
    re.IGNORECASE | re.MULTILINE,
)
"""A line that begins as the next instruction does in a document: ``Question 2:``, ``<|user|>``, ``user``."""

Conversation = Sequence[Message]
"""Messages, the last of which is the response."""


@dataclass(frozen=True)
class Ranking:
    """What a model makes of pairs of conversations.

    Attributes:
        pairs: Indices of the two conversations of each pair.
        margins: Per pair and side, log p(response | instruction) - log p(other response | instruction), in nats.
    """

    pairs: tuple[tuple[int, int], ...]
    margins: tuple[tuple[float, float], ...]

    @property
    def scores(self) -> list[float]:
        """Per pair the share of its two sides on which the own response is more likely; a tie counts half.

        NaN for a pair for which the model gives no number.
        """
        return [
            math.nan
            if any(map(math.isnan, sides))
            else sum((margin > 0) + (margin == 0) / 2 for margin in sides) / len(sides)
            for sides in self.margins
        ]

    @property
    def n_failed(self) -> int:
        """Pairs for which the model gives no number."""
        return sum(map(math.isnan, self.scores))

    @property
    def capability(self) -> float:
        """The share over all pairs and sides that have a number; NaN if none has."""
        known = [score for score in self.scores if not math.isnan(score)]
        return sum(known) / len(known) if known else math.nan

    def section(self) -> dict[str, object]:
        """``capability``, its 95% bootstrap interval over pairs, how many there are, and how many failed."""
        return {
            "capability": self.capability,
            "ci95": interval(self.scores),
            "n": len(self.pairs),
            "n_failed": self.n_failed,
        }


def rank_responses(lm: LM, conversations: Sequence[Conversation], pairs: Sequence[tuple[int, int]]) -> Ranking:
    """Compare each conversation's response with that of the other one of its pair.

    A response's probability is that of its text, whatever comes after it: the sum over its tokens, not their mean.

    Args:
        lm: The model.
        conversations: Of which pairs are made.
        pairs: Indices of the two of each pair, as :func:`random_pairs` gives them.

    Raises:
        UserError: A conversation is longer than the model allows.
    """
    sides = [(own, other) for one, two in pairs for own, other in ((one, two), (two, one))]
    scores = lm.option_logprobs(
        [conversations[own][:-1] for own, _ in sides],
        [[conversations[index][-1]["content"] for index in side] for side in sides],
    )
    margins = torch.stack([own - other for own, other in (found.log_probs for found in scores)]).view(-1, 2).tolist()
    return Ranking(tuple(pairs), tuple((one, two) for one, two in margins))


def random_pairs(count: int, *, limit: int | None = None, seed: int = 42) -> tuple[tuple[int, int], ...]:
    """Disjoint pairs of ``count`` things, ``limit`` at most; where they are odd in number, one is left over.

    Raises:
        UserError: There are fewer than two.
    """
    if count < 2:  # noqa: PLR2004
        raise UserError(f"ranking compares the responses of two conversations, but there are {count}: give more")
    order = generator(seed, "ranking").permutation(count).tolist()
    return tuple(zip(order[::2], order[1::2], strict=False))[:limit]


def format_measures(instruction: str, response: Response) -> dict[str, float]:
    """Measures of one response.

    Returns:
        ``ends`` (1 if it ends by itself), ``tokens``, ``words``, ``repeats_instruction`` (1 if it holds the instruction
        word for word), ``new_instruction`` (1 if a line of it begins a further instruction), and ``repetition``: the
        share of its word 4-grams that have been there before, NaN where it has none.
    """
    words = response.text.split()
    asked = " ".join(instruction.split()).casefold()
    return {
        "ends": float(response.ended),
        "tokens": float(response.tokens),
        "words": float(len(words)),
        "repeats_instruction": float(bool(asked) and asked in " ".join(words).casefold()),
        "new_instruction": float(_NEW_INSTRUCTION.search(response.text) is not None),
        "repetition": repetition(words),
    }


def repetition(words: Sequence[str], n: int = N_GRAM) -> float:
    """1 - distinct n-grams / n-grams; NaN for fewer than ``n`` words."""
    grams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else math.nan


def summarize_formats(measures: Sequence[Mapping[str, float]]) -> dict[str, dict[str, object]]:
    """Measure -> its ``mean``, ``ci95`` (bootstrap over responses) and ``n``, NaN left out."""
    return {name: mean_of([row[name] for row in measures]) for name in measures[0]}
