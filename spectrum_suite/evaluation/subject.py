"""What is evaluated: a model on this machine, or one behind a completions server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import torch
from peft import PeftModel
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

from spectrum_suite.formats.render import Format, Message
from spectrum_suite.formats.tags import find_format
from spectrum_suite.generation.endpoint.client import Endpoint
from spectrum_suite.generation.endpoint.outputs import endpoint_output_logprobs
from spectrum_suite.generation.endpoint.samples import endpoint_respond, endpoint_sample
from spectrum_suite.generation.endpoint.scores import endpoint_option_logprobs
from spectrum_suite.generation.logprobs import Prompt, option_logprobs
from spectrum_suite.generation.output_logprobs import OutputLogProbs, OutputOptions, output_logprobs
from spectrum_suite.generation.respond import Response, respond
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter, Rules
from spectrum_suite.generation.sample import Samples, rule_adapter, sample
from spectrum_suite.models import ModelFiles, load_for_scoring, load_tokenizer

Held = TypeVar("Held")

_HELD: ContextVar[dict[str, tuple[Any, Any]] | None] = ContextVar("_HELD", default=None)


@contextmanager
def last_model_held() -> Iterator[None]:
    """Within, the model and tokenizer loaded last stay, so that evaluations of one model in a row load it once."""
    token = _HELD.set({})
    try:
        yield
    finally:
        _HELD.reset(token)


def _held(kind: str, key: Hashable, load: Callable[[], Held]) -> Held:
    """What was loaded last of a kind, if that was for the same key; else it is loaded now and takes its place."""
    held = _HELD.get()
    if held is None:
        return load()
    if kind not in held or held[kind][0] != key:
        held.pop(kind, None)  # before the other is loaded, for two models may be too much
        held[kind] = key, load()
    return held[kind][1]


class Subject(Protocol):
    """A model that can be scored and sampled from, wherever it runs."""

    files: ModelFiles

    @property
    def conditions(self) -> dict[str, Any]:
        """How the model is run, for the report: what its scores depend on beside its files."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer."""

    @property
    def text_format(self) -> Format:
        """How messages are written."""

    @property
    def fingerprint(self) -> str:
        """A hash that changes with the model."""

    @property
    def positions(self) -> int | None:
        """Tokens that it takes at most; None where its configuration names no number."""

    def load(self) -> None:
        """Load what is needed to ask it something; what is wrong with the model itself is found here."""

    def option_logprobs(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[torch.Tensor]:
        """As :func:`spectrum_suite.option_logprobs`."""

    def output_logprobs(
        self, sequences: Sequence[Sequence[Message]], *, options: OutputOptions | None = None
    ) -> list[OutputLogProbs]:
        """As :func:`spectrum_suite.generation.output_logprobs.output_logprobs`."""

    def sample(self, prompts: Sequence[Prompt], n: int, *, max_new_tokens: int, seed: int) -> list[Samples]:
        """As :func:`spectrum_suite.generation.sample.sample`."""

    def respond(self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[Response]:
        """As :func:`spectrum_suite.generation.respond.respond`."""


@dataclass
class _Written:
    """The tokenizer and the format of a model, loaded when they are needed."""

    files: ModelFiles
    format_name: str

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer."""
        return _held("tokenizer", self.files, lambda: load_tokenizer(self.files))

    @cached_property
    def text_format(self) -> Format:
        """How messages are written."""
        return find_format(self.format_name, self.tokenizer)

    @cached_property
    def positions(self) -> int | None:
        """Tokens that the model takes at most; None where its configuration names no number."""
        try:
            config = AutoConfig.from_pretrained((self.files.base or self.files).folder, local_files_only=True)
        except (OSError, ValueError, KeyError):  # what is wrong with it, loading the model says better
            return None
        return getattr(config.get_text_config(), "max_position_embeddings", None)


@dataclass
class LocalModel(_Written):
    """A model on this machine, loaded when it is first needed.

    Attributes:
        files: Where it lies.
        format_name: ``auto`` or the name of a format.
        device: Where it runs.
        dtype: In which precision.
        load_in_4bit: Whether its weights are loaded as NF4.
        batch_size: Prompts per forward pass.
        rules: Of an adapter that the model is multiplied by, in all that is done with it.
        progress: Show progress bars.
    """

    device: torch.device
    dtype: torch.dtype
    load_in_4bit: bool = False
    batch_size: int = 8
    rules: Rules | None = None
    progress: bool = False

    @property
    def conditions(self) -> dict[str, Any]:
        """How it is run."""
        return {
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": self.device.type,
            "load_in_4bit": self.load_in_4bit,
            "endpoint": None,
            **({} if self.rules is None else {"rules": asdict(self.rules)}),
        }

    @cached_property
    def fingerprint(self) -> str:
        """Of all its files."""
        return _held("fingerprint", self.files, self.files.fingerprint)

    def load(self) -> None:
        """Load the model, its tokenizer and its rules.

        Raises:
            UserError: They cannot be loaded.
        """
        _ = self.text_format, self.adapter or self.model

    @cached_property
    def model(self) -> PreTrainedModel | PeftModel:
        """The model, ready to score."""
        return _held("model", (self.fingerprint, self.device, self.dtype, self.load_in_4bit), self._load)

    def _load(self) -> PreTrainedModel | PeftModel:
        return load_for_scoring(self.files, device=self.device, dtype=self.dtype, load_in_4bit=self.load_in_4bit)[0]

    @cached_property
    def adapter(self) -> RuleBasedAdapter | None:
        """The rules, for this model and format."""
        if self.rules is None:
            return None
        return rule_adapter(self.model, self.tokenizer, self.text_format, self.rules)

    def option_logprobs(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[torch.Tensor]:
        """As :func:`spectrum_suite.option_logprobs`."""
        return option_logprobs(
            self.model,
            self.tokenizer,
            prompts,
            options,
            text_format=self.text_format,
            rules=self.adapter,
            batch_size=self.batch_size,
            progress=self.progress,
        )

    def output_logprobs(
        self, sequences: Sequence[Sequence[Message]], *, options: OutputOptions | None = None
    ) -> list[OutputLogProbs]:
        """As :func:`spectrum_suite.generation.output_logprobs.output_logprobs`."""
        return output_logprobs(
            self.model,
            self.tokenizer,
            sequences,
            options=options,
            text_format=self.text_format,
            rules=self.adapter,
            batch_size=self.batch_size,
            progress=self.progress,
        )

    def sample(self, prompts: Sequence[Prompt], n: int, *, max_new_tokens: int, seed: int) -> list[Samples]:
        """As :func:`spectrum_suite.generation.sample.sample`."""
        return sample(
            self.model,
            self.tokenizer,
            prompts,
            n,
            text_format=self.text_format,
            rules=self.adapter,
            max_new_tokens=max_new_tokens,
            seed=seed,
            progress=self.progress,
        )

    def respond(self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[Response]:
        """As :func:`spectrum_suite.generation.respond.respond`."""
        return respond(
            self.model,
            self.tokenizer,
            prompts,
            text_format=self.text_format,
            rules=self.adapter,
            max_new_tokens=max_new_tokens,
            batch_size=self.batch_size,
            progress=self.progress,
        )


@dataclass
class ServedModel(_Written):
    """A model behind a completions server; here are only its tokenizer and its configuration.

    Attributes:
        files: Where these lie.
        format_name: ``auto`` or the name of a format.
        endpoint: Where it is served.
        progress: Show progress bars.
    """

    endpoint: Endpoint
    progress: bool = False

    def load(self) -> None:
        """Load the tokenizer; the model is elsewhere."""
        _ = self.text_format

    @property
    def conditions(self) -> dict[str, Any]:
        """How it is run."""
        served = {"url": self.endpoint.url, "model": self.endpoint.model}
        return {"dtype": None, "device": None, "load_in_4bit": None, "endpoint": served}

    @cached_property
    def fingerprint(self) -> str:
        """Of the server's address, the name of the model there and the tokenizer's files: its weights are not seen."""
        served = f"{self.endpoint.url} {self.endpoint.model} {self.files.fingerprint()}"
        return hashlib.sha256(served.encode()).hexdigest()[:16]

    def option_logprobs(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[torch.Tensor]:
        """As :func:`spectrum_suite.option_logprobs`."""
        return endpoint_option_logprobs(
            self.endpoint, self.tokenizer, prompts, options, text_format=self.text_format, progress=self.progress
        )

    def output_logprobs(
        self, sequences: Sequence[Sequence[Message]], *, options: OutputOptions | None = None
    ) -> list[OutputLogProbs]:
        """As :func:`spectrum_suite.generation.output_logprobs.output_logprobs`."""
        return endpoint_output_logprobs(
            self.endpoint,
            self.tokenizer,
            sequences,
            options=options,
            text_format=self.text_format,
            progress=self.progress,
        )

    def sample(self, prompts: Sequence[Prompt], n: int, *, max_new_tokens: int, seed: int) -> list[Samples]:
        """As :func:`spectrum_suite.generation.sample.sample`."""
        return endpoint_sample(
            self.endpoint,
            self.tokenizer,
            prompts,
            n,
            text_format=self.text_format,
            max_new_tokens=max_new_tokens,
            seed=seed,
            progress=self.progress,
        )

    def respond(self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[Response]:
        """As :func:`spectrum_suite.generation.respond.respond`."""
        return endpoint_respond(
            self.endpoint,
            self.tokenizer,
            prompts,
            text_format=self.text_format,
            max_new_tokens=max_new_tokens,
            progress=self.progress,
        )
