"""What is drawn of answers: the right widths and numbers, and no markup out of anybody's words."""

import re

import pytest

from spectrum_suite.playground.answers import Answer, read_question
from spectrum_suite.playground.drawing import COLORS, draw_options, draw_samples


def answer(label="base", **changed):
    values = {
        "probabilities": (0.25, 0.75), "mass": 0.4, "counts": (("red", 3), ("green", 1)), "options": 2, "reached": 1,
        "valid": 3,
    }  # fmt: skip
    return Answer(label, **values | changed)


@pytest.fixture
def question():
    return read_question("An urn.", "", "", "red\n<b>blue</b>")


def widths(drawn, color):
    return re.findall(rf"width: ([\d.]+)%;[^\"]*background: {color}", drawn)


def test_every_option_has_a_bar_for_each_model(question):
    drawn = draw_options(question, [answer(), answer("tuned", probabilities=(1.0, 0.0), mass=0.995)])
    assert widths(drawn, COLORS[0]) == ["25.00", "75.00"]
    assert widths(drawn, COLORS[1]) == ["100.00", "0.00"]
    assert "25.0%<br>100.0%" in drawn
    assert "75.0%<br>0.0%" in drawn
    assert "<b>base</b>: 40.0% of its probability is on these 2 options" in drawn
    assert "<b>tuned</b>: 99.5% of its probability is on these 2 options" in drawn
    assert "&lt;b&gt;blue&lt;/b&gt;" in drawn
    assert "<b>blue" not in drawn


def test_samples_are_shown_with_their_counts():
    drawn = draw_samples([answer(), answer("tuned", counts=(("<i>", 2), ("", 2)), options=0)])
    assert "2 different among 4 (50%)<br>1 of 2 options reached, by 3 of 4 samples" in drawn
    assert re.findall(r"<span[^>]*>([^<]+)</span><span>(\d+)</span>", drawn)[:2] == [("red", "3"), ("green", "1")]
    assert re.findall(r"55 ([\d.]+)%", drawn) == ["100.0", "33.3", "100.0", "100.0"]
    assert "&lt;i&gt;" in drawn
    assert "<i>(nothing)</i>" in drawn
    assert drawn.count("options reached") == 1


def test_a_long_tail_is_cut():
    counts = tuple((f"word {n}", 1) for n in range(15))
    drawn = draw_samples([answer(counts=counts)])
    assert "word 11<" in drawn
    assert "word 12<" not in drawn
    assert "and 3 more" in drawn


def test_without_options_there_are_no_bars():
    drawn = draw_options(read_question("An urn.", "", "", ""), [answer(probabilities=(), mass=None)])
    assert "Write some options" in drawn
    assert "width" not in drawn
