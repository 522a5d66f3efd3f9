"""Made-up polls: many answers to one question, in numbers near those of even shares of the levels."""

import functools
import re
from collections import Counter

import numpy as np
import pytest

from dataset_builder.sources.rating_surveys import NON_ANSWERS
from dataset_builder.sources.scale_polls import TASKS
from dataset_builder.sources.synthetic import N_DRAWS
from spectrum_suite.seeding import generator

CODE = r"\(?([\dA-H])(?:\)|\.| =|:| -) "


@functools.cache
def polls():
    [task] = TASKS
    return [task.generate(generator(42, task.name, "process", index), index) for index in range(2000)]


def options(text):
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
        given, _ = options(poll.draws[0].input)
        assert {draw.output for draw in poll.draws} <= set(given)


def test_levels_are_about_as_frequent_and_few_give_no_answer():
    shares, none = {}, []
    for poll in polls():
        given, may_refuse = options(poll.draws[0].input)
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
    [task] = TASKS
    assert (task.split, task.origin, task.n_processes) == ("train", "ours", 8000)
    assert len({(poll.descriptions, poll.draws) for poll in polls()}) > 1990
    assert task.generate(generator(42, task.name, "process", 7), 7) == polls()[7]
    assert not any(re.search(r"[{}]", f"{poll.descriptions[0]}{poll.draws[0].input}") for poll in polls())
