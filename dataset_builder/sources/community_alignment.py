"""Community Alignment: what people of five countries ask language models, and which replies they prefer (the table).

Upstream: https://huggingface.co/datasets/facebook/community-alignment-dataset (arXiv 2507.09650). Licence: CC BY 4.0.
A raw row (made up), with some columns left out; replies may end in a marker, which is removed:

    annotator_id,assigned_lang,first_turn_prompt,first_turn_response_a,...,first_turn_preferred_response,
        first_turn_feedback,second_turn_prompt,annotator_age,annotator_gender,...
    a1,it,Che ore sono?,Non lo so.<|end_of_text|>,...,response_b,Breve.,E domani?,18-30,male,...

The whole table has many times the 10,000 rows that are read. It has no id that must be unique: a prompt, an annotator
or both may come again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dataset_builder import raw
from dataset_builder.sources.community_alignment_rows import read_rows
from dataset_builder.task_spec import Dropped, RawFiles, Source, SourceFile

COMMUNITY_ALIGNMENT = Source(
    name="community_alignment",
    title="Community Alignment",
    homepage="https://huggingface.co/datasets/facebook/community-alignment-dataset",
    license="cc-by-4.0",
    redistributable="yes",
    creators="Lily Hong Zhang, Smitha Milli and others, Meta",
    citation="arXiv 2507.09650",
    folder="community_alignment",
    revision="97343c7f6399fcbea430ed0f37c1768281a78d56",
    files=(SourceFile("community_alignment.csv"),),
    hub="facebook/community-alignment-dataset",
    other_layouts=((SourceFile("data/filtered_community_alignment.csv"),),),  # version 1.0
)

RESPONSES = ("response_a", "response_b", "response_c", "response_d")
_MAX_ROWS = 10_000
_END_MARKER = "<|end_of_text|>"
_FACTS = {
    "age": "annotator_age",
    "gender": "annotator_gender",
    "education": "annotator_education_level",
    "politics": "annotator_political",
    "ethnicity": "annotator_ethnicity",
    "country": "annotator_country",
}
_COLUMNS = (
    "annotator_id",
    "assigned_lang",
    "first_turn_prompt",
    *(f"first_turn_{name}" for name in RESPONSES),
    "first_turn_preferred_response",
    "first_turn_feedback",
    "second_turn_prompt",
    *_FACTS.values(),
)


class Turn(NamedTuple):
    """The first turn of a conversation and the message after it; what is not there is empty.

    Attributes:
        annotator: Their id.
        language: Its code.
        prompt: The first message.
        replies: The four replies to it.
        preferred: Which of ``RESPONSES`` the annotator prefers.
        reason: Why.
        follow_up: The annotator's second message.
        facts: What is told of the annotator.
    """

    annotator: str
    language: str
    prompt: str
    replies: tuple[str, ...]
    preferred: str
    reason: str
    follow_up: str
    facts: dict[str, str]


def read_turns(raw_files: RawFiles) -> Iterator[Turn | Dropped]:
    """The first turns among the first 10,000 rows, in upstream order."""
    path = next(iter(raw_files.values()))
    beyond = 0
    for number, row in read_rows(path, _COLUMNS, _MAX_ROWS):
        if row is None:
            beyond += 1
            continue
        if not (row["first_turn_prompt"] and row["first_turn_preferred_response"]):
            yield Dropped("row without a first prompt or a preferred reply")
            continue
        with raw.at_row(path, number):
            yield _turn(row)
    if beyond:
        yield Dropped(f"row beyond the first {_MAX_ROWS}", beyond)


def _turn(row: dict[str, str]) -> Turn:
    if not (row["annotator_id"] and row["assigned_lang"]):
        raise ValueError("column 'annotator_id' or 'assigned_lang' is empty")
    if row["first_turn_preferred_response"] not in RESPONSES:
        raise ValueError(f"the preferred reply {row['first_turn_preferred_response']!r} is none of {RESPONSES}")
    return Turn(
        row["annotator_id"],
        row["assigned_lang"],
        row["first_turn_prompt"],
        tuple(row[f"first_turn_{name}"].replace(_END_MARKER, "").strip() for name in RESPONSES),
        row["first_turn_preferred_response"],
        row["first_turn_feedback"],
        row["second_turn_prompt"],
        {name: row[column] for name, column in _FACTS.items()},
    )
