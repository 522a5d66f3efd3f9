"""Rows of the suite -> token ids, once, in batches: every distinct segment of a batch is tokenized a single time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset, Features, List, Value
from datasets.fingerprint import generate_random_fingerprint
from transformers import PreTrainedTokenizerBase

from dataset_builder.errors import UserError
from spectrum.formats.render import Format, split_messages
from spectrum.formats.token_ids import token_encoder

logger = logging.getLogger(__name__)

TOKENIZED = Features(
    {
        "id": Value("string"),
        "row": Value("int64"),
        "group": Value("int64"),
        "draws": List(Value("int32")),
        "description": List(Value("int32")),
        "contexts": List(List(Value("int32"))),
        "outputs": List(List(Value("int32"))),
    }
)
"""A tokenized row: the description (empty when there is none); per draw the context before its output, and the output
with its terminator; ``row`` is its place among the rows, ``group`` the number of its group of tasks, and ``draws`` are
the places of its draws in the row, for some may be too long."""


Pieces = Callable[[Mapping[str, Any], Format], tuple[str, list[tuple[str, str]]]]
"""A row and a format -> the text of the description or "", and of each draw (context, output with its terminator)."""


def tokenize_rows(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    text_format: Format,
    *,
    max_length: int,
    groups: Sequence[int] | None = None,
    pieces: Pieces | None = None,
) -> tuple[Dataset, int]:
    """Tokenize rows of ``icl`` tasks (columns ``id`` and ``messages``) for the collator.

    A draw that cannot be trained on within ``max_length`` tokens is left out, and so is a row that this empties.

    Args:
        rows: The rows.
        tokenizer: Of the model.
        text_format: How rows are written.
        max_length: Tokens in a sequence, at most.
        groups: The number of the group of tasks of every row, for losses by group.
        pieces: Cuts rows of another kind into their texts.

    Returns:
        The tokenized rows (see :data:`TOKENIZED`) and the number of draws that were too long.

    Raises:
        UserError: A row has nothing to train on whatever the budget, or the budget leaves no row at all.
    """
    encode, cut = token_encoder(tokenizer, text_format), pieces or draws_behind_description
    overhead = sum(map(len, encode([text_format.bos, text_format.separator]).values()))
    too_long = 0
    left_out: list[str] = []

    def tokenize(batch: dict[str, list], indices: list[int]) -> dict[str, list]:
        nonlocal too_long
        texts = [cut(dict(zip(batch, row, strict=True)), text_format) for row in zip(*batch.values(), strict=True)]
        ids = encode(text for description, draws in texts for text in (description, *sum(draws, ())))
        columns: dict[str, list] = {name: [] for name in TOKENIZED}
        for row_id, index, (description, draws) in zip(batch["id"], indices, texts, strict=True):
            pairs = [(ids[context], ids[output]) for context, output in draws]
            kept = _fitting(pairs, len(ids[description]) + overhead, max_length, described=bool(description))
            too_long += len(pairs) - len(kept)
            if not kept:
                left_out.append(row_id)
                continue
            columns["id"].append(row_id)
            columns["row"].append(index)
            columns["group"].append(groups[index] if groups else 0)
            columns["draws"].append(kept)
            columns["description"].append(ids[description])
            columns["contexts"].append([pairs[draw][0] for draw in kept])
            columns["outputs"].append([pairs[draw][1] for draw in kept])
        return columns

    tokenized = rows.map(
        tokenize,
        batched=True,
        batch_size=200,
        with_indices=True,
        remove_columns=rows.column_names,
        features=TOKENIZED,
        load_from_cache_file=False,
        new_fingerprint=generate_random_fingerprint(),  # a computed one hashes the tokenizer, seconds for a large one
        desc="Tokenizing",
    )
    if not len(tokenized):
        raise UserError(f"no row fits into {max_length} tokens: raise --max_length")
    if left_out:
        logger.warning("%d rows do not fit into %d tokens, e.g. %s", len(left_out), max_length, left_out[0])
    return tokenized, too_long


def draws_behind_description(row: Mapping[str, Any], text_format: Format) -> tuple[str, list[tuple[str, str]]]:
    """The :data:`Pieces` of a row of the suite.

    Raises:
        UserError: It has nothing to train on.
    """
    description, draws, _ = split_messages(row["messages"])
    if len(draws) < (1 if description else 2):
        raise UserError(
            f"row {row['id']!r} has nothing to train on: without a description its first output is context, "
            "so give it a description or a second draw"
        )
    texts = [(text_format.context(draw.input), text_format.output(draw.output)) for draw in draws]
    return ("" if description is None else text_format.description(description)), texts


def _fitting(draws: list[tuple[list[int], list[int]]], before: int, max_length: int, *, described: bool) -> list[int]:
    """The draws of which a sequence with something to train on can be made; with no description that takes two."""
    sizes = [len(context) + len(output) for context, output in draws]
    shortest = 0 if described else min(sizes)
    kept = [draw for draw, size in enumerate(sizes) if before + size + shortest <= max_length]
    return kept if described or len(kept) > 1 else []
