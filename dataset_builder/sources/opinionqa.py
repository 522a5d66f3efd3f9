"""OpinionQA: the questions of 15 waves of Pew's American Trends Panel (how people answered: ``opinionqa_people.py``).

Upstream: https://github.com/tatsu-lab/opinions_qa (arXiv 2303.17548), which links human_resp.tar.gz. Licence: Pew's
terms, by which answers of respondents may not be passed on. A raw row (made up) of a wave's info.csv:

    ,key,option_mapping,question,references,option_ordinal
    0,SWIM_W26,"{1.0: 'Often', 99.0: 'Refused'}",How often do you swim?,"['Often', 'Refused']",[1.0]

The whole files: 1,506 rows in all, in 14 waves one for each key. In W43 three keys (IDIMPORT, RACESURV36, RACESURV37)
stand five times each, once per wording: four name the race of those who were asked it, the fifth names none and is for
everybody else; 114 rows have 102 keys. Two columns without a meaning may stand before the key. Of the selection's 498
rows, five have the key IDIMPORT.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.surveys import lettered, literal, text_list
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec

WAVES = tuple(f"W{number}" for number in (26, 27, 29, 32, 34, 36, 41, 42, 43, 45, 49, 50, 54, 82, 92))
_SELECTION = "opinions_qa/data/human_resp/Pew_American_Trends_Panel_disagreement_500/info.csv"


def file_path(wave: str, name: str) -> str:
    """Upstream path of the info, the metadata or the responses of a wave."""
    return f"human_resp/American_Trends_Panel_{wave}/{name}.csv"


OPINIONQA = Source(
    name="opinionqa",
    title="OpinionQA: Pew American Trends Panel",
    homepage="https://github.com/tatsu-lab/opinions_qa",
    license="Pew Research Center's terms of use: data on respondents may not be passed on",
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


_DESCRIPTIONS = (
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
            yield Example(wave, _DESCRIPTIONS, tuple(Draw(None, text) for text in texts))


def _waves(raw_files: RawFiles) -> Iterator[tuple[str, str]]:
    for wave in WAVES:
        if (path := raw_files.get(file_path(wave, "info"))) is not None:
            yield from ((wave, lettered(*asked)) for _, asked in read_info(path))


def _selection(path: Path) -> Iterator[tuple[str, str]]:
    columns = dict.fromkeys(("question", "references", "survey"), pl.String)
    for row, (question, options, survey) in enumerate(raw.read_csv(path, columns).rows(), start=1):
        with raw.at_row(path, row):
            if (wave := (survey or "").rpartition("_")[2]) not in WAVES:
                raise ValueError(f"the survey {survey!r} is none of the waves {', '.join(WAVES)}")
            text = lettered(*_asked(question, options))
        yield wave, text


def read_info(path: Path) -> list[tuple[str, Asked]]:
    """Key and question of every row, in upstream order; a key comes again with each of its wordings."""
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
        quirks="A question with several wordings comes with each of them. Where the waves are not there, a selection "
        "of 500 of their questions by another benchmark is read.",
    ),
]
