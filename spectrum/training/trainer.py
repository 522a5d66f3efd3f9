"""TRL's `SFTTrainer`, with the LM head computed only where a token is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from spectrum.lm_head import scored_positions
from spectrum.training.collator import IGNORED, SpectrumCollator
from spectrum.tree_attention import tree_inputs


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
        plain_model = self.accelerator.unwrap_model(model)
        if "parents" in inputs:
            trained, sources = labels != IGNORED, inputs.pop("sources")
            inputs |= tree_inputs(inputs.pop("parents"), plain_model)
        else:
            labels = nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
            trained, sources = labels != IGNORED, torch.arange(labels.shape[1], device=labels.device).expand_as(labels)
        lines = sources + torch.arange(len(labels), device=labels.device)[:, None] * inputs["input_ids"].shape[1]
        scored, lines = torch.unique(lines[trained], return_inverse=True)
        positions = torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
        positions.view(-1)[scored] = True
        with scored_positions(plain_model, positions):
            outputs = model(**inputs, use_cache=False)
        logits = outputs.logits.float()
        total = (logits.logsumexp(-1)[lines] - logits[lines, labels[trained]]).sum()
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
