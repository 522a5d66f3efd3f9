"""Rows carry the closed answers of their outputs: a question's own, never those of the task's other questions."""

from dataclasses import replace
from pathlib import Path

import pytest

from dataset_builder.registry import all_tasks
from dataset_builder.suite_builder import SpectrumSuite
from dataset_builder.task_spec import Draw, Example
from spectrum_suite.errors import UserError
from tests.dataset_builder.toy_rows import icl_task, rows_of, toy_rows

FIXTURES = Path(__file__).parents[2] / "dataset_builder" / "fixtures"


def outputs_of(row):
    """(input, output, options) of each draw of a row, as its columns tell them."""
    options = row["options"] * row["n_outputs"] if len(row["options"]) == 1 else row["options"]
    given, found = None, []
    for message in row["messages"]:
        if message["role"] == "input":
            given = message["content"]
        elif message["role"] == "output":
            found.append((given, message["content"]))
    options = options or [[]] * len(found)
    return [(*pair, tuple(of_pair)) for pair, of_pair in zip(found, options, strict=True)]


def test_each_draw_keeps_its_own_answers_in_whatever_order_it_is_shown():
    draws = (Draw("open?", "Yes"), Draw("how good?", "2"), Draw("why?", "because"))
    example = Example("p", (), draws, options=(("Yes", "No"), ("1", "2", "3"), ()))
    (row,) = rows_of(icl_task(), [example])
    assert sorted(outputs_of(row)) == [
        ("how good?", "2", ("1", "2", "3")), ("open?", "Yes", ("Yes", "No")), ("why?", "because", ()),
    ]  # fmt: skip


def test_answers_that_all_draws_share_are_kept_once():
    draws = (Draw("a?", "Yes"), Draw("b?", "No"), Draw("c?", "Yes"))
    for options in ((("Yes", "No"),), (("Yes", "No"),) * 3):
        (row,) = rows_of(icl_task(), [Example("p", (), draws, options=options)])
        assert row["options"] == [["Yes", "No"]]
    (row,) = rows_of(icl_task(), [Example("p", (), draws)])
    assert row["options"] == []
    (row,) = rows_of(replace(icl_task(), options=("No", "Yes")), [Example("p", (), draws)])
    assert row["options"] == [["No", "Yes"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((("Yes",), ("No",)), "2 lists of options for 1 draws"),
        ((("Yes", "Yes", "No"),), "has an option twice"),
        ((("Yes ", "No"),), "white space around it"),
        ((("Ja", "No"),), r"output 'Yes' of process 'p' is not among \('Ja', 'No'\)"),
    ],
)
def test_answers_that_do_not_fit_the_draws_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Example("p", (), (Draw(None, "Yes"),), options=options)


def test_an_output_outside_the_answers_of_its_task_is_named():
    spec = replace(icl_task(), options=("Yes", "No"))
    with pytest.raises(UserError, match=r"task 'task': output 'Maybe' of process 'p' is not one of its answers"):
        rows_of(spec, [Example("p", (), (Draw(None, "Maybe"),))])


@pytest.mark.parametrize(
    ("task", "split", "sizes"), [("opinionqa_individual", "train", {3}), ("arc", "test", {3, 4, 5})]
)
def test_a_question_with_lettered_options_has_its_letters(task, split, sizes):
    builder = SpectrumSuite(config_name=task, data_dir=str(FIXTURES), allow_missing=True)
    found = [draw for row in builder.as_streaming_dataset(split=split) for draw in outputs_of(row)]
    for given, output, options in found:
        assert options == tuple(line[0] for line in given.split("\n") if line[1:3] == ". ")
        assert output in options
    assert {len(options) for _, _, options in found} == sizes


SURVEYS = ("described_shares", "named_sets", "scale_polls", "scale_ratings", "small_settings", "coinflip", "flight")


@pytest.mark.parametrize("name", SURVEYS)
def test_drawn_tasks_tell_their_answers(name):
    for row in toy_rows(name, max_rows=60):
        for _, output, options in outputs_of(row):
            assert output in options
            assert 2 <= len(options) == len(set(options))


def test_a_process_of_named_shares_has_the_names_that_it_lists():
    for row in toy_rows("described_shares", max_rows=30):
        (options,) = row["options"]
        assert all(option.lower() in row["messages"][0]["content"].lower() for option in options)


def test_tasks_with_closed_answers_name_them():
    names = {spec.name for spec in all_tasks() if spec.kind == "icl" and spec.options}
    assert {"coinflip", "flight", "mmlu", "polis_vote", "numbergame_individual"} <= names
