"""A model behind an OpenAI-compatible chat service, of which nothing is here: no weights, no tokenizer.

It is asked for one answer at a time, at temperature 1; what it says is kept, so that nothing is asked twice. How a
service wants to be asked differs: which fields it knows, whether it has a system role, how many answers it gives to a
request, and what keeps it from reasoning before it answers. That is found out on the service itself
(:mod:`spectrum_suite.lm.chat_manner`), not looked up by its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Message
from spectrum_suite.generation.logprobs import Prompt
from spectrum_suite.generation.sample import Samples
from spectrum_suite.lm.answers import Answer, FirstTokens
from spectrum_suite.lm.base import MAX_ANSWER_TOKENS, SERVICES_ONLY, Question
from spectrum_suite.lm.chat_manner import MOST_LIKELY, NO_TOP, PATH, Manner, find_manner, find_top
from spectrum_suite.lm.chat_messages import SYSTEM_PROMPT, as_answer, filtered_answer, read_completion, read_top
from spectrum_suite.lm.client import Json, RefusedError
from spectrum_suite.lm.service import USAGE, Draws, PlannedError
from spectrum_suite.lm.service_lm import ServiceLM

_FILTERED = ("content_filter", "content_policy", "content management policy")
"""What services call it that a filter withholds the answer to a prompt."""

_TEXTS = "a chat service reports no log-probabilities of given texts: "


@dataclass
class ChatLM(ServiceLM):
    """A model behind a chat service.

    Attributes:
        system_prompt: What it is asked for, before the description.
        thinking: Let it reason before it answers.
    """

    system_prompt: str = SYSTEM_PROMPT
    thinking: bool = False

    api: ClassVar[str] = "chat"
    never: ClassVar[dict[Question, str]] = {
        "option_logprobs": _TEXTS + "estimate distributions from its answers with --estimate samples",
        "output_logprobs": _TEXTS + "use an engine that gives them, here or at a completions server",
        "respond": _TEXTS + "responses are measured with them alone",
        "decide_options": SERVICES_ONLY["decide_options"],
    }

    @property
    def asked_how(self) -> dict[str, Any]:
        """See :class:`ServiceLM`."""
        return {"system_prompt": self.system_prompt, "thinking": self.thinking}

    @cached_property
    def manner(self) -> Manner:
        """How it is asked; where nothing is to be asked, as most services are.

        Raises:
            UserError: It refuses whatever way it is asked.
            NoAnswerError: It is gone.
        """
        try:
            return find_manner(self.service, thinking=self.thinking)
        except PlannedError:
            return Manner()

    @property
    def account(self) -> dict[str, Any]:
        """See :class:`spectrum_suite.lm.base.LM`."""
        return {"manner": self.manner.as_dict(), "usage": self.service.store.sums(USAGE)}

    def try_to(self, question: Question) -> str | None:
        """See :class:`ServiceLM`."""
        if question != "first_tokens":
            _ = self.manner
            return None
        if self.manner.reasons:
            return (
                "it reasons before it answers, so the first tokens are not those of the answer: use --estimate samples"
            )
        return None if self.most_likely else f"{NO_TOP}: use --estimate samples"

    @cached_property
    def most_likely(self) -> int:
        """For how many of the likeliest tokens the service reports log-probabilities; 0 if for none."""
        try:
            return find_top(self.service, self.manner)
        except PlannedError:
            return MOST_LIKELY[0]

    def answers(
        self,
        prompts: Sequence[Sequence[Message]],
        n: int,
        *,
        requests: Sequence[str] | None = None,
        first: int = 0,
        max_new_tokens: int | None = None,
        seed: int,
    ) -> list[list[Answer]]:
        """See :class:`spectrum_suite.lm.base.LM`: a request takes the place of the system prompt.

        Raises:
            UserError: A number is out of range, or the service refuses.
            NoAnswerError: It is gone.
            PlannedError: Nothing is to be asked.
        """
        if n < 1 or first < 0:
            raise UserError(f"{n} answers from number {first} on: give a number of at least 1, from 0 on")
        systems = [self.system_prompt] * len(prompts) if requests is None else requests
        limit = max_new_tokens or MAX_ANSWER_TOKENS
        seen: Counter[str] = Counter()
        wanted = []
        for prompt, system in zip(prompts, systems, strict=True):
            body = self.manner.body(prompt, system, limit)
            written = str(body["messages"])
            wanted.append(Draws(body, range(first, first + n), f"{seed} {seen[written]}", limit))
            seen[written] += 1
        kept = self.service.draw(
            PATH,
            wanted,
            read_completion,
            at_once=self.manner.at_once,
            seeded=self.manner.seeded,
            withheld=_withheld,
            doing="Asking",
        )
        return [[as_answer(each) for each in found] for found in kept]

    def first_tokens(self, prompts: Sequence[Sequence[Message]]) -> list[FirstTokens]:
        """See :class:`spectrum_suite.lm.base.LM`: those that would be drawn, of a single request for each prompt.

        Raises:
            UserError: The service reports no log-probabilities, or refuses.
            NoAnswerError: It is gone.
            PlannedError: Nothing is to be asked.
        """
        wanted = [
            Draws(self.manner.top_body(prompt, self.system_prompt, self.most_likely), range(1), tokens=1)
            for prompt in prompts
        ]
        kept = self.service.draw(PATH, wanted, read_top, doing="Asking")
        return [tuple((text, log_prob) for text, log_prob in found["top"]) for (found,) in kept]

    def sample(
        self, prompts: Sequence[Prompt], n: int, *, first: int = 0, max_new_tokens: int, seed: int
    ) -> list[Samples]:
        """See :class:`spectrum_suite.lm.base.LM`; of messages alone.

        Raises:
            UserError: As :meth:`answers`, or a prompt is a string.
        """
        if any(isinstance(prompt, str) for prompt in prompts):
            raise UserError("a chat service continues no text: give a list of messages")
        drawn = self.answers(prompts, n, first=first, max_new_tokens=max_new_tokens, seed=seed)
        return [
            Samples(
                texts=tuple(answer.text for answer in found),
                unfinished=sum(not answer.ended for answer in found),
                ended=tuple(answer.ended for answer in found),
            )
            for found in drawn
        ]


def _withheld(error: RefusedError) -> Json | None:
    """The answer that a filter leaves, where a request is refused by one."""
    return filtered_answer() if any(name in error.said for name in _FILTERED) else None
