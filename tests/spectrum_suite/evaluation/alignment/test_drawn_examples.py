"""Answers from an item's own distribution, shown before it."""

from collections import Counter
from dataclasses import replace

import pytest
from datasets import Dataset

from spectrum_suite.commands import evaluate as evaluate_model
from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.drawn_examples import after_examples
from spectrum_suite.evaluation.alignment.score_alignment import AlignmentWork
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.evaluation.work import messages_fingerprint
from tests.tiny_models import DICE, save_suite

ASKED = [{"role": "description", "content": "An urn."}, {"role": "input", "content": "Draw a ball."}]
DESCRIBED = [{"role": "description", "content": "A coin."}]


def rows(messages, probabilities, count=1):
    return Dataset.from_list(
        [
            {"id": f"row/{i}", "messages": messages, "options": ["a", "b", "c"], "probabilities": probabilities}
            for i in range(count)
        ]
    )


def test_each_answer_follows_what_is_asked():
    before = rows(ASKED, [0.0, 1.0, 0.0])
    (after,) = after_examples(before, 2, seed=1)
    answer = {"role": "output", "content": "b"}
    assert after["messages"] == [*ASKED, answer, ASKED[1], answer, ASKED[1]]
    assert after | {"messages": None} == before[0] | {"messages": None}
    (after,) = after_examples(rows(DESCRIBED, [0.0, 1.0, 0.0]), 2, seed=1)
    assert after["messages"] == [*DESCRIBED, answer, answer]
    assert after_examples(before, 0, seed=1) is before


def test_answers_are_draws_of_the_rows_own():
    shown = after_examples(rows(DESCRIBED, [0.5, 0.0, 0.5], count=200), 4, seed=1)
    answers = [[message["content"] for message in row["messages"][1:]] for row in shown]
    counts = Counter(answer for row in answers for answer in row)
    assert set(counts) == {"a", "c"}
    assert counts["a"] / 800 == pytest.approx(0.5, abs=0.07)  # four standard errors
    assert len({tuple(row) for row in answers}) == 16
    fewer = after_examples(rows(DESCRIBED, [0.5, 0.0, 0.5], count=200), 2, seed=1)
    assert [row["messages"][1:] for row in fewer] == [row["messages"][1:3] for row in shown]


def test_a_report_is_on_the_same_rows_whatever_is_shown_before_them(tmp_path):
    save_suite(tmp_path / "suite", dice=DICE)
    settings = EvaluationSettings("m", tmp_path, suite=str(tmp_path / "suite"))
    plain, shown = (AlignmentWork(replace(settings, examples=n), "dice") for n in (0, 3))
    assert messages_fingerprint(plain.drawn) == messages_fingerprint(shown.drawn)
    assert [message["role"] for message in shown.some("0")[0]["messages"]].count("output") == 3
    assert dict(plain.parts()) != dict(shown.parts())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--examples", "-1"], "--examples is -1"),
        (["--examples", "4", "--desiderata", "coverage"], "--examples is for"),
    ],
)
def test_what_makes_no_sense_is_refused(words, message, tmp_path):
    with pytest.raises(UserError, match=message):
        evaluate_model.check(evaluate_model.read(["--model", "m", "--output", str(tmp_path), *words]))
