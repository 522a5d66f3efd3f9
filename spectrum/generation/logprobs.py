"""Exact log-probabilities of many options after a prompt, at little more than the cost of the prompt.

The options of a prompt form a tree of tokens. The prompt and the inner nodes of that tree are packed into one sequence
in which a token attends to its ancestors alone, so one forward pass runs every distinct prefix once, and options of a
single token cost nothing beyond the prompt:

    prompt            A B C            options   D E   D F   D   G
    packed            A B C D          (one row; D attends to A B C, its position is 3)
    scored            after C: D and G; after D: E and F

Sliding windows are kept by position in the text rather than in the row, so that the numbers are those of a plain pass.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from tqdm import tqdm
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from dataset_builder.errors import UserError
from spectrum.formats.render import Format, Message, get_format
from spectrum.lm_head import scored_positions
from spectrum.tree_attention import ancestors, masks_for_model, shares_prefixes

logger = logging.getLogger(__name__)

MAX_SCORED_POSITIONS = 256
"""The LM head runs on at most so many positions at a time (256 x 262,144 logits in float32 are 268 MB)."""

Prompt = str | Sequence[Message]
TokenIds = tuple[int, ...]

_NO_PARENT = -1


@torch.inference_mode()
def option_logprobs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    options: Sequence[Sequence[str]],
    *,
    text_format: Format | None = None,
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
        batch_size: Prompts per forward pass. Prompts of similar length go together.
        progress: Show a progress bar.

    Returns:
        Per prompt a float32 tensor on the CPU of shape (n_options,), in nats.

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
    share = shares_prefixes(model)
    if not share:
        logger.warning("%s cannot share a prompt between options: scoring them one by one", type(model).__name__)
    rows = [
        row
        for index, (ids, texts) in enumerate(zip(prompt_ids, option_ids, strict=True))
        for row in _pack(index, ids, texts, share=share)
    ]
    scores: list[dict[TokenIds, float]] = [{} for _ in prompts]
    for batch in tqdm(list(_batches(rows, batch_size)), desc="Scoring", unit="batch", leave=None, disable=not progress):
        _score(model, batch, scores, share=share)
    return [
        torch.tensor([_path_sum(found, ids) for ids in texts], dtype=torch.float32)
        for found, texts in zip(scores, option_ids, strict=True)
    ]


def prompt_token_ids(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], text_format: Format | None = None
) -> list[TokenIds]:
    """The token ids of each prompt, with BOS once where the tokenizer adds one.

    Raises:
        UserError: A prompt has no tokens.
    """
    found = []
    for position, prompt in enumerate(prompts):
        if isinstance(prompt, str):
            ids = tokenizer(prompt).input_ids
        else:
            rendered = _format(tokenizer, text_format).prompt(prompt)
            ids = tokenizer(rendered, add_special_tokens=False).input_ids
        if not ids:
            raise UserError(f"prompt {position} has no tokens and this tokenizer adds no BOS: give it some text")
        found.append(tuple(ids))
    return found


def option_token_ids(
    tokenizer: PreTrainedTokenizerBase, options: Sequence[str], text_format: Format | None = None
) -> list[TokenIds]:
    """The token ids of each option, tokenized apart from its prompt and without special tokens.

    Args:
        tokenizer: The model's tokenizer.
        options: Options of a prompt.
        text_format: The format of a prompt made of messages; plain text puts a space before an option. None for a
            prompt that is a string: options are then taken as they are.

    Raises:
        UserError: An option has no tokens.
    """
    prefix = "" if text_format is None else text_format.output_prefix
    found = tokenizer([prefix + option for option in options], add_special_tokens=False).input_ids if options else []
    for option, ids in zip(options, found, strict=True):
        if not ids:
            raise UserError(f"option {option!r} has no tokens: leave it out")
    return [tuple(ids) for ids in found]


@dataclass
class _Row:
    """A prompt with some inner nodes of its options' tree behind it.

    Attributes:
        prompt: Index of the prompt.
        tokens: Ids of the prompt and of the nodes.
        parents: For each token the index of the token before it in the text.
        wanted: Index of a token that is scored from -> {next token: the path of option tokens that ends in it}.
    """

    prompt: int
    tokens: list[int]
    parents: list[int]
    wanted: dict[int, dict[int, TokenIds]] = field(default_factory=dict)


def _format(tokenizer: PreTrainedTokenizerBase, text_format: Format | None) -> Format:
    return get_format("auto", tokenizer) if text_format is None else text_format


def _check_lengths(config: PreTrainedConfig, prompts: list[TokenIds], options: list[list[TokenIds]]) -> None:
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    for position, (prompt, ids) in enumerate(zip(prompts, options, strict=True)):
        longest = len(prompt) + max(map(len, ids), default=0)
        if limit is not None and longest > limit:
            raise UserError(
                f"prompt {position} with its longest option has {longest} tokens, more than the {limit} that the model "
                "was made for: shorten it"
            )


def _pack(prompt: int, prompt_ids: TokenIds, options: Iterable[TokenIds], *, share: bool) -> Iterator[_Row]:
    """Rows that score every option of a prompt: one row, more where its nodes are many or cannot be shared.

    Neighbours in sorted order share prefixes, so a new row repeats few nodes.
    """
    row, nodes = _start_row(prompt, prompt_ids)
    for option in sorted(set(options)):
        new = sum(option[:end] not in nodes for end in range(1, len(option)))
        branches = len(nodes) + new > len(option)
        if len(nodes) > 1 and new and (len(nodes) + new > MAX_SCORED_POSITIONS or (branches and not share)):
            yield row
            row, nodes = _start_row(prompt, prompt_ids)
        _add_option(row, nodes, option)
    if row.wanted:
        yield row


def _start_row(prompt: int, prompt_ids: TokenIds) -> tuple[_Row, dict[TokenIds, int]]:
    """A row with the prompt alone, and where in it each path of option tokens ends: the empty one, so far."""
    row = _Row(prompt, list(prompt_ids), list(range(_NO_PARENT, len(prompt_ids) - 1)))
    return row, {(): len(prompt_ids) - 1}


def _add_option(row: _Row, nodes: dict[TokenIds, int], option: TokenIds) -> None:
    for end, token in enumerate(option):
        path = option[:end]
        if path not in nodes:
            row.tokens.append(path[-1])
            row.parents.append(nodes[path[:-1]])
            nodes[path] = len(row.tokens) - 1
        row.wanted.setdefault(nodes[path], {})[token] = option[: end + 1]


def _batches(rows: list[_Row], batch_size: int) -> Iterator[list[_Row]]:
    """Rows of similar length together, longest first, so that too small a machine fails at once."""
    batch: list[_Row] = []
    for row in sorted(rows, key=lambda row: -len(row.tokens)):
        scored = sum(len(other.wanted) for other in batch) + len(row.wanted)
        if batch and (len(batch) == batch_size or scored > MAX_SCORED_POSITIONS):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _score(model: PreTrainedModel, rows: list[_Row], scores: list[dict[TokenIds, float]], *, share: bool) -> None:
    """Add to ``scores`` of each prompt {path of option tokens: log-probability of its last token, in nats}."""
    length = max(len(row.tokens) for row in rows)
    fill = rows[0].tokens[0]  # any token does: nothing attends to it
    tokens = torch.tensor([row.tokens + [fill] * (length - len(row.tokens)) for row in rows])
    scored = torch.zeros(tokens.shape, dtype=torch.bool)
    for index, row in enumerate(rows):
        scored[index, list(row.wanted)] = True
    inputs = {"input_ids": tokens, **(_tree_inputs(rows, length) if share else _plain_inputs(rows, length))}
    inputs["attention_mask"] = masks_for_model(inputs["attention_mask"], inputs.get("position_ids"), model)
    inputs |= {name: inputs[name].to(model.device) for name in inputs if name != "attention_mask"}
    with scored_positions(model, scored.to(model.device)):
        logits = model(**inputs, use_cache=False).logits.float()
    wanted = [(row.prompt, row.wanted[index]) for row in rows for index in sorted(row.wanted)]
    lines = torch.tensor([line for line, (_, nexts) in enumerate(wanted) for _ in nexts], device=logits.device)
    columns = torch.tensor([token for _, nexts in wanted for token in nexts], device=logits.device)
    found = iter((logits[lines, columns] - logits.logsumexp(-1)[lines]).tolist())
    for prompt, nexts in wanted:
        scores[prompt] |= {path: next(found) for path in nexts.values()}


def _plain_inputs(rows: list[_Row], length: int) -> dict[str, torch.Tensor]:
    """A padding mask of shape (rows, length), for rows without branches."""
    return {"attention_mask": torch.tensor([[1] * len(row.tokens) + [0] * (length - len(row.tokens)) for row in rows])}


def _tree_inputs(rows: list[_Row], length: int) -> dict[str, torch.Tensor]:
    """Which token is an ancestor of which, (rows, length, length), and how many ancestors it has, (rows, length)."""
    parents = torch.tensor([row.parents + [_NO_PARENT] * (length - len(row.parents)) for row in rows])
    before = ancestors(parents)
    return {"attention_mask": before, "position_ids": before.sum(-1) - 1}


def _path_sum(found: dict[TokenIds, float], option: TokenIds) -> float:
    return sum(found[option[:end]] for end in range(1, len(option) + 1))
