"""System One: questions about a state whose every allowed answer gets a probability, and the shape of the answers.

A question is one of three:

    choice   criteria: {option: what it means, or null}           answer: the likeliest option
    noul     criteria: null, or what "true" and "false" mean      answer: the probability of yes
    score    criteria: levels in order, from the lowest           answer: the mean level, counted from 0

    {"type": "choice", "instructions": "Who should reply?", "criteria": {"sales": null, "support": "anything broken"}}

Two numbers are called confidence, and they differ:

    above_uniform     how far the answer is from a guess: 0 for uniform probabilities, 1 for a certain answer
    over_vocabulary   the probability of the likeliest option among everything that the model might say (vLLM's)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from spectrum_suite.errors import UserError

QuestionType = Literal["choice", "noul", "score"]
Confidence = Literal["above_uniform", "over_vocabulary"]

QUESTION_TYPES: tuple[QuestionType, ...] = get_args(QuestionType)
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)

YES, NO = "yes", "no"
"""What the two options of a noul are called."""

_FEWEST_LEVELS = 2
_FIELDS = ("type", "instructions", "criteria")


@dataclass(frozen=True)
class Option:
    """An allowed answer.

    Attributes:
        name: What it is called.
        description: What it means, where that is said.
    """

    name: str
    description: str | None = None


@dataclass(frozen=True)
class Question:
    """A question with its allowed answers.

    Attributes:
        id: What it is called.
        type: ``choice``, ``noul`` or ``score``.
        instructions: What is asked.
        options: The allowed answers; of a noul yes and no, of a score the levels from the lowest.
    """

    id: str
    type: QuestionType
    instructions: str
    options: tuple[Option, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What the options are called."""
        return tuple(option.name for option in self.options)

    @property
    def keys(self) -> tuple[str, ...]:
        """The options as gold answers name them: a noul has ``true`` and ``false``, a score numbers its levels."""
        if self.type == "noul":
            return ("true", "false")
        return tuple(map(str, range(len(self.options)))) if self.type == "score" else self.names


@dataclass(frozen=True)
class Limits:
    """What a service takes at most; lengths are in characters.

    Attributes:
        questions: Of a request.
        options: Of a choice.
        levels: Of a score.
        state: Length of the state, as JSON where it is not a string.
        instructions: Length of what is asked.
        name: Length of an id or of the name of an option.
        description: Length of what an option means.
    """

    questions: int = 64
    options: int = 255
    levels: int = 10
    state: int = 200_000
    instructions: int = 20_000
    name: int = 1_000
    description: int = 4_000


def read_questions(questions: Any, limits: Limits | None = None) -> tuple[Question, ...]:
    """The questions of a request, {id: {type, instructions, criteria}}, in their order.

    Args:
        questions: What was sent.
        limits: What is taken at most; by default there are no limits.

    Raises:
        UserError: There is none, or one of them is not a question, or too large.
    """
    if not isinstance(questions, Mapping) or not questions:
        raise UserError("questions are an object with at least one question: {id: {type, instructions, criteria}}")
    if limits is not None and len(questions) > limits.questions:
        raise UserError(f"{len(questions)} questions: ask at most {limits.questions} at a time")
    return tuple(_question(name, spec, limits) for name, spec in questions.items())


def state_text(state: Any, limits: Limits | None = None) -> str:
    """A state as the model reads it: a string as it is, anything else as JSON.

    Raises:
        UserError: It is not JSON, or too long.
    """
    try:
        text = state if isinstance(state, str) else json.dumps(state, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"the state is neither a string nor JSON ({error}): give one of both") from error
    check_text(text, "the state", limits and limits.state)
    return text


def check_text(text: Any, what: str, longest: int | None) -> None:
    """Refuse what is not text that a tokenizer can read.

    Args:
        text: What was given.
        what: What it is, for messages.
        longest: In characters; None for any length.

    Raises:
        UserError: It is not a string, is too long, or has half a surrogate pair, which UTF-8 cannot write.
    """
    if not isinstance(text, str):
        raise UserError(f"{what} is {_shown(text)}: give a string")
    if longest is not None and len(text) > longest:
        raise UserError(f"{what} has {len(text):,} characters: give at most {longest:,}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{what} has half of a surrogate pair at character {error.start}: remove it") from error


def confidence(question_type: QuestionType, probabilities: Sequence[float]) -> float:
    """How far an answer is from a guess, from 0 to 1: the confidence ``above_uniform``.

    Of a choice, the probability of the likeliest option, so scaled that a uniform guess has 0; of a noul |2p - 1|; of a
    score 1 minus the mean distance from the likeliest level, in units of what a uniform guess has from the middle.
    """
    count, top = len(probabilities), likeliest(probabilities)
    if count == 1:
        return 1.0  # nothing else is allowed
    if question_type == "score":
        apart = sum(p * abs(level - top) for level, p in enumerate(probabilities))
        return max(0.0, 1 - apart * count / sum(abs(level - (count - 1) / 2) for level in range(count)))
    return max(0.0, (probabilities[top] - 1 / count) / (1 - 1 / count))


def likeliest(probabilities: Sequence[float]) -> int:
    """The place of the highest probability, the first of several."""
    return max(range(len(probabilities)), key=probabilities.__getitem__)


