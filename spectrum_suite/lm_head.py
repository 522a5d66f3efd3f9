"""The LM head, computed only where a token is scored.

With a vocabulary of 262,144 the head costs more than the rest of a small model, and its logits more memory than all
else. Whatever a model does to its logits afterwards (soft caps, scales) still happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers.utils import ModelOutput

HEAD_POSITIONS = 128
"""The LM head runs on at most so many positions at a time (128 x 262,144 logits in float32 are 134 MB)."""

VOCABULARY_PIECE = 1024
"""Rows of the head's weights that a CPU multiplies at a time: few enough to stay in its cache between two products."""

LIKELIEST = -1
"""As a target, stands for whatever token is the likeliest one."""

Adjustment = Callable[[torch.Tensor, int], torch.Tensor]
"""Logits of some scored positions, (positions, vocabulary), and the rank of the first of them -> other logits."""

Choice = Callable[[torch.Tensor], torch.Tensor]
"""Hidden states of shape (batch, length, width) -> those that the LM head is given, (positions, width)."""


class HeadView:
    """A model that shares everything with another but sees its own LM head, which is given chosen hidden states.

    Only the modules on the way to the head are copied, without their weights, so that a view costs next to nothing.
    The model itself is left as it is: threads that share a model each have a view of their own.

    Args:
        model: A causal language model, with or without an adapter.
        in_pieces: Whether a plain head on a CPU multiplies its weights piece by piece. That takes a fifth less time
            for few states, because a product of few with many rows otherwise reads the weights more than once. A head
            of another kind (quantized, adapted, with a bias) computes as it always does.
    """

    def __init__(self, model: nn.Module, *, in_pieces: bool = False) -> None:
        self._choose: Choice | None = None
        self.sees_head = True
        head = model.get_output_embeddings()
        path = next((name for name, module in model.named_modules() if head is not None and module is head), None)
        if path is None:
            self._model = model
            return
        compute = _multiply_in_pieces(head) if in_pieces and _is_plain(head) else head.forward
        own = _shallow_copy(head)

        def forward(states: torch.Tensor) -> torch.Tensor:
            choose, self._choose = self._choose, None
            return compute(states if choose is None else choose(states))

        own.forward = forward
        self._model = _with_module(model, path.split("."), own)

    def __call__(self, choose: Choice, **inputs: Any) -> ModelOutput:
        """Run the model; the logits of what it returns have shape (positions, vocabulary).

        Whatever the model does to its logits (soft caps, scales) is done. Where its head is none of its modules, all
        logits are made and ``choose`` takes from those; ``sees_head`` is False then.
        """
        self._choose = choose
        output = self._model(**inputs)
        if self._choose is not None:
            self._choose, self.sees_head = None, False
            output.logits = choose(output.logits)
        return output


def unwatched(model: nn.Module) -> nn.Module:
    """A model that shares everything with another but the hooks on it and on its head.

    Whatever counts or records what a model runs is not notified of passes that only find out what it can do.
    """
    views = [_without_hooks(model)]
    head = model.get_output_embeddings()
    path = next((name for name, module in model.named_modules() if head is not None and module is head), None)
    if path:
        views.append(_without_hooks(head))
        views[0] = _with_module(views[0], path.split("."), views[1])
    return views[0]


def _without_hooks(module: nn.Module) -> nn.Module:
    copy = _shallow_copy(module)
    for name in ("_forward_hooks", "_forward_pre_hooks"):
        copy.__dict__[name] = type(copy.__dict__[name])()
    return copy


def _shallow_copy(module: nn.Module) -> nn.Module:
    """A module with the same parameters, buffers, hooks and children, whose children can be exchanged.

    A ``forward`` that was put in the place of the class's is left out: it is bound to the original.
    """
    copy = type(module).__new__(type(module))
    copy.__dict__ = {name: value for name, value in module.__dict__.items() if name != "forward"}
    copy.__dict__["_modules"] = dict(module._modules)
    return copy


def _with_module(module: nn.Module, path: list[str], replacement: nn.Module) -> nn.Module:
    """A view of a module in which the one at ``path`` is another."""
    if not path:
        return replacement
    copy = _shallow_copy(module)
    copy._modules[path[0]] = _with_module(module._modules[path[0]], path[1:], replacement)
    return copy


