"""Losses and gradients are those of `torch.nn.functional.cross_entropy`, with less memory."""

import torch
from torch.nn.functional import cross_entropy

from spectrum_suite.training.losses import token_nll

LINES = torch.tensor([0, 0, 2, 3, 3, 3, 150])
TARGETS = torch.tensor([5, 5, 1, 0, 9, 4, 7])


def test_losses_and_gradients_are_those_of_cross_entropy():
    torch.manual_seed(0)
    hidden, head = torch.randn(151, 6, requires_grad=True), torch.randn(10, 6, requires_grad=True)
    weights = torch.rand(len(TARGETS))
    found = []
    for ours in (False, True):
        logits = torch.tanh(hidden @ head.T) * 5
        nats = token_nll(logits, LINES, TARGETS) if ours else cross_entropy(logits[LINES], TARGETS, reduction="none")
        found.append((nats.detach(), *torch.autograd.grad((nats * weights).sum(), (hidden, head))))
    for ours, plain in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, plain)
