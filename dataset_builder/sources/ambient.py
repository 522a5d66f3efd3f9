"""AmbiEnt: pairs of a premise and a hypothesis, some of them ambiguous, and what people make of them.

Upstream: https://github.com/alisawuffles/ambient (arXiv 2304.14399). Licence: CC BY 4.0. Raw rows (made up):

- ambient_full.jsonl, with a disambiguation for each label of an ambiguous pair:

    {"id": "1_c", "premise": "Ada saw the man with the telescope.", "hypothesis": "The man had a telescope.",
     "premise_ambiguous": true, "hypothesis_ambiguous": false, "labels": "entailment, neutral", "meta": null,
     "disambiguations": [{"premise": "Ada saw the man who had the telescope.", "hypothesis": "The man had a telescope.",
                          "label": "entailment"}, {"premise": "Ada used the telescope to see the man.", ...}]}

- linguist_annotations.jsonl, whose labels are in the order of the linguists:

    {"id": 12, "worker_ids": ["AAA", "BBB"], "premise": "Bo left the bank.", "hypothesis": "Bo had money there.",
     "annotations": ["neutral", "entailment|neutral"], "disambiguations": {...}}

- crowdworker_annotations.jsonl. The reading without a label is a distractor; ``q0_gold`` are the votes on the pair as
  it is, ``q1_gold`` to ``q3_gold`` those with one of the readings in its place:

    {"id": 12, "premise": "Bo left the bank.", "hypothesis": "Bo had been by the river.", "ambiguous_sent": "premise",
     "distractor_idx": 2.0, "labels": ["entailment", "contradiction", null],
     "interpretations": ["Bo left the riverside.", "Bo left the bank's office.", "Bo went to the bank."],
     "q0_gold": ["neutral", "entailment", ...], "q1_gold": [...], "q2_gold": [...], "q3_gold": [...], ...}

The whole files: 1,645 pairs, and 2,020 pairs with 4,090 labels of 28 linguists, each id once. In 53 of these rows one
linguist (GFH in 52, KVG in one) appears twice, having labelled the pair in two rounds: 31 of these pairs got the same
labels again, the others different ones. 542 rows of crowd workers with nine votes each, 7 without a distractor; two
ids appear twice, once per round of annotation, with the distractor in another place and other votes: each row is
independent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations, product
from types import UnionType
from typing import Any

from dataset_builder import raw
from dataset_builder.task_spec import (
    Draw,
    Dropped,
    Example,
    Group,
    Mix,
    RawFiles,
    Sequences,
    Source,
    SourceFile,
    TaskSpec,
)

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

    An id may be repeated, as a further round of annotation, but a row may not: then the file is not upstream's.
    """
    seen = set()
    texts = {"premise": str, "hypothesis": str}
    for number, row in raw.read_json_lines(raw_files[path], {"id": int | str, **texts, **fields}):
        if (whole := json.dumps(row, sort_keys=True)) in seen:
            raise raw.bad_row(raw_files[path], number, f"the row with id {row['id']!r} is repeated")
        seen.add(whole)
        yield number, row | {name: row[name].strip() for name in texts}


def read_table(
    raw_files: RawFiles,
    path: str,
    fields: Mapping[str, type | UnionType],
    draws: Callable[[dict[str, Any]], Iterator[Draw | Dropped]],
    descriptions: tuple[str, ...],
) -> Iterator[Example | Dropped]:
    """A whole file as one process, with the ``draws`` of each row in upstream order."""
    kept: list[Draw] = []
    for number, row in read_rows(raw_files, path, fields):
        with raw.at_row(raw_files[path], number):
            found = list(draws(row))
        yield from (item for item in found if isinstance(item, Dropped))
        kept += [item for item in found if isinstance(item, Draw)]
    if kept:
        yield Example("all", descriptions, tuple(kept))


