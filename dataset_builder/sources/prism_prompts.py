"""PRISM: how people open conversations of three kinds with language models, together and one by one.

Upstream: https://huggingface.co/datasets/HannahRoseKirk/prism-alignment (arXiv 2404.16019). Licence: human texts CC BY
4.0. Raw lines: see ``prism.py``. IssueBench has a copy of the opening prompts without kinds and people, where a prompt
that was written several times has one row, such as this one (made up): ``prism-7,What is a comet?,1``.

IssueBench's whole copy: 7,393 rows for 7,594 prompts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.people import with_and_without
from dataset_builder.sources.prism import CONVERSATIONS, KINDS, PRISM, read_conversations, read_people
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, SourceFile, TaskSpec

_OF_PRISM = f"prism/{CONVERSATIONS}"
_OF_ISSUEBENCH = "issuebench/1_dataset_construction/1_preprocessing/clean/prism.csv"
_ISSUEBENCH_REVISION = "730aa088c90fe89d37f2f562ed2e3c3c9a7948a6"

# Paths from the top of --sources-dir: the second layout lies in IssueBench's folder.
PRISM_PROMPTS = dataclasses.replace(
    PRISM,
    folder="",
    files=(SourceFile(_OF_PRISM, f"{PRISM.homepage}/resolve/{PRISM.revision}/{CONVERSATIONS}"),),
    other_layouts=(
        (
            SourceFile(
                _OF_ISSUEBENCH,
                "https://raw.githubusercontent.com/paul-rottger/issuebench/"
                f"{_ISSUEBENCH_REVISION}/{_OF_ISSUEBENCH.removeprefix('issuebench/')}",
            ),
        ),
    ),
    hub="",
)

_WITH_KIND = (
    "What people write first to a language model, given what they were asked to do.",
    "The input says what kind of conversation a person was to start; the output is the request to a language model "
    "that fits it.",
)
_WITHOUT_KIND = (
    "What people write first to a language model.",
    "Each output is the request with which somebody starts a conversation with a language model.",
)
_OF_ONE = (
    "What one person writes first to a language model, given what the person was asked to do.",
    "All these openings of conversations with a language model are by the same person; the input says what kind of "
    "conversation it was to be.",
)
_EMPTY = "opening prompt without text"


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """The whole table as one process, in upstream order."""
    if _OF_PRISM in raw_files:
        draws = [
            (row["opening_prompt"], KINDS[row["conversation_type"]], 1)
            for _, row in read_conversations(raw_files[_OF_PRISM])
        ]
    else:
        draws = [(prompt, None, count) for prompt, count in _of_issuebench(raw_files)]
    if empty := sum(count for prompt, _, count in draws if not prompt):
        yield Dropped(_EMPTY, empty)
    kept = tuple(Draw(kind, prompt) for prompt, kind, count in draws if prompt for _ in range(count))
    if kept:
        yield Example("all", _WITH_KIND if _OF_PRISM in raw_files else _WITHOUT_KIND, kept)


def read_individual(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per person, in the order of their first conversation."""
    people = read_people(raw_files)
    draws: dict[str, list[Draw]] = {}
    for _, row in read_conversations(raw_files[CONVERSATIONS]):
        if row["opening_prompt"]:
            draw = Draw(KINDS[row["conversation_type"]], row["opening_prompt"])
            draws.setdefault(row["user_id"], []).append(draw)
        else:
            yield Dropped(_EMPTY)
    for person, own in draws.items():
        yield Example(person, with_and_without(_OF_ONE, people.get(person, {})), tuple(own))


def _of_issuebench(raw_files: RawFiles) -> Iterator[tuple[str, int]]:
    """(prompt, how often it was written) for each row of IssueBench's copy."""
    path = raw_files[_OF_ISSUEBENCH]
    table = raw.read_csv(path, {"user_prompt": pl.String, "n_duplicates": pl.UInt32})
    if len(bad := table.select((pl.col("n_duplicates").fill_null(0) < 1).arg_true()).to_series()):
        raise raw.bad_row(path, bad[0] + 1, "column 'n_duplicates' is not a number from 1")
    yield from (
        (prompt.strip(), count) for prompt, count in table.with_columns(pl.col("user_prompt").fill_null("")).rows()
    )


def _task(name: str, summary: str, process: str, mean: int, **more: object) -> TaskSpec:
    return TaskSpec(
        name=name,
        kind="icl",
        split="train",
        summary=summary,
        process=process,
        inputs=("conversation_type_description",),
        outputs=("opening_prompt",),
        sequences=Sequences("partition", Mix(mean)),
        domain="Conversation",
        version="1.1.0",
        **more,
    )


TASKS = [
    _task(
        "prism_prompts",
        "How people open conversations with language models.",
        "the whole table",
        128,
        source=PRISM_PROMPTS,
        group="text_collections",
        read=read,
        quirks="From IssueBench's copy, if that is all there is, the prompts come without the kind of conversation.",
    ),
    _task(
        "prism_prompts_individual",
        "How one person opens conversations with language models.",
        "one person",
        96,
        source=PRISM,
        group="human_variation",
        read=read_individual,
        quirks="Whether and how the person is described differs between people.",
    ),
]
