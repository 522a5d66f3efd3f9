"""Greedy responses to prompts, many at a time, from a model as it is or multiplied by the three rules."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Any

import torch
from peft import PeftModel
from tqdm import tqdm
from transformers import (
    Cache,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.utils import ModelOutput

from spectrum_suite.compared_passes import ComparedTexts, cache_of, likely_difference
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, Message
from spectrum_suite.generation.logprobs import TokenIds, prompt_token_ids
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter
from spectrum_suite.generation.sample import NOT_FINITE, Ending, ending_of
from spectrum_suite.layouts import (
    NotApart,
    alone,
    check_repeats,
    likely_tolerance,
    name_of,
    proof_of,
    reason_of,
    runs_beside,
)

logger = logging.getLogger(__name__)

_PROVEN_TOKENS = 3  # after a prompt: the first from its pass, and others from what the cache keeps
_TOGETHER = 16  # tokens of each response; then those that have come to their end leave the batch


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
        batch_size: Prompts at a time. Those of similar length go together, and responses that have come to their end
            leave the batch.
        progress: Show a progress bar.

    Returns:
        A response per prompt.

    Raises:
        UserError: A role is out of place, a prompt has no tokens, or the model's logits are not finite.
    """
    prompt_ids = prompt_token_ids(tokenizer, prompts, text_format)
    end = ending_of(model.generation_config, tokenizer, text_format)
    pad = min(end.ids, default=0) if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    found: dict[int, Response] = {}
    with (
        with_empty_config(model) as plain,
        tqdm(total=len(prompts), desc="Responding", unit="response", disable=not progress) as bar,
    ):
        ways = _Ways(model, plain, end, pad, max_new_tokens, rules)
        way = ways.proven(_extremes(prompt_ids)) if prompts else Way.WHOLE
        for batch in _batches(prompt_ids, batch_size, way):
            rows = ways.run(way, [prompt_ids[index] for index in batch])
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
        end: What ends a response.
        pad: Fills up a batch.
        max_new_tokens: Of a response at most.
        rules: What the model is multiplied by.
    """

    model: PreTrainedModel
    plain: PreTrainedModel
    end: Ending
    pad: int
    max_new_tokens: int
    rules: RuleBasedAdapter | None

    def proven(self, prompts: Sequence[TokenIds]) -> Way:
        """The fastest way whose probabilities are those of whole texts, on these prompts and on shorter ones.

        Raises:
            UserError: As :func:`spectrum_suite.layouts.proof_of`.
        """
        proof, longest = proof_of(self.model), len(prompts[0]) + self.max_new_tokens
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

    def run(self, way: Way, prompts: Sequence[TokenIds]) -> list[list[int]]:
        """The tokens after each prompt, and padding after some."""
        if way is Way.WHOLE:
            return [self._whole(prompt) for prompt in prompts]
        batch = _Batch.of(prompts, self.pad, self.model.device)
        proof = proof_of(self.model)
        if len(prompts) > 1 and all(proof.continues.values()):
            try:
                return self._shrinking(batch)
            except NotApart as error:
                logger.warning("%s keeps responses that have ended in the batch: %s", name_of(self.model), error)
                proof.continues[False] = False
        output = self._generate(batch, self.max_new_tokens, self._processors(len(prompts[0])))
        return output.sequences[:, len(prompts[0]) :].tolist()

    def _shrinking(self, batch: _Batch) -> list[list[int]]:
        """The tokens after each prompt of a batch, which those that have come to their end leave.

        Raises:
            NotApart: The model's cache does not lead to the probabilities of whole texts once a row has left it.
        """
        proof, processors = proof_of(self.model), self._processors(batch.width)
        found: list[list[int]] = [[] for _ in batch.ids]
        rows, left, moved, length = list(range(len(found))), False, False, 0
        while rows and length < self.max_new_tokens:
            unproven = bool(batch.cache) and left not in proof.continues
            size = min(_PROVEN_TOKENS if unproven else _TOGETHER, self.max_new_tokens - length)
            try:
                output = self._generate(batch, size, processors, output_logits=unproven)
            except (UserError, torch.OutOfMemoryError):
                raise
            except Exception as error:  # a model may raise anything
                if not batch.cache:
                    raise
                raise NotApart(f"it raises {reason_of(error)}") from error
            new = output.sequences[:, batch.ids.shape[1] :].tolist()
            if unproven:
                self._check(batch, new[-1], torch.stack([logits[-1] for logits in output.logits]))
                if moved or not left:
                    proof.continues[left] = True
            for row, tokens in zip(rows, new, strict=True):
                found[row] += tokens
            going = [place for place, row in enumerate(rows) if not self._ended(found[row], length)]
            length += len(new[0])
            left, moved = len(going) < len(rows), going != list(range(len(going)))
            rows = [rows[place] for place in going]
            if rows and length < self.max_new_tokens:
                batch = batch.after(output, going)
        return found

    def _ended(self, tokens: list[int], length: int) -> bool:
        """Whether one of the tokens after so many ended the response."""
        return any(self.end.reached(tokens[:size]) for size in range(length + 1, len(tokens) + 1))

    def _check(self, batch: _Batch, new: list[int], logits: torch.Tensor) -> None:
        """Compare the logits of new tokens of a batch's last row with those of its whole text alone.

        Raises:
            NotApart: They differ.
        """
        before = batch.ids[-1][batch.mask[-1].bool()].tolist()
        if reason := self._too_different(logits, before, new):
            raise NotApart(reason)

    def _processors(self, width: int) -> list[LogitsProcessor]:
        """What changes the logits after prompts of so many tokens."""
        if self.rules is None:
            return [_finite]
        rules = copy.copy(self.rules)
        rules.prompt_length = width
        return [_finite, rules]

    def _generate(
        self,
        batch: _Batch,
        size: int,
        processors: Sequence[LogitsProcessor],
        *,
        to_end: bool = True,
        output_logits: bool = False,
    ) -> Any:
        """So many tokens at most after each row; fewer where all have come to their end before, unless ``to_end``."""
        ends = sorted(self.end.ids) if to_end else []
        config = GenerationConfig(
            do_sample=False, max_new_tokens=size, eos_token_id=ends or None, pad_token_id=self.pad,
            return_dict_in_generate=True, output_logits=output_logits,
        )  # fmt: skip
        stops = [_BlankLine(self.end, batch.width)] if to_end and self.end.blank_line else []
        return self.plain.generate(
            input_ids=batch.ids,
            attention_mask=batch.mask,
            generation_config=config,
            logits_processor=LogitsProcessorList(processors),
            stopping_criteria=StoppingCriteriaList(stops),
            **batch.cache,
        )

    def _whole(self, prompt: TokenIds) -> list[int]:
        """The tokens after a prompt, each by a plain pass of all before it."""
        ids, processors = list(prompt), self._processors(len(prompt))
        for _ in range(self.max_new_tokens):
            scores = alone(self.model, ids)[None, -1].float()
            for processor in processors:
                scores = processor(torch.tensor([ids], device=scores.device), scores)
            ids.append(int(scores.argmax()))
            if self.end.reached(ids[len(prompt) :]):
                break
        return ids[len(prompt) :]

    def _difference(self, prompts: Sequence[Sequence[int]], follow: Sequence[int] = ()) -> str:
        """Why the logits of some tokens after prompts are not those of whole texts; an empty string if they are.

        The tokens are those of ``follow``, or the likeliest ones.
        """
        size, width = len(follow) or _PROVEN_TOKENS, len(prompts[0])
        forced = [partial(_only, tokens=follow, start=width)] if follow else []
        batch = _Batch.of(prompts, self.pad, self.model.device)
        try:
            output = self._generate(batch, size, forced, to_end=False, output_logits=True)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # a model may raise anything
            return f"it raises {reason_of(error)}"
        for row, prompt in enumerate(prompts):
            tokens = output.sequences[row, width:].tolist()
            logits = torch.stack([logits[row] for logits in output.logits])
            if reason := self._too_different(logits, prompt, tokens):
                return reason
        return ""

    def _too_different(self, logits: torch.Tensor, before: Sequence[int], tokens: Sequence[int]) -> str:
        """Why the logits of tokens after others are not those of the whole text; an empty string if they are."""
        ids = [*before, *tokens[:-1]]
        right = alone(self.model, ids)[len(before) - 1 :]
        difference = likely_difference(logits, right)
        if math.isnan(difference):
            return ""  # NaN is refused where it is met
        if difference <= likely_tolerance(self.model):
            return ""
        check_repeats(self.model, ids, right.float().log_softmax(-1))
        return f"its probabilities differ from those of whole texts by {difference:.3g} nats"


@dataclass(frozen=True)
class _Batch:
    """Texts that are continued together.

    Attributes:
        ids: (rows, tokens), padded in front.
        mask: The same shape, 0 where there is padding.
        width: Tokens of a prompt with its padding.
        cache: The keys and values of all tokens but the last, under the name that the model has for them.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    width: int
    cache: dict[str, Cache] = field(default_factory=dict)

    @classmethod
    def of(cls, prompts: Sequence[TokenIds], pad: int, device: torch.device) -> _Batch:
        """Prompts, the longest first."""
        width = len(prompts[0])
        padding = [width - len(prompt) for prompt in prompts]
        ids = [[pad] * n + list(prompt) for n, prompt in zip(padding, prompts, strict=True)]
        mask = [[0] * n + [1] * (width - n) for n in padding]
        return cls(torch.tensor(ids, device=device), torch.tensor(mask, device=device), width)

    def after(self, output: ModelOutput, kept: Sequence[int]) -> _Batch:
        """Some of the rows, with the tokens that were generated after them.

        Raises:
            NotApart: There is no cache that rows can leave.
        """
        ids = output.sequences
        mask = torch.nn.functional.pad(self.mask, (0, ids.shape[1] - self.mask.shape[1]), value=1)
        name, cache = cache_of(output)
        if not hasattr(cache, "reorder_cache"):
            raise NotApart("it gives no cache that they could leave")
        if len(kept) < len(ids):
            index = torch.tensor(kept, device=ids.device)
            ids, mask = ids[index], mask[index]
            cache.reorder_cache(index)
        return _Batch(ids, mask, self.width, {name: cache})


class _BlankLine(StoppingCriteria):
    """Stops a response where a blank line ends it."""

    def __init__(self, end: Ending, width: int) -> None:
        self.end, self.width = end, width

    def __call__(self, input_ids: torch.LongTensor, scores: torch.Tensor, **_: Any) -> torch.BoolTensor:
        """(rows,), whether each has come to its end with its last token."""
        reached = [self.end.reached(tokens) for tokens in input_ids[:, self.width :].tolist()]
        return torch.tensor(reached, dtype=torch.bool, device=input_ids.device)


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
