"""Greedy responses to prompts, many at a time, from a model as it is or multiplied by the three rules."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any

import torch
from peft import PeftModel
from tqdm import tqdm
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from spectrum_suite.compared_passes import ComparedTexts, likely_difference
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, Message
from spectrum_suite.generation.logprobs import TokenIds, prompt_token_ids
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter
from spectrum_suite.generation.sample import NOT_FINITE, ending_of
from spectrum_suite.layouts import alone, check_repeats, likely_tolerance, name_of, proof_of, runs_beside

logger = logging.getLogger(__name__)

_PROVEN_TOKENS = 3  # after a prompt: the first from its pass, and others from what the cache keeps


class Way(IntEnum):
    """How prompts are run to respond to them."""

    WHOLE = 0
    """Each prompt alone, and all of its text again for each token."""
    CACHED = 1
    """Prompts of equal length together, continued from the model's cache."""
    PADDED = 2
    """Prompts of any length together, padded in front."""


_CALLED = {Way.PADDED: "batches that are padded in front", Way.CACHED: "steps from its cache"}


@dataclass(frozen=True)
class Response:
    """A response.

    Attributes:
        text: Without what ended it and without special tokens.
        tokens: How many it has, the one that ended it included.
        ended: Whether it came to its end before there were too many.
    """

    text: str
    tokens: int
    ended: bool


@torch.inference_mode()
def respond(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Message]],
    *,
    text_format: Format,
    max_new_tokens: int,
    rules: RuleBasedAdapter | None = None,
    batch_size: int = 8,
    progress: bool = False,
) -> list[Response]:
    """The most likely next token, again and again (greedy decoding), as the paper decodes.

    Args:
        model: A causal language model in eval mode.
        tokenizer: Its tokenizer.
        prompts: Each a list of messages up to where the response begins.
        text_format: How they are written, and what ends a response.
        max_new_tokens: Tokens of a response at most, the one that ends it included.
        rules: What the model is multiplied by at every step.
        batch_size: Prompts at a time. Those of similar length go together.
        progress: Show a progress bar.

    Returns:
        A response per prompt.

    Raises:
        UserError: A role is out of place, a prompt has no tokens, or the model's logits are not finite.
    """
    prompt_ids = prompt_token_ids(tokenizer, prompts, text_format)
    end = ending_of(model.generation_config, tokenizer, text_format)
    processors = [_finite, *([] if rules is None else [rules])]
    pad = min(end.ids, default=0) if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(end.ids) or None,
        pad_token_id=pad,
        stop_strings=[end.blank_line] if end.blank_line else None,
    )
    found: dict[int, Response] = {}
    with (
        with_empty_config(model) as plain,
        tqdm(total=len(prompts), desc="Responding", unit="response", disable=not progress) as bar,
    ):
        ways = _Ways(model, plain, tokenizer, config, pad)
        way = ways.proven(_extremes(prompt_ids)) if prompts else Way.WHOLE
        for batch in _batches(prompt_ids, batch_size, way):
            rows = ways.run(way, [prompt_ids[index] for index in batch], processors)
            for index, row in zip(batch, rows, strict=True):
                tokens, ended = end.cut(row)  # padding of the batch comes after it
                found[index] = Response(end.text_before(tokens), len(tokens), ended)
            bar.update(len(batch))
    return [found[index] for index in range(len(prompts))]


def _extremes(prompts: Sequence[TokenIds]) -> list[TokenIds]:
    """The longest and the shortest, or one of them where all are as long."""
    longest, shortest = max(prompts, key=len), min(prompts, key=len)
    return [longest, shortest] if len(shortest) < len(longest) else [longest]


def _batches(prompts: Sequence[TokenIds], batch_size: int, way: Way) -> Iterator[list[int]]:
    """Indices of prompts that are run together, longest first; of equal length where nothing may be padded."""
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    while order:
        batch = order[:batch_size]
        if way is not Way.PADDED:
            batch = [index for index in batch if len(prompts[index]) == len(prompts[batch[0]])]
        yield batch
        order = order[len(batch) :]


