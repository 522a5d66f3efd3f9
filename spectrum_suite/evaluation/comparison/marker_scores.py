"""What a comparison needs of a report on markers, dataset by dataset; one entry per row, null where there is none.

    rows, ids       a fingerprint, and the rows
    too_long        ``said`` and ``set`` -> 1 where a response is longer than its limit
    got             tokens wanted -> tokens of each response
    correlation     rank correlation of wanted and got, and its ``ci95``; null without markers
    language        value -> ``set`` and ``not_set`` -> 1 where every line of a response is in that language
    inferred        category -> ``right``, and ``majority``: 1 where the row has the most frequent value
    nats            ``inferred`` and ``fixed`` -> nats per token of the row's own response
    by_frequency    as in the report: category -> list -> bucket -> mean, interval and n

``set``, ``fixed``, ``got`` and ``inferred`` are empty for a model without markers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from spectrum_suite.evaluation.comparison.rounded import rounded
from spectrum_suite.evaluation.markers.score_markers import shows, violates
from spectrum_suite.evaluation.report import Section

INFERRED = ("task", "domain")
"""The categories whose inference is compared."""


def marker_scores(sections: Mapping[str, Section]) -> dict[str, Any]:
    """What is kept of the datasets of a report."""
    return {name: _kept(section) for name, section in sections.items()}


def _kept(section: Section) -> dict[str, Any]:
    items = section["items"]
    limits = {"said": "words", "set": "fixed"}
    return {
        "rows": section["rows_fingerprint"],
        "ids": [item["id"] for item in items],
        "too_long": {name: _too_long(items, label) for name, label in limits.items() if label in items[0]["responses"]},
        "got": {
            str(point["wanted"]): [item["responses"][f"length_tokens={point['wanted']}"]["tokens"] for item in items]
            for point in section["length_curve"] or ()
        },
        "correlation": section["length_correlation"] and _correlation(section["length_correlation"]),
        "language": {value: _language(items, value) for value in section["moved"].get("lang", ())},
        "inferred": {name: _inferred(items, name) for name in INFERRED if name in (section["accuracy"] or ())},
        "nats": {name: rounded(item["nats_per_token"][name] for item in items) for name in items[0]["nats_per_token"]},
        "by_frequency": section["by_frequency"],
    }


def _too_long(items: Sequence[Mapping[str, Any]], label: str) -> list[int]:
    responses = [(item["responses"][label], item["limit"]) for item in items]
    return [int(violates(response["text"], limit, ended=response["ended"])) for response, limit in responses]


def _correlation(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"spearman": rounded([found["spearman"]])[0], "ci95": rounded(found["ci95"])}


def _language(items: Sequence[Mapping[str, Any]], value: str) -> dict[str, list[int | None]]:
    labels = {"set": f"lang={value}", "not_set": "inferred"}
    return {
        name: [_shows(item, item["responses"][label]["text"], value) for item in items]
        for name, label in labels.items()
        if label in items[0]["responses"]
    }


def _shows(item: Mapping[str, Any], text: str, value: str) -> int | None:
    found = shows("lang", value, item["instruction"], text)
    return None if found is None else int(found)


def _inferred(items: Sequence[Mapping[str, Any]], category: str) -> dict[str, list[int | None]]:
    truth = [item["markers"].get(category) for item in items]
    frequent = Counter(value for value in truth if value is not None).most_common(1)[0][0]
    wrote = [item["responses"]["inferred"]["markers"].get(category) for item in items]
    return {
        "right": [None if value is None else int(value == found) for value, found in zip(truth, wrote, strict=True)],
        "majority": [None if value is None else int(value == frequent) for value in truth],
    }
