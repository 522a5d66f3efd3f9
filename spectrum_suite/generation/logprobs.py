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

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from tqdm import tqdm
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, Message, control_of, get_format
from spectrum_suite.formats.token_ids import string_token_ids, token_encoder
from spectrum_suite.generation.rule_adapter import RuleBasedAdapter
from spectrum_suite.generation.steps import step_log_probs
from spectrum_suite.layouts import Layout, in_fastest_layout
from spectrum_suite.tree_attention import ROOT, Step, TokenTree

MAX_SHARED_TOKENS = 512
"""Prompts go into one row while it has at most so many tokens (the mask and the attention grow with the square)."""

MAX_BRANCH_TOKENS = 2048
"""Tokens of options behind a prompt in one row, at most; the prompt is run again for more."""

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

    It is the sum over all tokens of the option, without a terminator: the probability that the text goes on with the
    option, whatever comes after. See :func:`option_token_ids` for what an option's tokens are.

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
    if len(prompts) != len(options):
        raise UserError(f"{len(prompts)} prompts but {len(options)} lists of options: pass one list per prompt")
    prompt_ids = prompt_token_ids(tokenizer, prompts, text_format)
    option_ids = [
        option_token_ids(tokenizer, texts, None if isinstance(prompt, str) else _format(tokenizer, text_format))
        for prompt, texts in zip(prompts, options, strict=True)
    ]
    _check_lengths(model.config, prompt_ids, option_ids)

    def score(layout: Layout) -> dict[_Candidate, float]:
        share = layout is Layout.TREE
        rows = _pack(prompt_ids, option_ids, batch_size=batch_size, share=share, apart=rules is not None)
        scores = _scores(model, rows, rules, batch_size, layout, progress=progress)
        if broken := [candidate for candidate, score in scores.items() if math.isnan(score)]:
            # a NaN of one text spreads over all that share its row, whatever attends to it: each alone tells its own
            rows = [_row_of(*candidate) for candidate in broken]
            scores |= _scores(model, rows, rules, batch_size, layout, progress=progress)
        return scores

    scores = in_fastest_layout(model, score, shared="a prompt", longest=_longest(prompt_ids, option_ids))
    return [
        torch.tensor([scores[prompt, option] for option in options_of_prompt], dtype=torch.float32)
        for prompt, options_of_prompt in zip(prompt_ids, option_ids, strict=True)
    ]


def _scores(
    model: PreTrainedModel,
    rows: Sequence[_Row],
    rules: RuleBasedAdapter | None,
    batch_size: int,
    layout: Layout,
    *,
    progress: bool,
) -> dict[_Candidate, float]:
    """The log-probability of each option of each prompt in some rows."""
    scores: dict[_Candidate, float] = {}
    batches = list(_batches(rows, batch_size))
    if layout is Layout.ALONE:  # shortest first: rotary embeddings that grow with a text stay as they are for the next
        batches = [[row] for row in sorted(rows, key=lambda row: len(row.tree.ids))]
    for batch in tqdm(batches, desc="Scoring", unit="batch", leave=None, disable=not progress):
        wanted = [[step for steps in row.steps.values() for step in steps] for row in batch]
        found = step_log_probs(model, [row.tree for row in batch], wanted, rules, layout=layout)
        for row, log_probs in zip(batch, found, strict=True):
            scores |= {candidate: sum(log_probs[step] for step in steps) for candidate, steps in row.steps.items()}
    return scores


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
    rendered = iter(_message_ids(tokenizer, messages, _format(tokenizer, text_format)) if messages else ())
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


_Candidate = tuple[TokenIds, TokenIds]  # a prompt and an option behind it


