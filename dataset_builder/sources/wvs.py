"""World Values Survey, wave 7: how people of many countries answered its questions.

Upstream: https://www.worldvaluessurvey.org (SPSS file, after registration). Licence: the survey's terms, which forbid
redistribution. A raw row (made up), with the labels that the file has for its columns and codes:

    B_COUNTRY=20 (Andorra)   N_TOWN=20001 (Ordino)   S_INTLANGUAGE=780 (Catalan)   Q1 (Important: Friends)=2 (Rather)

The whole file has a row for each respondent; no id is relied on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyreadstat

from dataset_builder.sources.shared.surveys import LETTERS, lettered
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.errors import UserError
from spectrum_suite.seeding import stable_sample

PATH = "WVS_Cross-National_Wave_7_inverted_sav_v6_0.sav"

WVS = Source(
    name="wvs",
    title="World Values Survey, wave 7",
    homepage="https://www.worldvaluessurvey.org/WVSDocumentationWV7.jsp",
    license="World Values Survey terms of use: no redistribution",
    redistributable="no",
    commercial="no",
    citation="Haerpfer et al. 2022, World Values Survey: Round Seven - Country-Pooled Datafile, version 6.0",
    folder="wvs",
    revision="version 6.0",
    files=(SourceFile(PATH),),
)

_LEFT_OUT = {"Q261", "Q262", "Q270", "Q274"}  # years and counts
_MIN_OPTIONS, _MAX_OPTIONS = 2, 17


class Question(NamedTuple):
    """A question with its lettered options, and the letter of each code."""

    text: str
    letters: dict[float, str]


def read_sav(path: Path, **options: Any) -> tuple[pl.DataFrame, Any]:
    """Read the file, or parts of it, as a table of codes and what the file says of its columns.

    Raises:
        UserError: It is not a complete SPSS file.
    """
    try:
        return pyreadstat.read_sav(path, output_format="polars", **options)
    except pyreadstat.ReadstatError as error:
        why = f"cannot be read as an SPSS file: {error}"
        raise UserError(f"raw file {str(path)!r} {why}; fetch it again from its upstream") from error


def read_question(name: str, header: Any) -> Question | Dropped:
    """The question of a column; its options are the codes that are not a kind of missing answer, the highest first."""
    labels = {} if header.readstat_variable_types[name] == "string" else header.variable_value_labels.get(name, {})
    options = {code: labels[code].strip() for code in sorted(labels, reverse=True) if code >= 0}
    text = (header.column_names_to_labels[name] or "").strip()
    if name in _LEFT_OUT:
        return Dropped("question for a year or a count")
    if not text or len(options) < _MIN_OPTIONS or not all(options.values()):
        return Dropped("question without text or options")
    if len(options) > _MAX_OPTIONS:
        return Dropped(f"question with more than {_MAX_OPTIONS} options")
    return Question(lettered(text, list(options.values())), dict(zip(options, LETTERS, strict=False)))


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
