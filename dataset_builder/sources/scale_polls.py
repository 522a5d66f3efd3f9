"""Polls of people of whom nothing is known: each level of the scale is about as likely, and few refuse to answer.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. A raw row:

    description "Each output is the answer of another visitor. Answer with the letter."
    input "The ferry\nKind: services\nNote: It was in the papers.\nDo you trust it?\nA. Never\nB. Mostly", output "B"
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.rating_people import SHARE_OF_NON_ANSWERS, people, request
from dataset_builder.sources.rating_scales import QUESTIONS, THINGS
from dataset_builder.sources.rating_surveys import Survey
from dataset_builder.sources.synthetic import N_DRAWS, SYNTHETIC, pick, process_id
from dataset_builder.task_spec import Draw, Example, Sequences, TaskSpec

_CONCENTRATION = 20.0  # of the Dirichlet distribution of shares: they stay within a few hundredths of even ones

_NOTES = (
    "It was in the papers last week.", "Most people here know it, though few say so.", "It has been there for years.",
    "A committee spoke about it at length and came to no conclusion.", "It costs more than it did a year ago.",
    "Nobody remembers who began it.", "Some find it useful; others would rather have something else in its place.",
    "It began as a joke among neighbours, and by the end of the summer it had a waiting list and a song of its own.",
    "Visitors come for it from far away.", "It is loud in the morning and quiet in the afternoon.",
    "A report of forty pages weighs what speaks for it against what speaks against it, and leaves the choice open.",
    "Children like to draw it.", "There was a time when everybody had one.",
    "It needs patience, good shoes and some luck.",
    "The story goes that two sisters quarrelled over it for thirty years before they found out that they meant the "
    "same.",
)  # fmt: skip


def scale_poll(rng: np.random.Generator, index: int) -> Example:
    """A question about a thing, put to many people, with or without a word on the thing."""
    survey, question = Survey.draw(rng), pick(rng, QUESTIONS)
    thing = pick(rng, THINGS[question.kind])
    told = rng.random() < 0.5  # noqa: PLR2004
    asked = survey.ask(question, "it" if told else thing)
    text = asked.text
    if told:
        text = f"{thing[0].upper()}{thing[1:]}\nKind: {question.kind}\nNote: {pick(rng, _NOTES)}\n{text}"
    description = f"{people(rng)} {request(rng, survey)}".strip()
    if rng.random() < 0.3:  # noqa: PLR2004
        description += f" The options: {', '.join(asked.options)}."
    draws = tuple(Draw(text, answer) for answer in _answers(rng, asked.answers, asked.non_answer))
    return Example(process_id(index), (description,), draws, options=(asked.possible,))


def _answers(rng: np.random.Generator, answers: tuple[str, ...], non_answer: str | None) -> list[str]:
    """As many answers as a process has draws, in numbers as near as can be to their shares, in random order."""
    none = SHARE_OF_NON_ANSWERS if non_answer else 0.0
    shares = [*rng.dirichlet(np.full(len(answers), _CONCENTRATION)) * (1 - none), none]
    ends = np.round(np.cumsum(shares) * N_DRAWS).astype(int)
    counts = np.diff(ends, prepend=0).tolist()
    given = [answer for answer, count in zip([*answers, non_answer], counts, strict=True) for _ in range(count)]
    return rng.permutation(given).tolist()


TASKS = [
    TaskSpec(
        name="scale_polls",
        kind="icl",
        split="train",
        source=SYNTHETIC,
        group="random_draws",
        summary="Made-up polls on scales of two to seven levels, by people of whom nothing is known.",
        process="one question about one thing, put to many people",
        inputs=("question",),
        outputs=("answer",),
        sequences=Sequences("one"),
        generate=scale_poll,
        n_processes=8_000,
        origin="ours",
        version="1.1.0",
    ),
]
