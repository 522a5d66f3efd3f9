"""How a survey prints its questions: which end of a scale comes first, what stands for a level, whether one may refuse.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. A raw row:

    Survey("letters", "{code}. {level}", rising=True, capital=True, non_answer="refused").ask(question, "the ferry")
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataset_builder.sources.rating_scales import Question
from dataset_builder.sources.synthetic import pick

CODINGS = ("numbers", "numbers", "from zero", "letters", "letters", "words")
"""How a survey codes its answers; what is there twice is twice as frequent."""

LINES = (
    "{code}. {level}",
    "{code}: {level}",
    "{code}) {level}",
    "({code}) {level}",
    "{code} - {level}",
    "{code} = {level}",
)
"""Lines of options below a question."""

NON_ANSWERS = ("don't know", "no answer", "refused", "no opinion", "can't say", "prefer not to say")
"""What may be the last option of every question of a survey; few choose it."""

_SHARE_WITH_NON_ANSWER = 0.8  # every question of OpinionQA's waves has one


class Asked(NamedTuple):
    """A question, the lines that list its options, and what stands for them.

    Attributes:
        question: Its words.
        options: The lines.
        answers: What stands for each level, from the low end to the high one.
        non_answer: What stands for giving no answer, where that is an option.
    """

    question: str
    options: tuple[str, ...]
    answers: tuple[str, ...]
    non_answer: str | None

    @property
    def possible(self) -> tuple[str, ...]:
        """All that may be answered, not answering included."""
        return self.answers if self.non_answer is None else (*self.answers, self.non_answer)

    @property
    def text(self) -> str:
        """The question as a survey prints it."""
        return "\n".join((self.question, *self.options))


class Survey(NamedTuple):
    """The way in which all questions of a survey are printed.

    Attributes:
        coding: What stands for a level: one of :data:`CODINGS`.
        line: What an option looks like.
        rising: Whether the low end of every scale comes first.
        capital: Whether options begin with a capital letter.
        non_answer: The last option of every question, or None.
    """

    coding: str
    line: str
    rising: bool
    capital: bool = False
    non_answer: str | None = None

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Survey:
        """Any way."""
        coding, line, non_answer = (pick(rng, choices) for choices in (CODINGS, LINES, NON_ANSWERS))
        rising, capital = (bool(rng.random() < 0.5) for _ in range(2))  # noqa: PLR2004
        return cls(coding, line, rising, capital, non_answer if rng.random() < _SHARE_WITH_NON_ANSWER else None)

    def ask(self, question: Question, thing: str) -> Asked:
        """The question about a thing, with its levels listed and coded."""
        levels = question.levels if self.rising else question.levels[::-1]
        listed = [*levels, self.non_answer] if self.non_answer else [*levels]
        if self.capital:
            listed = [level[0].upper() + level[1:] for level in listed]
        coded = codes(self.coding, len(listed))
        lines = (
            listed if coded is None else [self.line.format(code=c, level=n) for c, n in zip(coded, listed, strict=True)]
        )
        given = tuple(listed if coded is None else coded)
        answers = given[: len(levels)]
        return Asked(
            question.text.format(thing=thing),
            tuple(lines),
            answers if self.rising else answers[::-1],
            given[-1] if self.non_answer else None,
        )


def codes(coding: str, size: int) -> tuple[str, ...] | None:
    """What stands for each of so many options, in the order in which they are listed; None for the words themselves."""
    if coding == "words":
        return None
    if coding == "letters":
        return tuple("ABCDEFGH"[:size])
    start = 0 if coding == "from zero" else 1
    return tuple(str(code) for code in range(start, start + size))
