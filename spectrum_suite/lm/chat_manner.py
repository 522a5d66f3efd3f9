"""How a chat service wants to be asked: the fields that it takes, and what keeps it from reasoning, found out on it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from spectrum_suite.formats.render import Message
from spectrum_suite.lm.chat_messages import SYSTEM_PROMPT, as_answer, chat_turns, read_completion
from spectrum_suite.lm.client import Json, RefusedError
from spectrum_suite.lm.service import Service

PATH = "chat/completions"

ANSWERS_PER_REQUEST = 16
"""As ``n``, where a service takes it: the prompt is then read, and paid for, once."""

REASONING_TOKENS = 4096
"""By which the limit of an answer is raised where a service reasons before it answers."""

MOST_LIKELY = (20, 10, 5)
"""Tokens whose log-probabilities are asked for, at most; services have limits of their own."""

NO_TOP = "the service reports no log-probabilities of likely tokens"

_PROBE = [Message(role="description", content="Names of colors."), Message(role="output", content="blue")]
_PROBE_TOKENS = 256

_NO_CUTS = {"top_k": -1, "min_p": 0, "repetition_penalty": 1}
"""Not OpenAI's, but servers of open models know them, and cut off by default what their generation config says."""

_SWITCHES: tuple[Json, ...] = (
    {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
    {"reasoning_effort": "none"},
    {"reasoning": {"enabled": False}},
    {"thinking": {"type": "disabled"}},
    {"reasoning_effort": "minimal"},
)
"""What turns reasoning off, in one service or the other."""


@dataclass(frozen=True)
class Manner:
    """How a chat service is asked.

    Attributes:
        drawing: Fields by which an answer is drawn at temperature 1, nothing cut off.
        limit: The field that limits the tokens of an answer.
        system_role: Whether it knows the role; else a system prompt begins the first turn.
        seeded: Whether it takes a seed.
        at_once: Answers to a request at most.
        switch: Fields that turn reasoning off; none where it does not reason, or cannot be kept from it.
        reasons: Whether it reasons before it answers.
    """

    drawing: Json = field(default_factory=lambda: {"temperature": 1, "top_p": 1} | _NO_CUTS)
    limit: str = "max_tokens"
    system_role: bool = True
    seeded: bool = True
    at_once: int = ANSWERS_PER_REQUEST
    switch: Json = field(default_factory=dict)
    reasons: bool = False

    def body(self, messages: list[Message], system: str, max_tokens: int) -> Json:
        """A request without ``model``, ``n`` and ``seed``.

        Raises:
            UserError: A role is unknown or out of place.
        """
        limit = max_tokens + REASONING_TOKENS * self.reasons
        turns = chat_turns(messages, system, system_role=self.system_role)
        return {"messages": turns, self.limit: limit} | self.drawing | self.switch

    def top_body(self, messages: list[Message], system: str, most: int) -> Json:
        """A request for the likeliest first tokens.

        Raises:
            UserError: A role is unknown or out of place.
        """
        return self.body(messages, system, 1) | {"logprobs": True, "top_logprobs": most}

    def as_dict(self) -> dict[str, Any]:
        """The same for a report."""
        return asdict(self)


def _without(*names: str) -> Callable[[Manner], Manner]:
    return lambda manner: replace(
        manner, drawing={name: value for name, value in manner.drawing.items() if name not in names}
    )


_ADJUSTMENTS: dict[str, Callable[[Manner], Manner]] = {
    "top_k|min_p|repetition_penalty": _without(*_NO_CUTS),
    "seed": lambda manner: replace(manner, seeded=False),
    "n": lambda manner: replace(manner, at_once=1),
    "max_tokens|max_completion_tokens": lambda manner: replace(manner, limit="max_completion_tokens"),
    "system": lambda manner: replace(manner, system_role=False),
    "top_p": _without("top_p"),
    "temperature": _without("temperature"),
}
"""The words by which a refusal names a field -> the manner without it, the likeliest first."""


def find_manner(service: Service, *, thinking: bool = False) -> Manner:
    """Ask small questions until the service takes one, and does not reason if it can be kept from it.

    Args:
        service: The service; what it answers is kept with all else.
        thinking: Let it reason.

    Raises:
        UserError: It refuses whatever way it is asked.
        NoAnswerError: It is gone.
        PlannedError: Nothing is to be asked.
    """
    manner, left = Manner(), dict(_ADJUSTMENTS)
    while True:
        try:
            answers, reasoned = _probe(service, manner)
            break
        except RefusedError as error:
            if error.temporary or not left:
                raise
            named = [words for words in left if re.search(rf"(?<!\\)\b({words})\b", error.said, re.IGNORECASE)]
            manner = left.pop((named or list(left))[0])(manner)
    if answers < 2:  # noqa: PLR2004 - as many as were asked for
        manner = replace(manner, at_once=1)
    if not reasoned:
        return manner
    for switch in () if thinking else _SWITCHES:
        quiet = replace(manner, switch=switch)
        try:
            if not _probe(service, quiet)[1]:
                return quiet
        except RefusedError as error:
            if error.temporary:
                raise
    return replace(manner, reasons=True)


def _probe(service: Service, manner: Manner) -> tuple[int, bool]:
    """How many answers come to a small question, and whether there was reasoning before them."""
    body = manner.body(_PROBE, SYSTEM_PROMPT, _PROBE_TOKENS)
    body |= ({"seed": 0} if manner.seeded else {}) | ({"n": 2} if manner.at_once > 1 else {})
    answers, usage = service.ask_once(PATH, body, read_completion)
    reasoned = bool(usage.get("reasoning_tokens")) or any(as_answer(kept).reasoning for kept in answers)
    return len(answers), reasoned


def find_top(service: Service, manner: Manner) -> int:
    """For how many of the likeliest tokens a service reports log-probabilities; 0 if for none.

    Raises:
        NoAnswerError: It is gone.
        PlannedError: Nothing is to be asked.
    """
    for most in MOST_LIKELY:
        try:
            (answer, *_), _ = service.ask_once(PATH, manner.top_body(_PROBE, SYSTEM_PROMPT, most), read_completion)
        except RefusedError as error:
            if error.temporary:
                raise
            continue
        return most if answer["top"] else 0
    return 0
