"""Community Alignment: first messages to language models in five languages, and four replies to each.

Upstream: https://huggingface.co/datasets/facebook/community-alignment-dataset (arXiv 2507.09650). Licence: CC BY 4.0.
A raw row: see ``community_alignment.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial

from dataset_builder.sources.community_alignment import COMMUNITY_ALIGNMENT, Turn, read_turns
from dataset_builder.task_spec import Draw, Dropped, Example, Mix, RawFiles, Sequences, TaskSpec
from spectrum_suite.seeding import generator

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


def read(
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


def _task(name: str, summary: str, inputs: tuple[str, ...], outputs: tuple[str, ...], **more: object) -> TaskSpec:
    return TaskSpec(
        name=f"community_alignment_{name}",
        kind="icl",
        split="train",
        source=COMMUNITY_ALIGNMENT,
        group="text_collections",
        summary=summary,
        process="one language",
        inputs=inputs,
        outputs=outputs,
        domain="Conversation",
        languages=tuple(LANGUAGES),
        version="1.1.0",
        **more,
    )


TASKS = [
    _task(
        "initial_prompt",
        "What people of five countries write first to a language model.",
        (),
        ("first_turn_prompt",),
        sequences=Sequences("partition", Mix(32)),
        read=partial(read, draw=_prompt, texts=_PROMPT_TEXTS),
    ),
    _task(
        "response",
        "Four diverse replies to a prompt, in random order.",
        ("prompt",),
        ("responses",),
        sequences=Sequences("partition", 5),
        read=partial(read, draw=_responses, texts=_RESPONSE_TEXTS),
    ),
]
