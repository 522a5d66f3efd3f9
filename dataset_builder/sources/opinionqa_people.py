"""OpinionQA: how the respondents of 15 waves of Pew's American Trends Panel answered (the questions: ``opinionqa.py``).

Upstream: https://github.com/tatsu-lab/opinions_qa (arXiv 2303.17548). Licence: Pew's terms, by which answers of
respondents may not be passed on. Raw rows (made up) of a wave's metadata.csv and of its responses.csv, which has a
column for each key of metadata.csv and info.csv:

    0,AGE,"['18-29', '30-49', '50-64', '65+']"
    Often,18-29,...

The whole files: the metadata of every wave has the same twelve keys. A key of info.csv may stand several times, once
per wording (see ``opinionqa.py``): which one a respondent was asked depends on the race.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.opinionqa import OPINIONQA, WAVES, Asked, file_path, read_info
from dataset_builder.sources.opinionqa_wordings import RACE, by_race
from dataset_builder.sources.surveys import LETTERS, lettered, literal, text_list
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, TaskSpec
from spectrum_suite.seeding import stable_sample

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
_DESCRIPTIONS = (
    "One person answers the questions of a survey. Each answer is the letter of an option.",
    "All answers come from the same respondent of an American opinion survey, who picks one lettered option of each "
    "question.",
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
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
    for text in _DESCRIPTIONS if about else ():
        names = stable_sample(about, max(1, round(_SHARE_TOLD * len(about))), f"{process}/{text}")
        facts = "; ".join(f"{words}: {about[name]}" for name, words in ATTRIBUTES.items() if name in names)
        told.append(f"{text} About this person: {facts}.")
    return (*_DESCRIPTIONS, *told)


TASKS = [
    TaskSpec(
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
        read=read,
        domain="SocialSciences",
        version="1.1.0",
        quirks="Where a question has a wording per race, a respondent is asked that of their own race; where it cannot "
        "be told which that is, the question is dropped. An attribute is told only if it has one of the values of "
        "metadata.csv, so never as refused or unknown.",
    ),
]
