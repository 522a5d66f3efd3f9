"""Community Alignment: what people of five countries ask language models, and which replies they prefer.

Upstream: https://huggingface.co/datasets/facebook/community-alignment-dataset (arXiv 2507.09650). Licence: CC BY 4.0.
A raw row (made up), with some columns left out; replies may end in a marker, which is removed:

    annotator_id,assigned_lang,first_turn_prompt,first_turn_response_a,...,first_turn_preferred_response,
        first_turn_feedback,second_turn_prompt,annotator_age,annotator_gender,...
    a1,it,Che ore sono?,Non lo so.<|end_of_text|>,...,response_b,Breve.,E domani?,18-30,male,...

The whole table has many times the 10,000 rows that are read. No id in it is unique: a prompt, an annotator or both may
appear again.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from dataset_builder import raw
from dataset_builder.sources.shared.people import choose, known
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec
from spectrum_suite.errors import UserError
from spectrum_suite.seeding import generator


def read_rows(path: Path, columns: Iterable[str], at_most: int) -> Iterator[tuple[int, dict[str, str] | None]]:
    """Yield (number from 1, row), with values stripped; None for rows beyond so many, which are only counted.

    Raises:
        UserError: One of the rows that are used is damaged. The file may end in the middle of one of the others.
    """
    with path.open("rb") as file:
        reader = csv.reader((line.decode("utf-8-sig") for line in file), strict=True)
        header = _next(reader, path, 0) or []
        if lacking := [name for name in columns if name not in header]:
            raise raw.bad_row(path, 0, f"the header lacks column {lacking[0]!r}")
        for number in count(1):
            try:
                values = _next(reader, path, number)
            except UserError:
                if number <= at_most:
                    raise
                break
            if values is None:
                break
            if number > at_most:
                yield number, None
                continue
            if len(values) != len(header):
                raise raw.bad_row(path, number, f"it has {len(values)} fields where {len(header)} are expected")
            yield number, {name: value.strip() for name, value in zip(header, values, strict=True)}
    if number == 1:
        raise raw.bad_row(path, 1, "the file ends before its first row")


def _next(reader: Iterator[list[str]], path: Path, number: int) -> list[str] | None:
    try:
        return next(reader, None)
    except (csv.Error, UnicodeDecodeError) as error:
        raise raw.bad_row(path, number, str(error)) from error


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
    """The first turn of a conversation and the message after it; what is missing is empty.

    Attributes:
        annotator: Their id.
        language: Its code.
        prompt: The first message.
        replies: The four replies to it.
        preferred: Which of ``RESPONSES`` the annotator prefers.
        reason: Why.
        follow_up: The annotator's second message.
        facts: What is known of the annotator.
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
        raise ValueError(f"the preferred reply {row['first_turn_preferred_response']!r} is not one of {RESPONSES}")
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


LANGUAGES = {"en": "English", "fr": "French", "hi": "Hindi", "it": "Italian", "pt": "Portuguese"}
_PROMPT_TEXTS = (
    "First messages to a language model, written in {language}.",
    "Each output is a prompt in {language} with which a conversation with a language model begins.",
)
_RESPONSE_TEXTS = (
    "For each prompt in {language}, four replies that differ from each other as much as possible, as a JSON list.",
    "The input is a prompt in {language}. Write a JSON list of four diverse replies, so that different people each "
    "find one to their taste.",
)


def read_by_language(
    raw_files: RawFiles, *, draw: Callable[[Turn], Draw | Dropped], texts: tuple[str, ...]
) -> Iterator[Example | Dropped]:
    """One process per language, by code; a prompt counts once in a language, at its first usable row."""
    draws: dict[str, dict[str, Draw]] = {}
    for turn in read_turns(raw_files):
        if isinstance(turn, Dropped):
            yield turn
        elif turn.prompt in draws.setdefault(turn.language, {}):
            yield Dropped("row whose prompt was there before")
        elif isinstance(drawn := draw(turn), Dropped):
            yield drawn
        else:
            draws[turn.language][turn.prompt] = drawn
    for language in sorted(code for code in draws if draws[code]):
        spelled = LANGUAGES.get(language, language)
        yield Example(language, tuple(text.format(language=spelled) for text in texts), tuple(draws[language].values()))


def _prompt(turn: Turn) -> Draw:
    return Draw(None, turn.prompt)


def _responses(turn: Turn) -> Draw | Dropped:
    if not all(turn.replies):
        return Dropped("row with a reply without text")
    order = generator("community_alignment_response", turn.prompt).permutation(len(turn.replies))
    return Draw(turn.prompt, json.dumps([turn.replies[place] for place in order], ensure_ascii=False))


