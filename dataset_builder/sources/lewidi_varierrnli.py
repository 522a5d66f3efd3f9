"""VariErrNLI (LeWiDi 2025): four people label pairs of sentences and give their reasons.

Upstream: https://github.com/Le-Wi-Di/le-wi-di.github.io (arXiv 2403.01931). Licence: unstated. Raw rows (made up), an
item and a person; the id of a person comes once per label in ``annotators``, in the order of the explanations:

    "101": {"text": {"context": "It rains.", "statement": "It is wet."}, "annotators": "Ann1,Ann2,Ann2", "lang": "en",
            "annotations": {"Ann1": "entailment", "Ann2": "entailment,neutral"},
            "other_info": {"explanations": ["Rain is wet.", "Outside it is.", "Inside it may be dry."]}, ...}
    "Ann1": {"Gender": "Female", "Age": "30", "Nationality": "Danish", "Education": "postdoc",}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from dataset_builder import raw
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec

_REVISION = "45d7b06e4c36b59472d6bdf9281f7f1e395eb0e0"
_FOLDER = "LeWiDi_3-2025/VariErrNLI"
_ITEMS, _PEOPLE = f"{_FOLDER}/VariErrNLI_train.json", f"{_FOLDER}/VariErrNLI_annotators_meta.json"
_URL = f"https://raw.githubusercontent.com/Le-Wi-Di/le-wi-di.github.io/{_REVISION}"

LEWIDI_VARIERRNLI = Source(
    name="lewidi_varierrnli",
    title="VariErrNLI (LeWiDi 2025)",
    homepage="https://le-wi-di.github.io",
    license="unstated",
    redistributable="unknown",
    citation="arXiv 2403.01931",
    folder="lewidi",
    revision=_REVISION,
    files=(
        SourceFile(_ITEMS, f"{_URL}/{_ITEMS}"),
        SourceFile(_PEOPLE, f"{_URL}/{_PEOPLE}", "3cd41a2a8cad537788b5bdf46b2c9dac3731142a6a9704484b60275fa0b2dc66"),
    ),
)

LABELS = {
    "entailment": "the statement follows from the context",
    "contradiction": "the statement conflicts with the context",
    "neutral": "the context leaves it open",
}
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


def read(raw_files: RawFiles, *, reasons: bool) -> Iterator[Example | Dropped]:
    """One process per person, in the order of the file of people; draws in the order of items."""
    people = read_people(raw_files[_PEOPLE])
    draws: dict[str, list[Draw]] = {person: [] for person in people}
    path = raw_files[_ITEMS]
    items = _object(path, raw.read_json(path))
    for row, item in enumerate(items.values(), start=1):
        with raw.at_row(path, row):
            answers = list(_answers(item, reasons=reasons))
        for person, draw in answers:
            if isinstance(draw, Dropped):
                yield draw
            else:
                draws.setdefault(person, []).append(draw)
    for person, answered in draws.items():
        if answered:
            yield Example(person, _descriptions(people.get(person, {}), reasons=reasons), tuple(answered))


def read_people(path: Path) -> dict[str, dict[str, str]]:
    """Id -> what is told of a person. The file has commas before closing brackets, which JSON does not allow."""
    text = _TRAILING_COMMA.sub(lambda match: match[1] or "", raw.read_text(path))
    try:
        people = _object(path, json.loads(text))
    except json.JSONDecodeError as error:
        raise raw.bad_row(path, error.lineno, f"it is not JSON: {error.msg}") from error
    for row, person in enumerate(people.values(), start=1):
        if not isinstance(person, dict):
            raise raw.bad_row(path, row, f"the person is not a JSON object but {person!r}")
    return people


def _object(path: Path, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise raw.bad_row(path, 1, f"the file is not a JSON object but {type(value).__name__}")
    return value


def _answers(item: dict[str, Any], *, reasons: bool) -> Iterator[tuple[str, Draw | Dropped]]:
    text = {"context": item["text"]["context"], "statement": item["text"]["statement"], "lang": item["lang"]}
    given = json.dumps(text, ensure_ascii=False)
    by_turn = (
        list(zip(item["annotators"].split(","), item["other_info"]["explanations"], strict=True)) if reasons else []
    )
    for person, answer in item["annotations"].items():
        labels = answer.split(",")
        if unknown := set(labels) - LABELS.keys():
            raise ValueError(f"the labels {sorted(unknown)} are none of {sorted(LABELS)}")
        said = [reason.strip() for who, reason in by_turn if who == person]
        if not reasons:
            yield person, Draw(given, answer)
        elif len(said) != len(labels) or not all(said):
            yield person, Dropped("labels without an explanation each")
        else:
            output = {"nli_label": answer, "explanation": "\n".join(said)}
            yield person, Draw(given, json.dumps(output, ensure_ascii=False))


def _descriptions(person: dict[str, str], *, reasons: bool) -> tuple[str, ...]:
    meanings = "; ".join(f"{label}: {meaning}" for label, meaning in LABELS.items())
    known = "; ".join(f"{name.lower()}: {value}" for name, value in person.items() if value)
    who = f" About this person: {known}." if known else ""
    also = " and gives a reason for each" if reasons else ""
    return (
        f"One person judges how a statement relates to a context ({meanings}). Several labels may apply, joined "
        f"by commas. The person chooses the labels{also}.{who}",
        f"Natural language inference by a single annotator, who may choose more than one label{also}. Labels: "
        f"{meanings}.{who}",
    )


def _task(name: str, summary: str, outputs: tuple[str, ...], *, reasons: bool) -> TaskSpec:
    return TaskSpec(
        name=f"lewidi_varierrnli_nli_detection_individual{name}",
        kind="icl",
        split="train",
        source=LEWIDI_VARIERRNLI,
        group="human_variation",
        summary=summary,
        process="one annotator",
        inputs=("context", "statement", "lang"),
        outputs=outputs,
        sequences=Sequences("partition", 30),
        read=partial(read, reasons=reasons),
        quirks="The id of the annotator is in no text. Reasons for several labels are joined by line breaks.",
    )


TASKS = [
    _task("", "The labels and reasons of one person.", ("nli_label", "explanation"), reasons=True),
    _task("_categorical", "The labels of one person.", ("nli_label",), reasons=False),
]
