"""What to change where training takes more memory than there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import TrainingArguments
from trl import ModelConfig

from spectrum_suite.errors import UserError


@contextmanager
def explain_out_of_memory(args: TrainingArguments, max_length: int) -> Iterator[None]:
    """Turn running out of memory into a UserError that says what to change, the cheapest thing first."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise UserError(f"out of memory: {remedy(args, max_length)}") from error


def _is_out_of_memory(error: BaseException) -> bool:
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or "can't allocate memory" in str(error) or "not enough memory" in str(error)


def remedy(args: TrainingArguments, max_length: int, settings: ModelConfig | None = None) -> str:
    """What to change so that training takes less memory, the cheapest thing first.

    Args:
        args: How it is trained.
        max_length: Tokens of a sequence, at most.
        settings: How the model is adapted, where that may be changed.
    """
    size, accumulate = args.per_device_train_batch_size, args.gradient_accumulation_steps
    if size > 1:
        fewer = (size + 1) // 2
        return (
            f"lower the batch with --per_device_train_batch_size {fewer} --gradient_accumulation_steps "
            f"{accumulate * size // fewer} (now {size} and {accumulate}), which trains the same"
        )
    if not args.gradient_checkpointing:
        return "turn on --gradient_checkpointing true, which takes a third more time"
    if settings is not None and not settings.use_peft:
        return "train a LoRA adapter instead of all weights with --use_peft true"
    if settings is not None and not settings.load_in_4bit:
        return "keep the base in 4 bits with --load_in_4bit true"
    return f"lower the length with --max_length {max_length // 2} (now {max_length})"
