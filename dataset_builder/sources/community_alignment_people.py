"""Community Alignment: which of four replies one person prefers, and what the person writes next.

Upstream: https://huggingface.co/datasets/facebook/community-alignment-dataset (arXiv 2507.09650). Licence: CC BY 4.0.
A raw row: see ``community_alignment.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial

from dataset_builder.sources.community_alignment import COMMUNITY_ALIGNMENT, RESPONSES, Turn, read_turns
from dataset_builder.sources.people import choose, known
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec

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


def read(
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


def _task(name: str, summary: str, inputs: tuple[str, ...], outputs: tuple[str, ...], **more: object) -> TaskSpec:
    return TaskSpec(
        name=f"community_alignment_individual_{name}",
        kind="icl",
        split="train",
        source=COMMUNITY_ALIGNMENT,
        group="human_variation",
        summary=summary,
        process="one annotator",
        inputs=inputs,
        outputs=outputs,
        sequences=Sequences("partition", Mix(25)),
        domain="Conversation",
        languages=("en", "fr", "hi", "it", "pt"),
        version="1.1.0",
        **more,
    )


TASKS = [
    _task(
        "reply",
        "What one user writes after the reply that they like best.",
        ("prompt", "model_response"),
        ("reply",),
        read=partial(read, draw=_reply, texts=_REPLY_TEXTS, always_about=True),
        quirks="Conversations that end after one turn are dropped; in the release their follow-up would read None.",
    ),
    _task(
        "preferences",
        "Which of four replies one user prefers, and why.",
        ("prompt", *RESPONSES),
        ("preferred_response", "justification"),
        read=partial(read, draw=_preference, texts=_PREFERENCE_TEXTS, always_about=False),
        quirks=(
            "Whether and how the user is described differs between users. The output has no justification where the "
            "user gave none."
        ),
    ),
]
