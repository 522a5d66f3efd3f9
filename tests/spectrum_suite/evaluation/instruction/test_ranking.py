"""Response ranking against a hand computation, and a model that cannot tell."""

import pytest
import torch

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.instruction.score_instruction import Ranking, random_pairs, rank_responses
from spectrum_suite.formats.render import get_format
from spectrum_suite.lm.local import LocalLM
from tests.tiny_models import tiny_model

CONVERSATIONS = [
    [{"role": "input", "content": f"Question {'x' * n}?"}, {"role": "output", "content": f"{7**n} is {n}"}]
    for n in range(20)
]


def log_prob(model, tokenizer, prompt, response):
    """Of a response after a prompt, from one whole forward pass."""
    before = tokenizer(prompt, add_special_tokens=False).input_ids
    ids = tokenizer(response, add_special_tokens=False).input_ids
    with torch.no_grad():
        logits = model(torch.tensor([before + ids])).logits[0].log_softmax(-1)
    return sum(logits[len(before) - 1 + place, token].item() for place, token in enumerate(ids))


def test_ten_pairs_by_hand(tokenizer_of):
    tokenizer = tokenizer_of("llama3")
    model, text_format = tiny_model("gemma3", len(tokenizer)), get_format("chat", tokenizer)
    lm = LocalLM.of(model, tokenizer, text_format)
    found = rank_responses(lm, CONVERSATIONS, random_pairs(20))
    assert len(found.pairs) == 10
    assert sorted(sum(found.pairs, ())) == list(range(20))
    right = 0
    for (one, two), margins in zip(found.pairs, found.margins, strict=True):
        for own, other, margin in ((one, two, margins[0]), (two, one, margins[1])):
            prompt = text_format.prompt(CONVERSATIONS[own][:1])
            texts = [CONVERSATIONS[index][1]["content"] for index in (own, other)]
            mine, theirs = (log_prob(model, tokenizer, prompt, text) for text in texts)
            assert margin == pytest.approx(mine - theirs, abs=1e-3)
            right += mine > theirs
    assert found.capability == right / 20
    assert found.section()["n"] == 10


def test_a_model_that_cannot_tell_gets_half(tokenizer_of):
    """Its probabilities are those of the last token alone, whatever the instruction."""
    tokenizer = tokenizer_of("llama3")
    model = tiny_model("llama", len(tokenizer))
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.data.zero_()
    lm = LocalLM.of(model, tokenizer, get_format("chat", tokenizer))
    found = rank_responses(lm, CONVERSATIONS, random_pairs(20, seed=3))
    assert found.capability == 0.5
    assert found.section()["ci95"] == [0.5, 0.5]


def test_ties_count_half():
    found = Ranking(((0, 1), (2, 3)), ((1.0, 0.0), (0.0, -2.0)))
    assert found.scores == [0.75, 0.25]
    assert found.capability == 0.5


def test_pairs_depend_on_the_seed_alone():
    assert random_pairs(9, seed=1) == random_pairs(9, seed=1) != random_pairs(9, seed=2)
    assert len(random_pairs(9)) == 4
    assert random_pairs(9, limit=2) == random_pairs(9)[:2]
    with pytest.raises(UserError, match="but there are 1: give more"):
        random_pairs(1)
