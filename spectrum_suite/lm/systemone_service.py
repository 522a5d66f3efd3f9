"""A model behind a decision service, `POST /v1/systemone`: it reports the probability of every option of a question.

Each item is a request of its own with one question, since the answer to a question moves with the others of its
request: a ``choice`` of the options, or a ``score`` where they stand in order and are few enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Message, split_messages
from spectrum_suite.generation.logprobs import Prompt
from spectrum_suite.generation.sample import Samples
from spectrum_suite.lm.answers import Answer, DecidedOptions
from spectrum_suite.lm.base import SERVICES_ONLY, Question
from spectrum_suite.lm.client import Json, RefusedError
from spectrum_suite.lm.service import USAGE, Draws
from spectrum_suite.lm.service_lm import ServiceLM
from spectrum_suite.systemone import Limits

PATH = "systemone"

_ID = "answer"
_CHOICE = "Which of the options is the answer?"
_SCORE = "Which of the levels is the answer?"
_ROUNDING = 0.005  # by which a probability is off that is given with two decimals
_LIMITS = Limits()
_NO_TEXT = "a decision service writes no text: "


@dataclass
class SystemOneLM(ServiceLM):
    """A model behind a decision service."""

    api: ClassVar[str] = "systemone"
    never: ClassVar[dict[Question, str]] = {
        "option_logprobs": "a decision service reports no log-probabilities: use --estimate systemone",
        "output_logprobs": "a decision service reports no log-probabilities: use another engine",
        "first_tokens": SERVICES_ONLY["first_tokens"],
        "answers": _NO_TEXT + "use --estimate systemone",
        "draw_options": _NO_TEXT + "use --estimate systemone",
        "sample": _NO_TEXT + "use another engine",
        "respond": _NO_TEXT + "use another engine",
    }

    @property
    def account(self) -> dict[str, Any]:
        """See :class:`spectrum_suite.lm.base.LM`."""
        return {"usage": self.service.store.sums(USAGE)}

    def try_to(self, question: Question) -> str | None:
        """See :class:`ServiceLM`: what it refuses, it refuses question by question."""
        return None

    def decide_options(
        self, prompts: Sequence[Sequence[Message]], options: Sequence[Sequence[str]], ordered: Sequence[bool]
    ) -> list[DecidedOptions]:
        """See :class:`spectrum_suite.lm.base.LM`. An item with more options than the service takes is refused.

        Raises:
            UserError: Two options of a prompt are the same, or the service refuses everything.
            NoAnswerError: It is gone.
            PlannedError: Nothing is to be asked.
        """
        questions = [question_of(*row) for row in zip(options, ordered, strict=True)]
        asked = [place for place, texts in enumerate(options) if len(texts) <= _LIMITS.options]
        wanted = [
            Draws({"state": state_of(prompts[place]), "questions": {_ID: questions[place]}}, range(1))
            for place in asked
        ]
        kept = self.service.draw(PATH, wanted, read_answer, withheld=_refused, doing="Asking")
        found = {place: _decided(answer, options[place]) for place, (answer,) in zip(asked, kept, strict=True)}
        most = f"more options than the {_LIMITS.options} that a decision service takes"
        return [found.get(place, DecidedOptions(None, refused=most)) for place in range(len(prompts))]

    def answers(
        self,
        prompts: Sequence[Sequence[Message]],
        n: int,
        *,
        request: str | None = None,
        first: int = 0,
        max_new_tokens: int | None = None,
        seed: int,
    ) -> list[list[Answer]]:
        """See :class:`spectrum_suite.lm.base.LM`: it cannot."""
        self.refuse("answers")

    def sample(
        self, prompts: Sequence[Prompt], n: int, *, first: int = 0, max_new_tokens: int, seed: int
    ) -> list[Samples]:
        """See :class:`spectrum_suite.lm.base.LM`: it cannot."""
        self.refuse("sample")


def question_of(options: Sequence[str], ordered: bool) -> Json:
    """The question about an item.

    Raises:
        UserError: Two options are the same text.
    """
    if len(set(options)) < len(options):
        raise UserError("two options of an item are the same text: list each answer once and add up its shares")
    if ordered and len(options) <= _LIMITS.levels:
        return {"type": "score", "instructions": _SCORE, "criteria": list(options)}
    return {"type": "choice", "instructions": _CHOICE, "criteria": dict.fromkeys(options)}


def state_of(messages: Sequence[Message]) -> Json:
    """What is known before the answer: the description, earlier inputs and answers, and the last input.

    Raises:
        UserError: A role is unknown or out of place.
    """
    description, draws, last = split_messages(messages)
    earlier = [({} if draw.input is None else {"input": draw.input}) | {"answer": draw.output} for draw in draws]
    state = {"description": description, "earlier_answers": earlier, "input": last}
    return {name: value for name, value in state.items() if value}


def read_answer(response: Json) -> list[Json]:
    """What is kept of an answer: ``probabilities`` by name and ``label_mass``, None where it is not reported.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: It is not the answer to the question.
    """
    found = {name: float(share) for name, share in response["answers"][_ID]["probabilities"].items()}
    total = sum(found.values())
    if not all(0 <= share <= 1 for share in found.values()) or abs(total - 1) > _ROUNDING * len(found) + 1e-6:
        raise ValueError("no distribution")
    diagnostics = (response.get("diagnostics") or {}).get(_ID) or {}
    mass = diagnostics.get("label_mass")
    return [{"probabilities": found, "label_mass": None if mass is None else float(mass)}]


def _decided(kept: Json, options: Sequence[str]) -> DecidedOptions:
    if reason := kept.get("refused"):
        return DecidedOptions(None, refused=reason)
    shares = kept["probabilities"]
    names = options if set(options) == set(shares) else [str(level) for level in range(len(options))]
    if set(names) != set(shares):
        return DecidedOptions(None, refused="the service answered with other options than it was given")
    total = math.fsum(shares.values())
    return DecidedOptions(tuple(shares[name] / total for name in names), kept["label_mass"])


def _refused(error: RefusedError) -> Json | None:
    """What is kept where one item is refused, as one with more options than the service has labels."""
    return None if error.temporary else {"refused": f"the service refuses with {error.status}: {error.said[:200]}"}
