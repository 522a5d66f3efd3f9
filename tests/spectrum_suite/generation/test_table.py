"""The table of a prompt's options, for models whose distribution is known."""

import math

import pytest
import torch

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.logprobs import option_logprobs
from spectrum_suite.generation.table import OptionTable, option_table
from tests.tiny_models import tiny_model

MESSAGES = [{"role": "input", "content": "Roll a die."}]


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("llama3")


@pytest.fixture(scope="module")
def uniform(tokenizer):
    """Every token has probability 1 / vocabulary."""
    model = tiny_model("llama", len(tokenizer))
    with torch.no_grad():
        model.lm_head.weight.zero_()
    return model


def test_a_uniform_model(uniform, tokenizer):
    found = option_table(uniform, tokenizer, MESSAGES, ["1", "2", "3", "4"])
    assert found.options == ("1", "2", "3", "4")
    assert found.log_probs == pytest.approx([-math.log(len(tokenizer))] * 4, abs=1e-5)
    assert found.probabilities == pytest.approx([0.25] * 4)
    assert found.mass == pytest.approx(4 / len(tokenizer))


def test_what_continues_a_longer_option_counts_once(uniform, tokenizer):
    found = option_table(uniform, tokenizer, "Any", ["a", "a b"])
    size = len(tokenizer)
    assert found.log_probs == pytest.approx([-math.log(size), -2 * math.log(size)], abs=1e-5)
    assert found.probabilities == pytest.approx([1 - 1 / size, 1 / size], rel=1e-4)
    assert found.mass == pytest.approx(1 / size)


@pytest.mark.parametrize("name", ["spectrum", "colon"])
def test_scores_are_those_of_option_logprobs(name, tokenizer):
    model = tiny_model("gemma3", len(tokenizer))
    text_format = get_format(name, tokenizer)
    options = ["red", "blue", "dark blue"]
    found = option_table(model, tokenizer, MESSAGES, options, text_format=text_format)
    (expected,) = option_logprobs(model, tokenizer, [MESSAGES], [options], text_format=text_format)
    assert found.log_probs == tuple(expected.tolist())
    assert found.mass == pytest.approx(expected.exp().sum().item(), rel=1e-5)
    assert sum(found.probabilities) == pytest.approx(1)


def test_options_of_the_same_tokens_are_refused(uniform, tokenizer):
    with pytest.raises(UserError, match="the same tokens"):
        option_table(uniform, tokenizer, "Any", ["a", "a"])


def test_how_it_reads():
    table = OptionTable(("tea", "coffee"), (-1.5, -0.25), (0.125, 0.875), 0.5)
    assert str(table).splitlines() == [
        "option  log-prob  probability",
        "tea       -1.500        0.125  " + "#" * 5,
        "coffee    -0.250        0.875  " + "#" * 35,
        "probability of any of them: 0.500",
    ]
