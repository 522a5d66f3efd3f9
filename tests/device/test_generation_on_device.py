"""Scores and samples on an accelerator are the CPU's, and the host waits for it no more often than it must."""

import pytest
import torch

from spectrum_suite import lm_head
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation import sample as sampling
from spectrum_suite.generation.logprobs import option_logprobs
from spectrum_suite.generation.output_logprobs import output_logprobs
from spectrum_suite.generation.respond import respond
from spectrum_suite.generation.rule_adapter import Rules
from spectrum_suite.generation.sample import rule_adapter, sample
from spectrum_suite.generation.table import option_table
from spectrum_suite.layouts import proof_of
from tests.device.conftest import MISTAKES

COIN = [{"role": "description", "content": "A coin is tossed."}]
URN = [{"role": "description", "content": "An urn has 6 red and 4 blue balls, and one is drawn."}]
DRAWS = [*COIN, *({"role": "output", "content": text} for text in ("Heads", "Tails", "Heads"))]


@pytest.fixture
def tokenizer(tokenizer_of):
    return tokenizer_of("chatml")


def shown_by(model):
    """What was found out about a model: what fails on the device is refused there, and goes a slower way."""
    proof = proof_of(model)
    return proof.layout, set(proof.refusals), proof.caches, proof.responses


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "mistral", "bloom"])
def test_option_scores_are_those_of_the_cpu(pair, tokenizer, architecture, device):
    here, there = pair(architecture)
    options = [["Heads", "Tails", "Heads or tails"], ["red", "blue"]]
    expected = option_logprobs(here, tokenizer, [COIN, URN], options)
    device.clear()
    found = option_logprobs(there, tokenizer, [COIN, URN], options)
    for mine, other in zip(found, expected, strict=True):
        assert mine.device.type == "cpu"
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=0)
    assert shown_by(there) == shown_by(here)


def waits_of_scoring(model, tokenizer, device):
    """How often the host waits while it scores two options, and thirty."""
    many = [f"side {number}" for number in range(30)]
    option_logprobs(model, tokenizer, [COIN], [many])  # what is proven once of a model, for rows of that length
    waits = []
    for options in (["Heads", "Tails"], many):
        device.clear()
        option_logprobs(model, tokenizer, [COIN], [options])
        waits.append(device.waits)
    return waits


def test_scoring_waits_once_a_pass(pair, tokenizer, device):
    waits = waits_of_scoring(pair("llama")[1], tokenizer, device)
    assert waits[0] == waits[1] <= 4


def test_a_wait_for_each_token_of_scoring_would_show(pair, tokenizer, device, monkeypatch):
    plant(monkeypatch, lambda logits: logits + 0 * sum(row[0].item() for row in logits))
    waits = waits_of_scoring(pair("llama")[1], tokenizer, device)
    assert waits[1] > waits[0]


def plant(monkeypatch, mistake):
    """Logits go through a mistake before they become log-probabilities."""
    plain = lm_head.chosen_log_probs
    monkeypatch.setattr(lm_head, "chosen_log_probs", lambda logits, *more: plain(mistake(logits), *more))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_scoring_would_show(pair, tokenizer, monkeypatch, name):
    mistake, said = MISTAKES[name]
    plant(monkeypatch, mistake)
    here, there = pair("llama")
    for model in (here, there):
        option_logprobs(model, tokenizer, [COIN], [["Heads", "Tails"]])
    assert shown_by(there) != shown_by(here)
    assert any(said in reason for reason in proof_of(there).refusals.values())


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "bloom"])
def test_output_scores_are_those_of_the_cpu(pair, tokenizer, architecture):
    here, there = pair(architecture)
    (expected,), (found,) = (output_logprobs(model, tokenizer, [DRAWS]) for model in (here, there))
    torch.testing.assert_close(torch.tensor(found.log_probs.tolist()), torch.tensor(expected.log_probs.tolist()))


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "bloom"])
@pytest.mark.parametrize("rules", [False, True])
def test_samples_are_those_of_the_cpu(pair, tokenizer, architecture, rules):
    found = []
    for model in pair(architecture):
        adapter = rule_adapter(model, tokenizer, None, Rules()) if rules else None
        found.append((sample(model, tokenizer, [COIN, URN], 6, max_new_tokens=8, seed=1, rules=adapter), model))
    (there, _), (here, _) = found
    assert there == here
    assert len({str(shown_by(model)) for _, model in found}) == 1


def waits_of_a_token(model, tokenizer, device):
    """How often the host waits for the next token of six samples."""
    sample(model, tokenizer, [COIN], 1, max_new_tokens=2, seed=1)
    waits = []
    for size in (8, 16):
        device.clear()
        sample(model, tokenizer, [COIN], 6, max_new_tokens=size, seed=1)
        waits.append(device.waits)
    return (waits[1] - waits[0]) / 8


def test_sampling_waits_once_a_token(pair, tokenizer, device):
    assert waits_of_a_token(pair("llama")[1], tokenizer, device) <= 3


def test_a_wait_for_each_sample_would_show(pair, tokenizer, device, monkeypatch):
    plain = sampling.draw_tokens
    monkeypatch.setattr(
        sampling, "draw_tokens",
        lambda logits, *more: plain(logits + 0 * sum(row[0].item() for row in logits), *more),
    )  # fmt: skip
    assert waits_of_a_token(pair("llama")[1], tokenizer, device) > 3


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_sampling_would_show(pair, tokenizer, monkeypatch, name):
    mistake, said = MISTAKES[name]
    plain = sampling.draw_tokens
    monkeypatch.setattr(sampling, "draw_tokens", lambda logits, *more: plain(mistake(logits), *more))
    with pytest.raises((RuntimeError, TypeError), match=said):
        sample(pair("llama")[1], tokenizer, [COIN], 2, max_new_tokens=2, seed=1)


def test_tables_and_greedy_responses_are_those_of_the_cpu(pair, tokenizer):
    here, there = pair("llama")
    assert option_table(there, tokenizer, COIN, ["Heads", "Tails"]).mass == pytest.approx(
        option_table(here, tokenizer, COIN, ["Heads", "Tails"]).mass, abs=1e-6
    )
    text_format = get_format("spectrum", tokenizer)
    assert respond(there, tokenizer, [COIN], text_format=text_format, max_new_tokens=5) == respond(
        here, tokenizer, [COIN], text_format=text_format, max_new_tokens=5
    )
