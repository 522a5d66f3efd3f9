"""What a chat service is sent and what it says: messages as turns, and its answer without reasoning."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spectrum_suite.formats.render import REQUEST, Message, split_messages
from spectrum_suite.lm.answers import Answer
from spectrum_suite.lm.client import Json

SYSTEM_PROMPT = (
    "You give answers of a certain kind. What kind is told by a description, by earlier answers, or by both. Each time "
    "you are asked, reply with exactly one answer of that kind and nothing else: no explanation, no introduction, no "
    "quotation marks and no formatting. If the description is about people, reply as one of them would. Where the "
    "answers to choose from are listed, reply with one of them as it is written there."
)
"""In our own words; a report says which one was used."""

_REASONING = re.compile(
    r"\s*(?:(?P<open>[<\[])(?P<name>think|thinking|thought|reasoning)[>\]].*?(?:[<\[]/(?P=name)[>\]]|\Z)|.*?</think>)",
    re.IGNORECASE | re.DOTALL,
)
"""At the beginning of an answer; the template of some models has opened it before the answer begins."""

_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")


def chat_turns(messages: Sequence[Message], system: str, *, system_role: bool = True) -> list[Json]:
    """Messages as the turns of a chat.

    The system prompt is followed by the description; each earlier output is an answer to its input, or to a request
    where it has none.

    Args:
        messages: With the roles ``description``, ``input`` and ``output``; an output is to come.
        system: What is asked for; nothing where it is empty.
        system_role: Whether the service knows the role; else its text begins the first turn.

    Raises:
        UserError: A role is unknown or out of place.
    """
    description, draws, last = split_messages(messages)
    turns: list[Json] = []
    for draw in draws:
        turns.append({"role": "user", "content": REQUEST if draw.input is None else draw.input})
        turns.append({"role": "assistant", "content": draw.output})
    turns.append({"role": "user", "content": REQUEST if last is None else last})
    before = "\n\n".join(filter(None, (system, description)))
    if not before:
        return turns
    if system_role:
        return [{"role": "system", "content": before}, *turns]
    first, *others = turns
    return [{"role": "user", "content": f"{before}\n\n{first['content']}"}, *others]


def read_completion(response: Json) -> list[Json]:
    """What is kept of each answer: ``text``, ``finish``, ``refused``, ``reasoning`` (characters) and ``top``.

    ``top`` holds the likeliest tokens at the first place of the answer with their log-probabilities in nats, where the
    service reports them.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: It is not a chat completion, or has no answer.
    """
    choices = sorted(response["choices"], key=lambda choice: choice.get("index", 0))
    if not choices:
        raise ValueError("no choice")
    return [_read_choice(choice) for choice in choices]


def read_top(response: Json) -> list[Json]:
    """The same of a request for log-probabilities.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: As :func:`read_completion`, or there are none.
    """
    answers = read_completion(response)
    if not all(answer["top"] for answer in answers):
        raise ValueError("no log-probabilities")
    return answers


def filtered_answer() -> Json:
    """What is kept where the service's filter withholds an answer."""
    return {"text": "", "finish": "content_filter", "refused": True, "reasoning": 0, "top": None}


def as_answer(kept: Json) -> Answer:
    """An answer without its reasoning. One that is nothing but reasoning has been cut off."""
    text, reasoning = kept["text"], kept["reasoning"]
    found = _REASONING.match(text)
    if found is not None:
        reasoning += found.end()
        text = text[found.end() :].lstrip()
    return Answer(
        text=text.strip("\n"),
        ended=kept["finish"] != "length",
        refused=kept["refused"],
        reasoning=reasoning,
    )


def _read_choice(choice: Json) -> Json:
    message = choice["message"]
    content = message.get("content") or ""
    if isinstance(content, list):  # parts, of which some are not text
        content = "".join(part.get("text", "") for part in content if part.get("type", "text") == "text")
    reasoning = [message.get(name) for name in _REASONING_FIELDS]
    return {
        "text": content,
        "finish": choice.get("finish_reason"),
        "refused": bool(message.get("refusal")) or choice.get("finish_reason") == "content_filter",
        "reasoning": max((len(text) for text in reasoning if isinstance(text, str)), default=0),
        "top": _top(choice),
    }


def _top(choice: Json) -> list[tuple[str, float]] | None:
    """The likeliest tokens at the first place."""
    tokens = (choice.get("logprobs") or {}).get("content") or []
    if not tokens:
        return None
    told = ((each["token"], float(each["logprob"])) for each in tokens[0].get("top_logprobs") or [])
    return list(dict.fromkeys(told))  # the token that was drawn may be listed once more
