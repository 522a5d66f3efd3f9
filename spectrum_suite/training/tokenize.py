"""Rows of the suite -> token ids, once, in batches: every distinct segment of a batch is tokenized a single time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset, Features, List, Value
from datasets.fingerprint import generate_random_fingerprint
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.formats.control_tokens import START
from spectrum_suite.formats.render import Format, WrittenRow, first_trained, written_draws
from spectrum_suite.formats.token_ids import token_encoder

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

STARTS = Features({"starts": List(List(Value("int32")))})
"""Where a tokenizer writes the beginning of a text in its own way, per draw the context as it begins a sequence."""

Cut = Callable[[Mapping[str, Any], Format], WrittenRow]
"""Cuts a row into its texts."""


def draws_of(row: Mapping[str, Any], text_format: Format) -> WrittenRow:
    """The texts of a row of the suite."""
    return written_draws(row["messages"], text_format)


def map_in_batches(
    rows: Dataset, tokenize: Callable[[dict[str, list], list[int]], dict[str, list]], features: Features, desc: str
) -> Dataset:
    """The rows that ``tokenize`` makes of the columns and the places of a batch, with these features and no others."""
    return rows.map(
        tokenize,
        batched=True,
        batch_size=200,
        with_indices=True,
        remove_columns=rows.column_names,
        features=features,
        load_from_cache_file=False,
        new_fingerprint=generate_random_fingerprint(),  # a computed one hashes the tokenizer, seconds for a large one
        desc=desc,
    )


def tokenize_rows(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    text_format: Format,
    *,
    max_length: int,
    groups: Sequence[int] | None = None,
    cut: Cut = draws_of,
) -> tuple[Dataset, int]:
    """Tokenize rows of ``icl`` tasks (columns ``id`` and ``messages``) for the collator.

    A draw that cannot be trained on within ``max_length`` tokens is left out, and so is a row that this empties.
    Control tokens in texts become plain text; a warning counts the texts that have some.

    Args:
        rows: The rows.
        tokenizer: Of the model.
        text_format: How rows are written.
        max_length: Tokens in a sequence, at most.
        groups: The number of the group of tasks of every row, for losses by group.
        cut: For rows of another kind.

    Returns:
        The tokenized rows (see :data:`TOKENIZED` and :data:`STARTS`) and the number of draws that were too long.

    Raises:
        UserError: A row has nothing to train on whatever the budget, or the budget leaves no row at all.
    """
    encode = token_encoder(tokenizer, text_format)
    overhead = sum(map(len, encode([text_format.bos, text_format.separator]).values()))
    features = Features({**TOKENIZED, **STARTS}) if encode.starts_differ else TOKENIZED
    too_long = spelled = 0
    left_out: list[str] = []

    def tokenize(batch: dict[str, list], indices: list[int]) -> dict[str, list]:
        nonlocal too_long, spelled
        texts = [cut(dict(zip(batch, row, strict=True)), text_format) for row in zip(*batch.values(), strict=True)]
        inside = [text for _, draws in texts for draw in draws for text in (draw.context, draw.output)]
        spelled += sum(START in text for text in (*inside, *(description for description, _ in texts)))
        contexts = (draw.context for _, draws in texts for draw in draws) if encode.starts_differ else ()
        begun = encode.at_start([*(description for description, _ in texts), *contexts])
        ids = encode(inside)
        columns: dict[str, list] = {name: [] for name in features}
        for row_id, index, (description, draws) in zip(batch["id"], indices, texts, strict=True):
            if not any(draw.trained for draw in draws):
                raise UserError(
                    f"row {row_id!r} has nothing to train on: without a description its first output is context, "
                    "so give it a description or a second draw"
                )
            pairs = [(ids[draw.context], ids[draw.output]) for draw in draws]
            starts = [begun[draw.context] if encode.starts_differ else ids[draw.context] for draw in draws]
            sizes = [
                max(len(start), len(before)) + len(output)
                for start, (before, output) in zip(starts, pairs, strict=True)
            ]
            kept = _fitting(sizes, len(begun[description]) + overhead, max_length, described=bool(description))
            too_long += len(pairs) - len(kept)
            if not kept:
                left_out.append(row_id)
                continue
            columns["id"].append(row_id)
            columns["row"].append(index)
            columns["group"].append(groups[index] if groups else 0)
            columns["draws"].append(kept)
            columns["description"].append(begun[description])
            columns["contexts"].append([pairs[draw][0] for draw in kept])
            columns["outputs"].append([pairs[draw][1] for draw in kept])
            if encode.starts_differ:
                columns["starts"].append([starts[draw] for draw in kept])
        return columns

    tokenized = map_in_batches(rows, tokenize, features, "Tokenizing")
    if not len(tokenized):
        raise UserError(f"no row fits into {max_length} tokens: raise --max_length")
    if spelled:
        logger.warning("%d texts hold control tokens of this tokenizer: they are read as plain text", spelled)
    if left_out:
        logger.warning("%d rows do not fit into %d tokens, e.g. %s", len(left_out), max_length, left_out[0])
    return tokenized, too_long


def _fitting(sizes: list[int], before: int, max_length: int, *, described: bool) -> list[int]:
    """The draws of which a sequence with something to train on can be made."""
    first = first_trained(described=described)
    least = before + sum(sorted(sizes)[:first])
    kept = [draw for draw, size in enumerate(sizes) if least + size <= max_length]
    return kept if len(kept) > first else []
