"""Habermas Machine: the policy questions put to people in the United Kingdom.

Upstream: https://github.com/google-deepmind/habermas_machine (doi 10.1126/science.adq2852). Licence of the data: CC BY
4.0. A raw row (made up) of the bank of questions, which is read where the ratings (see ``habermas_files.py``) are not:

    {"id": "S1", "question": "Should bells be rung?", "affirming_statement": "Bells should be rung.", ...}

The whole bank: 5,645 questions, each once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dataset_builder import raw
from dataset_builder.sources.habermas_files import HABERMAS, read_answers
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, SourceFile, TaskSpec

_BANK = "questions/230118_chinchilla_questions.json"
_BANK_COMMIT = "d5cf67a42aeb79e216dd4bb651a96c827d9c450f"
_BANK_URL = f"https://raw.githubusercontent.com/mhtess/habermas_machine/{_BANK_COMMIT}/{_BANK}"
_QUESTION_TEXTS = (
    "Questions.",
    "Each output is a question.",
    "Questions about politics in the United Kingdom.",
    "Each output is a question of public policy that is put to people who live in the United Kingdom.",
)


def read_questions(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The list of questions as one process, each question once, in upstream order."""
    if _BANK in raw_files:
        texts = _read_bank(raw_files[_BANK])
    else:
        texts = list((yield from read_answers(raw_files))["question.text"].unique(maintain_order=True))
    if texts:
        yield Example("questions", _QUESTION_TEXTS, tuple(Draw(None, text) for text in texts))


def _read_bank(path: Path) -> list[str]:
    items = raw.read_json(path)
    if not isinstance(items, list):
        raise raw.bad_row(path, 1, f"the file is not a JSON list but {type(items).__name__}")
    texts: dict[str, None] = {}
    for row, item in enumerate(items, start=1):
        with raw.at_row(path, row):
            if not (text := str.strip(item["question"])):
                raise ValueError("field 'question' is empty")
        texts[text] = None
    return list(texts)


TASKS = [
    TaskSpec(
        name="habermas_question",
        kind="icl",
        split="test",
        source=replace(HABERMAS, other_layouts=((SourceFile(_BANK, _BANK_URL),),)),
        group="text_collections",
        summary="Questions of public policy that were put to people in the United Kingdom.",
        process="the whole list of questions",
        outputs=("question",),
        sequences=Sequences("partition", Mix(32)),
        read=read_questions,
        domain="SocialSciences",
        quirks="Where the ratings are not there, the questions are all of the bank that they were taken from.",
    ),
]
