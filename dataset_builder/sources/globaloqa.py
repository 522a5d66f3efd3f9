"""GlobalOpinionQA: shares of answers by country, as lists of percentages and as distributions (raw rows: see
``globaloqa_questions.py``).

Upstream: https://huggingface.co/datasets/Anthropic/llm_global_opinions (arXiv 2306.16388). Licence: CC BY-NC-SA 4.0.
A raw row (made up):

    How are you?,"defaultdict(<class 'list'>, {'Kenya': [0.29, 0.71]})","['Well', 'Ill']",GAS
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

from dataset_builder.sources.globaloqa_files import GLOBALOQA
from dataset_builder.sources.globaloqa_questions import Question, read_questions
from dataset_builder.sources.surveys import LETTERS, lettered
from dataset_builder.task_spec import Draw, Dropped, Example, RawFiles, Sequences, Target, TaskSpec

_SOURCES_DIFFER = "Where the table is not there, shares are read from benchmarks that hold parts of it."


def read_countries(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per country, in order of appearance; draws in the order of questions."""
    draws: dict[str, list[Draw]] = {}
    for question in read_questions(raw_files):
        if isinstance(question, Dropped):
            yield question
            continue
        given = json.dumps({"question": question.text, "options": list(question.options)}, ensure_ascii=False)
        for country, shares in question.shares.items():
            answers = [
                {option: percent} for option, percent in zip(question.options, whole_percents(shares), strict=True)
            ]
            draws.setdefault(country, []).append(Draw(given, json.dumps(answers, ensure_ascii=False)))
    for country, answered in draws.items():
        yield Example(country, _country_descriptions(country), tuple(answered))


def whole_percents(shares: Sequence[float]) -> list[int]:
    """Shares that sum to 1 as whole percentages that sum to 100.

    Each is rounded down, then those with the largest remainders (the first of equal ones) are raised by 1.
    """
    exact = [round(100 * share, 9) for share in shares]  # 100 * 0.29 is a little less than 29
    percents = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: percents[i] - exact[i])
    for i in by_remainder[: 100 - sum(percents)]:
        percents[i] += 1
    return percents


def read_targets(raw_files: RawFiles) -> Iterator[Example | Dropped]:
    """One process per question and country, in upstream order."""
    for question in read_questions(raw_files):
        if isinstance(question, Dropped):
            yield question
        elif len(question.options) > len(LETTERS):
            yield Dropped("question with more options than letters")
        elif len(question.options) == 1:
            yield Dropped("question with one option")
        else:
            yield from _targets(question)


def _targets(question: Question) -> Iterator[Example]:
    prompt, letters = lettered(question.text, question.options), tuple(LETTERS[: len(question.options)])
    for country, shares in question.shares.items():
        description = (
            f"Country: {country}. A random person of this country answers a survey question; the answer is the letter "
            "of an option."
        )
        yield Example(f"{question.number}/{country}", (description,), target=Target(prompt, letters, shares))


def _country_descriptions(country: str) -> tuple[str, ...]:
    return (
        f"How people answered survey questions. Country: {country}. For each question and its options, give the whole "
        "percentage of people who chose each option.",
        f"A survey of people in one country ({country}). The input is a question with its options; the output lists "
        "every option with the percentage of people who chose it.",
        "The people of one place were surveyed. The output has, for each option of the question, the percentage of "
        "people who chose it.",
    )


TASKS = [
    TaskSpec(
        name="globaloqa",
        kind="icl",
        split="test",
        source=GLOBALOQA,
        group="human_variation",
        summary="What percentage of a country's people chose each answer to survey questions.",
        process="one country",
        inputs=("question", "options"),
        outputs=("distribution",),
        sequences=Sequences("several", count=2),
        read=read_countries,
        domain="SocialSciences",
        quirks=(
            "Two of three descriptions name the country, which the release never tells. Percentages sum to 100 by the "
            f"largest remainder; the release cuts them off. {_SOURCES_DIFFER}"
        ),
        version="1.1.0",
    ),
    TaskSpec(
        name="dist_global_oqa",
        kind="distribution",
        split="test",
        source=GLOBALOQA,
        group="human_variation",
        summary="What a random person of a country answers to a survey question.",
        process="one question in one country",
        inputs=("question",),
        outputs=("answer",),
        read=read_targets,
        domain="SocialSciences",
        output_label="Response (letter)",
        quirks=f"Shares that are all zero are dropped; the release keeps them unnormalised. {_SOURCES_DIFFER}",
        version="1.1.0",
    ),
]
