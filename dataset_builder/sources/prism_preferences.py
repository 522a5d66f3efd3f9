"""PRISM: which of four replies to their opening prompt a person chooses, and the scores that the person gives.

Upstream: https://huggingface.co/datasets/HannahRoseKirk/prism-alignment (arXiv 2404.16019). Licence: human texts
CC BY 4.0, model responses CC BY-NC 4.0. Raw lines: see ``prism.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dataset_builder import raw
from dataset_builder.sources.people import choose, with_and_without
from dataset_builder.sources.prism import CONVERSATIONS, PRISM, read_conversations, read_people
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec

_LETTERS = "abcd"
_MIN_CONVERSATIONS, _BEST = 2, 100
_TEXTS = (
    "One person opens conversations with language models, picks the best of four replies (chosen_response: a, b, c or "
    "d) and scores each from 0 (terrible) to 100 (perfect). The output is JSON.",
    "The same person judges four replies to each prompt. As JSON: chosen_response, the letter of the best reply, and "
    "score_a to score_d, how good each is on a scale from 0 to 100.",
)


def read(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per person with at least two conversations, in the order of their first conversation."""
    people = read_people(raw_files)
    path = raw_files[CONVERSATIONS]
    draws: dict[str, list[Draw]] = {}
    for number, row in read_conversations(path):
        with raw.at_row(path, number):
            draw = _draw(row)
        if isinstance(draw, Dropped):
            yield draw
        else:
            draws.setdefault(row["user_id"], []).append(draw)
    kept, dropped = choose(draws, "prism", at_least=_MIN_CONVERSATIONS)
    yield from dropped
    for person in kept:
        yield Example(person, with_and_without(_TEXTS, people.get(person, {})), tuple(draws[person]))


def _draw(row: dict[str, Any]) -> Draw | Dropped:
    replies = _first_replies(row["conversation_history"])
    texts = [str.strip(reply["content"] or "") for reply in replies]
    if len(texts) != len(_LETTERS) or not all((row["opening_prompt"], *texts)):
        return Dropped("conversation without a prompt or four replies")
    scores = [reply["score"] for reply in replies]
    if None in scores:
        return Dropped("conversation with a reply without a score")
    if not all(type(score) is int and 0 <= score <= _BEST for score in scores):
        raise ValueError(f"the scores {scores} are not whole numbers from 0 to {_BEST}")
    chosen = [letter for letter, reply in zip(_LETTERS, replies, strict=True) if reply["if_chosen"]]
    if len(chosen) != 1:
        return Dropped("conversation without one chosen reply")
    given = {"opening_prompt": row["opening_prompt"]} | _lettered("response", texts)
    output = {"chosen_response": chosen[0]} | _lettered("score", scores)
    return Draw(json.dumps(given, ensure_ascii=False), json.dumps(output))


def _first_replies(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The models' replies of the first turn, by position."""
    first = min((message["turn"] for message in history), default=0)
    replies = [message for message in history if message["role"] == "model" and message["turn"] == first]
    return sorted(replies, key=lambda reply: reply["within_turn_id"])


def _lettered(name: str, values: list[Any]) -> dict[str, Any]:
    return {f"{name}_{letter}": value for letter, value in zip(_LETTERS, values, strict=True)}


TASKS = [
    TaskSpec(
        name="prism_individual_preferences",
        kind="icl",
        split="train",
        source=PRISM,
        group="human_variation",
        summary="Which of four replies one person chooses, and how the person scores each.",
        process="one person",
        inputs=("opening_prompt", *(f"response_{letter}" for letter in _LETTERS)),
        outputs=("chosen_response", *(f"score_{letter}" for letter in _LETTERS)),
        sequences=Sequences("partition", Mix(20)),
        read=read,
        domain="Conversation",
        quirks=(
            "Descriptions name what is known of the person, which the release leaves as an unfilled gap; whether and "
            "how a person is described differs between people."
        ),
        version="1.1.0",
    )
]
