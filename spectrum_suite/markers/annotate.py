"""From rows with a prompt and a completion to the same rows with a column ``markers``.

Annotation is a `datasets.map`. Its cache is how it resumes: the result of each pass is kept under a fingerprint of the
data and of what annotates it, and the same call finds it there. A pass that was cut short leaves nothing half-written
and starts again; with ``shards`` it is cut into parts, of which those that are done are found again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset, Features, Value, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from spectrum_suite.errors import UserError
from spectrum_suite.markers.code_type import detect_code_type
from spectrum_suite.markers.labels import prompt_key
from spectrum_suite.markers.language import detect_language
from spectrum_suite.markers.lengths import count_paragraphs, count_sentences, length_bucket
from spectrum_suite.markers.provenance import check_columns, column_markers
from spectrum_suite.markers.quality import quality_buckets
from spectrum_suite.markers.structure import detect_format
from spectrum_suite.markers.taxonomy import TAXONOMY, Markers, Taxonomy

COLUMN = "markers"

_TYPES = {"integer": "int64", "number": "float64"}


@dataclass(frozen=True)
class Annotator:
    """Finds the markers of an example: what is given goes before what is detected.

    Attributes:
        tokenizer: That of the model to tune; it counts the tokens.
        columns: Category -> the column with its value, e.g. ``{"quality": "score"}``.
        fixed: Markers of every example, e.g. those of :func:`~spectrum_suite.markers.provenance.task_markers`.
        taxonomy: The categories.
        readings: What values of these columns mean; see :func:`~spectrum_suite.markers.provenance.column_markers`.
        labels: Markers of some prompts by their keys, as :func:`~spectrum_suite.markers.labels.load_labels` gives them;
            they go before those of columns.
    """

    tokenizer: PreTrainedTokenizerBase
    columns: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    taxonomy: Taxonomy = TAXONOMY
    readings: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)
    labels: Mapping[str, Markers] = field(default_factory=dict)

    def markers(self, prompt: str, completion: str, metadata: Mapping[str, Any]) -> Markers:
        """All markers but the quality's bucket, which depends on the other examples.

        Args:
            prompt: What is asked, as the model sees it.
            completion: The answer.
            metadata: The row's other columns.

        Raises:
            UserError: A column has a value that is not valid.
        """
        given = dict(self.fixed) | column_markers(metadata, self.columns, self.taxonomy, self.readings)
        given |= self.labels.get(prompt_key(prompt), {})
        found = detected_markers(prompt, completion, given.get("lang"))
        n_tokens = len(self.tokenizer(completion, add_special_tokens=False).input_ids)
        found |= {"length_tokens": n_tokens, "length_bucket": length_bucket(n_tokens)}
        return self.taxonomy.check(found | given)


def detected_markers(prompt: str, completion: str, lang: str | None = None) -> Markers:
    """What the text itself shows: language, sentences, paragraphs, format and programming language.

    The language is that of the completion, or where that has too little prose (a number, code) of the prompt.

    Args:
        prompt: What is asked.
        completion: The answer.
        lang: Its language, where it is known.
    """
    code_type = detect_code_type(completion)
    if lang is None:
        lang = (detect_language(completion) if code_type is None else None) or detect_language(prompt)
    found: dict[str, Any] = {
        "length_sentences": count_sentences(completion, lang or "English"),
        "length_paragraphs": count_paragraphs(completion),
        "code_type": code_type,
        "format": detect_format(prompt, completion),
        "lang": lang,
    }
    return {name: value for name, value in found.items() if value is not None}


def annotate(
    rows: Dataset, annotator: Annotator, *, num_proc: int | None = None, shards: int = 1, batch_size: int = 200
) -> Dataset:
    """``rows`` with a column ``markers``: a struct with a field for each category, None where it has no value.

    Args:
        rows: With the columns ``prompt`` and ``completion``, both text, and any others.
        annotator: What finds the markers.
        num_proc: Processes.
        shards: Parts that are kept one by one, for a run that may be cut short.
        batch_size: Rows at a time.

    Raises:
        UserError: A column is missing, or has a value that is not valid.
    """
    for column in ("prompt", "completion"):
        if column not in rows.column_names:
            raise UserError(f"no column {column!r} to annotate: there are {', '.join(rows.column_names)}")
    check_columns(annotator.columns, rows.column_names, annotator.taxonomy)
    annotator.tokenizer("", add_special_tokens=False)  # its first call changes it, and with it the fingerprint
    features = Features({**rows.features, COLUMN: marker_features(annotator.taxonomy)})
    options = {
        "batched": True, "batch_size": batch_size, "features": features, "num_proc": num_proc, "desc": "Annotating",
        "fn_kwargs": {"annotator": annotator},
    }  # fmt: skip
    parts = [rows.shard(shards, index, contiguous=True).map(_annotated, **options) for index in range(shards)]
    marked = concatenate_datasets(parts)
    return with_quality_buckets(marked) if "quality" in annotator.columns else marked


def row_markers(row: Mapping[str, Any], taxonomy: Taxonomy = TAXONOMY) -> Markers:
    """The markers of an annotated row, without those that it does not have."""
    return taxonomy.check(row[COLUMN])


def marker_features(taxonomy: Taxonomy) -> dict[str, Value]:
    """Category -> the type of its values in a column of markers."""
    types = {category.name: _type(category.kind, category.values) for category in taxonomy.categories}
    return {name: Value(dtype) for name, dtype in types.items()}


def _type(kind: str, values: Sequence[str] | Sequence[int]) -> str:
    if kind == "choice":
        return "string" if isinstance(values[0], str) else "int64"
    return _TYPES.get(kind, "string")


def _annotated(batch: dict[str, list[Any]], annotator: Annotator) -> dict[str, list[dict[str, Any]]]:
    rows = [dict(zip(batch, cells, strict=True)) for cells in zip(*batch.values(), strict=True)]
    empty = dict.fromkeys(annotator.taxonomy.names)
    return {COLUMN: [empty | annotator.markers(row["prompt"], row["completion"], row) for row in rows]}


def with_quality_buckets(rows: Dataset) -> Dataset:
    """Annotated rows with the quartile of each one's quality within its language, among all of ``rows``."""
    marked = rows[COLUMN]
    buckets = quality_buckets([row["quality"] for row in marked], [row["lang"] for row in marked])
    return rows.map(
        lambda row, index: {COLUMN: row[COLUMN] | {"quality_bucket": buckets[index]}},
        with_indices=True, features=rows.features, desc="Quartiles of quality",
    )  # fmt: skip
