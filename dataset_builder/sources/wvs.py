"""World Values Survey, wave 7: how people of many countries answered its questions (the file: ``wvs_file.py``).

Upstream: https://www.worldvaluessurvey.org (SPSS file, after registration). Licence: the survey's terms, by which the
data may not be passed on. A raw row (made up), with the labels that the file has for its columns and codes:

    B_COUNTRY=20 (Andorra)   N_TOWN=20001 (Ordino)   S_INTLANGUAGE=780 (Catalan)   Q1 (Important: Friends)=2 (Rather)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from dataset_builder.sources.wvs_file import PATH, WVS, Question, read_question, read_sav
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, TaskSpec
from spectrum_suite.errors import UserError
from spectrum_suite.seeding import stable_sample

ABOUT = {"B_COUNTRY": "Country", "N_TOWN": "Settlement", "S_INTLANGUAGE": "Language of the interview"}
_MAX_PEOPLE = 2000
_DESCRIPTION = (
    "Input: a question of a values survey with lettered options. Output: the letter that one person answered. "
    "All answers are of the same person."
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per respondent, at most 2,000 of all; draws in the order of the questionnaire."""
    path = raw_files[PATH]
    _, header = read_sav(path, metadataonly=True)
    if missing := ABOUT.keys() - set(header.column_names):
        raise UserError(f"raw file {str(path)!r} lacks the columns {sorted(missing)}; fetch it again from its upstream")
    found = {name: read_question(name, header) for name in header.column_names if name.startswith("Q")}
    yield from (reason for reason in found.values() if isinstance(reason, Dropped))
    questions = {name: question for name, question in found.items() if isinstance(question, Question)}
    people, _ = read_sav(path, usecols=[*ABOUT, *questions])
    if people.is_empty() or not questions:
        raise UserError(f"raw file {str(path)!r} holds no row or no question; fetch it again from its upstream")
    rows = [str(row) for row in range(1, len(people) + 1)]
    chosen = stable_sample(rows, _MAX_PEOPLE, "wvs")
    if len(rows) > len(chosen):
        yield Dropped(f"respondent beyond {_MAX_PEOPLE}", len(rows) - len(chosen))
    kept = people.with_columns(row=pl.Series(rows)).filter(pl.col("row").is_in(list(chosen)))
    for person in kept.iter_rows(named=True):
        yield from _person(person, questions, header.variable_value_labels)


def _person(
    person: Mapping[str, Any], questions: Mapping[str, Question], labels: Mapping[str, dict[float, str]]
) -> Iterator[Example | Dropped]:
    draws, letters, dropped = [], [], Counter[str]()
    for name, question in questions.items():
        if (code := person[name]) is None or code < 0:
            dropped["question without an answer"] += 1
        elif code not in question.letters:
            dropped["answer without a label"] += 1
        else:
            draws.append(Draw(question.text, question.letters[code]))
            letters.append(tuple(question.letters.values()))
    yield from (Dropped(reason, rows) for reason, rows in dropped.items())
    if draws:
        yield Example(person["row"], _descriptions(person, labels), tuple(draws), options=tuple(letters))


def _descriptions(person: Mapping[str, Any], labels: Mapping[str, dict[float, str]]) -> tuple[str, ...]:
    codes = {name: person[name] for name in ABOUT if isinstance(person[name], float) and person[name] >= 0}
    known = {name: labels.get(name, {}).get(code, "").strip() for name, code in codes.items()}
    facts = [f"{ABOUT[name]}: {label}." for name, label in known.items() if label]
    return (_DESCRIPTION, " ".join((_DESCRIPTION, *facts))) if facts else (_DESCRIPTION,)


TASKS = [
    TaskSpec(
        name="wvs_individual",
        kind="icl",
        split="test",
        source=WVS,
        group="human_variation",
        summary="How one person answers the World Values Survey.",
        process="one respondent",
        inputs=("question_and_options",),
        outputs=("response_letter",),
        sequences=Sequences("one"),
        read=read,
        domain="SocialSciences",
        quirks="Codes below zero (not asked, no answer, unknown) are neither options nor answers.",
    ),
]