def draw_of(given: Mapping[str, Any], output: Mapping[str, Any]) -> Draw | Dropped:
    """A draw of these fields: a JSON object, or bare text for a single one."""
    if empty := [name for name, value in {**given, **output}.items() if value == ""]:
        return Dropped(f"empty {empty[0]}")
    return Draw(as_text(given) if given else None, as_text(output))


def as_text(fields: Mapping[str, Any]) -> str:
    """A JSON object, or bare text for a single field."""
    first, *others = fields.values()
    return json.dumps(fields, ensure_ascii=False) if others else first


def whole_table(
    name: str,
    path: str,
    group: Group,
    summary: str,
    read: Callable[[RawFiles], Iterator[Example | Dropped]],
    *,
    inputs: tuple[str, ...] = (),
    outputs: tuple[str, ...],
    options: tuple[str, ...] | None = None,
    quirks: str = "",
) -> TaskSpec:
    """A training task with a whole file as its one process."""
    return TaskSpec(
        name=name,
        kind="icl",
        split="train",
        source=source_of(path),
        group=group,
        summary=summary,
        process="the whole table",
        inputs=inputs,
        outputs=outputs,
        options=options,
        sequences=Sequences("several", Mix(64), count=50),
        read=read,
        quirks=quirks,
    )


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
            raise ValueError(f"the label {reading['label']!r} is not one of {list(LABELS)}")
        original = {f"original_{name}": value for name, value in _pair(row).items()}
        rewritten = {f"disambiguated_{name}": str.strip(value) for name, value in _pair(reading).items()}
        yield draw_of({**original, "target_label": reading["label"]}, rewritten)


OPTIONS = tuple("|".join(labels) for size in (1, 2, 3) for labels in combinations(LABELS, size))
_TEXTS = (
    f"One linguist says how a hypothesis relates to a premise ({MEANINGS}). Where the pair can be read in several "
    "ways, the labels of all readings are given, joined by |.",
    "Natural language inference by a single linguist, who gives a label for every reading of the two sentences: one "
    f"label, or several joined by |. {MEANINGS[0].upper()}{MEANINGS[1:]}.",
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per linguist and round of labelling, in order of appearance; draws in upstream order.

    A pair labelled again by the same linguist counts as a further round, so that each pair appears once in a process.
    The first round is named after the linguist, a further one also after its number.
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
        raise ValueError(f"it has {len(annotations)} annotations by {len(linguists)} linguists")
    for linguist, annotation in zip(linguists, annotations, strict=True):
        given = set(annotation.split("|")) if isinstance(annotation, str) else {annotation}
        if not given <= LABELS.keys() or not isinstance(linguist, str):
            raise ValueError(f"the linguist {linguist!r} gives {annotation!r}, which is not one of {list(OPTIONS)}")
        yield linguist, "|".join(label for label in LABELS if label in given)


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
        raise ValueError(f"it has {len(row['labels'])} labels for {len(row['interpretations'])} interpretations")
    if (distractor := row["distractor_idx"]) is not None and row["labels"][int(distractor)] is not None:
        raise ValueError(f"the distractor at {distractor} has the label {row['labels'][int(distractor)]!r}")
    for label, reading in zip(row["labels"], row["interpretations"], strict=True):
        if label is None:
            yield Dropped("distractor, a reading without a label")
            continue
        if label not in LABELS:
            raise ValueError(f"the label {label!r} is not one of {list(LABELS)}")
        yield draw_of({**_given(row), "interpretation": str.strip(reading)}, {"entailment_label": label})


def _split(row: dict[str, Any]) -> Iterator[Draw | Dropped]:
    votes = row["q0_gold"]
    if unknown := [vote for vote in votes if vote not in LABELS]:
        raise ValueError(f"the vote {unknown[0]!r} is not one of {list(LABELS)}")
    if not votes:
        yield Dropped("pair without votes")
        return
    counts = {label: votes.count(label) for label in LABELS}
    shares = {label: f"{count}/{len(votes)} ({100 * count / len(votes):.1f}%)" for label, count in counts.items()}
    yield draw_of(_given(row), {"label_distribution": as_text(shares)})


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
    ),
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
