"""POPQUORN: the e-mails, comments and passages that people judged (what they said: ``popquorn_people.py``).

Upstream: https://github.com/Jiaxin-Pei/Potato-Prolific-Dataset (LAW 2023). Licence: unstated. Two of its four tables
hold mail of private people. A raw row (made up) of the table of comments:

    instance_id,user_id,text,offensiveness,gender,race,age,occupation,education
    12,7.0,What a silly hat.,2.0,Woman,White,45-49,Employed,College degree

The whole files: 13,036 ratings of 1,500 comments by 262 people, each comment once for a person, and 2,346 rows of
e-mails rewritten by 227 people, 80 of which name nobody. The other two tables could not be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from dataset_builder import raw
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
]
