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
from spectrum_suite.formats.render import Format, split_messages
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


Pieces = Callable[[Mapping[str, Any], Format], tuple[str, list[tuple[str, str]]]]
"""A row and a format -> the text of the description or "", and of each draw (context, output with its terminator)."""


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
    pieces: Pieces | None = None,
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
        pieces: Cuts rows of another kind into their texts.

    Returns:
        The tokenized rows (see :data:`TOKENIZED` and :data:`STARTS`) and the number of draws that were too long.

    Raises:
        UserError: A row has nothing to train on whatever the budget, or the budget leaves no row at all.
    """
    encode, cut = token_encoder(tokenizer, text_format), pieces or draws_behind_description
    overhead = sum(map(len, encode([text_format.bos, text_format.separator]).values()))
    features = Features({**TOKENIZED, **STARTS}) if encode.starts_differ else TOKENIZED
    too_long = spelled = 0
    left_out: list[str] = []

    def tokenize(batch: dict[str, list], indices: list[int]) -> dict[str, list]:
        nonlocal too_long, spelled
        texts = [cut(dict(zip(batch, row, strict=True)), text_format) for row in zip(*batch.values(), strict=True)]
        inside = [text for _, draws in texts for draw in draws for text in draw]
        spelled += sum(START in text for text in (*inside, *(description for description, _ in texts)))
        contexts = (context for _, draws in texts for context, _ in draws) if encode.starts_differ else ()
        begun = encode.at_start([*(description for description, _ in texts), *contexts])
        ids = encode(inside)
        columns: dict[str, list] = {name: [] for name in features}
        for row_id, index, (description, draws) in zip(batch["id"], indices, texts, strict=True):
            pairs = [(ids[context], ids[output]) for context, output in draws]
            starts = (
                [begun[context] for context, _ in draws] if encode.starts_differ else [before for before, _ in pairs]
            )
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


def _fitting(sizes: list[int], before: int, max_length: int, *, described: bool) -> list[int]:
    """The draws of which a sequence with something to train on can be made; with no description that takes two."""
    shortest = 0 if described else min(sizes)
    kept = [draw for draw, size in enumerate(sizes) if before + size + shortest <= max_length]
    return kept if described or len(kept) > 1 else []
