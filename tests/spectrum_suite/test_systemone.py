"""Questions are read with their limits, and answers have the shapes and numbers worked out by hand."""

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.systemone import Limits, answer, confidence, read_questions, state_text

ASKED = {
    "q1": {"type": "choice", "instructions": "Which?", "criteria": {"a": "the first", "b": None}},
    "q2": {"type": "noul", "instructions": "Is it?", "criteria": None},
    "q3": {"type": "score", "instructions": {"ask": "how much"}, "criteria": ["low", "high"]},
}


def test_answers_field_by_field():
    """The answers of an example of the interface."""
    questions = {question.id: question for question in read_questions(ASKED)}
    assert answer(questions["q1"], [0.7, 0.3], 0.9) == {
        "type": "choice", "choice": "a", "probabilities": {"a": 0.7, "b": 0.3}, "confidence": pytest.approx(0.4),
    }  # fmt: skip
    assert answer(questions["q2"], [0.2, 0.8], 0.9) == {"type": "noul", "noul": 0.2}
    assert answer(questions["q3"], [0.5, 0.5], 0.9) == {
        "type": "score", "score": 0.5, "legend": {"0": "low", "1": "high"}, "probabilities": {"0": 0.5, "1": 0.5},
        "confidence": 0.0,
    }  # fmt: skip


def test_answers_with_the_other_confidence():
    choice, noul, score = read_questions(ASKED)
    assert answer(choice, [0.7, 0.3], 0.5, "over_vocabulary")["confidence"] == pytest.approx(0.35)
    assert answer(noul, [0.2, 0.8], 0.5, "over_vocabulary") == {
        "type": "noul", "noul": 0.2, "probabilities": {"yes": 0.2, "no": 0.8}, "confidence": pytest.approx(0.4),
    }  # fmt: skip
    assert answer(score, [0.5, 0.5], 0.5, "over_vocabulary")["confidence"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("question_type", "probabilities", "expected"),
    [
        ("choice", [0.25] * 4, 0),
        ("choice", [0, 1, 0], 1),
        ("choice", [0.5, 0.25, 0.25], 0.25),  # (1/2 - 1/3) / (2/3)
        ("choice", [1], 1),
        ("noul", [0.3, 0.7], 0.4),  # |2p - 1|
        ("noul", [0.85, 0.15], 0.7),
        ("score", [0, 0, 1], 1),
        ("score", [0.5, 0, 0.5], 0),  # mean distance from level 0 is 1, more than 2/3 of a uniform guess
        ("score", [0.1, 0.8, 0.1], 0.7),  # 1 - 0.2 / (2/3)
        ("score", [0.2, 0.6, 0.2, 0.0], 0.6),  # 1 - 0.4 / 1
    ],
)
def test_confidence_above_uniform(question_type, probabilities, expected):
    assert confidence(question_type, probabilities) == pytest.approx(expected)


def test_ties_go_to_the_first_option():
    choice = read_questions(ASKED)[0]
    assert answer(choice, [0.5, 0.5], 1)["choice"] == "a"


def test_numbers_are_levels_and_json_is_instructions():
    (question,) = read_questions({"q": {"type": "score", "instructions": ["Rate", "it"], "criteria": [1, 2.5, "much"]}})
    assert question.names == ("1", "2.5", "much")
    assert question.instructions == '["Rate", "it"]'


def test_a_state_is_json_or_itself():
    assert state_text("Grüße") == "Grüße"
    assert state_text({"name": "Grüße", "n": [1, None]}) == '{"name": "Grüße", "n": [1, null]}'


def asked(**changes):
    return {"q": {"type": "choice", "instructions": "Which?", "criteria": {"a": None}} | changes}


WRONG = [
    ([], "questions are an object"),
    ({}, "questions are an object"),
    ({"": {}}, "the id of a question is empty"),
    ({"q": "which?"}, "question 'q' is 'which\\?': give an object"),
    (asked(weight=1), "question 'q' has the field 'weight': there are type, instructions, criteria"),
    (asked(type="rank"), "has the type 'rank': choose from choice, noul, score"),
    (asked(type=["noul"]), "has the type a list"),
    (asked(instructions=None), "has no instructions"),
    (asked(instructions=" "), "has no instructions"),
    (asked(criteria=None), "criteria of a choice are an object"),
    (asked(criteria=["a"]), "criteria of a choice are an object"),
    (asked(criteria={"": None}), "an option without a name"),
    (asked(criteria={"a": 3}), "what option 'a' means is 3: give a string"),
    (asked(type="noul", criteria={"yes": "it is"}), "true and false alone"),
    (asked(type="noul", criteria=[]), "true and false alone"),
    (asked(type="score", criteria=["one"]), "a list of at least 2 levels"),
    (asked(type="score", criteria="high"), "a list of at least 2 levels"),
    (asked(type="score", criteria=["low", True]), "an option is True: give a string"),
    (asked(type="score", criteria=["low", "low"]), "names 'low' twice"),
    (asked(type="score", criteria=["1", 1]), "names '1' twice"),
]  # fmt: skip


@pytest.mark.parametrize(("questions", "message"), WRONG)
def test_what_is_no_question_is_named(questions, message):
    with pytest.raises(UserError, match=message) as raised:
        read_questions(questions)
    assert "\n" not in str(raised.value)


SMALL = Limits(questions=2, options=3, levels=3, state=5, instructions=6, name=4, description=4)


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ({name: asked()["q"] for name in "abc"}, "3 questions: ask at most 2"),
        (asked(criteria=dict.fromkeys("abcd")), "has 4 options: give at most 3"),
        (asked(type="score", criteria=["a", "b", "c", "d"]), "has 4 levels: give at most 3"),
        (asked(instructions="Which one?"), "its instructions has 10 characters: give at most 6"),
        (asked(criteria={"abcde": None}), "an option has 5 characters"),
        (asked(criteria={"a": "abcde"}), "what option 'a' means has 5 characters"),
        ({"abcde": asked()["q"]}, "the id of a question has 5 characters"),
    ],
)
def test_what_is_too_large_is_named(questions, message):
    with pytest.raises(UserError, match=message):
        read_questions(questions, SMALL)


def test_what_is_as_large_as_it_may_be_is_taken():
    largest = {"abcd": {"type": "choice", "instructions": "Which?", "criteria": {"abcd": "abcd", "b": None, "c": None}}}
    assert len(read_questions(largest, SMALL)) == 1
    assert state_text("abcde", SMALL) == "abcde"
    with pytest.raises(UserError, match="the state has 6 characters"):
        state_text("abcdef", SMALL)
