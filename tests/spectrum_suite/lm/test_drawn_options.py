"""Answers drawn from a model that is asked about tokens, and the options that they begin with."""

import numpy as np
import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.sample import Samples
from spectrum_suite.lm.base import begun_options, with_request
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.lm.match_answers import OTHER
from tests.tiny_models import memoryless_model

ROLL = [{"role": "description", "content": "A die is rolled."}]
TOSS = [{"role": "description", "content": "A coin is tossed."}, {"role": "input", "content": "first"}]


SHARES = {"A": 0.5, "B": 0.3, "C": 0.15, "D": 0.05}


@pytest.fixture(scope="module")
def lm(tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    text_format = get_format("spectrum", tokenizer)
    return LocalLM.of(memoryless_model(tokenizer, text_format, SHARES), tokenizer, text_format)


def test_the_longest_option_that_a_sample_begins_with_counts():
    token_ids = ((1, 2, 3), (1, 9), (4,), (), (9, 1))
    samples = Samples(("a", "b", "c", "", "d"), 0, (True,) * 5, token_ids)
    found = begun_options(samples, [(1,), (1, 2), (4,)])
    assert found.choices == (1, 0, 2, None, None)
    assert found.others == {"empty": 1, "something else": 1}
    with pytest.raises(UserError, match="same tokens"):
        begun_options(samples, [(1,), (1,)])


def test_draws_are_the_options_that_the_model_is_scored_on(lm):
    n = 4000
    rolled, tossed = lm.draw_options([ROLL, TOSS], [["A", "B"], ["D", "A", "B", "C"]], n, seed=1)
    assert np.bincount([choice for choice in tossed.choices if choice is not None]) / n == pytest.approx(
        [0.05, 0.5, 0.3, 0.15], abs=4 * np.sqrt(0.25 / n)
    )
    assert rolled.choices.count(None) / n == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / n))
    assert rolled.others == {OTHER: rolled.choices.count(None)}
    assert tossed.others == {}


def test_the_next_draws_are_those_of_one_call(lm):
    whole = lm.draw_options([TOSS], [["A", "B"]], 30, seed=3)[0].choices
    begun = lm.draw_options([TOSS], [["A", "B"]], 10, seed=3)[0].choices
    more = lm.draw_options([TOSS], [["A", "B"]], 20, first=10, seed=3)[0].choices
    assert begun + more == whole


def test_answers_are_the_samples_with_whether_they_ended(lm):
    (found,) = lm.answers([TOSS], 5, max_new_tokens=3, seed=0)
    (samples,) = lm.sample([TOSS], 5, max_new_tokens=3, seed=0)
    assert [answer.text for answer in found] == list(samples.texts)
    assert [answer.ended for answer in found].count(False) == samples.unfinished


def test_a_request_is_the_last_thing_that_is_asked():
    assert with_request(ROLL, "Roll ten.") == [*ROLL, {"role": "input", "content": "Roll ten."}]
    assert with_request(TOSS, "Toss ten.") == [TOSS[0], {"role": "input", "content": "first\n\nToss ten."}]