def _is_plain(head: nn.Module) -> bool:
    """Whether a head is a matrix on a CPU and nothing else."""
    return (
        type(head) is nn.Linear
        and head.bias is None
        and head.weight.device.type == "cpu"
        and "forward" not in head.__dict__
    )


def _multiply_in_pieces(head: nn.Linear) -> Choice:
    def multiply(states: torch.Tensor) -> torch.Tensor:
        logits = states.new_empty(len(states), len(head.weight))
        for weights, part in zip(head.weight.split(VOCABULARY_PIECE), logits.split(VOCABULARY_PIECE, -1), strict=True):
            torch.mm(states, weights.T, out=part)
        return logits

    return multiply


@contextmanager
def scored_positions(model: nn.Module, positions: torch.Tensor) -> Iterator[None]:
    """Within, the LM head of ``model`` sees only ``positions``, so its logits have shape (positions, vocabulary).

    It does so in every thread, and is meant for a model that something else calls, as in training; a :class:`HeadView`
    leaves the model as it is. The selection is a copy and thus contiguous, which a CPU needs for speed.

    Args:
        model: A causal language model, with or without an adapter.
        positions: Boolean tensor of shape (batch, length).
    """

    def select(_: nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (arguments[0][positions], *arguments[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def target_log_probs(
    model: nn.Module,
    inputs: dict[str, Any],
    positions: torch.Tensor,
    position_index: torch.Tensor,
    targets: torch.Tensor,
    *,
    adjust: Adjustment | None = None,
) -> torch.Tensor:
    """The log-probability of each target token in nats, with logits for some positions at a time.

    The model is run once and its hidden states are kept. To turn the next of them into logits it is run on a single
    token while its LM head sees them instead, so whatever it does to logits afterwards (soft caps, scales) happens.

    Args:
        model: A causal language model, with or without an adapter.
        inputs: What the model is called with.
        positions: (rows, length), boolean: where the LM head is needed.
        position_index: (targets,), ascending: for each target the rank of the position that predicts it, among
            ``positions``.
        targets: (targets,), token ids.
        adjust: Changes logits before they become probabilities.

    Returns:
        (targets,), on the CPU; NaN where the logits give no probabilities because some of them are NaN or infinite.
    """
    waiting: list[torch.Tensor] = []

    def first_states(states: torch.Tensor) -> torch.Tensor:
        waiting.extend(states[positions].split(HEAD_POSITIONS))
        return waiting.pop(0)

    found: list[torch.Tensor] = []

    def score(logits: torch.Tensor) -> None:
        first = len(found) * HEAD_POSITIONS
        logits = logits.float() if adjust is None else adjust(logits.float(), first)
        found.append(chosen_log_probs(logits, position_index - first, targets))

    view = HeadView(model, in_pieces=True)
    score(view(first_states, **inputs, use_cache=False).logits)
    while waiting:
        if view.sees_head:
            score(view(lambda _: waiting.pop(0), input_ids=inputs["input_ids"][:1, :1], use_cache=False).logits)
        else:
            score(waiting.pop(0))
    return torch.cat(found)


def chosen_log_probs(logits: torch.Tensor, position_index: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The log-probability of those targets whose positions are in ``logits``, (positions, vocabulary).

    A target may be ``LIKELIEST``.
    """
    here = (position_index >= 0) & (position_index < len(logits))
    position_index, targets = position_index[here], targets[here]
    likeliest = (targets == LIKELIEST).nonzero()[:, 0]  # found where the targets are: a device is not waited for
    position_index, targets, device = position_index.to(logits.device), targets.to(logits.device), logits.device
    normalizers = logits.logsumexp(-1)
    normalizers.masked_fill_(~normalizers.isfinite(), torch.nan)  # an infinite logit would make others -inf, not NaN
    chosen = logits[position_index, targets]
    if len(likeliest):
        likeliest = likeliest.to(device)
        chosen[likeliest] = logits.amax(-1)[position_index[likeliest]]
    return (chosen - normalizers[position_index]).cpu()
