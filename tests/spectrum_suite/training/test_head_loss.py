"""The loss from the states in front of a head is the cross-entropy of its logits, and so are the gradients."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from spectrum_suite.training import losses
from spectrum_suite.training.losses import FrozenHead, logits_are_plain, states_before

LINES = torch.tensor([0, 0, 2, 3, 3, 3, 4])
TARGETS = torch.tensor([5, 5, 21, 0, 9, 4, 7])
REPLACED = torch.tensor([4, 9])


def by_the_book(states, rows, weight):
    logits = (states @ weight.T).index_copy(-1, REPLACED, states @ rows.T)
    return cross_entropy(logits[LINES], TARGETS, reduction="none")


def in_pieces(states, rows, weight):
    return FrozenHead(weight, REPLACED, rows).token_nll(states, LINES, TARGETS)


@pytest.mark.parametrize("piece", [1, 3, 22, 100])  # the vocabulary has 22 tokens
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_losses_and_gradients_are_those_of_cross_entropy(monkeypatch, piece, scale):
    monkeypatch.setattr(losses, "PIECE", piece)
    torch.manual_seed(0)
    weight, weights = torch.randn(22, 6), torch.rand(len(TARGETS))
    found = []
    for nats_of in (by_the_book, in_pieces):
        torch.manual_seed(1)
        states, rows = (scale * torch.randn(5, 6)).requires_grad_(), torch.randn(2, 6, requires_grad=True)
        nats = nats_of(states, rows, weight)
        found.append((nats.detach(), *torch.autograd.grad((nats * weights).sum(), (states, rows))))
    for plain, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain)


def test_losses_in_16_bits_are_near_those_in_32():
    torch.manual_seed(0)
    weight, states = torch.randn(22, 6), torch.randn(5, 6)
    head = FrozenHead(weight.bfloat16(), torch.empty(0, dtype=torch.long), weight.new_empty(0, 6))
    nats = head.token_nll(states.bfloat16(), LINES, TARGETS)
    assert nats.dtype == torch.float32
    exact = cross_entropy((states @ weight.T)[LINES], TARGETS, reduction="none")
    torch.testing.assert_close(nats, exact, atol=0.05, rtol=0.02)


def test_a_head_that_is_trained_biased_or_of_another_kind_is_left_alone():
    frozen = nn.Linear(6, 22, bias=False).requires_grad_(False)
    assert FrozenHead.of(frozen).weight is frozen.weight
    assert FrozenHead.of(nn.Linear(6, 22, bias=False)) is None
    assert FrozenHead.of(nn.Linear(6, 22).requires_grad_(False)) is None
    assert FrozenHead.of(nn.Sequential(frozen)) is None


def test_models_that_change_their_logits_are_found_out(tiny_model):
    model = tiny_model("gemma3")
    assert logits_are_plain(model)
    model.config.final_logit_softcapping = 0.5
    assert not logits_are_plain(model)


def test_looking_at_logits_draws_nothing(tiny_model):
    model = tiny_model("gemma3").train()
    model.model.layers[0].mlp.down_proj = nn.Sequential(model.model.layers[0].mlp.down_proj, nn.Dropout(0.5))
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    logits_are_plain(model)
    assert torch.equal(torch.rand(3), expected)


def test_states_are_those_that_the_head_would_be_given(tiny_model):
    model = tiny_model("gemma3")
    ids, positions = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[True, False, True], [False, True, False]])
    head = model.get_output_embeddings()
    with torch.no_grad():
        with states_before(head, positions) as [*nothing]:
            assert nothing == []
        with states_before(head, positions) as found:
            assert model(input_ids=ids).logits.numel() == 0
        torch.testing.assert_close(head(found[0]), model(input_ids=ids).logits[positions])
