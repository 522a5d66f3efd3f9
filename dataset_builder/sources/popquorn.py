"""POPQUORN: how people rewrite e-mails, rate comments or e-mails, or answer questions about passages.

Upstream: https://github.com/Jiaxin-Pei/Potato-Prolific-Dataset (LAW 2023). Licence: unstated. Two of its four tables
hold mail of private people. A raw row (made up) of the table of comments:

    instance_id,user_id,text,offensiveness,gender,race,age,occupation,education
    12,7.0,What a silly hat.,2.0,Woman,White,45-49,Employed,College degree

In the table of questions ``user_id`` is empty: there, people are told apart by their demographics.

The whole files: 13,036 ratings of 1,500 comments by 262 people, each comment once per person, and 2,346 rows of
e-mails rewritten by 227 people, 80 of which name nobody. The other two tables could not be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.people import choose, with_and_without
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec

_ADDRESS = "https://raw.githubusercontent.com/Jiaxin-Pei/Potato-Prolific-Dataset"
_REPOSITORY = "Jiaxin-Pei/Potato-Prolific-Dataset"
_REVISION = "dbb118c29b3d9bcce5aa172d8249ded9ece4df84"


@dataclass(frozen=True, slots=True)
class SubTask:
    """A table: its folder, and column -> our name, for what is given and for what comes out.

    Private mail is never fetched on anyone's behalf: who may have it puts the file in place by hand.
    """

    folder: str
    given: Mapping[str, str]
    out: Mapping[str, str]
    private: bool = False

    @property
    def path(self) -> str:
        """Its upstream path."""
        return f"dataset/{self.folder}/raw_data.csv"


SUB_TASKS = (
    SubTask("email_rewriting", {"original email": "original_email"}, {"revised email": "revised_email"}, private=True),
    SubTask("offensiveness", {"text": "text_to_rate"}, {"offensiveness": "offensiveness"}),
    SubTask("politeness_rating", {"text": "text_to_rate"}, {"politeness": "politeness"}, private=True),
    SubTask(
        "question_answering",
        {"text": "passage", "question": "question"},
        {"groundtruth": "groundtruth", "answer": "answer", "difficulty": "difficulty"},
    ),
)

POPQUORN = Source(
    name="popquorn",
    title="POPQUORN (Potato-Prolific)",
    homepage=f"https://github.com/{_REPOSITORY}",
    license="unstated",
    redistributable="unknown",
    citation="Pei and Jurgens 2023, https://aclanthology.org/2023.law-1.25",
    folder="popquorn",
    revision=_REVISION,
    files=tuple(
        SourceFile(task.path, None if task.private else f"{_ADDRESS}/{_REVISION}/{task.path}") for task in SUB_TASKS
    ),
    divisible=True,
)


_POOLS = {
    "email_rewriting": (
        "E-mails that people were asked to rewrite more politely.",
        "Each output is an e-mail whose tone could be improved.",
    ),
    "offensiveness": (
        "Comments from the internet that people were asked to rate for offensiveness.",
        "Each output is an online comment, harmless or not, from a study of what people find offensive.",
    ),
    "politeness_rating": (
        "E-mails that people were asked to rate for politeness.",
        "Each output is an e-mail from a study of what people find polite.",
    ),
    "question_answering": (
        "Passages about which people were asked questions to test their reading.",
        "Each output is a passage for a reading comprehension test.",
    ),
}


def read_texts(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per sub-task: the different texts that people were shown, in the order of their first row."""
    for task in (task for task in SUB_TASKS if task.path in raw_files):
        column = next(iter(task.given))
        texts = [(text or "").strip() for text in raw.read_csv(raw_files[task.path], {column: pl.String})[column]]
        if empty := texts.count(""):
            yield Dropped("row without a text", empty)
        if distinct := [text for text in dict.fromkeys(texts) if text]:
            yield Example(task.folder, _POOLS[task.folder], tuple(Draw(None, text) for text in distinct))


