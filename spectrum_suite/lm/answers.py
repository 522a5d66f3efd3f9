"""What was drawn from a model: whole answers, and the options that they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Answer:
    """One answer of a model, drawn at temperature 1.

    Attributes:
        text: What it says, without reasoning, special tokens and what ended it.
        ended: Whether it came to its end by itself, and was not cut off.
        refused: Whether the service marks it as a refusal or withholds it; what a text says is not looked at here.
        reasoning: Characters of reasoning that were taken out of it.
    """

    text: str
    ended: bool = True
    refused: bool = False
    reasoning: int = 0


@dataclass(frozen=True)
class DrawnOptions:
    """The answers that were drawn for one item, by option.

    Attributes:
        choices: Of each answer the place of its option, in the order of the draws; None where it is none of them.
        others: Why an answer is not an option -> how many.
        reasoning: Characters of reasoning that were taken out of all answers.
        by: What was matched to options: the first tokens of answers, or whole answers.
    """

    choices: tuple[int | None, ...]
    others: Mapping[str, int]
    reasoning: int = 0
    by: Literal["tokens", "answers"] = "answers"


@dataclass(frozen=True)
class DecidedOptions:
    """What a decision service says of the options of one item.

    Attributes:
        probabilities: Of each option; they sum to 1. None where it refuses.
        label_mass: The probability that the model says any of them; None where the service does not report it.
        refused: Why it does not decide, if so.
    """

    probabilities: tuple[float, ...] | None
    label_mass: float | None = None
    refused: str | None = None


FirstTokens = tuple[tuple[str, float], ...]
"""The likeliest first tokens of an answer as text, each with its log-probability in nats."""
