"""AmbiEnt: pairs of sentences, which of the two are ambiguous, and how they read without the ambiguity.

Upstream, licence and a raw row: see ``ambient.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from dataset_builder.sources.ambient import LABELS, MEANINGS, PAIRS
from dataset_builder.sources.ambient_tables import as_text, draw_of, read_table, whole_table
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles

_AMBIGUOUS = ("premise_ambiguous", "hypothesis_ambiguous")
_ANSWERS = tuple(as_text(dict(zip(_AMBIGUOUS, pair, strict=True))) for pair in product((True, False), repeat=2))
_PAIR_TEXTS = (
    "Pairs of a premise and a hypothesis that were collected to study linguistic ambiguity, as JSON. In some of them "
    "one sentence can be read in more than one way, which changes how the two relate.",
    "Each output is a premise with a hypothesis from a collection about ambiguity in language: where there is a "
    "second reading, it matters for whether the hypothesis follows.",
)
_AMBIGUITY_TEXTS = (
    "For each premise and hypothesis, say of either one whether it is ambiguous. The answer is JSON with "
    "premise_ambiguous and hypothesis_ambiguous, each true or false.",
    "Is the premise ambiguous, and is the hypothesis? A sentence counts as ambiguous when its readings differ in how "
    "the two relate. Answers are JSON booleans named premise_ambiguous and hypothesis_ambiguous.",
)
_DISAMBIGUATION_TEXTS = (
    "A premise and a hypothesis can be read in several ways. Rewrite them so that no doubt is left and the relation in "
    f"target_label holds ({MEANINGS}).",
    "Given an ambiguous pair of sentences and a target label, give the pair in the reading that has this label, worded "
    f"without ambiguity. Labels: {MEANINGS}.",
)


def read_pairs(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """Premise and hypothesis of every row."""
    return read_table(raw_files, PAIRS, {}, lambda row: iter([draw_of({}, _pair(row))]), _PAIR_TEXTS)


def read_ambiguity(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """Which of the two sentences of every row are ambiguous."""
    return read_table(raw_files, PAIRS, dict.fromkeys(_AMBIGUOUS, bool), _ambiguity, _AMBIGUITY_TEXTS)


def read_disambiguations(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """Every unambiguous rewriting of every row."""
    return read_table(raw_files, PAIRS, {"disambiguations": list}, _disambiguations, _DISAMBIGUATION_TEXTS)


def _pair(row: dict[str, Any]) -> dict[str, Any]:
    return {"premise": row["premise"], "hypothesis": row["hypothesis"]}


def _ambiguity(row: dict[str, Any]) -> Iterator[Draw | Dropped]:
    yield draw_of(_pair(row), {name: row[name] for name in _AMBIGUOUS})


def _disambiguations(row: dict[str, Any]) -> Iterator[Draw | Dropped]:
    for reading in row["disambiguations"]:
        if reading["label"] not in LABELS:
            raise ValueError(f"the label {reading['label']!r} is none of {list(LABELS)}")
        original = {f"original_{name}": value for name, value in _pair(row).items()}
        rewritten = {f"disambiguated_{name}": str.strip(value) for name, value in _pair(reading).items()}
        yield draw_of({**original, "target_label": reading["label"]}, rewritten)


TASKS = [
    whole_table(
        "ambient_premise_hypothesis",
        PAIRS,
        "text_collections",
        "Pairs of a premise and a hypothesis, some of them ambiguous.",
        read_pairs,
        outputs=("premise", "hypothesis"),
        quirks="The description does not say that every pair is ambiguous, since most are not.",
    ),
    whole_table(
        "ambient_ambiguity_detection",
        PAIRS,
        "uncertainty",
        "Which sentences of a pair are ambiguous.",
        read_ambiguity,
        inputs=("premise", "hypothesis"),
        outputs=_AMBIGUOUS,
        options=_ANSWERS,
        quirks="Every description names the fields as they are in the data.",
    ),
    whole_table(
        "ambient_disambiguation",
        PAIRS,
        "uncertainty",
        "An ambiguous pair rewritten so that a given relation holds.",
        read_disambiguations,
        inputs=("original_premise", "original_hypothesis", "target_label"),
        outputs=("disambiguated_premise", "disambiguated_hypothesis"),
    ),
]