_by_language = partial(
    TaskSpec,
    kind="icl",
    split="train",
    source=COMMUNITY_ALIGNMENT,
    group="text_collections",
    process="one language",
    domain="Conversation",
    languages=tuple(LANGUAGES),
    version="1.1.0",
)


_MIN_ROWS = 4
_REPLY_TEXTS = (
    "Second messages of one user to a language model, given the user's first message and the reply that the user "
    "liked best.",
    "The same person goes on with a conversation: the input is the first prompt and the model's reply, the output what "
    "the person writes next.",
)
_PREFERENCE_TEXTS = (
    "One person picks the best of four replies to a prompt. The output is JSON: preferred_response, from response_a to "
    "response_d, and justification, the person's reason if there is one.",
    "The same user compares four replies of language models every time. As JSON: the preferred_response and, only "
    "where the user gave one, a justification.",
)


def read_people(
    raw_files: RawFiles, *, draw: Callable[[Turn], Draw | Dropped], texts: tuple[str, ...], always_about: bool
) -> Iterator[Example | Dropped]:
    """One process per annotator with at least four draws, in the order of their first one.

    Args:
        raw_files: The table.
        draw: What becomes of a row.
        texts: The ways to describe the task.
        always_about: Whether every description tells who the annotator is, or only half of them do.
    """
    draws: dict[str, list[Draw]] = {}
    facts: dict[str, dict[str, str]] = {}
    for turn in read_turns(raw_files):
        drawn = turn if isinstance(turn, Dropped) else draw(turn)
        if isinstance(drawn, Dropped):
            yield drawn
        else:
            draws.setdefault(turn.annotator, []).append(drawn)
            facts.setdefault(turn.annotator, known(turn.facts))
    people, dropped = choose(draws, "community_alignment", at_least=_MIN_ROWS)
    yield from dropped
    for person in people:
        about = tuple(f"{text} The person: {json.dumps(facts[person], ensure_ascii=False)}" for text in texts)
        descriptions = texts if not facts[person] else about if always_about else texts + about
        yield Example(person, descriptions, tuple(draws[person]))


def _reply(turn: Turn) -> Draw | Dropped:
    liked = turn.replies[RESPONSES.index(turn.preferred)]
    if not turn.follow_up:
        return Dropped("row without a second message")
    if not liked:
        return Dropped("row with a reply without text")
    given = {"prompt": turn.prompt, "model_response": liked}
    return Draw(json.dumps(given, ensure_ascii=False), turn.follow_up)


def _preference(turn: Turn) -> Draw | Dropped:
    if not all(turn.replies):
        return Dropped("row with a reply without text")
    given = {"prompt": turn.prompt, **dict(zip(RESPONSES, turn.replies, strict=True))}
    output = {"preferred_response": turn.preferred} | ({"justification": turn.reason} if turn.reason else {})
    return Draw(*(json.dumps(fields, ensure_ascii=False) for fields in (given, output)))


_individual = partial(
    TaskSpec,
    kind="icl",
    split="train",
    source=COMMUNITY_ALIGNMENT,
    group="human_variation",
    process="one annotator",
    sequences=Sequences("partition", Mix(25)),
    domain="Conversation",
    languages=("en", "fr", "hi", "it", "pt"),
    version="1.1.0",
)


TASKS = [
    _by_language(
        name="community_alignment_initial_prompt",
        summary="What people of five countries write first to a language model.",
        outputs=("first_turn_prompt",),
        sequences=Sequences("partition", Mix(32)),
        read=partial(read_by_language, draw=_prompt, texts=_PROMPT_TEXTS),
    ),
    _by_language(
        name="community_alignment_response",
        summary="Four diverse replies to a prompt, in random order.",
        inputs=("prompt",),
        outputs=("responses",),
        sequences=Sequences("partition", 5),
        read=partial(read_by_language, draw=_responses, texts=_RESPONSE_TEXTS),
    ),
    _individual(
        name="community_alignment_individual_reply",
        summary="What one user writes after the reply that they like best.",
        inputs=("prompt", "model_response"),
        outputs=("reply",),
        read=partial(read_people, draw=_reply, texts=_REPLY_TEXTS, always_about=True),
        quirks="Conversations that end after one turn are dropped; in the release their follow-up would read None.",
    ),
    _individual(
        name="community_alignment_individual_preferences",
        summary="Which of four replies one user prefers, and why.",
        inputs=("prompt", *RESPONSES),
        outputs=("preferred_response", "justification"),
        read=partial(read_people, draw=_preference, texts=_PREFERENCE_TEXTS, always_about=False),
        quirks=(
            "Whether and how the user is described differs between users. The output has no justification where the "
            "user gave none."
        ),
    ),
]
