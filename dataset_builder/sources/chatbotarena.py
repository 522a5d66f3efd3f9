"""Chatbot Arena: what people ask two chatbots, what these reply, and which reply people prefer.

Upstream: https://huggingface.co/datasets/lmsys/chatbot_arena_conversations (arXiv 2306.05685); its terms must be
accepted on the Hub. Licence: prompts CC BY 4.0, replies CC BY-NC 4.0. A raw row (made up), some columns left out:

    {"question_id": "q1", "model_a": "alpaca-13b", "model_b": "koala-13b", "winner": "tie (bothbad)", "judge": "user_3",
     "conversation_a": [{"content": "Hi", "role": "user"}, {"content": "Hm.", "role": "assistant"}],
     "conversation_b": [{"content": "Hi", "role": "user"}, {"content": "Ha.", "role": "assistant"}]}

The whole file: 33,000 rows. No id is relied on: only a row that is the same in all columns is taken for a copy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import polars as pl

from dataset_builder import raw
from dataset_builder.sources.shared.people import choose
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, Source, SourceFile, TaskSpec

_PATH = "data/train-00000-of-00001-cced8514c7ed782a.parquet"

CHATBOTARENA = Source(
    name="chatbotarena",
    title="Chatbot Arena conversations",
    homepage="https://huggingface.co/datasets/lmsys/chatbot_arena_conversations",
    license="prompts CC BY 4.0, model outputs CC BY-NC 4.0",
    redistributable="unknown",
    creators="Lianmin Zheng and others, LMSYS",
    citation="arXiv 2306.05685",
    folder="chatbotarena",
    revision="1b6335d42a1d2c7e34870c905d03ab964f7f2bd8",
    files=(SourceFile(_PATH),),
    hub="lmsys/chatbot_arena_conversations",
)

VERDICTS = {"model_a": "a", "model_b": "b", "tie": "tie", "tie (bothbad)": "bothbad"}
_MESSAGES = pl.List(pl.Struct({"content": pl.String, "role": pl.String}))
_COLUMNS = {
    **dict.fromkeys(("question_id", "model_a", "model_b", "winner", "judge"), pl.String),
    "conversation_a": _MESSAGES,
    "conversation_b": _MESSAGES,
}
_MIN_CONVERSATIONS = 4


class Battle(NamedTuple):
    """The first turn of a conversation with two chatbots."""

    judge: str
    models: tuple[str, str]
    prompt: str
    replies: tuple[str, str]
    verdict: str


def read_battles(raw_files: RawFiles) -> tuple[list[Battle], list[Dropped]]:
    """The usable conversations, in upstream order, of judges who have at least four of them; and what was dropped."""
    path = raw_files[_PATH]
    table = raw.read_parquet(path, _COLUMNS).with_row_index("row", offset=1)
    rows = table.unique(pl.exclude("row"), keep="first", maintain_order=True)
    battles: list[Battle] = []
    for row in rows.iter_rows(named=True):
        with raw.at_row(path, row["row"]):
            battles.append(_battle(row))
    usable = [battle for battle in battles if all((battle.prompt, *battle.replies))]
    empty = len(battles) - len(usable)
    by_judge: dict[str, list[Battle]] = {}
    for battle in usable:
        by_judge.setdefault(battle.judge, []).append(battle)
    judges, dropped = choose(by_judge, "chatbotarena", at_least=_MIN_CONVERSATIONS)
    if len(rows) < len(table):
        dropped.append(Dropped("row that is a copy of an earlier one", len(table) - len(rows)))
    if empty:
        dropped.append(Dropped("conversation without a prompt or a reply", empty))
    kept = set(judges)
    return [battle for battle in usable if battle.judge in kept], dropped


def _battle(row: dict[str, Any]) -> Battle:
    if row["winner"] not in VERDICTS:
        raise ValueError(f"column 'winner' holds {row['winner']!r}, which is not one of {list(VERDICTS)}")
    if not all(row[name] for name in ("judge", "model_a", "model_b")):
        raise ValueError("column 'judge', 'model_a' or 'model_b' is empty")
    sides = [row["conversation_a"] or [], row["conversation_b"] or []]
    replies = tuple(_first(side, "assistant") for side in sides)
    prompt = _first(sides[0], "user")
    return Battle(row["judge"], (row["model_a"], row["model_b"]), prompt, replies, VERDICTS[row["winner"]])


def _first(messages: list[dict[str, str | None]], role: str) -> str:
    """The first message of the user or of the assistant, or nothing."""
    return next(((message["content"] or "").strip() for message in messages if message["role"] == role), "")


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
