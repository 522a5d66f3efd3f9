"""OpinionQA: the questions of 15 waves of Pew's American Trends Panel, and how the respondents answered them.

Upstream: https://github.com/tatsu-lab/opinions_qa (arXiv 2303.17548), which links human_resp.tar.gz. Licence: Pew's
terms, which forbid redistribution of respondents' answers. Raw rows (made up) of a wave's info.csv, of its
metadata.csv, and of its responses.csv, which has a column for each key of the other two:

    ,key,option_mapping,question,references,option_ordinal
    0,SWIM_W26,"{1.0: 'Often', 99.0: 'Refused'}",How often do you swim?,"['Often', 'Refused']",[1.0]

    0,AGE,"['18-29', '30-49', '50-64', '65+']"

    Often,18-29,...

The whole files: 1,506 rows of info.csv in all, in 14 waves one for each key. In W43 three keys (IDIMPORT, RACESURV36,
RACESURV37) have five rows each, one per wording: four name the race of those who were asked it, the fifth names none
and is for everybody else ("How proud are you of Asian soup?", "How proud are you of your soup?"); 114 rows have 102
keys. Two columns without a meaning may come before the key. The metadata of every wave has the same twelve keys. Of
the selection's 498 rows, five have the key IDIMPORT.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.gathered_answers import gathered
from dataset_builder.sources.shared.surveys import LETTERS, lettered, literal, text_list
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.seeding import stable_sample

WAVES = tuple(f"W{number}" for number in (26, 27, 29, 32, 34, 36, 41, 42, 43, 45, 49, 50, 54, 82, 92))
_SELECTION = "opinions_qa/data/human_resp/Pew_American_Trends_Panel_disagreement_500/info.csv"


def file_path(wave: str, name: str) -> str:
    """Upstream path of the info, the metadata or the responses of a wave."""
    return f"human_resp/American_Trends_Panel_{wave}/{name}.csv"


OPINIONQA = Source(
    name="opinionqa",
    title="OpinionQA: Pew American Trends Panel",
    homepage="https://github.com/tatsu-lab/opinions_qa",
    license="Pew Research Center's terms of use: no redistribution of data on respondents",
    redistributable="no",
    citation="arXiv 2303.17548",
    folder="opinionqa",
    files=tuple(SourceFile(file_path(wave, name)) for wave in WAVES for name in ("info", "metadata", "responses")),
    divisible=True,
)
QUESTIONS_ONLY = replace(
    OPINIONQA,
    files=tuple(SourceFile(file_path(wave, "info")) for wave in WAVES),
    other_layouts=((SourceFile(_SELECTION),),),  # a selection of questions of all waves, by another benchmark
)


class Asked(NamedTuple):
    """A question as it was put, and its options."""

    question: str
    options: tuple[str, ...]


_QUESTION_TEXTS = (
    "Questions of an American opinion survey, each with its lettered options.",
    "Each output is a survey question with the options to choose from. All come from the same survey.",
)


def read_questions(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per wave; the questions with their options, in upstream order."""
    waves: dict[str, dict[str, None]] = {wave: {} for wave in WAVES}
    for wave, text in _selection(raw_files[_SELECTION]) if _SELECTION in raw_files else _waves(raw_files):
        if text in waves[wave]:
            yield Dropped("question that the wave has already")
        waves[wave][text] = None
    for wave, texts in waves.items():
        if texts:
            yield Example(wave, _QUESTION_TEXTS, tuple(Draw(None, text) for text in texts))


def _waves(raw_files: RawFiles) -> Iterator[tuple[str, str]]:
    for wave in WAVES:
        if (path := raw_files.get(file_path(wave, "info"))) is not None:
            yield from ((wave, lettered(*asked)) for _, asked in read_info(path))


