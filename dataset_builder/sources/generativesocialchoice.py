"""Generative Social Choice: Americans write about abortion and chatbot personalization, and rate summaries.

Upstream: https://github.com/generative-social-choice/survey_data (arXiv 2309.01291). Licence: unstated. Questions of
the survey on abortion are HTML. Raw rows (made up):

    user_id,step,question_type,question_text,button_label,json_choices,choice,choice_numeric,text,answer_date,sample_type
    generation7,3,text,<p>What do you think?</p>,,,,,It depends.,2024-01-01,generation
    validation9,4,multiple choice + text,Rate this.,,"['well', 'badly']",well,1.0,It fits.,2024-01-01,validation

The whole files: 2,800 rows on abortion and 3,000 on chatbots, by 200 people each, who take every step once; one answer
to an open question is empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.surveys import literal, text_list
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Source, SourceFile, TaskSpec

_COMMIT = "3129df3d0f83a598bd5c59c25419b463078d763f"
_REPOSITORY = "generative-social-choice/survey_data"
_RAW = f"https://raw.githubusercontent.com/{_REPOSITORY}/{_COMMIT}"
SURVEYS = {name: f"data/{name}_survey.csv" for name in ("abortion", "chatbot_personalization")}

GENERATIVE_SOCIAL_CHOICE = Source(
    name="generativesocialchoice",
    title="Generative Social Choice surveys",
    homepage=f"https://github.com/{_REPOSITORY}",
    license="unstated",
    redistributable="unknown",
    citation="arXiv 2309.01291",
    folder="generativesocialchoice",
    revision=_COMMIT,
    files=tuple(SourceFile(path, f"{_RAW}/{path}") for path in SURVEYS.values()),
)

_RATING, _TEXT = "multiple choice + text", "text"
_QUESTION_TYPES = (_RATING, _TEXT, "reading")
_SAMPLES = ("generation", "validation")
_COLUMNS = ("user_id", "step", "question_type", "question_text", "json_choices", "choice", "text", "sample_type")


def read(raw_files: RawFiles, *, rating: bool) -> Iterator[Example | Dropped]:
    """One process per person and survey, in upstream order; ratings of the validation sample, or texts of anyone."""
    for survey, path in SURVEYS.items():
        people: dict[str, list[Draw]] = {}
        seen = set()
        for row, fields in enumerate(raw.read_csv(raw_files[path], dict.fromkeys(_COLUMNS, pl.String)).rows(), start=1):
            with raw.at_row(raw_files[path], row):
                cells = {name: (value or "").strip() for name, value in zip(_COLUMNS, fields, strict=True)}
                draw = _draw(cells, rating=rating)
                if (step := (cells["user_id"], cells["step"])) in seen:
                    raise ValueError(f"person and step {step!r} are there already")
            seen.add(step)
            if isinstance(draw, Dropped):
                yield draw
            elif draw:
                people.setdefault(cells["user_id"], []).append(draw)
        for person, draws in people.items():
            yield Example(f"{survey}/{person}", _DESCRIPTIONS[rating], tuple(draws))


def _draw(cells: dict[str, str], *, rating: bool) -> Draw | Dropped | None:
    """The draw of a row, or None when it is a row for another task."""
    if not cells["user_id"] or not cells["step"]:
        raise ValueError("columns 'user_id' and 'step' must not be empty")
    if cells["question_type"] not in _QUESTION_TYPES or cells["sample_type"] not in _SAMPLES:
        raise ValueError(
            f"question type {cells['question_type']!r} or sample {cells['sample_type']!r} is not one we know"
        )
    if cells["question_type"] != (_RATING if rating else _TEXT) or (rating and cells["sample_type"] != "validation"):
        return None
    if not cells["question_text"] or not cells["text"]:
        return Dropped("question or answer is empty")
    if not rating:
        return Draw(cells["question_text"], cells["text"])
    choices = text_list(literal(cells["json_choices"]))
    if cells["choice"] not in choices:
        raise ValueError(f"the choice {cells['choice']!r} is not one of {list(choices)!r}")
    given = {"question_text": cells["question_text"], "json_choices": list(choices)}
    answer = {"choice": cells["choice"], "response_text": cells["text"]}
    return Draw(json.dumps(given, ensure_ascii=False), json.dumps(answer, ensure_ascii=False))


_DESCRIPTIONS = {
    True: (
        "Given: question_text, json_choices. To produce: choice, response_text.",
        "The input has the fields question_text and json_choices, the output the fields choice and response_text.",
    ),
    False: (
        "Given: question_text. To produce: response_text.",
        "The input is question_text, the output response_text.",
    ),
}


TASKS = [
    TaskSpec(
        name="generativesocialchoice_validation",
        kind="icl",
        split="train",
        source=GENERATIVE_SOCIAL_CHOICE,
        group="human_variation",
        summary="How well summaries match the view of one person, and why.",
        process="one participant of the validation sample of one survey",
        inputs=("question_text", "json_choices"),
        outputs=("choice", "response_text"),
        sequences=Sequences("one"),
        read=partial(read, rating=True),
        domain="SocialSciences",
        quirks="Ratings without an explanation are dropped. The choices are a JSON list, not text of a list.",
        version="1.1.0",
    ),
    TaskSpec(
        name="generativesocialchoice_freetext",
        kind="icl",
        split="train",
        source=GENERATIVE_SOCIAL_CHOICE,
        group="human_variation",
        summary="What one person writes in answer to open questions.",
        process="one participant of one survey",
        inputs=("question_text",),
        outputs=("response_text",),
        sequences=Sequences("one"),
        read=partial(read, rating=False),
        domain="SocialSciences",
        version="1.1.0",
    ),
]
