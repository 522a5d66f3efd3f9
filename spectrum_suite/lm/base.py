"""What can be asked of a language model, wherever it runs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

import torch
from transformers import AutoConfig, PreTrainedTokenizerBase

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
from spectrum_suite.models import ModelFiles, load_tokenizer

Question = Literal["option_logprobs", "output_logprobs", "sample", "respond"]
"""What can be asked of a model: the method that answers it."""

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
    """A language model that is scored and sampled from."""

    @property
    @abstractmethod
    def conditions(self) -> dict[str, Any]:
        """How the model is run, for the report: what its scores depend on besides its files."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hash that changes with the model."""

    @abstractmethod
    def load(self) -> None:
        """Load what is needed to ask it something.

        Raises:
            UserError: It cannot be loaded.
        """

    @abstractmethod
    def cannot(self, question: Question) -> str | None:
        """Why the model cannot answer a kind of question, in one line; None where it can, as far as can be told.

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
    def sample(self, prompts: Sequence[Prompt], n: int, *, max_new_tokens: int, seed: int) -> list[Samples]:
        """As :func:`spectrum_suite.sample`."""

    @abstractmethod
    def respond(self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[Response]:
        """As :func:`spectrum_suite.generation.respond.respond`."""


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
    def positions(self) -> int | None:
        """The most tokens that the model takes; None where its configuration names no number."""
        try:
            config = AutoConfig.from_pretrained((self.files.base or self.files).folder, local_files_only=True)
        except (OSError, ValueError, KeyError):  # what is wrong with it, loading the model says better
            return None
        return getattr(config.get_text_config(), "max_position_embeddings", None)

    def tokenized(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], *, refuse_long: bool
    ) -> AskedOptions:
        """Options as they are asked about; see :meth:`LM.option_logprobs`."""
        items = tokenize_options(self.tokenizer, prompts, options, self.text_format)
        return AskedOptions(items, self.positions if refuse_long else None)
