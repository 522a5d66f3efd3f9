"""Who answers a made-up survey, and in which form the answer is wanted: for ``scale_ratings`` and ``scale_polls``.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. A raw row:

    "A random nurse is asked and answers. Answer with the letter."
"""

from __future__ import annotations

import numpy as np

from dataset_builder.sources.rating_surveys import Survey
from dataset_builder.sources.synthetic import pick

SHARE_OF_NON_ANSWERS = 0.04
"""How many choose to give no answer, where that is an option."""

_ONE_PERSON = (
    "One person fills in a questionnaire.", "All answers come from the same person.", "A single respondent's answers.",
    "The same person rates one thing after another.", "{name}, {age}, answers some questions.",
)  # fmt: skip
_MANY_PEOPLE = (
    "A random person answers each question.", "Every question is put to somebody else.", "Answers from a survey.",
    "A random {who} is asked and answers.", "The answer of one {who}, picked at random.",
    "Each output is what a different {who} answered.", "Place: {where}. One inhabitant answers a question.",
)  # fmt: skip
_REQUESTS = {
    "numbers": ("The answer is a number.", "Outputs are the numbers of the options.", "Answer with the number.", ""),
    "letters": ("The answer is a letter.", "Each output is the letter of an option.", "Answer with the letter.", ""),
    "words": ("The answer is one of the options.", "Outputs are options, word for word.", "Answer in these words.", ""),
}
_WHO = ("commuter", "pensioner", "student", "nurse", "tourist", "shopper", "farmer", "parent", "club member", "visitor")
_WHERE = ("Northfield", "Old Haven", "Lake Town", "Stonebridge", "the valley", "the islands", "the suburbs", "Eastport")
_NAMES = ("Ada", "Bruno", "Chen", "Dalia", "Emeka", "Freya", "Goran", "Hana", "Ivo", "June", "Kofi", "Lena", "Mateo")


def people(rng: np.random.Generator, *, one: bool = False) -> str:
    """Who answers: one person, or a different one each time."""
    words = {
        "name": pick(rng, _NAMES), "age": rng.integers(18, 90), "who": pick(rng, _WHO), "where": pick(rng, _WHERE)
    }  # fmt: skip
    return pick(rng, _ONE_PERSON if one else _MANY_PEOPLE).format(**words)


def request(rng: np.random.Generator, survey: Survey) -> str:
    """In which form the answer is wanted; now and then nothing is said of it."""
    return pick(rng, _REQUESTS["numbers" if survey.coding == "from zero" else survey.coding])
