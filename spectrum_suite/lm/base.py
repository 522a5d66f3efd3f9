"""What can be asked of a language model, wherever it runs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

import torch
from transformers import AutoConfig, PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.model_chat import MODEL_CHAT, model_chat_format
from spectrum_suite.formats.render import Format, Message
from spectrum_suite.formats.tags import find_format
from spectrum_suite.generation.logprobs import (
    Prompt,
    TokenIds,
    TokenizedOptions,
    exclusive_log_probs,
    tokenize_options,
)
from spectrum_suite.generation.output_logprobs import OutputLogProbs, OutputOptions
from spectrum_suite.generation.respond import Response
from spectrum_suite.generation.sample import Samples
from spectrum_suite.lm.answers import Answer, DecidedOptions, DrawnOptions, FirstTokens
from spectrum_suite.lm.match_answers import EMPTY, OTHER, match_answers
from spectrum_suite.models import ModelFiles, load_tokenizer

Question = Literal[
    "option_logprobs",
    "output_logprobs",
    "sample",
    "respond",
    "answers",
    "draw_options",
    "first_tokens",
    "decide_options",
]
"""What can be asked of a model: the method that answers it."""

SERVICES_ONLY: Mapping[Question, str] = {
    "first_tokens": "--estimate top_logprobs is for --api chat: other engines have --estimate logprobs, which is exact",
    "decide_options": "--estimate systemone is for --api systemone: leave it out",
}
"""Questions that one kind of service alone answers -> what to say of all other engines."""

MAX_ANSWER_TOKENS = 64
"""Tokens of an answer at most, where nothing else is said."""

Loaded = TypeVar("Loaded")

_KEPT: ContextVar[dict[str, tuple[Any, Any]] | None] = ContextVar("_KEPT", default=None)


@contextmanager
def last_model_kept() -> Iterator[None]:
    """Within, the model and tokenizer loaded last stay loaded: evaluations of one model in a row load it once."""
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def kept(kind: str, key: Hashable, load: Callable[[], Loaded]) -> Loaded:
    """What was loaded last of a kind if it has the same key; otherwise ``load()``, which takes its place."""
    found = _KEPT.get()
    if found is None:
        return load()
    if kind not in found or found[kind][0] != key:
        found.pop(kind, None)  # first, since two models may not fit into memory
        found[kind] = key, load()
    return found[kind][1]


@dataclass(frozen=True)
class OptionScores:
    """The options of one prompt, scored.

    Attributes:
        log_probs: (n_options,), float32, in nats: the log-probability of each option's text, whatever comes after it;
            NaN where the model gives no number or was not asked.
        token_ids: The tokens of each option.
        refused: Why the model was not asked, if it was not.
    """

    log_probs: torch.Tensor
    token_ids: tuple[TokenIds, ...]
    refused: str | None = None

    @property
    def exclusive(self) -> torch.Tensor:
        """(n_options,), float64, in nats: see :func:`spectrum_suite.generation.logprobs.exclusive_log_probs`.

        Raises:
            UserError: Two options are the same tokens.
        """
        return exclusive_log_probs(self.log_probs, self.token_ids)


@dataclass(frozen=True)
class AskedOptions:
    """The options of some prompts as token ids.

    Attributes:
        items: The prompts with their options.
        limit: The most tokens of a prompt with its longest option that are not refused; None for any number.
    """

    items: list[TokenizedOptions]
    limit: int | None

    @property
    def fitting(self) -> list[TokenizedOptions]:
        """Those that are not refused."""
        return [item for item in self.items if self._fits(item)]

    def scored(self, log_probs: Iterable[torch.Tensor]) -> list[OptionScores]:
        """A result for each prompt, from the log-probabilities of those that fit."""
        found = iter(log_probs)
        reason = f"longer than the {self.limit} tokens that the model takes"
        return [
            OptionScores(next(found), item.options)
            if self._fits(item)
            else OptionScores(torch.full((len(item.options),), math.nan), item.options, refused=reason)
            for item in self.items
        ]

    def _fits(self, item: TokenizedOptions) -> bool:
        return self.limit is None or item.longest <= self.limit


class LM(ABC):
    """A language model that is scored and sampled from.

    An engine answers what it can and says in :meth:`cannot` what it cannot: a chat service draws ``answers`` (and by
    them ``draw_options``), and gives no ``option_logprobs``.
    """

    positions: int | None
    """The most tokens that the model takes; None where no number is known."""

    @property
    @abstractmethod
    def conditions(self) -> dict[str, Any]:
        """How the model is run, for the report: what its scores depend on besides its files."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hash that changes with the model."""

    @property
    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What the model is, for the report: its ``name``, its ``revision``, a hash of it and its ``base``, if any."""

    @property
    @abstractmethod
    def writing(self) -> dict[str, Any]:
        """How messages are written, for the report: the name of the ``format``, and whether a ``bos`` stands first."""

    @property
    def account(self) -> dict[str, Any] | None:
        """How a service was asked and what that took, for the report, once all has been asked; None without one."""
        return None

    @abstractmethod
    def load(self) -> None:
        """Load what is needed to ask it something.

        Raises:
            UserError: It cannot be loaded.
        """

    @abstractmethod
    def cannot(self, question: Question) -> str | None:
        """Why the model cannot answer a kind of question, in one line; None where it can, as far as is known.

        Raises:
            UserError: It cannot be loaded.
            NoAnswerError: Its server is gone.
        """

    @abstractmethod
    def option_logprobs(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], *, refuse_long: bool = False
    ) -> list[OptionScores]:
        """The log-probability of each option after its prompt, as :func:`spectrum_suite.option_logprobs` defines it.

        Args:
            prompts: Each a list of messages or a string.
            options: The options of each prompt.
            refuse_long: Do not ask about a prompt that with its longest option is longer than the model takes: its
                result says so in ``refused``.

        Raises:
            UserError: As :func:`spectrum_suite.option_logprobs`, or the model cannot be asked.
        """

    @abstractmethod
    def output_logprobs(
        self, sequences: Sequence[Sequence[Message]], *, options: OutputOptions | None = None
    ) -> list[OutputLogProbs]:
        """As :func:`spectrum_suite.generation.output_logprobs.output_logprobs`."""

    @abstractmethod
    def sample(
        self, prompts: Sequence[Prompt], n: int, *, first: int = 0, max_new_tokens: int, seed: int
    ) -> list[Samples]:
        """As :func:`spectrum_suite.sample`: the samples from number ``first`` on."""

    @abstractmethod
    def respond(self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[Response]:
        """As :func:`spectrum_suite.generation.respond.respond`."""

    @abstractmethod
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
        """Answers at temperature 1, nothing cut off the distribution.

        Args:
            prompts: The messages of each.
            n: Answers per prompt.
            requests: What is asked for with each prompt where it is not one answer to it, such as a distribution as
                JSON: it takes the place of what an engine asks for by itself (a chat's system prompt), or follows the
                last message.
            first: How many answers to each prompt were drawn before with this seed: these are the next ones, so that
                10 and then 20 more are the 30 of one call.
            max_new_tokens: Tokens of an answer at most; by default what the engine finds fit for a short one.
            seed: Of the draws, where the engine takes one.

        Returns:
            Per prompt its ``n`` answers, in the order of their numbers. An empty answer is an answer.

        Raises:
            UserError: A number is out of range, or the model cannot be asked.
            NoAnswerError: Its server is gone.
        """

    def draw_options(
        self,
        prompts: Sequence[Sequence[Message]],
        options: Sequence[Sequence[str]],
        n: int,
        *,
        first: int = 0,
        seed: int,
    ) -> list[DrawnOptions]:
        """Draw ``n`` answers to each prompt, each with the option that it is.

        Here whole answers are matched, by :func:`spectrum_suite.lm.match_answers.match_answers`. A model that is asked
        about tokens counts what :meth:`option_logprobs` counts: an answer that begins with the tokens of an option.

        Args:
            prompts: As in :meth:`answers`.
            options: The options of each prompt.
            n: Answers per prompt.
            first: As in :meth:`answers`.
            seed: As in :meth:`answers`.

        Raises:
            UserError: As :meth:`answers`, or two options of a prompt are the same.
        """
        answered = self.answers(prompts, n, first=first, seed=seed)
        return [
            match_answers(found, texts, prompt) for found, texts, prompt in zip(answered, options, prompts, strict=True)
        ]

    def first_tokens(self, prompts: Sequence[Sequence[Message]]) -> list[FirstTokens]:
        """The likeliest first tokens of an answer to each prompt, with their log-probabilities.

        Raises:
            UserError: The model cannot be asked.
        """
        raise UserError(SERVICES_ONLY["first_tokens"])

    def decide_options(
        self, prompts: Sequence[Sequence[Message]], options: Sequence[Sequence[str]], ordered: Sequence[bool]
    ) -> list[DecidedOptions]:
        """What a decision service says of the options of each prompt.

        Args:
            prompts: The messages of each.
            options: The options of each prompt.
            ordered: Whether they stand in order, from the lowest.

        Raises:
            UserError: The model cannot be asked.
        """
        raise UserError(SERVICES_ONLY["decide_options"])


@dataclass
class TokenLM(LM):
    """A model whose tokenizer is here, and that is asked about token ids.

    Attributes:
        files: Where its files are: at least its tokenizer and configuration.
        format_name: How messages are written: ``auto`` or the name of a format.
        progress: Show progress bars.
    """

    files: ModelFiles
    format_name: str
    _: KW_ONLY
    progress: bool = False

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer."""
        return kept("tokenizer", self.files, lambda: load_tokenizer(self.files))

    @cached_property
    def text_format(self) -> Format:
        """How messages are written."""
        return find_format(self.format_name, self.tokenizer)

    @cached_property
    def on_request(self) -> TokenLM:
        """The same model without a system prompt of ours: it asks for a draw, and a request for something else."""
        if self.text_format.name != MODEL_CHAT:
            return self
        self.load()
        found = copy(self)
        found.text_format = model_chat_format(self.tokenizer, system="")
        return found

    @cached_property
    def positions(self) -> int | None:
        """The most tokens that the model takes; None where its configuration names no number."""
        try:
            config = AutoConfig.from_pretrained((self.files.base or self.files).folder, local_files_only=True)
        except (OSError, ValueError, KeyError):  # what is wrong with it, loading the model says better
            return None
        return getattr(config.get_text_config(), "max_position_embeddings", None)

    @property
    def about(self) -> dict[str, Any]:
        """See :class:`LM`."""
        return self.files.describe()

    @property
    def writing(self) -> dict[str, Any]:
        """See :class:`LM`."""
        return {"format": self.text_format.name, "bos": self.text_format.bos}

    def tokenized(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], *, refuse_long: bool
    ) -> AskedOptions:
        """Options as they are asked about; see :meth:`LM.option_logprobs`."""
        items = tokenize_options(self.tokenizer, prompts, options, self.text_format)
        return AskedOptions(items, self.positions if refuse_long else None)

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
        """See :class:`LM`. A request is the last paragraph of the last input, or an input of its own."""
        lm, asked = self, prompts
        if requests is not None:
            lm, asked = self.on_request, list(map(with_request, prompts, requests))
        drawn = lm.sample(asked, n, first=first, max_new_tokens=max_new_tokens or MAX_ANSWER_TOKENS, seed=seed)
        return [[Answer(text, ended) for text, ended in zip(found.texts, found.ended, strict=True)] for found in drawn]

    def draw_options(
        self,
        prompts: Sequence[Sequence[Message]],
        options: Sequence[Sequence[str]],
        n: int,
        *,
        first: int = 0,
        seed: int,
    ) -> list[DrawnOptions]:
        """See :class:`LM`. No more tokens are drawn than the longest option of a prompt has."""
        items = tokenize_options(self.tokenizer, prompts, options, self.text_format)
        found: list[DrawnOptions | None] = [None] * len(items)
        for longest in sorted({max(map(len, item.options)) for item in items}):
            places = [place for place, item in enumerate(items) if max(map(len, item.options)) == longest]
            some = [prompts[place] for place in places]
            for place, drawn in zip(
                places, self.sample(some, n, first=first, max_new_tokens=longest, seed=seed), strict=True
            ):
                found[place] = begun_options(drawn, items[place].options)
        return found


def begun_options(samples: Samples, options: Sequence[TokenIds]) -> DrawnOptions:
    """The option with whose tokens each sample begins, the longest of them.

    Raises:
        UserError: Two options are the same tokens.
    """
    place = {ids: index for index, ids in enumerate(options)}
    if len(place) < len(options):
        raise UserError("two options of an item are the same tokens: list each answer once and add up its shares")
    choices = [
        next((place[ids[:end]] for end in range(len(ids), 0, -1) if ids[:end] in place), None)
        for ids in samples.token_ids
    ]
    left = [text for text, choice in zip(samples.texts, choices, strict=True) if choice is None]
    others = Counter(OTHER if text.strip() else EMPTY for text in left)
    return DrawnOptions(tuple(choices), dict(others), by="tokens")


def with_request(messages: Sequence[Message], request: str) -> list[Message]:
    """Messages that end in a request: a paragraph of the last input, or an input where there is none."""
    *before, last = messages
    if last["role"] != "input":
        return [*messages, Message(role="input", content=request)]
    return [*before, Message(role="input", content=f"{last['content']}\n\n{request}")]
