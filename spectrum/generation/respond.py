"""Greedy responses to prompts, many at a time, from a model as it is or multiplied by the three rules."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from peft import PeftModel
from tqdm import tqdm
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel, PreTrainedTokenizerBase

from dataset_builder.errors import UserError
from spectrum.formats.render import Format, Message
from spectrum.generation.logprobs import prompt_token_ids
from spectrum.generation.rule_adapter import RuleBasedAdapter
from spectrum.generation.sample import NOT_FINITE, Ending, ending_of


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
    """The most likely next token, again and again, as the paper decodes.

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
    end = ending_of(model, tokenizer, text_format)
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
    order = sorted(range(len(prompts)), key=lambda index: -len(prompt_ids[index]))
    with (
        with_empty_config(model) as plain,
        tqdm(total=len(prompts), desc="Responding", unit="response", disable=not progress) as bar,
    ):
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            width = len(prompt_ids[batch[0]])
            padding = [width - len(prompt_ids[index]) for index in batch]
            inputs = {
                "input_ids": [[pad] * n + list(prompt_ids[index]) for n, index in zip(padding, batch, strict=True)],
                "attention_mask": [[0] * n + [1] * (width - n) for n in padding],
            }
            tokens = plain.generate(
                **{name: torch.tensor(rows, device=model.device) for name, rows in inputs.items()},
                generation_config=config,
                logits_processor=LogitsProcessorList(processors),
                tokenizer=tokenizer,
            )
            for index, row in zip(batch, tokens[:, width:].tolist(), strict=True):
                found[index] = _response(row, end)
            bar.update(len(batch))
    return [found[index] for index in range(len(prompts))]


def _finite(_: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """The logits, (rows, vocabulary); the most likely of some that are NaN would be any token."""
    if not logits.logsumexp(-1).isfinite().all():
        raise UserError(NOT_FINITE)
    return logits


@contextmanager
def with_empty_config(model: PreTrainedModel | PeftModel) -> Iterator[PreTrainedModel | PeftModel]:
    """The model, for ``generate`` to run with the config that it is given and nothing else.

    ``generate`` takes from the model's own generation config all that it is not told: penalties, beams, forced tokens.
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


def _response(tokens: list[int], end: Ending) -> Response:
    """A response up to its end; what fills up the batch lies behind it."""
    for length in range(1, len(tokens) + 1):
        if end.reached(tokens[:length]):
            return Response(end.text_before(tokens[:length]), length, ended=True)
    return Response(end.text_before(tokens), len(tokens), ended=False)
