"""AmbiEnt: how each of 28 linguists labels pairs of sentences, with several labels where a pair has several readings.

Upstream and licence: see ``ambient.py``. A raw row (made up); the labels are in the order of the linguists:

    {"id": 12, "worker_ids": ["AAA", "BBB"], "premise": "Bo left the bank.", "hypothesis": "Bo had money there.",
     "annotations": ["neutral", "entailment|neutral"], "disambiguations": {...}}

The whole file: 4,090 labels of 28 linguists. In 53 rows one linguist (GFH in 52, KVG in one) stands twice, as they
labelled the pair in two rounds; 31 of these pairs got the same labels again, the others got others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from dataset_builder import raw
from dataset_builder.sources.ambient import LABELS, LINGUISTS, MEANINGS, read_rows, source_of
from dataset_builder.sources.ambient_tables import draw_of
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec

OPTIONS = tuple("|".join(labels) for size in (1, 2, 3) for labels in combinations(LABELS, size))
_TEXTS = (
    f"One linguist says how a hypothesis relates to a premise ({MEANINGS}). Where the pair can be read in several "
    "ways, the labels of all readings are given, joined by |.",
    "Natural language inference by a single linguist, who gives a label for every reading of the two sentences: one "
    f"label, or several joined by |. {MEANINGS[0].upper()}{MEANINGS[1:]}.",
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per linguist and round of labelling, in order of appearance; draws in upstream order.

    Who labels a pair again does so in a further round, so that each pair stands once in a process. The first round is
    called after the linguist, a further one also after its number.
    """
    draws: dict[str, list[Draw]] = {}
    rounds: Counter[tuple[str, str]] = Counter()
    for number, row in read_rows(raw_files, LINGUISTS, {"worker_ids": list, "annotations": list}):
        with raw.at_row(raw_files[LINGUISTS], number):
            labelled = list(_labels(row))
        for linguist, labels in labelled:
            item = draw_of({"premise": row["premise"], "hypothesis": row["hypothesis"]}, {"annotation": labels})
            if isinstance(item, Dropped):
                yield item
                continue
            rounds[linguist, item.input] += 1
            again = rounds[linguist, item.input]
            draws.setdefault(linguist if again == 1 else f"{linguist}/{again}", []).append(item)
    for linguist, labelled in draws.items():
        yield Example(linguist, _TEXTS, tuple(labelled))


def _labels(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(linguist, labels) with the labels in one order, so that each combination is written in one way."""
    linguists, annotations = row["worker_ids"], row["annotations"]
    if len(linguists) != len(annotations):
        raise ValueError(f"there are {len(annotations)} annotations by {len(linguists)} linguists")
    for linguist, annotation in zip(linguists, annotations, strict=True):
        given = set(annotation.split("|")) if isinstance(annotation, str) else {annotation}
        if not given <= LABELS.keys() or not isinstance(linguist, str):
            raise ValueError(f"the linguist {linguist!r} gives {annotation!r}, which is none of {list(OPTIONS)}")
        yield linguist, "|".join(label for label in LABELS if label in given)


TASKS = [
    TaskSpec(
        name="ambient_linguist_annotations",
        kind="icl",
        split="train",
        source=source_of(LINGUISTS),
        group="human_variation",
        summary="How one linguist labels pairs of sentences, with a label for each reading.",
        process="one linguist in one round of labelling",
        inputs=("premise", "hypothesis"),
        outputs=("annotation",),
        options=OPTIONS,
        sequences=Sequences("several", Mix(64), count=2),
        read=read,
        version="1.1.0",
        quirks="What a linguist labelled a second time is a process of its own; the release puts both rounds together.",
    )
]
