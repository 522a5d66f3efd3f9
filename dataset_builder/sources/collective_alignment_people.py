"""Collective Alignment 1 (now CoVal): how one person ranks four replies, for themselves and for the world.

Upstream: https://huggingface.co/datasets/openai/coval. Licence: unstated. Raw lines: see ``collective_alignment.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dataset_builder.sources.collective_alignment import (
    COLLECTIVE_ALIGNMENT,
    LABELS,
    LETTERS,
    read_assessments,
    read_prompts,
)
from dataset_builder.sources.people import choose, known
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, TaskSpec

_MIN_ROWS = 3
_OUTPUTS = (
    "personal_ranking",
    "world_ranking",
    "personal_rationale",
    "world_rationale",
    "unacceptable_responses",
    "unacceptable_rationale",
    *LABELS,
)
_FIELDS = (
    "personal_ranking orders the replies A to D by what the person likes (A>B=C>D: A is best, B and C are level, D is "
    "worst) and personal_rationale says why; world_ranking and world_rationale do so for what is best for the world; "
    "unacceptable_responses names replies that no model should give, separated by |, and unacceptable_rationale says "
    "why; importance, representativeness and subjectivity are the person's labels for the prompt: how much it matters, "
    "how typical it is of what people ask, and how far the best reply is a matter of opinion. What the person left "
    "open is left out."
)
_TEXTS = (
    f"One person judges four replies to what a user says to a language model. The output is JSON: {_FIELDS}",
    f"The same annotator assesses every conversation and its four candidate replies. In the JSON output, {_FIELDS}",
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per annotator with at least three assessments, in the order of their first one."""
    prompts = read_prompts(raw_files)
    draws: dict[str, list[Draw]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for row, answers in read_assessments(raw_files):
        given = prompts.get(row["prompt_id"])
        if given is None:
            yield Dropped("assessment of an unknown prompt")
        elif not given:
            yield Dropped("assessment of a prompt whose id has several texts")
        elif not all(given.values()):
            yield Dropped("assessment of a prompt or a reply without text")
        elif not answers:
            yield Dropped("assessment without an answer")
        else:
            draw = Draw(*(json.dumps(fields, ensure_ascii=False) for fields in (given, answers)))
            draws.setdefault(row["annotator_id"], []).append(draw)
            facts.setdefault(row["annotator_id"], _known(row["demographics"] or {}))
    people, dropped = choose(draws, "collective_alignment", at_least=_MIN_ROWS)
    yield from dropped
    for person in people:
        about = f" The person: {json.dumps(facts[person], ensure_ascii=False)}" if facts[person] else ""
        yield Example(person, tuple(f"{text}{about}" for text in _TEXTS), tuple(draws[person]))


def _known(demographics: dict[str, Any]) -> dict[str, Any]:
    """The facts that a person gave; some are lists."""
    listed = {name: value for name, value in demographics.items() if value and not isinstance(value, str)}
    told = known({name: value for name, value in demographics.items() if isinstance(value, str)})
    return {name: told.get(name, listed.get(name)) for name in demographics if name in told or name in listed}


TASKS = [
    TaskSpec(
        name="collective_alignment_individual",
        kind="icl",
        split="train",
        source=COLLECTIVE_ALIGNMENT,
        group="human_variation",
        summary="How one person ranks four replies to delicate prompts, and why.",
        process="one annotator",
        inputs=("conversation", *(f"response_{letter.lower()}" for letter in LETTERS)),
        outputs=_OUTPUTS,
        sequences=Sequences("one"),
        read=read,
        domain="Conversation",
        quirks=(
            "Whether and how the person is described differs between people. Answers that the person left open are "
            "left out."
        ),
    )
]
