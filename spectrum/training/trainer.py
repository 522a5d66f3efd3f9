"""TRL's `SFTTrainer`, with the LM head computed only where a token is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from spectrum.training.collator import IGNORED, SpectrumCollator


class SpectrumTrainer(SFTTrainer):
    """Trains on the batches of a :class:`SpectrumCollator` and counts what it trained on.

    The loss is the mean over all trained tokens of an optimizer step, in nats, so that a batch of 8 and 8 accumulated
    batches of 1 give the same gradient.
    """

    def __init__(self, *, data_collator: SpectrumCollator, **options: Any) -> None:
        super().__init__(data_collator=data_collator, **options)
        self.add_callback(_EpochSeeds(data_collator))
        self.trained_tokens = 0
        self.seen_tokens = 0

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Any]:
        """Cross-entropy of the trained tokens, summed and divided by their number in the whole optimizer step."""
        labels = inputs.pop("labels")
        targets = nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
        trained = targets != IGNORED
        with scored_positions(self.accelerator.unwrap_model(model), trained):
            outputs = model(**inputs, use_cache=False)
        total = cross_entropy(outputs.logits.float(), targets[trained], reduction="sum")
        if model.training:
            self.trained_tokens += int(trained.sum())
            self.seen_tokens += int(inputs["attention_mask"].sum())
        loss = total / (trained.sum() if num_items_in_batch is None else num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs the trained and the seen tokens beside the loss."""
        if "loss" in logs:
            logs |= {"trained_tokens": self.trained_tokens, "seen_tokens": self.seen_tokens}
        super().log(logs, start_time)


@contextmanager
def scored_positions(model: nn.Module, positions: torch.Tensor) -> Iterator[None]:
    """Within, the LM head of ``model`` sees only ``positions``, so its logits have shape (positions, vocabulary).

    The selection is a copy and thus contiguous, which a CPU needs for speed.

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


class _EpochSeeds(TrainerCallback):
    """Tells the collator which epoch begins."""

    def __init__(self, collator: SpectrumCollator) -> None:
        self.collator = collator

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        self.collator.set_epoch(int(state.epoch or 0))
