"""The examples of the playground: each can be asked, and shows what it is there to show."""

import pytest

from spectrum_suite.playground.answers import read_question
from spectrum_suite.playground.gallery import GALLERY


@pytest.mark.parametrize("case", GALLERY, ids=lambda case: case.name)
def test_every_case_is_a_question_with_options(case):
    question = read_question(*case.fields)
    assert len(question.options) >= 2
    examples = [message["content"] for message in question.messages if message["role"] == "output"]
    assert set(examples) <= set(question.options)


def test_the_cases_that_go_together_differ_in_one_field():
    cases = {case.name: case for case in GALLERY}
    for first, second in (("Tug of war", "Tug of war after a sleepless night"), ("Likes it mild", "Likes it hot")):
        differing = [a != b for a, b in zip(cases[first].fields, cases[second].fields, strict=True)]
        assert sum(differing) == 1


def test_the_sets_are_whole():
    cases = {case.name: case for case in GALLERY}
    assert len(cases["A U.S. state"].options.split("\n")) == 50
    assert cases["Two dice"].options.split("\n") == [str(n) for n in range(2, 13)]
