"""What models have in common of which only a service is known: no tokenizer, no log-probabilities of given texts."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NoReturn

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Message
from spectrum_suite.generation.logprobs import Prompt
from spectrum_suite.generation.output_logprobs import OutputLogProbs, OutputOptions
from spectrum_suite.generation.respond import Response
from spectrum_suite.lm.base import LM, OptionScores, Question
from spectrum_suite.lm.client import NoAnswerError
from spectrum_suite.lm.service import Service


@dataclass
class ServiceLM(LM):
    """A model behind a service.

    Attributes:
        service: Where it is asked.
    """

    service: Service

    api: ClassVar[str]
    """The name of what it speaks."""

    never: ClassVar[dict[Question, str]]
    """Questions that no such service answers -> why not."""

    positions: ClassVar[int | None] = None
    """How many tokens it takes is its own affair."""

    @property
    def conditions(self) -> dict[str, Any]:
        """See :class:`LM`."""
        endpoint = self.service.endpoint
        served = {"url": endpoint.url, "model": endpoint.model, "api": self.api}
        return {"dtype": None, "device": None, "load_in_4bit": None, "endpoint": served} | self.asked_how

    @property
    def about(self) -> dict[str, Any]:
        """See :class:`LM`."""
        return {
            "name": self.service.endpoint.model, "revision": None, "fingerprint": self.fingerprint, "base": None,
        }  # fmt: skip

    @property
    def writing(self) -> dict[str, Any]:
        """See :class:`LM`: what a service makes of messages is its own affair."""
        return {"format": f"{self.api} service", "bos": None}

    @property
    def asked_how(self) -> dict[str, Any]:
        """The part of :attr:`conditions` that is about how it is asked."""
        return {}

    @cached_property
    def fingerprint(self) -> str:
        """Of the service's address and the name of the model there: its weights are not seen."""
        endpoint = self.service.endpoint
        return hashlib.sha256(f"{self.api} {endpoint.base_url} {endpoint.model}".encode()).hexdigest()[:16]

    def load(self) -> None:
        """See :class:`LM`: there is nothing to load."""

    def cannot(self, question: Question) -> str | None:
        """See :class:`LM`: found out once, where it depends on the service."""
        if question in self.never:
            return self.never[question]
        if question not in self._refusals:
            try:
                self._refusals[question] = self.try_to(question)
            except NoAnswerError:
                raise
            except UserError as error:
                self._refusals[question] = str(error)
        return self._refusals[question]

    @cached_property
    def _refusals(self) -> dict[Question, str | None]:
        """Question -> why it cannot be asked, for those that were tried."""
        return {}

    @abstractmethod
    def try_to(self, question: Question) -> str | None:
        """Why a question cannot be asked, if so, found out with a small one.

        Raises:
            UserError: It cannot be asked, for the reason in the error.
        """

    def option_logprobs(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], *, refuse_long: bool = False
    ) -> list[OptionScores]:
        """See :class:`LM`: it cannot."""
        self.refuse("option_logprobs")

    def output_logprobs(
        self, sequences: Sequence[Sequence[Message]], *, options: OutputOptions | None = None
    ) -> list[OutputLogProbs]:
        """See :class:`LM`: it cannot."""
        self.refuse("output_logprobs")

    def respond(self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[Response]:
        """See :class:`LM`: it cannot."""
        self.refuse("respond")

    def refuse(self, question: Question) -> NoReturn:
        """Say why a question cannot be asked."""
        raise UserError(self.never[question])