def _selection(path: Path) -> Iterator[tuple[str, str]]:
    columns = dict.fromkeys(("question", "references", "survey"), pl.String)
    for row, (question, options, survey) in enumerate(raw.read_csv(path, columns).rows(), start=1):
        with raw.at_row(path, row):
            if (wave := (survey or "").rpartition("_")[2]) not in WAVES:
                raise ValueError(f"the survey {survey!r} is not one of the waves {', '.join(WAVES)}")
            text = lettered(*_asked(question, options))
        yield wave, text


def read_info(path: Path) -> list[tuple[str, Asked]]:
    """Key and question of every row, in upstream order; a key is repeated with each of its wordings."""
    questions = []
    columns = dict.fromkeys(("key", "question", "references"), pl.String)
    for row, (key, question, options) in enumerate(raw.read_csv(path, columns).rows(), start=1):
        with raw.at_row(path, row):
            if not (name := (key or "").strip()):
                raise ValueError("column 'key' is empty")
            questions.append((name, _asked(question, options)))
    return questions


def _asked(question: str | None, options: str | None) -> Asked:
    if not (text := (question or "").strip()):
        raise ValueError("column 'question' is empty")
    return Asked(text, text_list(literal(options)))


RACE, _OTHER = "RACE", "Other"


def by_race(rows: Iterable[tuple[str, Asked]], races: Iterable[str]) -> dict[str, dict[str | None, Asked]]:
    """Key -> race (None where it is not known) -> the question that such respondents were asked, where known.

    Of several wordings, the only one that names a race, and no other race, is for the respondents of it; the only one
    that names none is for those of another race.
    """
    wordings: dict[str, dict[Asked, None]] = {}
    for key, asked in rows:
        wordings.setdefault(key, {})[asked] = None
    named = set(races) - {_OTHER}
    found: dict[str, dict[str | None, Asked]] = {}
    for key, several in wordings.items():
        if len(several) == 1:
            found[key] = dict.fromkeys((*named, _OTHER, None), *several)
            continue
        about = {asked: _named(asked.question, named) or {_OTHER} for asked in several}
        fitting = {race: [asked for asked in several if about[asked] == {race}] for race in (*named, _OTHER)}
        found[key] = {race: one[0] for race, one in fitting.items() if len(one) == 1}
    return found


def _named(text: str, races: Iterable[str]) -> set[str]:
    """The races that a text names."""
    return {race for race in races if re.search(rf"\b{re.escape(race)}\b", text, re.IGNORECASE)}


ATTRIBUTES = {
    "CREGION": "region",
    "AGE": "age",
    "SEX": "sex",
    "EDUCATION": "education",
    "CITIZEN": "citizen of the USA",
    "MARITAL": "marital status",
    "RELIG": "religion",
    "RELIGATTEND": "attendance at religious services",
    "POLPARTY": "party",
    "INCOME": "income",
    "POLIDEOLOGY": "political views",
    RACE: "race",
}
_MAX_PEOPLE = 200
_SHARE_TOLD = 0.7
_PEOPLE_TEXTS = (
    "One person answers the questions of a survey. Each answer is the letter of an option.",
    "All answers come from the same respondent of an American opinion survey, who picks one lettered option of each "
    "question.",
)


