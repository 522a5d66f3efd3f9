"""NovaCOMET: everyday events and what common sense infers from them.

Upstream: https://huggingface.co/datasets/tsor13/novacomet. Licence: unstated. Raw rows (made up) of the Parquet table,
one for each inference:

    premise: "Mia waters the tomatoes."        hypothesis: "The soil gets wet."
    premise: "Mia waters the tomatoes."        hypothesis: "Mia wants to harvest tomatoes."

The whole table has a row for each inference, so premises are repeated, and no ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import polars as pl

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec

_PATHS = "data/train-*.parquet"

NOVACOMET = Source(
    name="novacomet",
    title="NovaCOMET commonsense premises and hypotheses",
    homepage="https://huggingface.co/datasets/tsor13/novacomet",
    license="unstated",
    redistributable="unknown",
    citation="arXiv 2312.05979",
    folder="novacomet",
    hub="tsor13/novacomet",
    files=(SourceFile(_PATHS),),
)

_HYPOTHESIS_TEXTS = (
    "The input is an everyday event, the output a JSON list of roughly eight to ten things that common sense infers.",
    "For each premise, the output lists about eight to ten commonsense inferences (such as causes) as JSON.",
)
_PREMISE_TEXTS = (
    "Everyday events of many kinds, one sentence each.",
    "Each output is a different event about which one could reason with common sense.",
)


def read_hypotheses(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The premises, each with the list of all its inferences, as one process in upstream order."""
    inferences: dict[str, list[str]] = {}
    for premise, hypothesis in _rows(raw_files, "premise", "hypothesis"):
        if premise and hypothesis:
            inferences.setdefault(premise, []).append(hypothesis)
        else:
            yield Dropped("premise or hypothesis is empty")
    pairs = ((premise, json.dumps(listed, ensure_ascii=False)) for premise, listed in inferences.items())
    if draws := tuple(Draw(premise, text) for premise, text in pairs):
        yield Example("train", _HYPOTHESIS_TEXTS, draws)


def read_premises(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The distinct premises as one process in upstream order."""
    rows = [premise for (premise,) in _rows(raw_files, "premise")]
    distinct = [premise for premise in dict.fromkeys(rows) if premise]
    if empty := rows.count(""):
        yield Dropped("premise is empty", empty)
    if repeated := len(rows) - empty - len(distinct):
        yield Dropped("repeated premise", repeated)
    if distinct:
        yield Example("train", _PREMISE_TEXTS, tuple(Draw(None, premise) for premise in distinct))


def _rows(raw_files: RawFiles, *columns: str) -> Iterator[tuple[str, ...]]:
    """The stripped texts of each row."""
    for _, path in raw.matching(raw_files, _PATHS):
        for row in raw.read_parquet(path, dict.fromkeys(columns, pl.String)).iter_rows():
            yield tuple((value or "").strip() for value in row)


_NAMES = "The release swaps the names of the two NovaCOMET tasks inside its data."
_task = partial(
    TaskSpec,
    kind="icl",
    split="test",
    source=NOVACOMET,
    group="text_collections",
    process="the whole table",
    version="1.1.0",
)

TASKS = [
    _task(
        name="novacomet_hypothesis",
        summary="What common sense infers from an everyday event.",
        inputs=("premise",),
        outputs=("hypotheses",),
        sequences=Sequences("partition", Mix(32)),
        read=read_hypotheses,
        quirks=f"{_NAMES} Its description promises semicolons where the lists are JSON.",
    ),
    _task(
        name="novacomet_premise",
        summary="Everyday events.",
        outputs=("premise",),
        sequences=Sequences("partition", Mix(64)),
        read=read_premises,
        quirks=_NAMES,
    ),
]
