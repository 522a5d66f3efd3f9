"""Rows with a target: the exact cross-entropy of a distribution over options, in place of draws from it.

The loss of a target is what the mean over ever more draws from it tends to. Over the trie of the options' tokens, with
the tokens that end an output, it is

    - sum over options o of p(o) log q(o)  =  - sum over steps s of p(s) log q(s)

where ``q(s)`` is the model's probability of a token after the tokens before it, and ``p(s)`` the sum of the
probabilities of the options that pass through that step. So every option is there once, what some of them begin with
alike too, and "1" and "10" are distinguished by the end of the output.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, Features, List, Value
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Format, split_messages, written_draws
from spectrum_suite.formats.token_ids import token_encoder
from spectrum_suite.training.option_terms import order_of
from spectrum_suite.training.tokenize import TOKENIZED, map_in_batches
from spectrum_suite.tree_attention import ROOT, TokenTree

logger = logging.getLogger(__name__)

TARGETED = Features(
    {
        **TOKENIZED,
        "options": List(List(Value("int32"))),
        "weights": List(Value("float64")),
        "order": List(Value("int32")),
    }
)
"""A tokenized row of either kind. One with a target has ``options`` (with their terminators) and how many draws each
``weights``; its ``outputs`` are the examples in front of the target, and ``contexts`` has one more, that of the target.
One of draws has neither options nor weights."""

TOLERANCE = 0.05
"""The sum of shares may differ from 1 by this much, as those in whole percents do, and is then divided out."""

TARGET_COLUMNS = ("id", "messages", "options", "probabilities", "n_responses", "ordered")
"""What is read of a row of a ``distribution`` task; the last two may be missing."""


def target_columns(rows: Dataset) -> Dataset:
    """:data:`TARGET_COLUMNS` of rows; nulls where they have no ``n_responses`` or ``ordered``."""
    for name, kind in (("n_responses", "int64"), ("ordered", "bool")):
        if name not in rows.column_names:
            rows = rows.add_column(name, [None] * len(rows), feature=Value(kind))
    return rows.select_columns(list(TARGET_COLUMNS))


def target_weights(row: Mapping[str, Any], *, draws: float, smoothing: float = 0.0) -> list[float]:
    """How many draws each option of a row counts as.

    The shares of ``n`` answers count as ``n`` draws, at most as ``draws``; those that are known exactly (no
    ``n_responses``) as ``draws``. So a row with a target has the loss that as many draws would have on average.

    Args:
        row: ``options``, ``probabilities`` and perhaps ``n_responses``.
        draws: Draws that a row counts as, at most.
        smoothing: Answers that are added to each option where shares come from ``n_responses`` answers, as a
            Dirichlet prior adds them.

    Raises:
        UserError: They are not a distribution over different options.
    """
    options, shares, answers = row["options"], row["probabilities"], row.get("n_responses")
    if not options or len(set(options)) < len(options):
        raise UserError(f"row {row['id']!r} has no options or one of them twice: list each answer once")
    if not shares or len(shares) != len(options):
        raise UserError(f"row {row['id']!r} has {len(options)} options but {len(shares or ())} probabilities")
    if any(share is None or not math.isfinite(share) or share < 0 for share in shares):
        raise UserError(f"row {row['id']!r} has a probability that is not a number of at least 0: {shares}")
    total = math.fsum(shares)
    if abs(total - 1) > TOLERANCE:
        raise UserError(
            f"row {row['id']!r} has probabilities that sum to {total:g}, not to 1: divide counts by their total"
        )
    probabilities = [share / total for share in shares]
    if answers is None:
        return [draws * probability for probability in probabilities]
    if not answers > 0:
        raise UserError(
            f"row {row['id']!r} has n_responses {answers}: give the number of answers, or null for exact shares"
        )
    seen = answers + smoothing * len(options)
    return [min(draws, answers) * (answers * share + smoothing) / seen for share in probabilities]


def tokenize_targets(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    text_format: Format,
    *,
    max_length: int,
    draws: float,
    smoothing: float = 0.0,
    every_option: bool = False,
    groups: Sequence[int] | None = None,
    first: int = 0,
) -> tuple[Dataset, int]:
    """Tokenize rows of ``distribution`` tasks (:data:`TARGET_COLUMNS`) for the collator.

    A row whose description, input and options do not fit into ``max_length`` tokens is left out as a whole: a target
    over some of its options would be another target.

    Args:
        rows: The rows. Outputs among their messages are examples in front of the target, on which no loss falls.
        tokenizer: Of the model.
        text_format: How rows are written.
        max_length: Tokens of a row's tree, at most.
        draws: Draws that a row counts as, at most; see :func:`target_weights`.
        smoothing: See there.
        every_option: Whether options without any weight are in the tries too.
        groups: The number of the group of tasks of every row, for losses by group.
        first: The number of the first row.

    Returns:
        Rows as :data:`TARGETED`, and how many were left out.

    Raises:
        UserError: A row has no target, two of its options are the same tokens, or the budget leaves no row at all.
    """
    encode = token_encoder(tokenizer, text_format)
    start = len(encode([text_format.bos])[text_format.bos])
    too_long = 0

    def tokenize(batch: dict[str, list], indices: list[int]) -> dict[str, list]:
        nonlocal too_long
        cut = [_pieces(dict(zip(batch, row, strict=True)), text_format) for row in zip(*batch.values(), strict=True)]
        ids = encode(text for parts in cut for part in parts for text in part)
        columns: dict[str, list] = {name: [] for name in TARGETED}
        for place, (index, parts) in enumerate(zip(indices, cut, strict=True)):
            row = {name: values[place] for name, values in batch.items()}
            (description,), contexts, outputs, options = ([ids[text] for text in part] for part in parts)
            weights = target_weights(row, draws=draws, smoothing=smoothing)
            if len(set(map(tuple, options))) < len(options):
                raise UserError(f"row {row['id']!r} has two options that are the same tokens: list each answer once")
            if (
                start
                + len(description)
                + len(contexts[-1])
                + trie_size(options, [1.0] * len(options) if every_option else weights)
                > max_length
            ):
                too_long += 1
                continue
            columns["id"].append(row["id"])
            columns["row"].append(first + index)
            columns["group"].append(groups[index] if groups else 0)
            columns["draws"].append([])
            columns["description"].append(description)
            columns["contexts"].append(contexts)
            columns["outputs"].append(outputs)
            columns["options"].append(options)
            columns["weights"].append(weights)
            columns["order"].append(order_of(row["options"], ordered=bool(row.get("ordered"))))
        return columns

    tokenized = map_in_batches(rows, tokenize, TARGETED, "Tokenizing targets")
    if too_long:
        logger.warning("%d rows with a target do not fit into %d tokens", too_long, max_length)
    if not len(tokenized):
        raise UserError(f"no row with a target fits into {max_length} tokens: raise --max_length")
    return tokenized, too_long


def with_no_target(drawn: Dataset) -> Dataset:
    """Tokenized rows of draws as :data:`TARGETED`."""
    for name in ("options", "weights", "order"):
        drawn = drawn.add_column(name, [[]] * len(drawn), feature=TARGETED[name])
    return drawn


def trie_size(options: Sequence[Sequence[int]], weights: Sequence[float]) -> int:
    """Tokens of the trie of the options that have any weight; the last token of an option is none of them."""
    trie = TokenTree()
    for option, weight in zip(options, weights, strict=True):
        if weight:
            trie.extend(ROOT, option[:-1])
    return len(trie.ids)


def _pieces(row: Mapping[str, Any], text_format: Format) -> tuple[list[str], list[str], list[str], list[str]]:
    """The texts of the description or "", of the contexts of the examples and the target, of examples and options."""
    description, examples = written_draws(row["messages"], text_format)
    *_, given = split_messages(row["messages"])
    return (
        [description],
        [*(example.context for example in examples), text_format.context(given)],
        [example.output for example in examples],
        [text_format.output(option) for option in row["options"] or ()],
    )
