"""Whole datasets with their markers: what is known of each, what is detected, scored and tagged, row by row."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from datasets import Dataset, List
from datasets.fingerprint import Hasher

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Message
from spectrum_suite.instruction_data import load_conversations
from spectrum_suite.markers.annotate import COLUMN, Annotator, annotate, marker_features, with_quality_buckets
from spectrum_suite.markers.labels import prompt_key
from spectrum_suite.markers.tagger import Tagger, tag_rows
from spectrum_suite.markers.taxonomy import Markers

logger = logging.getLogger(__name__)

Score = Callable[[Sequence[tuple[str, str]]], list[float]]
"""(prompt, completion) of some examples -> how good each completion is."""

SHARD = 1000
"""Examples whose markers are kept together, where the rest may be cut short."""

_ROW, _QUALITY = "row", "quality of the example"  # columns of our own next to those of the data


@dataclass(frozen=True)
class Provenance:
    """What is known of a dataset without reading its rows.

    Attributes:
        fixed: Markers of every row.
        columns: Category -> the column with its value.
        readings: Category -> what stands there -> the value that it means, or None.
        labels: Key of a prompt -> its markers; see :func:`~spectrum_suite.markers.labels.load_labels`.
    """

    fixed: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    readings: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)
    labels: Mapping[str, Markers] = field(default_factory=dict)


@dataclass(frozen=True)
class Finders:
    """What finds the markers of all datasets.

    Attributes:
        annotator: For what the text shows; what is known of a dataset is added to it.
        score: For the quality; None takes that of a column, if there is one.
        tagger: For domain, task and format where they are not known.
        num_proc: Processes of the annotator.
        kept: Folder in which what is done is kept, so that it is found again; None keeps it nowhere.
    """

    annotator: Annotator
    score: Score | None = None
    tagger: Tagger | None = None
    num_proc: int | None = None
    kept: Path | None = None


def annotate_instructions(
    data: str,
    finders: Finders,
    provenance: Provenance | None = None,
    *,
    layout: str = "auto",
    split: str = "train",
    limit: int | None = None,
    seed: int = 42,
) -> Dataset:
    """Instruction data in any layout, with the markers of each response: columns ``id``, ``messages``, ``markers``.

    Raises:
        UserError: As :func:`spectrum_suite.instruction_data.load_conversations`, or a value is not valid.
    """
    known = provenance or Provenance()
    keep = sorted(set(known.columns.values()))
    rows = load_conversations(data, layout=layout, split=split, limit=limit, seed=seed, keep=keep)
    if known.labels:
        labelled = sum(prompt_key(_asked(messages[:-1])) in known.labels for messages in rows["messages"])
        log = logger.info if labelled else logger.warning
        log("%s: %d of %d rows have labels", data, labelled, len(rows))
    return _annotated(rows, finders, known, every_output=False)


def annotate_draws(rows: Dataset, finders: Finders, fixed: Mapping[str, Any]) -> Dataset:
    """Rows of a task of the suite, with the markers of each of their outputs.

    Args:
        rows: With ``id`` and ``messages``.
        finders: What finds the markers.
        fixed: Those of every row, as :func:`~spectrum_suite.markers.provenance.task_markers` gives them.
    """
    return _annotated(rows.select_columns(["id", "messages"]), finders, Provenance(fixed), every_output=True)


def bucket_qualities(rows: Dataset) -> Dataset:
    """Rows of several datasets together, with the quartiles of their quality among all of them."""
    flat = Dataset.from_list([{COLUMN: found} for row in rows[COLUMN] for found in row])
    found = iter(with_quality_buckets(flat)[COLUMN])
    return _with_markers(rows, [[next(found) for _ in row] for row in rows[COLUMN]], rows.features[COLUMN])


def _annotated(rows: Dataset, finders: Finders, known: Provenance, *, every_output: bool) -> Dataset:
    examples = _examples(rows, every_output=every_output)
    columns = dict(known.columns)
    if finders.score is not None:
        scores = finders.score(list(zip(examples["prompt"], examples["completion"], strict=True)))
        examples = examples.add_column(_QUALITY, scores)
        columns["quality"] = _QUALITY
    annotator = replace(
        finders.annotator, fixed=known.fixed, columns=columns, readings=known.readings, labels=known.labels
    )
    shards = math.ceil(len(examples) / SHARD)
    examples = annotate(_on_disk(examples, finders.kept), annotator, num_proc=finders.num_proc, shards=shards)
    if finders.tagger is not None:
        examples = tag_rows(examples, finders.tagger)
    markers: list[list[dict[str, Any]]] = [[] for _ in rows]
    for number, found in zip(examples[_ROW], examples[COLUMN], strict=True):
        markers[number].append(found)
    kept = rows.select_columns(["id", "messages"])
    return _with_markers(kept, markers, List(marker_features(annotator.taxonomy)))


def _on_disk(examples: Dataset, kept: Path | None) -> Dataset:
    """The same rows in files named after their content; the cache of a `map` is next to those of its rows."""
    if kept is None:
        return examples
    folder = kept / Hasher.hash(examples.to_list())
    if not folder.is_dir():
        writing = folder.with_name(f"{folder.name}.writing")
        examples.save_to_disk(writing)
        writing.replace(folder)
    return Dataset.load_from_disk(folder)


def _with_markers(rows: Dataset, markers: list[list[dict[str, Any]]], feature: List) -> Dataset:
    rest = rows.remove_columns(COLUMN) if COLUMN in rows.column_names else rows
    return rest.add_column(COLUMN, markers, feature=feature)


def _examples(rows: Dataset, *, every_output: bool) -> Dataset:
    """A row for each output that gets markers: the row that it is of, its prompt, the output, and all other columns."""
    found = []
    for number, row in enumerate(rows):
        messages, rest = row["messages"], {name: row[name] for name in row if name not in ("id", "messages")}
        outputs = [place for place, message in enumerate(messages) if message["role"] == "output"]
        for place in outputs if every_output else outputs[-1:]:
            prompt, completion = _asked(messages[:place]), messages[place]["content"]
            found.append({_ROW: number, "prompt": prompt, "completion": completion, **rest})
    if not found:
        raise UserError("there is no output to annotate: check the data")
    return Dataset.from_list(found)


def _asked(before: Sequence[Message]) -> str:
    """The description, and the input after which the output stands."""
    asked = [message["content"] for message in before if message["role"] == "description"]
    if before and before[-1]["role"] == "input":
        asked.append(before[-1]["content"])
    return "\n\n".join(asked)