@dataclass
class _Row:
    """Prompts with options behind them, as one tree of tokens.

    Attributes:
        tree: The tokens.
        prompts: The prompts in it.
        steps: (prompt, option) -> the steps that lead through the option.
    """

    tree: TokenTree = field(default_factory=TokenTree)
    prompts: set[TokenIds] = field(default_factory=set)
    steps: dict[_Candidate, list[Step]] = field(default_factory=dict)

    def add(self, prompt: TokenIds, option: TokenIds) -> None:
        """Score an option behind a prompt."""
        self.prompts.add(prompt)
        self.steps[prompt, option] = self.tree.steps(self.tree.extend(ROOT, prompt), option)


def _format(tokenizer: PreTrainedTokenizerBase, text_format: Format | None) -> Format:
    return get_format("auto", tokenizer) if text_format is None else text_format


def _check_lengths(config: PreTrainedConfig, prompts: list[TokenIds], options: list[list[TokenIds]]) -> None:
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    for position, (prompt, ids) in enumerate(zip(prompts, options, strict=True)):
        longest = len(prompt) + max(map(len, ids), default=0)
        if limit is not None and 0 < limit < longest:
            raise UserError(
                f"prompt {position} with its longest option has {longest} tokens, more than the {limit} that the model "
                "was made for: shorten it"
            )


def _longest(prompts: list[TokenIds], options: list[list[TokenIds]]) -> int:
    """Tokens of the longest text that is run: the last token of an option is not."""
    return max(
        (len(prompt) + len(ids) - 1 for prompt, texts in zip(prompts, options, strict=True) for ids in texts), default=0
    )


def _pack(
    prompts: Sequence[TokenIds], options: Sequence[Sequence[TokenIds]], *, batch_size: int, share: bool, apart: bool
) -> list[_Row]:
    """Rows that score every option of every prompt. Neighbours in sorted order share most.

    With ``apart`` no prompt begins with another of its row: a token is then a response's or a prompt's, never both.
    """
    of_prompt: dict[TokenIds, set[TokenIds]] = {}
    for prompt, texts in zip(prompts, options, strict=True):
        of_prompt.setdefault(prompt, set()).update(texts)
    rows: list[_Row] = []
    for prompt, texts in sorted(of_prompt.items()):
        alone = TokenTree()
        for option in texts:
            alone.extend(ROOT, (*prompt, *option[:-1]))
        fits = rows and len(rows[-1].prompts) < batch_size and _fits(rows[-1].tree, alone)
        fits = fits and not (apart and any(prompt[: len(other)] == other for other in rows[-1].prompts))
        if texts and not (share and fits):
            rows.append(_Row())
        for option in sorted(texts):
            if rows[-1].steps and _is_too_much(rows[-1].tree, prompt, option, share=share):
                rows.append(_Row())
            rows[-1].add(prompt, option)
    return rows


def _row_of(prompt: TokenIds, option: TokenIds) -> _Row:
    """A row of a single option."""
    row = _Row()
    row.add(prompt, option)
    return row


def _fits(tree: TokenTree, other: TokenTree) -> bool:
    """Whether another prompt with its options still goes into a row of bounded size."""
    return len(tree.ids) + len(other.ids) <= MAX_SHARED_TOKENS


def _is_too_much(tree: TokenTree, prompt: TokenIds, option: TokenIds, *, share: bool) -> bool:
    """Whether an option makes a row too long, or makes a fork where there must be none."""
    new = tree.missing((*prompt, *option[:-1]))
    size = len(tree.ids) + new
    if share:
        return size > max(MAX_SHARED_TOKENS, len(prompt) + MAX_BRANCH_TOKENS)
    return new > 0 and size > len(prompt) + len(option) - 1


def _batches(rows: Iterable[_Row], batch_size: int) -> Iterator[list[_Row]]:
    """Rows of similar length together, longest first, so that too small a machine fails at once."""
    batch: list[_Row] = []
    for row in sorted(rows, key=lambda row: -len(row.tree.ids)):
        if batch:
            is_full = sum(len(other.prompts) for other in batch) + len(row.prompts) > batch_size
            if is_full or len(batch[0].tree.ids) - len(row.tree.ids) > MAX_PADDING:
                yield batch
                batch = []
        batch.append(row)
    if batch:
        yield batch
