"""Closed answers are those of a question: from its column, or from enough draws of that very question."""

import pytest
from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.steerability.closed_answers import OPEN, TOO_MANY, UNTOLD, closed_answers


def row(number, draws, *, description=None, **columns):
    """A row of (input, output) pairs."""
    messages = [{"role": "description", "content": description}] if description else []
    for given, output in draws:
        messages += [{"role": "input", "content": given}] if given else []
        messages += [{"role": "output", "content": output}]
    return {"id": f"task/{number}", "messages": messages, **columns}


def table(*rows):
    return Dataset.from_list(list(rows))


YES_NO = [("Open?", "Yes"), ("Open?", "No")]
RATINGS = [("How good?", text) for text in "123"]


def test_two_questions_of_a_task_keep_their_answers_apart():
    found = closed_answers(table(row(0, YES_NO * 10), row(1, RATINGS * 10)))
    assert found.of_row(0) == [("No", "Yes")] * 20
    assert found.of_row(1) == [("1", "2", "3")] * 30
    assert found.without == {}


def test_questions_may_take_turns_in_a_row():
    found = closed_answers(table(*(row(n, [*YES_NO, *RATINGS]) for n in range(10))))
    assert found.of_row(3) == [("No", "Yes")] * 2 + [("1", "2", "3")] * 3
    assert len(found.lists) == 2


def test_processes_without_input_or_description_are_questions_of_their_own():
    rows = [
        row(0, [(None, text) for text in "ab" * 10], process="p"),
        row(1, [(None, text) for text in "cd" * 10], process="q"),
    ]
    found = closed_answers(table(*rows))
    assert (found.of_row(0)[0], found.of_row(1)[0]) == (("a", "b"), ("c", "d"))


@pytest.mark.parametrize("texts", ["ab" * 9, "a" * 50, "abcdefghijklm" * 20])
def test_what_draws_do_not_tell_says_why(texts):
    found = closed_answers(table(row(0, [(None, text) for text in texts])))
    assert (found.lists, found.without) == ((), {UNTOLD: len(texts)})
    assert found.of_row(0) == [()] * len(texts)


def test_all_rows_of_a_task_tell_of_those_that_are_drawn():
    rows = table(*(row(n, YES_NO) for n in range(10)))
    assert closed_answers(rows.select([0])).without == {UNTOLD: 2}
    assert closed_answers(rows.select([0]), among=rows).of_row(0) == [("No", "Yes")] * 2


def test_the_column_tells_whatever_the_draws_are():
    many = [str(n) for n in range(20)]
    rows = table(
        row(0, [("Which?", "7")], options=[many]),
        row(1, [*YES_NO, ("Why?", "so")], options=[["Yes", "No"], ["Yes", "No", "Perhaps"], []]),
        row(2, [("Why?", "because")], options=[]),
        row(3, [("Why?", "because")], options=None),
        row(4, [("Which?", "0")], options=[[str(n) for n in range(65)]]),
    )
    found = closed_answers(rows)
    assert found.of_row(0) == [tuple(many)]
    assert found.of_row(1) == [("Yes", "No"), ("Yes", "No", "Perhaps"), ()]
    assert found.without == {OPEN: 3, TOO_MANY: 1}
    assert found.part(1, 2).of_row(0) == found.of_row(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([["Yes"], ["No"]], "row 'task/0' has 2 lists of options for 3 outputs"),
        ([["Yes", "Maybe"]], "output 'No' of row 'task/0' is none of its options"),
    ],
)
def test_a_column_that_does_not_fit_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        closed_answers(table(row(0, [*YES_NO, ("Open?", "Yes")], options=options)))
