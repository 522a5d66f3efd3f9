"""The options of one prompt as a small table, to see what a model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format
from spectrum_suite.generation.logprobs import Prompt, exclusive_log_probs, score_options, tokenize_options
from spectrum_suite.generation.sample import NOT_FINITE

_BAR = 40  # characters of a bar that stands for probability 1


@dataclass(frozen=True)
class OptionTable:
    """What a model thinks of the options of a prompt.

    Attributes:
        options: The options.
        log_probs: The log-probability of each one's text, in nats, whatever comes after it.
        probabilities: The distribution over the options. What continues a longer option is not counted for the option
            that is its beginning (see :func:`spectrum_suite.generation.logprobs.exclusive_log_probs`).
        mass: The probability that the text continues with any of the options.
    """

    options: tuple[str, ...]
    log_probs: tuple[float, ...]
    probabilities: tuple[float, ...]
    mass: float

    def __str__(self) -> str:
        width = max(len("option"), *map(len, self.options))
        lines = [f"{'option':<{width}}  log-prob  probability"]
        for option, log_prob, probability in zip(self.options, self.log_probs, self.probabilities, strict=True):
            bar = "#" * round(_BAR * probability)
            lines.append(f"{option:<{width}}  {log_prob:>8.3f}  {probability:>11.3f}  {bar}".rstrip())
        return "\n".join([*lines, f"probability of any of them: {self.mass:.3f}"])


def option_table(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    options: Sequence[str],
    *,
    text_format: Format | None = None,
) -> OptionTable:
    """Score the options of one prompt; ``print`` the result to see it.

    Args:
        model: Any causal language model, with or without an adapter, in eval mode.
        tokenizer: Its tokenizer.
        prompt: A list of messages, or a string, which an option continues as it is, without a space in between.
        options: At least one, all different.
        text_format: How messages are written; by default the one that fits the tokenizer (``auto``).

    Raises:
        UserError: Two options are the same tokens, the model's logits are not finite, or as
            :func:`spectrum_suite.generation.logprobs.option_logprobs`.
    """
    (item,) = items = tokenize_options(tokenizer, [prompt], [options], text_format)
    (log_probs,) = score_options(model, items)
    if log_probs.isnan().any():
        raise UserError(NOT_FINITE)
    exclusive = exclusive_log_probs(log_probs, item.options)
    return OptionTable(
        options=tuple(options),
        log_probs=tuple(log_probs.tolist()),
        probabilities=tuple(torch.softmax(exclusive, dim=0).tolist()),
        mass=exclusive.exp().sum().item(),
    )
