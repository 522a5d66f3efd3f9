"""VariErrNLI (LeWiDi 2025): four people label pairs of sentences and give their reasons.

Upstream: https://github.com/Le-Wi-Di/le-wi-di.github.io (arXiv 2403.01931). Licence: unstated. A raw row (made up); the
id of a person appears once per label in ``annotators``, in the order of the explanations:

    "101": {"text": {"context": "It rains.", "statement": "It is wet."}, "annotators": "Ann1,Ann2,Ann2", "lang": "en",
            "annotations": {"Ann1": "entailment", "Ann2": "entailment,neutral"},
            "other_info": {"explanations": ["Rain is wet.", "Outside it is.", "Inside it may be dry."]}, ...}

The whole file: 388 items with 1,443 answers by four people. Every id is unique.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from dataset_builder.sources.shared import lewidi
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, TaskSpec

_FOLDER = "LeWiDi_3-2025/VariErrNLI"
_ITEMS, _PEOPLE = f"{_FOLDER}/VariErrNLI_train.json", f"{_FOLDER}/VariErrNLI_annotators_meta.json"

LEWIDI_VARIERRNLI = lewidi.source(
    "lewidi_varierrnli",
    "VariErrNLI (LeWiDi 2025)",
    "arXiv 2403.01931",
    {_ITEMS: None, _PEOPLE: "3cd41a2a8cad537788b5bdf46b2c9dac3731142a6a9704484b60275fa0b2dc66"},
)

LABELS = {
    "entailment": "the statement follows from the context",
    "contradiction": "the statement conflicts with the context",
    "neutral": "the context leaves it open",
}


def read(raw_files: RawFiles, *, reasons: bool) -> Iterator[Example | Dropped]:
    """One process per person, in the order of the file of people; draws in the order of items."""
    yield from lewidi.read_by_person(
        raw_files[_ITEMS],
        lewidi.read_people(raw_files[_PEOPLE]),
        partial(_answers, reasons=reasons),
        partial(_descriptions, reasons=reasons),
    )


def _answers(item: dict[str, Any], *, reasons: bool) -> lewidi.Answers:
    """(person, draw) for each person who labelled the item."""
    given = {"context": item["text"]["context"], "statement": item["text"]["statement"], "lang": item["lang"]}
    given_text = json.dumps(given, ensure_ascii=False)
    for person, answer in item["annotations"].items():
        labels = answer.split(",")
        if unknown := set(labels) - LABELS.keys():
            raise ValueError(f"the labels {sorted(unknown)} are not among {sorted(LABELS)}")
        if not reasons:
            yield person, Draw(given_text, answer)
        elif len(said := _reasons(item, person)) == len(labels) and all(said):
            output = {"nli_label": answer, "explanation": "\n".join(said)}
            yield person, Draw(given_text, json.dumps(output, ensure_ascii=False))
        else:
            yield person, Dropped("labels without an explanation each")


def _reasons(item: dict[str, Any], person: str) -> list[str]:
    """The explanations at the places of the person's id among the annotators; none if there is not one per place."""
    people, explanations = item["annotators"].split(","), item["other_info"]["explanations"]
    if len(people) != len(explanations):
        return []
    return [str.strip(reason) for who, reason in zip(people, explanations, strict=True) if who == person]


def _descriptions(about: str, *, reasons: bool) -> tuple[str, ...]:
    meanings = "; ".join(f"{label}: {meaning}" for label, meaning in LABELS.items())
    also = " and gives a reason for each" if reasons else ""
    return (
        f"One person judges how a statement relates to a context ({meanings}). Several labels may apply, joined by "
        f"commas. The person chooses the labels{also}.{about}",
        f"Natural language inference by a single annotator, who may choose more than one label{also}. Labels: "
        f"{meanings}.{about}",
    )


_individual = partial(
    TaskSpec,
    kind="icl",
    split="train",
    source=LEWIDI_VARIERRNLI,
    group="human_variation",
    process="one annotator",
    inputs=("context", "statement", "lang"),
    sequences=Sequences("partition", 30),
    quirks="The id of the annotator is in no text. Reasons for several labels are joined by line breaks.",
    version="1.1.0",
)

TASKS = [
    _individual(
        name="lewidi_varierrnli_nli_detection_individual",
        summary="The labels and reasons of one person.",
        outputs=("nli_label", "explanation"),
        read=partial(read, reasons=True),
    ),
    _individual(
        name="lewidi_varierrnli_nli_detection_individual_categorical",
        summary="The labels of one person.",
        outputs=("nli_label",),
        read=partial(read, reasons=False),
    ),
]
