"""Made-up surveys: answers are of those listed, and on average over surveys all alike, whichever end comes first."""

import functools
import re
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from dataset_builder.seeding import generator
from dataset_builder.sources.rating_scales import CODINGS, LISTED, QUESTIONS, THINGS, Question, Survey, codes
from dataset_builder.sources.scale_ratings import TASKS

LEVEL = 1e-3
CODE = r"\(?([\dA-G])(?:\)|\.| =|:| -) "
IN_A_SENTENCE = rf"[?.] ((?:{CODE})?[^;.?]+; .+?[a-z])\.(?: [A-Z]|$)"
TASTE = Question("How do you like {thing}?", ("bad", "fine", "good"), "dishes")


@functools.cache
def processes():
    [task] = TASKS
    return [task.generate(generator(42, task.name, "process", index), index) for index in range(3000)]


def listed(text):
    """What may be answered, in the order of the lines or of the list in which a survey prints its options."""
    lines = text.split("\n")[1:]
    if not lines:
        lines = re.search(IN_A_SENTENCE, text)[1].split("; ")
    match = [re.match(CODE, line) for line in lines]
    coded = [found[1] for found in match if found]
    return coded or [line for line in lines if not re.match(r"[A-Z].*\.$", line)]


def answered():
    """(codes of the options in the order of the print, index of the answer) of every draw."""
    for example in processes():
        for draw in example.draws:
            text = draw.input if draw.input and "\n" in draw.input else example.descriptions[0]
            options = listed(text)
            yield options, options.index(draw.output)


def test_a_question_as_it_is_printed():
    rising = Survey("from zero", "({code}) {level}", rising=True).ask(TASTE, "rice")
    assert rising.text == "How do you like rice?\n(0) bad\n(1) fine\n(2) good"
    assert rising.answers == ("0", "1", "2")
    falling = Survey("letters", "{code}. {level}", rising=False).ask(TASTE, "rice")
    assert falling.text == "How do you like rice?\nA. good\nB. fine\nC. bad"
    assert falling.answers == ("C", "B", "A")
    words = Survey("words", "{code}. {level}", rising=False).ask(TASTE, "rice")
    assert (words.text, words.answers) == ("How do you like rice?\ngood\nfine\nbad", TASTE.levels)


def test_codes():
    assert codes("numbers", 3) == ("1", "2", "3")
    assert codes("letters", 7) == tuple("ABCDEFG")
    assert codes("words", 4) is None
    assert {codes(coding, 2) for coding in CODINGS} == {("1", "2"), ("0", "1"), ("A", "B"), None}


def test_questions_have_levels_and_things():
    assert min(len(question.levels) for question in QUESTIONS) >= 2
    assert max(len(question.levels) for question in QUESTIONS) <= 7
    assert all(len(set(question.levels)) == len(question.levels) for question in QUESTIONS)
    assert {question.kind for question in QUESTIONS} == set(THINGS)
    assert all("{thing}" in question.text for question in QUESTIONS)
    assert all("{code}" in line and "{level}" in line for line in LISTED)


def test_before_an_example_every_listed_answer_is_as_likely():
    """Of the first draws alone, since the draws of one process are alike."""
    for size in (2, 3, 4, 5, 7):
        places = Counter()
        for example in processes():
            first = example.draws[0]
            options = listed(first.input if first.input and "\n" in first.input else example.descriptions[0])
            if len(options) == size:
                places[options.index(first.output)] += 1
        assert sum(places.values()) > 50
        assert stats.chisquare([places[place] for place in range(size)]).pvalue > LEVEL


def test_answers_are_of_those_listed():
    sizes = Counter(len(options) for options, _ in answered())  # index() has found each
    assert set(sizes) == {2, 3, 4, 5, 6, 7}


def test_one_person_keeps_to_an_end_of_the_scales_and_many_do_not():
    spread = {"one": [], "many": []}
    for example in processes():
        if any(draw.input is None for draw in example.draws):
            continue
        one = re.match(r"One person|All answers|A single|The same person|\w+, \d+, answers", example.descriptions[0])
        heights = []
        for draw in example.draws:
            options = listed(draw.input if "\n" in draw.input else example.descriptions[0])
            heights.append(options.index(draw.output) / (len(options) - 1))
        spread["one" if one else "many"].append(np.var(heights))
    assert min(map(len, spread.values())) > 500
    assert np.mean(spread["one"]) < 0.7 * np.mean(spread["many"])


def test_processes_differ_and_come_again():
    [task] = TASKS
    assert (task.split, task.origin, task.n_processes) == ("train", "ours", 8000)
    assert len({(example.descriptions, example.draws) for example in processes()}) > 2990
    assert task.generate(generator(42, task.name, "process", 7), 7) == processes()[7]
    assert not any(re.search(r"[{}]", text) for example in processes() for text in example.descriptions)


@pytest.mark.parametrize("word", ["book", "film", "president", "country"])
def test_what_held_out_tasks_ask_about_is_kept_out(word):
    words = " ".join([*(question.text for question in QUESTIONS), *sum(THINGS.values(), ())])
    assert word not in words
