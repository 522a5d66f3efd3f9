"""Kinds of option sets, the order in which prompts name them, and other orders that mean the same."""

import pytest

from spectrum_suite.lm.listed_options import option_kind, option_places, orderings


def prompt(text, description="A draw."):
    return [{"role": "description", "content": description}, {"role": "input", "content": text}]


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (["0", "1", "-5", "2.5"], "numbers"),
        (["A", "B", "C"], "letters"),
        (["Yes", "No"], "polar"),
        (["Heads", "Tails"], "polar"),
        (["Very likely", "Likely", "Not at all likely"], "ordered"),
        (["red", "dark blue"], "texts"),
        (["1", "a"], "texts"),
    ],
)
def test_kinds(options, kind):
    assert option_kind(options) == kind


@pytest.mark.parametrize(
    ("text", "options", "places"),
    [
        ("Which?\nA. no\nB. yes", ["A", "B"], (0, 1)),
        ("Which?\nB: no\nA: yes", ["A", "B"], (1, 0)),
        ("Which?\n2: likely\n1: unlikely", ["1", "2"], (1, 0)),
        ("Which?\n- red\n- dark blue", ["dark blue", "red"], (1, 0)),
        ("Which?\nA. red\nB. dark blue\nAnswer.", ["dark blue", "red"], (1, 0)),
        ("1 dark blue ball and 3 blue balls", ["blue", "dark blue"], (1, 0)),
        ("1 if it is, 0 if it is not", ["0", "1"], None),
        ("A random person. B.", ["A", "B"], None),
        ("Name a color.", ["red", "blue"], None),
    ],
)
def test_places(text, options, places):
    assert option_places(prompt(text), options) == places


def test_letters_stay_and_their_texts_move():
    given, *others = orderings(prompt("Which?\nA. one\nB. two\nC. three\nSay it."), ["A", "B", "C"], 6, seed=0)
    assert given.messages == tuple(prompt("Which?\nA. one\nB. two\nC. three\nSay it."))
    assert (given.places, given.meanings) == ((0, 1, 2), (0, 1, 2))
    assert len({other.meanings for other in others}) == 5
    texts = ["one", "two", "three"]
    for other in others:
        _, *lines, end = other.messages[-1]["content"].split("\n")
        assert end == "Say it."
        assert lines == [f"{key}. {texts[other.meanings[place]]}" for place, key in enumerate("ABC")]
        assert other.places == (0, 1, 2)


def test_numbers_move_with_their_lines():
    options = ["1", "2", "3"]
    for other in orderings(prompt("Rate it.\n1: bad\n2: fair\n3: good"), options, 6, seed=0):
        lines = other.messages[-1]["content"].split("\n")[1:]
        assert sorted(lines) == ["1: bad", "2: fair", "3: good"]
        assert [lines[other.places[place]][0] for place in range(3)] == options
        assert other.meanings == (0, 1, 2)


def test_texts_move_between_the_keys_of_their_lines():
    options = ["red", "blue", "green"]
    for other in orderings(prompt("Which?\n1) green\n2) red\n3) blue"), options, 6, seed=0):
        lines = other.messages[-1]["content"].split("\n")[1:]
        assert [line[:2] for line in lines] == ["1)", "2)", "3)"]
        assert [lines[other.places[place]][3:] for place in range(3)] == options
        assert option_places(other.messages, options) == other.places


def test_there_are_no_more_orders_than_there_can_be_and_none_without_a_list():
    assert len(orderings(prompt("Which?\nA. one\nB. two"), ["A", "B"], 10, seed=0)) == 2
    assert len(orderings(prompt("Which?\nA. one\nB. two\nC. three"), ["A", "B", "C"], 4, seed=0)) == 4
    assert orderings(prompt("2 red balls and 3 blue balls"), ["red", "blue"], 4, seed=0) == []
    assert orderings([{"role": "output", "content": "A. x\nB. y"}], ["A", "B"], 4, seed=0) == []
