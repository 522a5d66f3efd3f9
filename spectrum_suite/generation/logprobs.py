"""Exact log-probabilities of many options after a prompt, at little more than the cost of the prompt.

A prompt and its options form a tree of tokens. Its inner nodes are packed into one row in which a token attends to its
ancestors alone, so one forward pass runs every distinct prefix once, and options of a single token cost nothing beyond
the prompt. Short prompts go into one tree together, so that what they begin with alike is run once, too:

    prompt            A B C            options   D E   D F   D   G
    prompt            A B X            options   D
    packed            A B C D X        (one row; D attends to A B C, and X to A B; their positions are 3 and 2)
    scored            after C: D and G; after D: E and F; after X: D

Sliding windows are kept by position in the text rather than in the row, so that the numbers are those of a plain pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, Message, control_of, get_format
from spectrum_suite.formats.token_ids import string_token_ids, token_encoder
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter
from spectrum_suite.generation.steps import MAX_BRANCH_TOKENS, Row, score_rows
from spectrum_suite.layouts import Layout
from spectrum_suite.tree_attention import ROOT, TokenTree

MAX_SHARED_TOKENS = 512
"""Prompts go into one row while it has at most so many tokens (the mask and the attention grow with the square)."""

MAX_PADDING = 64
"""Tokens by which a row may be shorter than the longest of its batch: running more padding costs more than a pass."""

Prompt = str | Sequence[Message]
TokenIds = tuple[int, ...]


@torch.inference_mode()
def option_logprobs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    options: Sequence[Sequence[str]],
    *,
    text_format: Format | None = None,
    rules: RuleBasedAdapter | None = None,
    batch_size: int = 8,
    progress: bool = False,
) -> list[torch.Tensor]:
    """The log-probability of each option as the continuation of its prompt.

    It is the sum over all tokens of the option, without a terminator: the probability that the text continues with
    the option, whatever comes after. See :func:`option_token_ids` for what an option's tokens are.

    Args:
        model: Any causal language model, with or without an adapter, in eval mode.
        tokenizer: The model's tokenizer.
        prompts: Each a list of messages, which ``text_format`` renders up to where the next output begins, or a
            string, which the tokenizer encodes as it is, adding BOS if that is its way.
        options: The options of each prompt.
        text_format: How messages are written; by default the one that fits the tokenizer (``auto``).
        rules: What the model is multiplied by at every step; the response that they speak of is the option.
        batch_size: Prompts per forward pass.
        progress: Show a progress bar.

    Returns:
        Per prompt a float32 tensor on the CPU of shape (n_options,), in nats; NaN where the model's logits are not
        finite.

    Raises:
        UserError: The numbers of prompts and option lists differ, a prompt or an option has no tokens, or a prompt
            with an option is longer than the model allows.
    """
    items = tokenize_options(tokenizer, prompts, options, text_format)
    return score_options(model, items, rules=rules, batch_size=batch_size, progress=progress)


def option_probabilities(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    options: Sequence[Sequence[str]],
    *,
    text_format: Format | None = None,
    rules: RuleBasedAdapter | None = None,
    batch_size: int = 8,
    progress: bool = False,
) -> list[torch.Tensor]:
    """The probability of each option as the answer to its prompt, where no answer is counted for two options.

    The probability of the text ``1`` includes that of ``10``. Here an answer that begins with ``10`` counts for ``10``
    alone where both are options (see :func:`exclusive_log_probs`), so that the probabilities of a prompt add up to that
    of any of its options, at most 1. Divided by their sum they are the model's distribution over the options.

    Args:
        model: Any causal language model, with or without an adapter, in eval mode.
        tokenizer: The model's tokenizer.
        prompts: As in :func:`option_logprobs`.
        options: The options of each prompt, all different.
        text_format: How messages are written; by default the one that fits the tokenizer (``auto``).
        rules: What the model is multiplied by at every step.
        batch_size: Prompts per forward pass.
        progress: Show a progress bar.

    Returns:
        Per prompt a float64 tensor on the CPU of shape (n_options,).

    Raises:
        UserError: Two options of a prompt are the same tokens, or as :func:`option_logprobs`.
    """
    items = tokenize_options(tokenizer, prompts, options, text_format)
    scores = score_options(model, items, rules=rules, batch_size=batch_size, progress=progress)
    return [exclusive_log_probs(found, item.options).exp() for found, item in zip(scores, items, strict=True)]


class TokenizedOptions(NamedTuple):
    """A prompt and its options as token ids."""

    prompt: TokenIds
    options: tuple[TokenIds, ...]

    @property
    def longest(self) -> int:
        """Tokens of the prompt with its longest option."""
        return len(self.prompt) + max(map(len, self.options), default=0)


def tokenize_options(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    options: Sequence[Sequence[str]],
    text_format: Format | None = None,
) -> list[TokenizedOptions]:
    """Each prompt with its options as token ids.

    Raises:
        UserError: The numbers of prompts and option lists differ, or a prompt or an option has no tokens.
    """
    if len(prompts) != len(options):
        raise UserError(f"{len(prompts)} prompts but {len(options)} lists of options: pass one list per prompt")
    text_format = format_for(tokenizer, prompts, text_format)
    return [
        TokenizedOptions(
            ids, tuple(option_token_ids(tokenizer, texts, None if isinstance(prompt, str) else text_format))
        )
        for prompt, ids, texts in zip(prompts, prompt_token_ids(tokenizer, prompts, text_format), options, strict=True)
    ]


@torch.inference_mode()
def score_options(
    model: PreTrainedModel,
    items: Sequence[TokenizedOptions],
    *,
    rules: RuleBasedAdapter | None = None,
    batch_size: int = 8,
    progress: bool = False,
) -> list[torch.Tensor]:
    """:func:`option_logprobs` of what is tokenized already.

    Raises:
        UserError: A prompt with an option is longer than the model allows.
    """
    _check_lengths(model.config, items)

    def rows_in(layout: Layout) -> list[_Row]:
        return _pack(items, batch_size=batch_size, share=layout is Layout.TREE, apart=rules is not None)

    scores = score_rows(
        model,
        rows_in,
        lambda _, candidates: [_row_of(*candidate) for candidate in candidates],
        shared="a prompt",
        longest=max((item.longest - 1 for item in items if item.options), default=0),  # the last token is not run
        rules=rules,
        batch_size=batch_size,
        max_padding=MAX_PADDING,
        progress=progress,
    )
    return [
        torch.tensor([scores[item.prompt, option] for option in item.options], dtype=torch.float32) for item in items
    ]


def exclusive_log_probs(log_probs: torch.Tensor, token_ids: Sequence[TokenIds]) -> torch.Tensor:
    """Take from each option the probability of the listed longer options that continue it, token by token.

    The log-probability of the text ``1`` is that of all answers that begin with it, so where ``10`` is listed too and
    begins with the same token, the mass of ``10`` is in both, and the sum over the options may exceed 1. What is left
    here are the masses of events that exclude one another: "begins with ``10``" and "begins with ``1`` but not with
    ``10``". The sum never exceeds 1. Options that continue no other keep their log-probability.

    Args:
        log_probs: (n_options,), in nats.
        token_ids: The tokens of each option.

    Returns:
        (n_options,), in float64 and in nats; ``-inf`` where nothing is left.

    Raises:
        UserError: Two options are the same tokens.
    """
    position = {ids: index for index, ids in enumerate(token_ids)}
    if len(position) < len(token_ids):
        raise UserError("two options of an item are the same tokens: list each answer once and add up its shares")
    left = log_probs.to(torch.float64, copy=True)
    for ids, index in position.items():
        # only the longest listed option that this one continues: shorter ones lose its mass with that one's
        shorter = next((position[ids[:end]] for end in range(len(ids) - 1, 0, -1) if ids[:end] in position), None)
        if shorter is not None:
            share = torch.exp(log_probs[index].double() - left[shorter])
            left[shorter] += torch.log1p(-share.clamp(max=1))
    return left


def prompt_token_ids(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], text_format: Format | None = None
) -> list[TokenIds]:
    """The token ids of each prompt, with BOS once where the tokenizer adds one.

    Messages have the tokens that training gives them: control tokens in their texts are spelled. A string is taken as
    it is, control tokens included, and ends where its text does, even if the tokenizer would add an end of sequence.

    Raises:
        UserError: A prompt has no tokens.
    """
    messages = [prompt for prompt in prompts if not isinstance(prompt, str)]
    text_format = format_for(tokenizer, prompts, text_format)
    rendered = iter(_message_ids(tokenizer, messages, text_format) if messages else ())
    found = []
    for position, prompt in enumerate(prompts):
        ids = string_token_ids(tokenizer, prompt) if isinstance(prompt, str) else next(rendered)
        if not ids:
            raise UserError(f"prompt {position} has no tokens and this tokenizer adds no BOS: give it some text")
        found.append(tuple(ids))
    return found


def _message_ids(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[Message]], text_format: Format
) -> list[list[int]]:
    encode = token_encoder(tokenizer, text_format)
    texts = [text_format.marked_prompt(prompt) for prompt in prompts]
    start, ids = encode([text_format.bos])[text_format.bos], encode.at_start(texts)
    return [start + ids[text] for text in texts]


def option_token_ids(
    tokenizer: PreTrainedTokenizerBase, options: Sequence[str], text_format: Format | None = None
) -> list[TokenIds]:
    """The token ids of each option as they are after a prompt, with a border between the two, and no special tokens.

    Args:
        tokenizer: The model's tokenizer.
        options: Options of a prompt.
        text_format: The format of a prompt made of messages; plain text puts a space before an option. None for a
            prompt that is a string: options are then taken as they are.

    Raises:
        UserError: An option has no tokens.
    """
    if text_format is None:
        texts = [control_of(tokenizer, None).mark(option) for option in options]
    else:
        texts = [text_format.option(option) for option in options]
    found = token_encoder(tokenizer, text_format).options(texts)
    for option, ids in zip(options, found, strict=True):
        if not ids:
            raise UserError(f"option {option!r} has no tokens: leave it out")
    return [tuple(ids) for ids in found]


def format_for(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], text_format: Format | None
) -> Format | None:
    """The format of messages, by default the one that fits the tokenizer; none is needed if all prompts are strings."""
    if text_format is None and not all(isinstance(prompt, str) for prompt in prompts):
        return get_format("auto", tokenizer)
    return text_format


@dataclass
class _Row(Row[tuple[TokenIds, TokenIds]]):
    """Prompts with options after them, as one tree of tokens.

    Attributes:
        prompts: The prompts in it -> the index of the last token of each.
    """

    prompts: dict[TokenIds, int] = field(default_factory=dict)

    def add(self, prompt: TokenIds, option: TokenIds) -> None:
        """Score an option after a prompt."""
        if prompt not in self.prompts:  # options are many, and a prompt is long
            self.prompts[prompt] = self.tree.extend(ROOT, prompt)
        self.texts = len(self.prompts)
        self.steps[prompt, option] = self.tree.steps(self.prompts[prompt], option)

    def missing(self, prompt: TokenIds, option: TokenIds) -> int:
        """How many tokens that would be run for an option after a prompt are not there yet."""
        if prompt in self.prompts:
            return self.tree.missing(option[:-1], self.prompts[prompt])
        return self.tree.missing((*prompt, *option[:-1]))


def _check_lengths(config: PreTrainedConfig, items: Sequence[TokenizedOptions]) -> None:
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    for position, item in enumerate(items):
        if limit is not None and 0 < limit < item.longest:
            raise UserError(
                f"prompt {position} with its longest option has {item.longest} tokens, more than the {limit} that the "
                "model was made for: shorten it"
            )


def _pack(items: Sequence[TokenizedOptions], *, batch_size: int, share: bool, apart: bool) -> list[_Row]:
    """Rows that score every option of every prompt. Neighbours in sorted order share most.

    With ``apart`` no prompt begins with another of its row: a token is then a response's or a prompt's, never both.
    """
    of_prompt: dict[TokenIds, set[TokenIds]] = {}
    for prompt, texts in items:
        of_prompt.setdefault(prompt, set()).update(texts)
    rows: list[_Row] = []
    for prompt, texts in sorted(of_prompt.items()):
        alone = TokenTree()
        end = alone.extend(ROOT, prompt)
        for option in texts:
            alone.extend(end, option[:-1])
        fits = rows and len(rows[-1].prompts) < batch_size and _fits(rows[-1].tree, alone, prompt)
        fits = fits and not (apart and any(prompt[: len(other)] == other for other in rows[-1].prompts))
        if texts and not (share and fits):
            rows.append(_Row())
        for option in sorted(texts):
            if rows[-1].steps and _is_too_much(rows[-1], prompt, option, share=share):
                rows.append(_Row())
            rows[-1].add(prompt, option)
    return rows


def _row_of(prompt: TokenIds, option: TokenIds) -> _Row:
    """A row of a single option."""
    row = _Row()
    row.add(prompt, option)
    return row


def _fits(tree: TokenTree, other: TokenTree, prompt: TokenIds) -> bool:
    """Whether another prompt with its options still goes into a row of bounded size.

    A row of long prompts may be longer, if most of what another one adds to it is there already.
    """
    if len(tree.ids) + len(other.ids) <= MAX_SHARED_TOKENS:
        return True
    shared = len(prompt) - tree.missing(prompt)
    new = len(other.ids) - shared
    return new <= shared and len(tree.ids) + new <= shared + MAX_BRANCH_TOKENS


def _is_too_much(row: _Row, prompt: TokenIds, option: TokenIds, *, share: bool) -> bool:
    """Whether an option makes a row too long, or makes a fork where there must be none."""
    new = row.missing(prompt, option)
    size = len(row.tree.ids) + new
    if share:
        return size > max(MAX_SHARED_TOKENS, len(prompt) + MAX_BRANCH_TOKENS)
    return new > 0 and size > len(prompt) + len(option) - 1