@dataclass(frozen=True)
class _Ways:
    """Runs prompts in one of the ways.

    Attributes:
        model: Responds.
        plain: The same with an empty generation config.
        tokenizer: Its tokenizer.
        config: How a response continues and ends.
        pad: Fills up a batch.
    """

    model: PreTrainedModel
    plain: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    config: GenerationConfig
    pad: int

    def proven(self, prompts: Sequence[TokenIds]) -> Way:
        """The fastest way whose probabilities are those of whole texts, on these prompts and on shorter ones.

        Raises:
            UserError: As :func:`spectrum_suite.layouts.proof_of`.
        """
        proof, longest = proof_of(self.model), len(prompts[0]) + self.config.max_new_tokens
        together = Way.PADDED if runs_beside(self.model, longest) else Way.CACHED
        if len(prompts[0]) <= proof.response_reach:
            return min(Way(proof.responses), together)
        before, tokens = ComparedTexts.of(self.model).continued
        if not proof.response_reach and (reason := self._difference([before], tokens)):
            logger.warning("%s cannot respond in %s: %s", name_of(self.model), _CALLED[Way.CACHED], reason)
            proof.responses = Way.WHOLE
        for way in (Way.PADDED, Way.CACHED):
            if way > proof.responses:
                continue
            proof.responses = way
            given = prompts if way is Way.PADDED else prompts[:1]
            if not (reason := self._difference(given)):
                break
            logger.warning("%s cannot respond in %s: %s", name_of(self.model), _CALLED[way], reason)
            proof.responses = Way(way - 1)
        if proof.responses == Way.WHOLE:
            check_repeats(self.model, prompts[0], alone(self.model, prompts[0])[-1:].float().log_softmax(-1))
        proof.response_reach = len(prompts[0])
        return min(Way(proof.responses), together)

    def run(self, way: Way, prompts: Sequence[TokenIds], processors: Sequence[LogitsProcessor]) -> list[list[int]]:
        """The tokens after each prompt."""
        if way is Way.WHOLE:
            return [self._whole(prompt, processors) for prompt in prompts]
        output = self._generate(prompts, self.config, processors)
        return output[:, len(prompts[0]) :].tolist()

    def _generate(
        self, prompts: Sequence[TokenIds], config: GenerationConfig, processors: Sequence[LogitsProcessor], **more: Any
    ) -> Any:
        width = len(prompts[0])
        padding = [width - len(prompt) for prompt in prompts]
        inputs = {
            "input_ids": [[self.pad] * n + list(prompt) for n, prompt in zip(padding, prompts, strict=True)],
            "attention_mask": [[0] * n + [1] * (width - n) for n in padding],
        }
        return self.plain.generate(
            **{name: torch.tensor(rows, device=self.model.device) for name, rows in inputs.items()},
            generation_config=config,
            logits_processor=LogitsProcessorList(processors),
            tokenizer=self.tokenizer,
            **more,
        )

    def _whole(self, prompt: TokenIds, processors: Sequence[LogitsProcessor]) -> list[int]:
        """The tokens after a prompt, each by a plain pass of all before it."""
        ids = list(prompt)
        ends = set(self.config.eos_token_id or ())
        for _ in range(self.config.max_new_tokens):
            scores = alone(self.model, ids)[None, -1].float()
            for processor in processors:
                scores = processor(torch.tensor([ids], device=scores.device), scores)
            ids.append(int(scores.argmax()))
            if ids[-1] in ends:
                break
        return ids[len(prompt) :]

    def _difference(self, prompts: Sequence[Sequence[int]], follow: Sequence[int] = ()) -> str:
        """Why the logits of some tokens after prompts are not those of whole texts; an empty string if they are.

        The tokens are those of ``follow``, or the likeliest ones.
        """
        size, width = len(follow) or _PROVEN_TOKENS, len(prompts[0])
        config = GenerationConfig(do_sample=False, max_new_tokens=size, pad_token_id=self.pad)
        forced = [partial(_only, tokens=follow, start=width)] if follow else []
        try:
            output = self._generate(prompts, config, forced, output_logits=True, return_dict_in_generate=True)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # a model may raise anything
            return f"it raises {type(error).__name__} ({str(error).strip()[:120]})".replace("\n", " ")
        largest = 0.0
        for row, prompt in enumerate(prompts):
            tokens = output.sequences[row, width:].tolist()
            right = alone(self.model, [*prompt, *tokens[:-1]])[len(prompt) - 1 :]
            difference = likely_difference(torch.stack([logits[row] for logits in output.logits]), right)
            if math.isnan(difference):
                return ""  # NaN is refused where it is met
            if difference > likely_tolerance(self.model):
                check_repeats(self.model, [*prompt, *tokens[:-1]], right.float().log_softmax(-1))
            largest = max(largest, difference)
        if largest <= likely_tolerance(self.model):
            return ""
        return f"its probabilities differ from those of whole texts by {largest:.3g} nats"


def _only(ids: torch.Tensor, scores: torch.Tensor, *, tokens: Sequence[int], start: int) -> torch.Tensor:
    """Scores that leave a step after ``start`` tokens nothing but its one of ``tokens``."""
    chosen = torch.full_like(scores, -math.inf)
    chosen[:, tokens[ids.shape[1] - start]] = 0
    return chosen


def _finite(_: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """The logits, (rows, vocabulary); the most likely of some that are NaN would be any token."""
    if not logits.logsumexp(-1).isfinite().all():
        raise UserError(NOT_FINITE)
    return logits


@contextmanager
def with_empty_config(model: PreTrainedModel | PeftModel) -> Iterator[PreTrainedModel | PeftModel]:
    """The model, for ``generate`` to run with the config that it is given and nothing else.

    ``generate`` takes from the model's own generation config all that is not passed: penalties, beams, forced tokens.
    So it runs on a shallow copy, which has the same weights and an empty config; the model is not touched.
    """
    if isinstance(model, PeftModel) and not model.active_peft_config.is_prompt_learning:
        model = model.get_base_model()  # its layers have the adapter in them
    plain = copy.copy(model)
    plain.generation_config = GenerationConfig()
    kept = model.generation_config
    try:
        yield plain
    finally:
        if isinstance(model, PeftModel):  # its ``generate`` gives its config to the model inside
            model.get_base_model().generation_config = kept
