"""AmbiEnt: pairs of a premise and a hypothesis, some of them ambiguous, and what people make of them.

The tasks are in ``ambient_pairs.py``, ``ambient_linguists.py`` and ``ambient_crowd.py``.

Upstream: https://github.com/alisawuffles/ambient (arXiv 2304.14399). Licence: CC BY 4.0. A raw row (made up) of
ambient_full.jsonl, with a disambiguation for each label of an ambiguous pair:

    {"id": "1_c", "premise": "Ada saw the man with the telescope.", "hypothesis": "The man had a telescope.",
     "premise_ambiguous": true, "hypothesis_ambiguous": false, "labels": "entailment, neutral", "meta": null,
     "disambiguations": [{"premise": "Ada saw the man who had the telescope.", "hypothesis": "The man had a telescope.",
                          "label": "entailment"}, {"premise": "Ada used the telescope to see the man.", ...}]}

The whole files: 1,645 pairs, and 2,020 pairs with the labels of linguists, each id once; 542 rows of crowd workers,
where two ids stand twice: the pair was given out in two rounds, with the distractor at another place and nine votes in
each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import UnionType
from typing import Any

from dataset_builder import raw
from dataset_builder.task_spec import RawFiles, Source, SourceFile

_REVISION = "1fcb43effda068f3047d46b6f9ff0e50e0ee1c1b"
PAIRS = "AmbiEnt/ambient_full.jsonl"
LINGUISTS = "AmbiEnt/linguist_annotations.jsonl"
CROWD = "AmbiEnt/analysis/crowdworker_annotations.jsonl"


def _file(path: str) -> SourceFile:
    return SourceFile(path, f"https://raw.githubusercontent.com/alisawuffles/ambient/{_REVISION}/{path}")


AMBIENT = Source(
    name="ambient",
    title="AmbiEnt",
    homepage="https://github.com/alisawuffles/ambient",
    license="cc-by-4.0",
    redistributable="yes",
    creators=(
        "Alisa Liu, Zhaofeng Wu, Julian Michael, Alane Suhr, Peter West, Alexander Koller, "
        "Swabha Swayamdipta, Noah A. Smith and Yejin Choi"
    ),
    citation="arXiv 2304.14399",
    folder="ambient",
    revision=_REVISION,
    files=tuple(map(_file, (PAIRS, LINGUISTS, CROWD))),
)

LABELS = {
    "entailment": "the hypothesis follows from the premise",
    "neutral": "the premise leaves it open",
    "contradiction": "the hypothesis conflicts with the premise",
}
MEANINGS = "; ".join(f"{label}: {meaning}" for label, meaning in LABELS.items())


def source_of(path: str) -> Source:
    """The source with the one file that a task reads."""
    return replace(AMBIENT, files=(_file(path),))


def read_rows(raw_files: RawFiles, path: str, fields: Mapping[str, type | UnionType]) -> Iterator[tuple[int, Any]]:
    """Yield (line number, row) of a file; premise and hypothesis are stripped.

    An id may come again, as a further round of annotation, but a row may not: then the file is not the upstream's.
    """
    seen = set()
    texts = {"premise": str, "hypothesis": str}
    for number, row in raw.read_json_lines(raw_files[path], {"id": int | str, **texts, **fields}):
        if (whole := json.dumps(row, sort_keys=True)) in seen:
            raise raw.bad_row(raw_files[path], number, f"the row with id {row['id']!r} comes a second time")
        seen.add(whole)
        yield number, row | {name: row[name].strip() for name in texts}
