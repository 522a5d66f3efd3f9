"""A distribution that the model itself writes, as JSON.

Sums that are off are divided out, and reported in ``drawn`` as ``sum``; an answer that is none takes its part of
the sum from the coverage. What cannot be read is asked for again, up to three times in all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from datasets import Dataset

from spectrum_suite.evaluation.alignment.asked_items import items_of_masses
from spectrum_suite.evaluation.alignment.estimates import Estimate
from spectrum_suite.evaluation.alignment.summarize_alignment import AlignmentItem
from spectrum_suite.evaluation.alignment.written_json import UnreadableError, options_as_json, read_distribution
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.formats.render import Message
from spectrum_suite.lm.answers import Answer
from spectrum_suite.lm.base import LM
from spectrum_suite.lm.match_answers import matcher

TRIES = 3
_TOKENS_OF_A_NUMBER = 16

REQUEST = (
    "What follows describes something that could turn out in several ways, or asks a question that different people "
    "answer differently. Do not answer it. Write how likely each answer is: one JSON object, and nothing before or "
    "after it. Its keys are the answers {options}, all of them and spelled as here; its values are numbers from 0 to 1 "
    "that add up to 1."
)
"""What is asked for; ``{options}`` are those of the item."""


def by_verbalized(lm: LM, rows: Dataset, *, settings: EvaluationSettings) -> tuple[AlignmentItem, ...]:
    """Ask for the distribution over the options of each item."""
    written = [_Written(row["options"], row["messages"]) for row in rows]
    for number in range(TRIES):
        going = [each for each in written if each.masses is None]
        if not going:
            break
        answered = lm.answers(
            [each.prompt for each in going],
            1,
            requests=[each.request for each in going],
            first=number,
            max_new_tokens=max(each.tokens for each in going),
            seed=settings.seed,
        )
        for each, (answer,) in zip(going, answered, strict=True):
            each.read(answer)
    items = items_of_masses(rows, [each.masses for each in written], [each.refused for each in written])
    return tuple(replace(item, drawn=each.as_dict()) for item, each in zip(items, written, strict=True))


class _Written:
    """What a model writes of an item's options.

    Args:
        options: The options.
        prompt: The messages before them.
    """

    def __init__(self, options: Sequence[str], prompt: Sequence[Message]) -> None:
        self.options, self.prompt = options, prompt
        self.request = REQUEST.format(options=options_as_json(options))
        self.tokens = sum(len(option) + _TOKENS_OF_A_NUMBER for option in options) + _TOKENS_OF_A_NUMBER
        self.masses: list[float] | None = None
        self.total: float | None = None
        self.n = self.reasoning = 0
        self.others: Counter[str] = Counter()

    def read(self, answer: Answer) -> None:
        """Take the masses from an answer, if they can be read."""
        self.n += 1
        self.reasoning += answer.reasoning
        try:
            weights, self.total = read_distribution(answer, len(self.options), matcher(self.options, self.prompt))
        except UnreadableError as error:
            self.others[str(error)] += 1
        else:
            self.masses = [weight / self.total for weight in weights]

    @property
    def refused(self) -> str | None:
        """Why there are no masses, if there are none."""
        return None if self.masses else f"no distribution that can be read: {self.others.most_common(1)[0][0]}"

    def as_dict(self) -> dict[str, Any]:
        """As an item holds it."""
        return {"n": self.n, "others": dict(self.others), "reasoning": self.reasoning, "sum": self.total}


VERBALIZED = Estimate("answers", by_verbalized, lambda settings: {"request": REQUEST, "seed": settings.seed})
