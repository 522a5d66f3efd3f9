"""Answers on scales whose shares nobody tells: before the first example every level is as likely as any other.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. Surveys put either end of a scale first
and code it as they like; here all of that is drawn, and so are the answers, which only examples tell. That few people
refuse to answer holds for all of them. A raw row:

    description "Answers of people who are asked about places and services. Answer with the number."
    input "How would you rate the ferry?\n1: excellent\n2: good\n3: fair\n4: poor\n5: very poor", output "2"
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from dataset_builder.sources.rating_people import SHARE_OF_NON_ANSWERS, people, request
from dataset_builder.sources.rating_scales import QUESTIONS, THINGS
from dataset_builder.sources.rating_surveys import Asked, Survey
from dataset_builder.sources.synthetic import N_DRAWS, SYNTHETIC, as_draws, pick, process_id
from dataset_builder.task_spec import Draw, Example, Sequences, TaskSpec

_QUESTIONS_OF_A_ROW = 8
_CONCENTRATIONS = (1.0, 3.0, 10.0)  # of the Dirichlet distributions that shares come from: flat to nearly even

_ONE_QUESTION = (
    "Different people answer one question: {question}", "{question}\nEach output is the answer of another person.",
    "A poll asked: {question}", "How people replied to: {question}", "Replies of passers-by. {question}",
)  # fmt: skip


def scale_rating(rng: np.random.Generator, index: int) -> Example:
    """One question to many people, or one person or many of them on several questions, or on one about many things."""
    survey = Survey.draw(rng)
    wanted = request(rng, survey)
    first, who = pick(rng, QUESTIONS), rng.choice(["one", "many", "one question"], p=[0.35, 0.4, 0.25])
    things = rng.permutation(THINGS[first.kind]).tolist()
    if who == "one question":
        asked = survey.ask(first, things[0])
        shares = _shares(rng, len(asked.answers))
        outputs = [_answer(rng, asked, shares) for _ in range(N_DRAWS)]
        description = pick(rng, _ONE_QUESTION).format(question=asked.text)
        texts = (_and(description, wanted),)
        return Example(process_id(index), texts, as_draws(outputs), options=(asked.possible,))
    description = people(rng, one=who == "one")
    if rng.random() < 0.4:  # noqa: PLR2004
        asked = [survey.ask(first, thing) for thing in things]
        description = f"{description} {first.text.format(thing='this')} {'; '.join(asked[0].options)}."
        inputs = things
    else:
        chosen = rng.choice(len(QUESTIONS), size=_QUESTIONS_OF_A_ROW, replace=False)
        asked = [survey.ask(QUESTIONS[n], pick(rng, THINGS[QUESTIONS[n].kind])) for n in chosen]
        inputs = [each.text for each in asked]
    high = rng.random() if who == "one" else None  # how far up one person's answers tend to be
    draws = tuple(
        Draw(given, _answer(rng, each, _shares(rng, len(each.answers), high)))
        for given, each in zip(inputs, asked, strict=True)
    )
    possible = tuple(each.possible for each in asked)
    return Example(process_id(index), (_and(description, wanted),), draws, options=possible)


def _answer(rng: np.random.Generator, asked: Asked, shares: np.ndarray) -> str:
    """An answer with these shares of the levels; now and then none, where that is an option."""
    if asked.non_answer and rng.random() < SHARE_OF_NON_ANSWERS:
        return asked.non_answer
    return str(rng.choice(asked.answers, p=shares))


def _shares(rng: np.random.Generator, size: int, high: float | None = None) -> np.ndarray:
    """Shares of so many levels: those of a person who tends ``high``, from 0 to 1, or any; on average they are even."""
    if high is not None:
        return stats.binom.pmf(np.arange(size), size - 1, high)
    return rng.dirichlet(np.full(size, pick(rng, _CONCENTRATIONS)))


def _and(description: str, request: str) -> str:
    return f"{description}{chr(10) if chr(10) in description else ' '}{request}".strip()


TASKS = [
    TaskSpec(
        name="scale_ratings",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Made-up answers on scales of two to seven levels whose shares are not told.",
        process="one question put to many people, one person asked many questions, or many people asked one each",
        inputs=("question",),
        outputs=("answer",),
        sequences=Sequences("one"),
        generate=scale_rating,
        n_processes=8_000,
        origin="ours",
        version="1.1.0",
    ),
]
