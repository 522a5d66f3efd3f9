"""What is known of an example without reading it: from the task it is of, or from columns of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataset_builder.task_spec import TaskSpec
from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.markers.taxonomy import LANGUAGES, TAXONOMY, Markers, Taxonomy, Value

_LANGUAGE_OF_CODE = {code: name for name, code in LANGUAGES.items()}


def task_markers(spec: TaskSpec) -> Markers:
    """The markers that hold for every row of a Suite task: source, domain, and the language where it has only one.

    What a person or a measurement gave is ``Human``; what the builder draws is ``Synthetic``.
    """
    markers: Markers = {"source": "Human" if spec.generate is None else "Synthetic"}
    if spec.domain in TAXONOMY["domain"].values and spec.domain != "Unspecified":
        markers["domain"] = spec.domain
    if len(spec.languages) == 1 and spec.languages[0] in _LANGUAGE_OF_CODE:
        markers["lang"] = _LANGUAGE_OF_CODE[spec.languages[0]]
    return TAXONOMY.check(markers)


def check_columns(columns: Mapping[str, str], available: list[str], taxonomy: Taxonomy = TAXONOMY) -> None:
    """Check a column map: category -> the column that has its value.

    Raises:
        UserError: There is no such category or column.
    """
    for name, column in columns.items():
        _ = taxonomy[name]
        if column not in available:
            hint = did_you_mean(column, available)
            raise UserError(f"no column {column!r} for marker {name!r}{hint}: there are {', '.join(available)}")


def column_markers(
    row: Mapping[str, Any],
    columns: Mapping[str, str],
    taxonomy: Taxonomy = TAXONOMY,
    readings: Mapping[str, Mapping[Any, Value | None]] | None = None,
) -> Markers:
    """The markers that stand in columns of ``row``; an empty cell gives none.

    Args:
        row: A row of the data.
        columns: Category -> the column that has its value.
        taxonomy: The categories.
        readings: Category -> what the data says -> the value that it means, or None for none. What is not there is
            taken as it is.

    Raises:
        UserError: A cell has no valid value.
    """
    found = {name: row[column] for name, column in columns.items() if row[column] not in (None, "")}
    for name, reading in (readings or {}).items():
        if name in found:
            found[name] = reading.get(found[name], found[name])
    return taxonomy.check(found)
