"""A model on this machine."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, Message, get_format
from spectrum_suite.generation.logprobs import Prompt, score_options
from spectrum_suite.generation.output_logprobs import OutputLogProbs, OutputOptions, output_logprobs
from spectrum_suite.generation.respond import Response, respond
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter, Rules
from spectrum_suite.generation.sample import Samples, rule_adapter, sample
from spectrum_suite.layouts import proof_of
from spectrum_suite.lm.base import SERVICES_ONLY, OptionScores, Question, TokenLM, kept
from spectrum_suite.models import ModelFiles, load_for_scoring


@dataclass
class LocalLM(TokenLM):
    """A model on this machine, loaded when it is first needed.

    Attributes:
        device: Where it runs.
        dtype: In which precision.
        load_in_4bit: Whether its weights are loaded as NF4.
        batch_size: Prompts per forward pass.
        rules: Of an adapter that the model is multiplied by, in all that is done with it.
    """

    device: torch.device
    dtype: torch.dtype
    load_in_4bit: bool = False
    batch_size: int = 8
    rules: Rules | None = None

    @classmethod
    def of(
        cls,
        model: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        text_format: Format | None = None,
        **options: Any,
    ) -> LocalLM:
        """A model that is loaded already.

        Args:
            model: A causal language model in eval mode.
            tokenizer: Its tokenizer.
            text_format: How messages are written; by default the one that fits the tokenizer (``auto``).
            options: ``batch_size``, ``rules`` or ``progress``.
        """
        text_format = get_format("auto", tokenizer) if text_format is None else text_format
        files = ModelFiles(model.name_or_path, Path(model.name_or_path))
        found = cls(files, text_format.name, model.device, model.dtype, **options)
        positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        vars(found).update(model=model, tokenizer=tokenizer, text_format=text_format, positions=positions)
        return found

    @property
    def conditions(self) -> dict[str, Any]:
        """See :class:`LM`."""
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
        return kept("fingerprint", self.files, self.files.fingerprint)

    def load(self) -> None:
        """Load the model, its tokenizer and its rules.

        Raises:
            UserError: They cannot be loaded.
        """
        _ = self.text_format, self.adapter or self.model

    def cannot(self, question: Question) -> str | None:
        """See :class:`LM`: a model that looks at later tokens, or is not the same twice, answers nothing."""
        if question in SERVICES_ONLY:
            return SERVICES_ONLY[question]
        try:
            proof_of(self.model)
        except UserError as error:
            return str(error)
        return None

    @cached_property
    def model(self) -> PreTrainedModel | PeftModel:
        """The model, ready to score."""
        return kept("model", self.loaded_as, self._load)

    @property
    def loaded_as(self) -> tuple[Hashable, ...]:
        """What distinguishes models in memory."""
        return self.fingerprint, self.device, self.dtype, self.load_in_4bit

    def _load(self) -> PreTrainedModel | PeftModel:
        return load_for_scoring(self.files, device=self.device, dtype=self.dtype, load_in_4bit=self.load_in_4bit)[0]

    @cached_property
    def adapter(self) -> RuleBasedAdapter | None:
        """The rules, for this model and format."""
        if self.rules is None:
            return None
        return rule_adapter(self.model, self.tokenizer, self.text_format, self.rules)

    def option_logprobs(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], *, refuse_long: bool = False
    ) -> list[OptionScores]:
        """See :class:`LM`."""
        asked = self.tokenized(prompts, options, refuse_long=refuse_long)
        how = {"rules": self.adapter, "batch_size": self.batch_size, "progress": self.progress}
        return asked.scored(score_options(self.model, asked.fitting, **how))

    def output_logprobs(
        self, sequences: Sequence[Sequence[Message]], *, options: OutputOptions | None = None
    ) -> list[OutputLogProbs]:
        """See :class:`LM`."""
        return output_logprobs(*self._loaded, sequences, options=options, batch_size=self.batch_size, **self._how)

    def sample(
        self, prompts: Sequence[Prompt], n: int, *, first: int = 0, max_new_tokens: int, seed: int
    ) -> list[Samples]:
        """See :class:`LM`."""
        return sample(*self._loaded, prompts, n, first=first, max_new_tokens=max_new_tokens, seed=seed, **self._how)

    def respond(self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[Response]:
        """See :class:`LM`."""
        return respond(*self._loaded, prompts, max_new_tokens=max_new_tokens, batch_size=self.batch_size, **self._how)

    @property
    def _loaded(self) -> tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase]:
        return self.model, self.tokenizer

    @property
    def _how(self) -> dict[str, Any]:
        return {"text_format": self.text_format, "rules": self.adapter, "progress": self.progress}