def mean_level(probabilities: Sequence[float]) -> float:
    """The score of a distribution over levels."""
    return sum(level * p for level, p in enumerate(probabilities))


def answer(
    question: Question, probabilities: Sequence[float], label_mass: float, kind: Confidence = "above_uniform"
) -> dict[str, Any]:
    """An answer as it is sent.

    Args:
        question: The question.
        probabilities: Of its options, in their order; they sum to 1.
        label_mass: The probability that the model says any of them.
        kind: Which number is called ``confidence``. With ``over_vocabulary`` a noul has ``probabilities`` and
            ``confidence`` too, as from vLLM.
    """
    top = likeliest(probabilities)
    sure = probabilities[top] * label_mass if kind == "over_vocabulary" else confidence(question.type, probabilities)
    if question.type == "noul":
        found: dict[str, Any] = {"type": "noul", "noul": probabilities[0]}
        if kind == "above_uniform":
            return found
        return found | {"probabilities": dict(zip(question.names, probabilities, strict=True)), "confidence": sure}
    shares = dict(zip(question.keys, probabilities, strict=True))
    if question.type == "choice":
        found = {"type": "choice", "choice": question.names[top]}
    else:
        legend = dict(zip(question.keys, question.names, strict=True))
        found = {"type": "score", "score": mean_level(probabilities), "legend": legend}
    return found | {"probabilities": shares, "confidence": sure}


def _question(question_id: Any, spec: Any, limits: Limits | None) -> Question:
    check_text(question_id, "the id of a question", limits and limits.name)
    if not question_id:
        raise UserError("the id of a question is empty: give it a name")
    where = f"question {question_id[:60]!r}"
    if not isinstance(spec, Mapping):
        raise UserError(f"{where} is {_shown(spec)}: give an object with type, instructions and criteria")
    if foreign := [name for name in spec if name not in _FIELDS]:
        raise UserError(f"{where} has the field {str(foreign[0])[:60]!r}: there are {', '.join(_FIELDS)}")
    kind = spec.get("type")
    if not isinstance(kind, str) or kind not in QUESTION_TYPES:
        raise UserError(f"{where} has the type {_shown(kind)}: choose from {', '.join(QUESTION_TYPES)}")
    options = _OPTIONS[kind](where, spec.get("criteria"), limits)
    if len({option.name for option in options}) < len(options):
        names = [option.name for option in options]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise UserError(f"{where} names {twice[:60]!r} twice: give each option a name of its own")
    return Question(question_id, kind, _instructions(where, spec.get("instructions"), limits), options)


def _instructions(where: str, given: Any, limits: Limits | None) -> str:
    """What is asked; what is not a string becomes JSON."""
    text = given if isinstance(given, str) else "" if given is None else json.dumps(given, ensure_ascii=False)
    check_text(text, f"{where}: its instructions", limits and limits.instructions)
    if not text.strip():
        raise UserError(f"{where} has no instructions: say what is asked")
    return text


def _choice_options(where: str, criteria: Any, limits: Limits | None) -> tuple[Option, ...]:
    if not isinstance(criteria, Mapping) or not criteria:
        raise UserError(f"{where}: the criteria of a choice are an object, {{option: what it means, or null}}")
    if limits is not None and len(criteria) > limits.options:
        raise UserError(f"{where} has {len(criteria)} options: give at most {limits.options}")
    return tuple(_option(where, name, meaning, limits) for name, meaning in criteria.items())


def _noul_options(where: str, criteria: Any, limits: Limits | None) -> tuple[Option, ...]:
    if criteria is not None and not (isinstance(criteria, Mapping) and {*criteria} <= {"true", "false"}):
        raise UserError(f"{where}: the criteria of a noul are null, or an object with true and false alone")
    meanings = criteria or {}
    named = ((YES, meanings.get("true")), (NO, meanings.get("false")))
    return tuple(_option(where, name, meaning, limits) for name, meaning in named)


def _score_options(where: str, criteria: Any, limits: Limits | None) -> tuple[Option, ...]:
    if not isinstance(criteria, Sequence) or isinstance(criteria, str) or len(criteria) < _FEWEST_LEVELS:
        raise UserError(f"{where}: the criteria of a score are a list of at least {_FEWEST_LEVELS} levels, in order")
    if limits is not None and len(criteria) > limits.levels:
        raise UserError(f"{where} has {len(criteria)} levels: give at most {limits.levels}")
    is_number = [isinstance(level, int | float) and not isinstance(level, bool) for level in criteria]
    levels = (str(level) if number else level for level, number in zip(criteria, is_number, strict=True))
    return tuple(_option(where, level, None, limits) for level in levels)


def _option(where: str, name: Any, meaning: Any, limits: Limits | None) -> Option:
    check_text(name, f"{where}: an option", limits and limits.name)
    if not name.strip():
        raise UserError(f"{where} has an option without a name: name each one")
    if meaning is not None:
        check_text(meaning, f"{where}: what option {name[:60]!r} means", limits and limits.description)
    return Option(name, meaning or None)


_OPTIONS = {"choice": _choice_options, "noul": _noul_options, "score": _score_options}


def _shown(value: Any) -> str:
    """A value in a message, in few characters whatever it is."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)[:60]
    return "an object" if isinstance(value, Mapping) else "a list" if isinstance(value, Sequence) else "no JSON"
