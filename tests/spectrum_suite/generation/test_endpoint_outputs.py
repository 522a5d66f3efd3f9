"""Outputs inside sequences get the same numbers from a server as from the model itself."""

import pytest
import torch

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.endpoint.client import Endpoint
from spectrum_suite.generation.endpoint.outputs import endpoint_output_logprobs
from spectrum_suite.generation.output_logprobs import output_logprobs
from tests.completions_server import serving
from tests.tiny_models import tiny_model

OPTIONS = ["Heads", "Tails", "It stands"]
COIN = [
    {"role": "description", "content": "A coin."},
    *({"role": "output", "content": side} for side in ("Heads", "Tails", "Heads")),
]
PLAIN = [
    turn
    for given, side in (("1", "Tails"), ("2", "Heads"))
    for turn in ({"role": "input", "content": given}, {"role": "output", "content": side})
]
ALONE = PLAIN[:2]  # nothing to score: no description and a single output


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of):
    return tokenizer_of("llama3")


@pytest.fixture
def served(tokenizer, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(tiny_model("gemma3", len(tokenizer)), tokenizer) as server:
        yield server


@pytest.mark.parametrize("options", [None, OPTIONS])
@pytest.mark.parametrize("name", ["spectrum", "colon"])
def test_equals_the_scores_of_the_model_itself(name, options, served, tokenizer):
    how = {"options": options, "text_format": get_format(name, tokenizer)}
    sequences = [COIN, PLAIN, ALONE]
    found = endpoint_output_logprobs(Endpoint(served.url, "tiny"), tokenizer, sequences, batch_size=4, **how)
    expected = output_logprobs(served.model, tokenizer, sequences, **how)
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.log_probs, theirs.log_probs, atol=1e-4, rtol=0, equal_nan=True)
        assert mine.tokens.tolist() == theirs.tokens.tolist()
        if options:
            torch.testing.assert_close(mine.options, theirs.options, atol=1e-4, rtol=0, equal_nan=True)
    sent = sum(len(body["prompt"]) for _, _, body in served.requests)
    assert sent == (2 + 2 * (3 + 1) if options else 2)  # two sequences; two other options in each of four places
    assert max(len(body["prompt"]) for _, _, body in served.requests) <= 4


def test_each_output_may_have_options_of_its_own(served, tokenizer):
    sides = ["Heads", "Tails"]
    own = [[sides, [], [*sides, "Edge"]]]
    how = {"options": own, "text_format": get_format("spectrum", tokenizer)}
    (found,) = endpoint_output_logprobs(Endpoint(served.url, "tiny"), tokenizer, [COIN], **how)
    (expected,) = output_logprobs(served.model, tokenizer, [COIN], **how)
    torch.testing.assert_close(found.options, expected.options, atol=1e-4, rtol=0, equal_nan=True)
    assert found.options.isfinite().sum() == 2 + 3


def test_a_server_that_echoes_nothing_is_refused(served, tokenizer):
    served.failures.append((200, {"choices": [{"index": 0, "text": "", "finish_reason": "length"}]}))
    with pytest.raises(UserError, match="gave 0 log-probabilities for"):
        endpoint_output_logprobs(Endpoint(served.url, "tiny"), tokenizer, [COIN])
