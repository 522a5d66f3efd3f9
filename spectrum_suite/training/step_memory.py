"""The memory that training takes, counted before the model is loaded on a step whose tensors have no content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from datasets import Dataset
from peft import get_peft_model
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, TrainingArguments
from transformers.training_args import OptimizerNames

from spectrum_suite.live_memory import (
    NF4_BYTES,
    LiveMemory,
    MemoryEstimate,
    converted_bytes,
    inputs_of,
    make_fake,
    shapes_of,
    tensor_bytes,
)
from spectrum_suite.training.adaptation import AdaptationConfig
from spectrum_suite.training.batches import GroupedByLength
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.lora import lora_config
from spectrum_suite.training.losses import PIECE, token_nll
from spectrum_suite.tree_attention import core_model

_STATES: Mapping[str, float] = {"sgd": 0, "adafactor": 0, "8bit": 0.5, "adagrad": 1, "rmsprop": 1, "lion": 1}
"""Part of an optimizer's name -> copies of the trained weights that it keeps; any other keeps Adam's two."""


@dataclass(frozen=True)
class LargestBatch:
    """The shape of a batch.

    Attributes:
        lines: How many there are.
        length: Tokens of a line.
        positions: Tokens from which a trained token is predicted.
        targets: Tokens that are trained.
    """

    lines: int
    length: int
    positions: int
    targets: int

    @classmethod
    def of(cls, rows: Dataset, collator: SpectrumCollator, args: TrainingArguments) -> LargestBatch:
        """The first batch that a device is given, for which the longest rows are chosen."""
        step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        order = GroupedByLength(rows, collator, batch_size=step, seed=args.seed)
        batch = collator([rows[index] for index in islice(order, args.train_batch_size)])
        lines, length = batch["input_ids"].shape
        trained = batch["labels"] != IGNORED
        positions = targets = int(trained.sum())
        if "sources" in batch:
            positions = len(torch.unique((batch["sources"] + torch.arange(lines)[:, None] * length)[trained]))
        return cls(lines, length, positions, targets)


def count_step(
    config: PreTrainedConfig, settings: AdaptationConfig, args: TrainingArguments, batch: LargestBatch
) -> MemoryEstimate:
    """The memory of training a model of this configuration.

    Args:
        config: Of the model; it is not changed.
        settings: How it is adapted.
        args: How it is trained.
        batch: The largest batch.
    """
    device = args.device
    in_4bit = bool(settings.use_peft and settings.load_in_4bit)
    dtype = _dtype(config, settings)
    model = shapes_of(deepcopy(config), dtype, settings.attn_implementation)
    converting = converted_bytes(config, model.parameters(), dtype, in_4bit=in_4bit)
    head = model.get_output_embeddings()
    quantized = [each.weight for each in model.modules() if isinstance(each, nn.Linear) and each is not head]
    quantized = quantized if in_4bit else []
    if in_4bit:  # what is not in four bits is made float32
        packed = set(map(id, quantized))
        for parameter in model.parameters():
            if id(parameter) not in packed:
                parameter.data = parameter.data.float()
    saved = sum(weight.nbytes - weight.numel() * NF4_BYTES for weight in quantized)
    if settings.use_peft:
        model = get_peft_model(model, lora_config(model, settings, ()))
    mode = make_fake(model, device)
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False, "preserve_rng_state": False})
    trained = tensor_bytes([parameter for parameter in model.parameters() if parameter.requires_grad])
    weights = tensor_bytes([*model.parameters(), *model.buffers()]) - saved
    states = next((copies for name, copies in _STATES.items() if name in OptimizerNames(args.optim).value), 2.0)
    with mode:
        if args.gradient_accumulation_steps > 1:  # there are gradients of the batches before
            for parameter in model.parameters():
                parameter.grad = torch.empty_like(parameter) if parameter.requires_grad else None
        step = _peak_of_step(model.train(), args, batch)
        if args.gradient_accumulation_steps > 1:
            step += trained
    step += max((weight.numel() * dtype.itemsize for weight in quantized), default=0)  # one of them, made whole
    return MemoryEstimate.of(
        device, converting=converting, weights=weights, optimizer=states * trained, step=step, in_4bit=in_4bit
    )


def _dtype(config: PreTrainedConfig, settings: AdaptationConfig) -> torch.dtype:
    """In which the weights are loaded that are not in four bits."""
    named = settings.dtype if settings.dtype not in (None, "auto") else config.dtype
    return named if isinstance(named, torch.dtype) else getattr(torch, named or "float32")


def _peak_of_step(model: PreTrainedModel, args: TrainingArguments, batch: LargestBatch) -> int:
    """Bytes that live at the peak of a forward and a backward pass, weights and the gradients from before left out."""
    plain, device = core_model(model), args.device
    head = plain.get_output_embeddings()
    in_pieces = device.type == "cpu" and not head.weight.requires_grad
    places = torch.zeros(batch.positions, dtype=torch.long, device=device)
    index = torch.zeros(batch.targets, dtype=torch.long, device=device)
    inputs = inputs_of(model, batch.lines, batch.length)
    autocast = torch.bfloat16 if args.bf16 else torch.float16
    known = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters() if p.grad is not None)]
    with (
        LiveMemory(known) as live,
        _seen_by(head, places, alone=in_pieces) as states,
        torch.autocast(device.type, autocast, enabled=bool(args.bf16 or args.fp16)),
    ):
        logits = model(**inputs).logits
        if in_pieces:
            nats = _HeadInPieces.apply(states.pop(), head.weight, batch.targets)
        else:
            nats = token_nll(logits.float(), index, index)
        del logits
        nats.sum().backward()
    return live.peak


@contextmanager
def _seen_by(head: nn.Module, places: torch.Tensor, *, alone: bool) -> Iterator[list[torch.Tensor]]:
    """Within, a head is given the states at some places; with ``alone`` it leaves them in the list and does nothing."""
    found: list[torch.Tensor] = []
    compute = head.forward

    def forward(states: torch.Tensor) -> torch.Tensor:
        chosen = states.flatten(0, 1)[places]
        if not alone:
            return compute(chosen)
        found.append(chosen)
        return states.new_empty(0)

    head.forward = forward
    try:
        yield found
    finally:
        del head.forward


class _HeadInPieces(torch.autograd.Function):
    """Makes what :class:`spectrum_suite.training.losses.FrozenHead` makes, but looks at no content."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, weight: torch.Tensor, targets: int) -> torch.Tensor:
        rows = states.new_empty(states.shape, dtype=torch.float32)
        ctx.save_for_backward(states, weight, rows / 1)
        ctx.targets = targets
        logits = states.mm(weight[:PIECE].T).float()
        rows.add_(logits.to(weight.dtype).mm(weight[:PIECE]))
        return states.new_empty(targets, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        states, weight, mean = ctx.saved_tensors
        target_rows = weight.new_empty(ctx.targets, weight.shape[1])
        mean.mul_(target_rows.float().mul(gradient[:, None])[:1])
        return mean.to(states.dtype), None, None
