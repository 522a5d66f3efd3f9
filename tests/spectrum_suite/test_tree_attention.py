"""Masks of trees are what their definition says, and where a causal one does none is spelled out."""

import random

import pytest
import torch

from spectrum_suite.generation import logprobs
from spectrum_suite.generation.logprobs import option_logprobs
from spectrum_suite.live_memory import LiveMemory
from spectrum_suite.tree_attention import ROOT, TokenTree, tree_inputs
from tests.squares import Squares
from tests.tiny_models import WINDOW, tiny_model


def grown(seed, tokens, *, forks):
    """The parents of random tokens: some follow any token before them, or none, and the others the one before."""
    draw = random.Random(seed)
    return [draw.randrange(-1, index) if draw.random() < forks else index - 1 for index in range(tokens)]


def texts_of(parents):
    """For each token the indices of the tokens of its text, itself the last."""
    found = []
    for index, parent in enumerate(parents):
        found.append([*(found[parent] if parent != ROOT else []), index])
    return found


@pytest.mark.parametrize("forks", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("architecture", ["llama", "gemma3", "mistral"])
def test_a_token_attends_to_its_text_and_within_the_window(architecture, forks):
    model, length = tiny_model(architecture, 30), 40
    rows = [grown(seed, length - 5, forks=forks) + [ROOT] * 5 for seed in range(4)]
    inputs = tree_inputs(torch.tensor(rows), model)
    expected = {kind: torch.zeros(len(rows), 1, length, length, dtype=torch.bool) for kind in ("full", "sliding")}
    for row, parents in enumerate(rows):
        for index, text in enumerate(texts_of(parents)):
            expected["full"][row, 0, index, text] = True
            expected["sliding"][row, 0, index, text[-WINDOW:]] = True
            assert inputs["position_ids"][row, index] == len(text) - 1
    masks = inputs["attention_mask"]
    if architecture == "gemma3":
        assert torch.equal(masks["full_attention"], expected["full"])
        assert torch.equal(masks["sliding_attention"], expected["sliding"])
    else:
        assert torch.equal(masks, expected["sliding" if architecture == "mistral" else "full"])


@pytest.mark.parametrize("length", [WINDOW - 1, WINDOW, WINDOW + 1])
def test_a_window_that_holds_whole_rows_has_no_mask_of_its_own(length):
    masks = tree_inputs(torch.tensor([grown(0, length, forks=0.2)]), tiny_model("gemma3", 30))["attention_mask"]
    shared = masks["full_attention"].data_ptr() == masks["sliding_attention"].data_ptr()
    assert shared == (length <= WINDOW)


def test_building_a_mask_takes_a_few_bytes_for_each_of_its_entries():
    length = 300
    parents = torch.tensor([grown(1, length, forks=0.1)])
    with LiveMemory() as live:
        tree_inputs(parents, tiny_model("gemma3", 30))
    assert live.peak < 5 * length**2


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_long_prompts_are_scored_without_a_mask_of_the_square_of_their_length(tokenizer_of, monkeypatch, architecture):
    monkeypatch.setattr(logprobs, "MAX_SHARED_TOKENS", 8)  # tokens from which on a prompt is a long one
    tokenizer = tokenizer_of("chatml")
    model = tiny_model(architecture, len(tokenizer))
    prompts = [f"{count} " + "One of a few sides comes up. " * count for count in (2, 3, 4)]
    letters = [["a", "b"]] * len(prompts)
    alone = [option_logprobs(model, tokenizer, [prompt], letters[:1])[0] for prompt in prompts]
    option_logprobs(model, tokenizer, prompts, letters)  # what is found out about the model, for rows of that length
    passes = []
    model.register_forward_pre_hook(lambda *given: passes.append(given[2]["input_ids"]), with_kwargs=True)
    with Squares(len(tokenizer(prompts[-1]).input_ids)) as squares:
        found = option_logprobs(model, tokenizer, prompts, letters)
    assert [tuple(tokens.shape) for tokens in passes] == [(3, squares.length)]
    assert not squares.made
    for mine, other in zip(found, alone, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=0)


def test_the_square_of_a_tree_is_seen_by_the_same_test(tokenizer_of):
    tokenizer = tokenizer_of("chatml")
    model, tree = tiny_model("llama", len(tokenizer)), TokenTree()
    tree.extend(tree.extend(ROOT, range(20)), range(5))
    tree.extend(19, range(5, 9))
    with Squares(len(tree.ids)) as squares:
        model(input_ids=torch.tensor([tree.ids]), **tree_inputs(torch.tensor([tree.parents]), model))
    assert squares.made
