"""Response ranking: does a model find an instruction's own response more likely than that of another instruction?

In how many random pairs is p(response | instruction) > p(other response | instruction) (arXiv 2409.14254)? Pairs are
disjoint and are looked at from both sides, so that a model that pays no heed to instructions, whatever it thinks of the
responses, is right exactly once in each pair and gets 50%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.intervals import interval
from spectrum_suite.formats.render import Message
from spectrum_suite.lm.base import LM
from spectrum_suite.seeding import generator

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
        """Per pair the share of its two sides on which the own response is the likelier; a tie counts half.

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