_FACTS = ("gender", "race", "age", "occupation", "education")
_MIN_ROWS, _MAX_PEOPLE = 6, 100
_RATINGS = {"offensiveness", "politeness", "difficulty"}
_SCALE = tuple("12345")
_TEXTS = {
    "email_rewriting": (
        "One person rewrites e-mails so that they become more polite. The input is an e-mail, the output the same "
        "person's version of it.",
        "Every output is a politer wording of the e-mail given, and all are by one writer.",
    ),
    "offensiveness": (
        "One person rates how offensive comments from the internet are, from 1 (not offensive at all) to 5 (very "
        "offensive).",
        "Offensiveness ratings of online comments by a single rater: a whole number from 1 = not at all to 5 = very.",
    ),
    "politeness_rating": (
        "One person rates how polite e-mails are, from 1 (not polite at all) to 5 (very polite).",
        "Politeness ratings of e-mails by a single rater: a whole number from 1 = not at all to 5 = very.",
    ),
    "question_answering": (
        "One person answers questions about passages and says how hard each was. The output is JSON: groundtruth is "
        "the answer on record, answer is what the person answered, and difficulty is from 1 (very easy) to 5 (very "
        "hard).",
        "Reading comprehension by a single reader: given passage and question, JSON with the reference answer "
        "(groundtruth), the reader's own answer, and the difficulty that the reader felt, 1 = lowest to 5 = highest.",
    ),
}


def read_people(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per person and sub-task, in the order of the tables and of each person's first row."""
    for task in (task for task in SUB_TASKS if task.path in raw_files):
        draws: dict[str, list[Draw]] = {}
        facts: dict[str, dict[str, str]] = {}
        for person, about, draw in _answers(raw_files[task.path], task):
            if isinstance(draw, Dropped):
                yield draw
            else:
                facts.setdefault(person, about)
                draws.setdefault(person, []).append(draw)
        rated = len(task.out) == 1 and set(task.out.values()) <= _RATINGS
        people, dropped = choose(draws, f"popquorn/{task.folder}", at_least=_MIN_ROWS, at_most=_MAX_PEOPLE)
        yield from dropped
        for person in people:
            descriptions = with_and_without(_TEXTS[task.folder], facts[person])
            options = (_SCALE,) if rated else ()
            yield Example(f"{task.folder}/{person}", descriptions, tuple(draws[person]), options=options)


def _answers(path: Path, task: SubTask) -> Iterator[tuple[str, dict[str, str], Draw | Dropped]]:
    """(person, their facts, draw) for every row."""
    columns = dict.fromkeys(("user_id", *_FACTS, *task.given, *task.out), pl.String)
    for number, cells in enumerate(raw.read_csv(path, columns).iter_rows(named=True), start=1):
        row = {name: (value or "").strip() for name, value in cells.items()}
        about = {name: row[name] for name in _FACTS}
        person = row["user_id"] or ("/".join(about.values()) if task.folder == "question_answering" else "")
        with raw.at_row(path, number):
            draw = _draw(row, task, person)
        yield person, about, draw


def _draw(row: Mapping[str, str], task: SubTask, person: str) -> Draw | Dropped:
    if not person.strip("/"):
        return Dropped("row without a person")
    if not all(row[column] for column in (*task.given, *task.out)):
        return Dropped("row with an empty cell")
    given = {name: row[column] for column, name in task.given.items()}
    out = {name: _rating(row[name]) if name in _RATINGS else row[column] for column, name in task.out.items()}
    return Draw(*(_text(fields) for fields in (given, out)))


def _rating(text: str) -> int:
    if (value := float(text)) not in range(1, 6):
        raise ValueError(f"the rating {text!r} is not a whole number from 1 to 5")
    return int(value)


def _text(fields: Mapping[str, str | int]) -> str:
    return json.dumps(fields, ensure_ascii=False) if len(fields) > 1 else str(next(iter(fields.values())))


TASKS = [
    TaskSpec(
        name="popquorn_og_categorical",
        kind="icl",
        split="train",
        source=POPQUORN,
        group="text_collections",
        summary="The e-mails, comments or passages that people were asked to judge.",
        process="the texts of one of four sub-tasks",
        outputs=("sample",),
        sequences=Sequences("several", Mix(128), count=20),
        read=read_texts,
        domain="Conversation",
    ),
    TaskSpec(
        name="popquorn_individual",
        kind="icl",
        split="train",
        source=POPQUORN,
        group="human_variation",
        summary="How one person rewrites e-mails, rates comments or e-mails, or answers questions.",
        process="one annotator in one of four sub-tasks",
        inputs=("original_email", "text_to_rate", "passage", "question"),
        outputs=("revised_email", "offensiveness", "politeness", "groundtruth", "answer", "difficulty"),
        sequences=Sequences("one"),
        read=read_people,
        domain="Conversation",
        quirks=(
            "Whether and how the person is described differs between people; in the release it is the same for all "
            "of a sub-task. The 100 people of a sub-task are chosen by a stable hash. In the table of questions, "
            "people with the same demographics count as one."
        ),
    ),
]
