"""The limits of a request: as much as is allowed is read, and one more is refused."""

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.serving.bodies import read_decisions, read_system_one
from tests.documents import read


def noul(count):
    return {"state": "", "questions": {f"q{n}": {"type": "noul", "instructions": "Is it?"} for n in range(count)}}


def one(kind, criteria):
    return {"state": "", "questions": {"q": {"type": kind, "instructions": "Which?", "criteria": criteria}}}


def predicates(count):
    return {"input": "", "questions": [{"type": "predicate", "instructions": "It is."}] * count}


def listed(kind, field, key, count):
    options = [{key: f"option {n}"} for n in range(count)]
    return {"input": "", "questions": [{"type": kind, "instructions": "Which?", field: options}]}


LIMITS = [
    (read_system_one, noul, 64, "65 questions: ask at most 64"),
    (read_system_one, lambda n: one("choice", dict.fromkeys(map(str, range(n)))), 255, "has 256 options: give at most"),
    (read_system_one, lambda n: one("score", [f"level {k}" for k in range(n)]), 10, "has 11 levels: give at most 10"),
    (read_system_one, lambda n: noul(1) | {"state": "x" * n}, 200_000, "the state has 200,001 characters"),
    (read_system_one, lambda n: noul(1) | {"instructions": "x" * n}, 20_000, "instructions has 20,001 characters"),
    (read_system_one, lambda n: one("choice", {"x" * n: None}), 1_000, "an option has 1,001 characters"),
    (read_system_one, lambda n: one("choice", {"a": "x" * n}), 4_000, "what option 'a' means has 4,001 characters"),
    (read_decisions, predicates, 200, "a list of 1 to 200 questions"),
    (read_decisions, lambda n: listed("choice", "choices", "value", n), 255, "has 256 options: give at most 255"),
    (read_decisions, lambda n: listed("score", "levels", "label", n), 10, "has 11 levels: give at most 10"),
]


@pytest.mark.parametrize(("reader", "body", "most", "message"), LIMITS)
def test_the_most_is_taken_and_one_more_is_not(reader, body, most, message):
    assert reader(body(most)).questions
    with pytest.raises(UserError, match=message):
        reader(body(most + 1))


@pytest.mark.parametrize(
    ("reader", "body", "fewest", "message"),
    [
        (read_system_one, noul, 1, "at least one question"),
        (read_system_one, lambda n: one("choice", dict.fromkeys(map(str, range(n)))), 1, "criteria of a choice are"),
        (read_system_one, lambda n: one("score", [f"level {k}" for k in range(n)]), 2, "at least 2 levels"),
        (read_decisions, predicates, 1, "a list of 1 to 200 questions"),
        (read_decisions, lambda n: listed("choice", "choices", "value", n), 2, "fewer than 2 options"),
        (read_decisions, lambda n: listed("score", "levels", "label", n), 2, "fewer than 2 options"),
    ],
)
def test_the_fewest_are_taken_and_one_less_is_not(reader, body, fewest, message):
    assert reader(body(fewest)).questions
    with pytest.raises(UserError, match=message):
        reader(body(fewest - 1))


def test_the_document_names_these_limits():
    rows = [line for line in read("docs/decisions.md").splitlines() if line.startswith("|")]
    for numbers in ("| 64 (`/v1/decisions`: 200) |", "| 255, 10 (", "| 200,000, 20,000, 1,000, 4,000 |"):
        assert any(numbers in row for row in rows), numbers
