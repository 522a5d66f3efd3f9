"""Made-up surveys and polls: answers are of those listed, and on average all alike, whichever end comes first."""

import functools
import re
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from dataset_builder.sources.scales import (
    CODINGS,
    LINES,
    NON_ANSWERS,
    QUESTIONS,
    TASKS,
    THINGS,
    Question,
    Survey,
    codes,
)
from dataset_builder.sources.shared.synthetic import N_DRAWS
from spectrum_suite.seeding import generator

LEVEL = 1e-3
CODE = r"\(?([\dA-H])(?:\)|\.| =|:| -) "
IN_A_SENTENCE = rf"[?.] ((?:{CODE})?[^;.?]+; .+?[a-z])\.(?: [A-Z]|$)"
TASTE = Question("How do you like {thing}?", ("bad", "fine", "good"), "dishes")


@functools.cache
def processes():
    _, task = TASKS
    return [task.generate(generator(42, task.name, "process", index), index) for index in range(3000)]


def listed(example, draw):
    """(what stands for each level, in the order of the lines or of the list in which a survey prints them; whether
    there is an option to give no answer behind them, and what stands for it)."""
    text = draw.input if draw.input and "\n" in draw.input else example.descriptions[0]
    lines = text.split("\n")[1:] or re.search(IN_A_SENTENCE, text)[1].split("; ")
    lines = [line for line in lines if not re.match(r"(The answer|Outputs|Each output|Answer) .*\.$", line)]
    words = [re.sub(CODE, "", line) for line in lines]
    coded = [found[1] for line in lines if (found := re.match(CODE, line))] or lines
    if words[-1].lower() in NON_ANSWERS:
        return coded[:-1], coded[-1]
    return coded, None


def answered(example):
    """(number of levels, place of the answer among them in the print) of every draw that has an answer."""
    for draw in example.draws:
        levels, none = listed(example, draw)
        if draw.output != none:
            yield len(levels), levels.index(draw.output)


def test_a_question_as_it_is_printed():
    rising = Survey("from zero", "({code}) {level}", rising=True).ask(TASTE, "rice")
    assert rising.text == "How do you like rice?\n(0) bad\n(1) fine\n(2) good"
    assert rising.answers == ("0", "1", "2")
    falling = Survey("letters", "{code}. {level}", rising=False).ask(TASTE, "rice")
    assert falling.text == "How do you like rice?\nA. good\nB. fine\nC. bad"
    assert falling.answers == ("C", "B", "A")
    words = Survey("words", "{code}. {level}", rising=False).ask(TASTE, "rice")
    assert (words.text, words.answers) == ("How do you like rice?\ngood\nfine\nbad", TASTE.levels)
    assert rising.non_answer is falling.non_answer is words.non_answer is None


def test_the_option_to_give_no_answer_comes_last_whatever_the_order():
    survey = Survey("numbers", "{code} = {level}", rising=False, capital=True, non_answer="refused")
    asked = survey.ask(TASTE, "rice")
    assert asked.text == "How do you like rice?\n1 = Good\n2 = Fine\n3 = Bad\n4 = Refused"
    assert (asked.answers, asked.non_answer) == (("3", "2", "1"), "4")
    words = Survey("words", "", rising=True, capital=True, non_answer="refused").ask(TASTE, "rice")
    assert (words.answers, words.non_answer) == (("Bad", "Fine", "Good"), "Refused")


def test_few_give_no_answer():
    given = [
        draw.output == none for example in processes() for draw in example.draws if (none := listed(example, draw)[1])
    ]
    assert len(given) > 5000
    assert np.mean(given) == pytest.approx(0.04, abs=0.006)
    with_none = [listed(example, example.draws[0])[1] is not None for example in processes()]
    assert stats.binomtest(sum(with_none), len(with_none), 0.8).pvalue > LEVEL


def test_codes():
    assert codes("numbers", 3) == ("1", "2", "3")
    assert codes("letters", 8) == tuple("ABCDEFGH")
    assert codes("words", 4) is None
    assert {codes(coding, 2) for coding in CODINGS} == {("1", "2"), ("0", "1"), ("A", "B"), None}


def test_questions_have_levels_and_things():
    assert min(len(question.levels) for question in QUESTIONS) >= 2
    assert max(len(question.levels) for question in QUESTIONS) <= 7
    assert all(len(set(question.levels)) == len(question.levels) for question in QUESTIONS)
    assert {question.kind for question in QUESTIONS} == set(THINGS)
    assert all("{thing}" in question.text for question in QUESTIONS)
    assert all("{code}" in line and "{level}" in line for line in LINES)


