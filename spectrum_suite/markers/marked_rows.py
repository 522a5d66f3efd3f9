"""Rows of marked training: prompts end with what the dropouts leave of their markers, completions begin with them all.

A row has ``id``, ``messages`` and ``markers``, a list with the markers of each output that is trained. With those of
one output it is a conversation: all that comes before its response is the prompt. With those of every output it is a
sequence of draws from a process, as the suite has them, in which each output is asked for with markers of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, Features, List, concatenate_datasets

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Message, split_messages
from spectrum_suite.instruction_data import CONVERSATIONS, named_data, read_data
from spectrum_suite.markers.annotate import COLUMN, marker_features
from spectrum_suite.markers.marker_list import mark_completion, mark_prompt
from spectrum_suite.markers.taxonomy import TAXONOMY, Markers, Taxonomy, Value
from spectrum_suite.suite import draw_rows

ALL = ("all",)
"""The categories: every one that the rows have."""

_ANNOTATE = "annotate them with 'spectrum-suite annotate'"


def load_marked(
    data: Sequence[str],
    *,
    categories: Sequence[str] = ALL,
    taxonomy: Taxonomy = TAXONOMY,
    split: str = "train",
    limit: int | None = None,
    seed: int = 42,
) -> tuple[Dataset, dict[str, int]]:
    """Annotated rows of some datasets.

    Args:
        data: Files or folders that ``annotate`` has written, or datasets of such rows on a Hub.
        categories: Those that are kept; the others are left out.
        taxonomy: All categories.
        split: Of folders and datasets on a Hub.
        limit: Rows of each dataset at most, drawn with ``seed``.
        seed: See ``limit``.

    Returns:
        Rows with ``id``, ``messages`` and ``markers``, and how many there are of each dataset, by its name.

    Raises:
        UserError: There is no such data or category, or rows are not annotated, or with what is not valid.
    """
    names = taxonomy.names if tuple(categories) == ALL else tuple(taxonomy[name].name for name in categories)
    if not data:
        raise UserError(f"objective 'markers' needs --data with rows that have markers: {_ANNOTATE}")
    parts = {
        name: draw_rows(_marked(each, split, names, taxonomy), name, limit=limit, seed=seed)
        for name, each in named_data(data).items()
    }
    return concatenate_datasets(list(parts.values())), {name: len(rows) for name, rows in parts.items()}


def marked_features(taxonomy: Taxonomy = TAXONOMY) -> Features:
    """The columns of annotated rows."""
    return Features({**CONVERSATIONS, COLUMN: List(marker_features(taxonomy))})


def mark_messages(
    messages: Sequence[Message], markers: Sequence[Mapping[str, Value]], shown: Sequence[Mapping[str, Value]]
) -> list[Message]:
    """Messages in which the last outputs begin with their lists, and what asks for them ends with what is shown.

    Args:
        messages: Of a row.
        markers: Those of each of its last ``len(markers)`` outputs.
        shown: Of the same outputs, what their prompts say.
    """
    written: list[Message] = []
    draw = len(markers) - sum(message["role"] == "output" for message in messages)
    for message in messages:
        if message["role"] != "output":
            written.append(message)
            continue
        if draw >= 0:
            written[-1:] = mark_prompt(written[-1:], shown[draw])
            message = {"role": "output", "content": mark_completion(markers[draw], message["content"])}  # noqa: PLW2901
        written.append(message)
        draw += 1
    return written


def markers_of(row: Mapping[str, Any]) -> list[Markers]:
    """The markers of each output of a row that are there."""
    return [{name: value for name, value in found.items() if value is not None} for found in row[COLUMN]]


def _marked(data: str, split: str, names: Sequence[str], taxonomy: Taxonomy) -> Dataset:
    rows = read_data(data, split)
    if missing := {"id", "messages", COLUMN} - set(rows.column_names):
        raise UserError(f"data {data!r} has no column {min(missing)!r}: {_ANNOTATE}")
    empty = dict.fromkeys(taxonomy.names)
    checked = []
    for number, row in enumerate(rows):
        try:
            split_messages(row["messages"])
            found = [taxonomy.check(markers) for markers in row[COLUMN]]
            _check_counts(row, len(found))
        except UserError as error:
            raise UserError(f"data {data!r}, row {number + 1}: {error}") from error
        kept = [empty | {name: markers[name] for name in names if name in markers} for markers in found]
        checked.append({"id": row["id"], "messages": row["messages"], COLUMN: kept})
    return Dataset.from_list(checked, features=marked_features(taxonomy))


def _check_counts(row: Mapping[str, Any], count: int) -> None:
    outputs = sum(message["role"] == "output" for message in row["messages"])
    if not row["messages"] or row["messages"][-1]["role"] != "output":
        raise UserError("its last message is not an output: there is nothing to train on")
    if count not in (1, outputs):
        raise UserError(f"it has {outputs} outputs and markers of {count}: give those of the last one, or of each")
