"""Chatbot Arena: prompts and preferences of one person, replies of one chatbot.

Upstream: https://huggingface.co/datasets/lmsys/chatbot_arena_conversations (arXiv 2306.05685). Licence: prompts CC BY
4.0, replies CC BY-NC 4.0. A raw row: see ``chatbotarena.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial

from dataset_builder.sources.chatbotarena import CHATBOTARENA, VERDICTS, Battle, read_battles
from dataset_builder.sources.people import choose
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec

_MAX_JUDGES = 1000
_PROMPTS = (
    "Opening messages to a language model.",
    "Each output is what somebody first wrote to a chatbot.",
)
_PREFERENCES = (
    "One person compares the replies of two chatbots to a prompt. Verdicts: a (the first is better), b (the second is "
    "better), tie (both are equally good) or bothbad (neither is any good).",
    "The same judge says every time which of two replies is preferred: a or b, tie if they are alike, bothbad if "
    "neither will do.",
)
_REPLIES = (
    "Replies of one language model to what people ask it.",
    "The input is a prompt, the output the reply of a chatbot; it is the same chatbot every time.",
)


def read_people(
    raw_files: RawFiles, *, draw: Callable[[Battle], Draw], descriptions: tuple[str, ...]
) -> Iterator[Example | Dropped]:
    """One process per judge, in the order of their first conversation; at most 1,000 of them."""
    battles, dropped = read_battles(raw_files)
    yield from dropped
    draws: dict[str, list[Draw]] = {}
    for battle in battles:
        draws.setdefault(battle.judge, []).append(draw(battle))
    judges, dropped = choose(draws, "chatbotarena", at_most=_MAX_JUDGES)
    yield from dropped
    for judge in judges:
        yield Example(judge, descriptions, tuple(draws[judge]))


def read_models(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per chatbot, by name: its replies on side A, then on side B."""
    battles, dropped = read_battles(raw_files)
    yield from dropped
    draws: dict[str, list[Draw]] = {}
    for side in (0, 1):
        for battle in battles:
            draws.setdefault(battle.models[side], []).append(Draw(battle.prompt, battle.replies[side]))
    for model in sorted(draws):
        named = (f"{text} The model is {model}." for text in _REPLIES)
        yield Example(model, (*_REPLIES, *named), tuple(draws[model]))


def _prompt(battle: Battle) -> Draw:
    return Draw(None, battle.prompt)


def _preference(battle: Battle) -> Draw:
    replies = dict(zip(("model_a_response", "model_b_response"), battle.replies, strict=True))
    return Draw(json.dumps({"opening_prompt": battle.prompt, **replies}, ensure_ascii=False), battle.verdict)


def _task(name: str, summary: str, inputs: tuple[str, ...], outputs: tuple[str, ...], **more: object) -> TaskSpec:
    return TaskSpec(
        name=f"chatbotarena_{name}",
        kind="icl",
        split="test",
        source=CHATBOTARENA,
        summary=summary,
        inputs=inputs,
        outputs=outputs,
        domain="Conversation",
        version="1.1.0",
        **more,
    )


TASKS = [
    _task(
        "prompts",
        "What one person asks chatbots first.",
        (),
        ("opening_prompt",),
        process="one judge",
        group="human_variation",
        sequences=Sequences("one", 100),
        read=partial(read_people, draw=_prompt, descriptions=_PROMPTS),
    ),
    _task(
        "individual_prefs",
        "Which of two chatbots' replies one person prefers.",
        ("opening_prompt", "model_a_response", "model_b_response"),
        ("winner",),
        process="one judge",
        group="human_variation",
        options=tuple(VERDICTS.values()),
        sequences=Sequences("partition", Mix(16)),
        read=partial(read_people, draw=_preference, descriptions=_PREFERENCES),
    ),
    _task(
        "assistant",
        "What one chatbot replies.",
        ("opening_prompt",),
        ("response",),
        process="one chatbot",
        group="text_collections",
        sequences=Sequences("partition", Mix(32)),
        read=read_models,
    ),
]
