"""Implicit instruction tuning: one dataset of instructions and responses, seen in three ways (arXiv 2409.14254).

``instruction``   instruction tuning: the response after its instruction
``response``      response tuning: the same, with the empty string for the instruction, the tags where they were
``single_task``   instruction tuning on a single narrow task, which is one dataset

The loss falls on the response and its end in each of them, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.formats.render import Format, Message, WrittenRow, response_after_prompt
from spectrum_suite.instruction_data import load_conversations, named_data
from spectrum_suite.training.tokenize import tokenize_rows

Objective = Literal["instruction", "response", "single_task"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


def load_objective(
    objective: str,
    data: Sequence[str],
    *,
    layout: str = "auto",
    split: str = "train",
    limit: int | None = None,
    seed: int = 42,
) -> tuple[Dataset, dict[str, int]]:
    """The rows to train on with an objective.

    Args:
        objective: One of :data:`OBJECTIVES`.
        data: Datasets, as :func:`spectrum_suite.instruction_data.load_conversations` takes them.
        layout: Of all of them; ``auto`` goes by the columns of each.
        split: See there.
        limit: Conversations of each dataset at most.
        seed: Chooses them.

    Returns:
        Rows with columns ``id`` and ``messages``, and how many there are of each dataset, by its name.

    Raises:
        UserError: There is no such objective, a single task is not one dataset, or the data cannot be used.
    """
    if objective not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise UserError(f"no objective {objective!r}{did_you_mean(objective, OBJECTIVES)}: choose from {known}")
    if not data:
        raise UserError(f"objective {objective!r} needs instruction data: give a file or a dataset on a Hub")
    if objective == "single_task" and len(data) > 1:
        raise UserError(f"objective 'single_task' is one narrow task but has {len(data)} datasets: give one of them")
    parts = {
        name: load_conversations(each, layout=layout, split=split, limit=limit, seed=seed)
        for name, each in named_data(data).items()
    }
    rows = concatenate_datasets(list(parts.values()))
    viewed = Dataset.from_list(
        [{"id": row["id"], "messages": view(row["messages"], objective)} for row in rows], features=rows.features
    )
    return viewed, {name: len(part) for name, part in parts.items()}


def view(conversation: Sequence[Message], objective: Objective) -> list[Message]:
    """A conversation as an objective shows it to the model; its last message is the response."""
    if objective == "response":
        return [{"role": "input", "content": ""}, conversation[-1]]
    return list(conversation)


def tokenize_conversations(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    text_format: Format,
    *,
    max_length: int,
    groups: Sequence[int] | None = None,
) -> tuple[Dataset, int]:
    """Tokenize the rows of :func:`load_objective` for the collator; a row has one draw, its response.

    What stands before the response takes the place of the description, with which a sequence always begins when it has
    a single draw. It is tokenized as a prompt is at inference.

    Returns:
        Rows as :data:`spectrum_suite.training.tokenize.TOKENIZED`, and how many were left out for being too long.

    Raises:
        UserError: ``max_length`` leaves no row.
    """
    return tokenize_rows(rows, tokenizer, text_format, max_length=max_length, groups=groups, cut=response_of)


def response_of(row: Mapping[str, Any], text_format: Format) -> WrittenRow:
    """The texts of a conversation."""
    return response_after_prompt(row["messages"], text_format)
