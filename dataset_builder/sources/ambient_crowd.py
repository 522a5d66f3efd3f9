"""AmbiEnt: what nine crowd workers make of an ambiguous pair, and the relation under each reading of it.

Upstream and licence: see ``ambient.py``. A raw row (made up). The reading without a label is a distractor; ``q0_gold``
are the votes on the pair as it stands, ``q1_gold`` to ``q3_gold`` those with one of the readings in its place:

    {"id": 12, "premise": "Bo left the bank.", "hypothesis": "Bo had been by the river.", "ambiguous_sent": "premise",
     "distractor_idx": 2.0, "labels": ["entailment", "contradiction", null],
     "interpretations": ["Bo left the riverside.", "Bo left the bank's office.", "Bo went to the bank."],
     "q0_gold": ["neutral", "entailment", ...], "q1_gold": [...], "q2_gold": [...], "q3_gold": [...], ...}

The whole file: 542 rows with nine votes each; 7 of them have no distractor. Two pairs have two rows, one for each round
of annotation, with the distractor at another place and other votes: each row stands for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dataset_builder.sources.ambient import CROWD, LABELS, MEANINGS
from dataset_builder.sources.ambient_tables import as_text, draw_of, read_table, whole_table
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles

_INPUTS = ("premise", "hypothesis", "ambiguous_sent")
_READING_TEXTS = (
    "One sentence of a pair, named by ambiguous_sent, is ambiguous; the interpretation is a reading of it. Say how the "
    f"hypothesis relates to the premise under this reading ({MEANINGS}).",
    "Natural language inference with ambiguous sentences: put the interpretation in the place of the sentence that "
    f"ambiguous_sent names, then give the label. {MEANINGS[0].upper()}{MEANINGS[1:]}.",
)
_SPLIT_TEXTS = (
    "Several annotators each chose one label for a pair of sentences, of which the one named by ambiguous_sent is "
    "ambiguous. Say how they split over entailment, neutral and contradiction: for each label its votes out of all, "
    "and the percentage.",
    "How do annotators disagree about an ambiguous pair of a premise and a hypothesis? The answer is JSON with, for "
    f"each label, the fraction of the votes and the percentage. {MEANINGS[0].upper()}{MEANINGS[1:]}.",
)


def read_readings(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The relation under each reading that has one."""
    fields = {"ambiguous_sent": str, "labels": list, "interpretations": list, "distractor_idx": float | int | None}
    return read_table(raw_files, CROWD, fields, _readings, _READING_TEXTS)


def read_splits(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """How the votes on each pair split."""
    return read_table(raw_files, CROWD, {"ambiguous_sent": str, "q0_gold": list}, _split, _SPLIT_TEXTS)


def _given(row: dict[str, Any]) -> dict[str, str]:
    if row["ambiguous_sent"] not in _INPUTS[:2]:
        raise ValueError(f"the ambiguous sentence is {row['ambiguous_sent']!r}, not 'premise' or 'hypothesis'")
    return {name: row[name] for name in _INPUTS}


def _readings(row: dict[str, Any]) -> Iterator[Draw | Dropped]:
    if len(row["labels"]) != len(row["interpretations"]):
        raise ValueError(f"there are {len(row['labels'])} labels for {len(row['interpretations'])} interpretations")
    if (distractor := row["distractor_idx"]) is not None and row["labels"][int(distractor)] is not None:
        raise ValueError(f"the distractor at {distractor} has the label {row['labels'][int(distractor)]!r}")
    for label, reading in zip(row["labels"], row["interpretations"], strict=True):
        if label is None:
            yield Dropped("distractor, a reading without a label")
            continue
        if label not in LABELS:
            raise ValueError(f"the label {label!r} is none of {list(LABELS)}")
        yield draw_of({**_given(row), "interpretation": str.strip(reading)}, {"entailment_label": label})


def _split(row: dict[str, Any]) -> Iterator[Draw | Dropped]:
    votes = row["q0_gold"]
    if unknown := [vote for vote in votes if vote not in LABELS]:
        raise ValueError(f"the vote {unknown[0]!r} is none of {list(LABELS)}")
    if not votes:
        yield Dropped("pair without votes")
        return
    counts = {label: votes.count(label) for label in LABELS}
    shares = {label: f"{count}/{len(votes)} ({100 * count / len(votes):.1f}%)" for label, count in counts.items()}
    yield draw_of(_given(row), {"label_distribution": as_text(shares)})


TASKS = [
    whole_table(
        "ambient_interpretation_labels",
        CROWD,
        "uncertainty",
        "The relation of two sentences under a given reading of the ambiguous one.",
        read_readings,
        inputs=(*_INPUTS, "interpretation"),
        outputs=("entailment_label",),
        options=tuple(LABELS),
    ),
    whole_table(
        "ambient_annotation_distributions",
        CROWD,
        "human_variation",
        "How the votes of crowd workers split over the labels of an ambiguous pair.",
        read_splits,
        inputs=_INPUTS,
        outputs=("label_distribution",),
        quirks="Only votes on the pair that is shown count; the release adds those on its readings and a distractor. "
        "Percentages are rounded, not truncated.",
    ),
]