def test_before_an_example_every_level_is_as_likely():
    """Of the first draws alone, since the draws of one process are alike."""
    first = Counter(place for example in processes() for place in list(answered(example))[:1])
    for size in (2, 3, 4, 5, 7):
        places = [first[size, place] for place in range(size)]
        assert sum(places) > 50
        assert stats.chisquare(places).pvalue > LEVEL


def test_answers_are_of_those_listed():
    sizes = Counter(size for example in processes() for size, _ in answered(example))  # index() has found each
    assert set(sizes) == {2, 3, 4, 5, 6, 7}


def test_one_person_keeps_to_an_end_of_the_scales_and_many_do_not():
    spread = {"one": [], "many": []}
    for example in processes():
        if any(draw.input is None for draw in example.draws):
            continue
        one = re.match(r"One person|All answers|A single|The same person|\w+, \d+, answers", example.descriptions[0])
        heights = [place / (size - 1) for size, place in answered(example)]
        spread["one" if one else "many"].append(np.var(heights))
    assert min(map(len, spread.values())) > 500
    assert np.mean(spread["one"]) < 0.7 * np.mean(spread["many"])


def test_processes_differ_and_come_again():
    _, task = TASKS
    assert (task.split, task.origin, task.n_processes) == ("train", "ours", 8000)
    assert len({(example.descriptions, example.draws) for example in processes()}) > 2990
    assert task.generate(generator(42, task.name, "process", 7), 7) == processes()[7]
    assert not any(re.search(r"[{}]", text) for example in processes() for text in example.descriptions)


@pytest.mark.parametrize("word", ["book", "film", "president", "country"])
def test_what_held_out_tasks_ask_about_is_kept_out(word):
    words = " ".join([*(question.text for question in QUESTIONS), *sum(THINGS.values(), ())])
    assert word not in words


@functools.cache
def polls():
    task, _ = TASKS
    return [task.generate(generator(42, task.name, "process", index), index) for index in range(2000)]


def printed_options(text):
    """What may be answered, and whether the last of it gives no answer."""
    lines = text.split("\n")
    first = next(place for place, line in enumerate(lines) if line.endswith("?") or "should spend" in line)
    words = [re.sub(CODE, "", line) for line in lines[first + 1 :]]
    coded = [found[1] for line in lines[first + 1 :] if (found := re.match(CODE, line))]
    return coded or words, words[-1].lower() in NON_ANSWERS


def test_all_draws_answer_the_same_question():
    for poll in polls():
        assert len(poll.draws) == N_DRAWS
        assert len({draw.input for draw in poll.draws}) == 1
        given, _ = printed_options(poll.draws[0].input)
        assert {draw.output for draw in poll.draws} <= set(given)


def test_levels_are_about_as_frequent_and_few_give_no_answer():
    shares, none = {}, []
    for poll in polls():
        given, may_refuse = printed_options(poll.draws[0].input)
        counts = Counter(draw.output for draw in poll.draws)
        levels = given[:-1] if may_refuse else given
        if may_refuse:
            none.append(counts[given[-1]] / N_DRAWS)
        shares.setdefault(len(levels), []).append([counts[level] / N_DRAWS for level in levels])
    assert np.mean(none) == pytest.approx(0.04, abs=0.01)
    for size, found in shares.items():
        mean = np.mean(found, axis=0)
        assert mean == pytest.approx(np.full(size, mean.mean()), abs=0.03)  # of each place, on average over polls
        # Dirichlet(20) shares and rounded counts: half of all shares lie within their quartiles
        assert np.std(found) < np.sqrt((1 / size) * (1 - 1 / size) / (20 * size + 1)) + 1 / N_DRAWS


def test_some_tell_of_the_thing_and_some_name_the_options_in_the_description():
    told = [poll for poll in polls() if "\nKind: " in poll.draws[0].input]
    assert len(told) / len(polls()) == pytest.approx(0.5, abs=0.05)
    assert all(re.match(r"[A-Z0-9].*\nKind: \w+\nNote: .+\.\n.+", poll.draws[0].input) for poll in told)
    named = [poll for poll in polls() if " The options: " in poll.descriptions[0]]
    assert len(named) / len(polls()) == pytest.approx(0.3, abs=0.05)
    for poll in named:
        lines = poll.draws[0].input.split("\n")
        [listed] = re.findall(r" The options: (.*)\.$", poll.descriptions[0])
        assert "\n".join(lines).endswith(listed.replace(", ", "\n")) or ", " in "".join(lines)


def test_polls_differ_and_come_again():
    task, _ = TASKS
    assert (task.split, task.origin, task.n_processes) == ("train", "ours", 8000)
    assert len({(poll.descriptions, poll.draws) for poll in polls()}) > 1990
    assert task.generate(generator(42, task.name, "process", 7), 7) == polls()[7]
    assert not any(re.search(r"[{}]", f"{poll.descriptions[0]}{poll.draws[0].input}") for poll in polls())