def read_people(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per respondent, at most 200 of a wave; draws in the order of the questionnaire."""
    for wave in WAVES:
        if (path := raw_files.get(file_path(wave, "responses"))) is not None:
            values = _read_values(raw_files[file_path(wave, "metadata")])
            questions = by_race(read_info(raw_files[file_path(wave, "info")]), values[RACE])
            people = raw.read_csv(path, dict.fromkeys((*questions, *ATTRIBUTES), pl.String))
            rows = [f"{wave}/{row}" for row in range(1, len(people) + 1)]
            chosen = stable_sample(rows, _MAX_PEOPLE, "opinionqa")
            if len(rows) > len(chosen):
                yield Dropped(f"respondent beyond the {_MAX_PEOPLE} of a wave", len(rows) - len(chosen))
            kept = people.with_columns(process=pl.Series(rows)).filter(pl.col("process").is_in(list(chosen)))
            for person in kept.iter_rows(named=True):
                about = {name: person[name] for name in ATTRIBUTES if person[name] in values[name]}
                yield from _person(person, questions, about)


def _read_values(path: Path) -> dict[str, tuple[str, ...]]:
    """Attribute -> the values it has where it is known."""
    values = {}
    for row, (key, options) in enumerate(raw.read_csv(path, {"key": pl.String, "options": pl.String}).rows(), start=1):
        with raw.at_row(path, row):
            values[key] = text_list(literal(options))
    if missing := ATTRIBUTES.keys() - values.keys():
        raise raw.bad_row(path, row, f"the table ends without the keys {sorted(missing)}")
    return values


def _person(
    person: Mapping[str, str | None],
    questions: Mapping[str, Mapping[str | None, Asked]],
    about: Mapping[str, str],
) -> Iterator[Example | Dropped]:
    draws, letters, dropped = [], [], Counter[str]()
    for key, wordings in questions.items():
        answer = (person[key] or "").strip()
        if (asked := wordings.get(about.get(RACE))) is None:
            dropped["question whose wording for the race of the respondent cannot be told"] += 1
            continue
        question, options = asked
        if answer in options:
            draws.append(Draw(lettered(question, options), LETTERS[options.index(answer)]))
            letters.append(tuple(LETTERS[: len(options)]))
        else:
            dropped["answer that is not among the options" if answer else "question without an answer"] += 1
    yield from (Dropped(reason, rows) for reason, rows in dropped.items())
    if draws:
        yield Example(person["process"], _descriptions(person["process"], about), tuple(draws), options=tuple(letters))


def _descriptions(process: str, about: Mapping[str, str]) -> tuple[str, ...]:
    """Each text alone, and followed by about 7 in 10 of the attributes that are known, others for each text."""
    told = []
    for text in _PEOPLE_TEXTS if about else ():
        names = stable_sample(about, max(1, round(_SHARE_TOLD * len(about))), f"{process}/{text}")
        facts = "; ".join(f"{words}: {about[name]}" for name, words in ATTRIBUTES.items() if name in names)
        told.append(f"{text} About this person: {facts}.")
    return (*_PEOPLE_TEXTS, *told)


_RESPONDENTS = TaskSpec(
    name="opinionqa_individual",
    kind="icl",
    split="train",
    source=OPINIONQA,
    group="human_variation",
    summary="How one respondent of an American opinion survey answers its questions.",
    process="one respondent in one wave of the survey",
    inputs=("Question",),
    outputs=("Response",),
    sequences=Sequences("one"),
    read=read_people,
    domain="SocialSciences",
    version="1.1.0",
    quirks="Where a question has a wording per race, a respondent is asked that of their own race; where it cannot "
    "be told which that is, the question is dropped. An attribute is told only if it has one of the values of "
    "metadata.csv, so never as refused or unknown.",
)

TASKS = [
    TaskSpec(
        name="opinionqa_questions",
        kind="icl",
        split="train",
        source=QUESTIONS_ONLY,
        group="text_collections",
        summary="Questions of an American opinion survey with their options.",
        process="one wave of the survey",
        outputs=("question",),
        sequences=Sequences("one"),
        read=read_questions,
        domain="SocialSciences",
        version="1.1.0",
        quirks="A question with several wordings comes with each of them. Where the waves are missing, a selection "
        "of 500 of their questions by another benchmark is read.",
    ),
    _RESPONDENTS,
    gathered(
        _RESPONDENTS,
        "opinionqa",
        "How the respondents of an American opinion survey answer a question.",
        "Different people answer the questions of a survey. Each output is the letter of the option that one of them "
        "picked.",
        "An American opinion survey. Each output is the letter of another respondent's answer.",
    ),
]
