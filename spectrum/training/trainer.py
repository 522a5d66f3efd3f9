"""TRL's `SFTTrainer`, with the LM head computed only where a token is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from spectrum.lm_head import scored_positions
from spectrum.training.collator import IGNORED, SpectrumCollator
from spectrum.tree_attention import masks_for_model


class SpectrumTrainer(SFTTrainer):
    """Trains on the batches of a :class:`SpectrumCollator` and counts what it trained on.

    The loss is the mean over all trained tokens of an optimizer step, in nats, so that a batch of 8 and 8 accumulated
    batches of 1 give the same gradient.
    """

    def __init__(self, *, data_collator: SpectrumCollator, **options: Any) -> None:
        super().__init__(data_collator=data_collator, **options)
        self.add_callback(_EpochSeeds(data_collator))
        self.add_callback(_TokenCounts(self))
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
        seen = int(inputs["attention_mask"].sum())
        if "branches" in inputs:
            inputs |= branch_inputs(inputs.pop("branches"), self.accelerator.unwrap_model(model))
        targets = nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
        trained = targets != IGNORED
        with scored_positions(self.accelerator.unwrap_model(model), trained):
            outputs = model(**inputs, use_cache=False)
        total = cross_entropy(outputs.logits.float(), targets[trained], reduction="sum")
        if model.training:
            self.trained_tokens += int(trained.sum())
            self.seen_tokens += seen
        loss = total / (trained.sum() if num_items_in_batch is None else num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs the trained and the seen tokens beside the loss."""
        if "loss" in logs:
            logs |= {"trained_tokens": self.trained_tokens, "seen_tokens": self.seen_tokens}
        super().log(logs, start_time)


def branch_inputs(branches: torch.Tensor, model: nn.Module) -> dict[str, Any]:
    """The attention mask and the positions of rows in which several sequences share a description.

    Args:
        branches: (batch, length): 0 for what is shared, 1, 2, ... for the sequences behind it, -1 for padding.
        model: The model that will get them.
    """
    shared = branches == 0
    same = branches[:, :, None] == branches[:, None, :]
    order = torch.ones(branches.shape[1:] * 2, dtype=torch.bool, device=branches.device).tril()
    attends = order & (same | (shared[:, None, :] & (branches >= 0)[:, :, None]))
    positions = attends.sum(-1) - 1
    return {"attention_mask": masks_for_model(attends, positions, model), "position_ids": positions}


class _EpochSeeds(TrainerCallback):
    """Tells the collator which epoch begins."""

    def __init__(self, collator: SpectrumCollator) -> None:
        self.collator = collator

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        self.collator.set_epoch(int(state.epoch or 0))


class _TokenCounts(TrainerCallback):
    """Takes the counts of tokens up from the last line of the log when a run goes on from a checkpoint."""

    def __init__(self, trainer: SpectrumTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        counted = [entry for entry in state.log_history if "trained_tokens" in entry]
        if counted:
            self.trainer.trained_tokens = counted[-1]["trained_tokens"]
            self.trainer.seen_tokens = counted[-1]["seen_tokens"]
