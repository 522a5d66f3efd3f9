"""TRL's `SFTTrainer`, with the LM head computed only where a token is trained, and checkpoints that are whole."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors import SafetensorError
from torch import nn
from torch.utils.data import DataLoader, Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import TrainOutput, rotate_checkpoints
from trl import SFTTrainer

from spectrum_suite.devices import peak_memory_gib, widest_float
from spectrum_suite.errors import UserError
from spectrum_suite.freed_memory import FreedMemory
from spectrum_suite.layouts import Layout, positions_keep_apart, require
from spectrum_suite.lm_head import scored_positions
from spectrum_suite.training import checkpoints
from spectrum_suite.training.batches import GroupedByLength
from spectrum_suite.training.collator import IGNORED, PACKED_LENGTH, SpectrumCollator
from spectrum_suite.training.counts import RunCounts
from spectrum_suite.training.losses import FrozenHead, logits_are_plain, states_before, token_nll
from spectrum_suite.training.option_terms import option_terms
from spectrum_suite.tree_attention import ROOT, causal_mask, takes, tree_inputs

logger = logging.getLogger(__name__)


class SpectrumTrainer(SFTTrainer):
    """Trains on the batches of a :class:`SpectrumCollator` and counts what it trained on.

    The loss is the mean over all trained tokens of an optimizer step on all processes, in nats, so that a batch of 8, 8
    accumulated batches of 1 and 2 processes with 4 each give the same gradient. Where batches have weights, as those of
    rows with a target do, it is the mean by weight.

    Args:
        data_collator: Makes the batches.
        groups: Names of the groups of tasks, for their losses; rows carry the numbers.
        settings: What decides the outcome of the run; a checkpoint keeps it.
        started: When this session of the run began, as `time.monotonic` has it; by default now.

    Attributes:
        sessions: How often the run was begun or resumed.
        options: The other arguments of `SFTTrainer`.
    """

    def __init__(
        self,
        *,
        data_collator: SpectrumCollator,
        groups: Sequence[str] = ("all",),
        settings: dict[str, Any] | None = None,
        started: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data_collator=data_collator, **options)
        self.add_callback(_EpochSeeds(data_collator))
        if self.args.device.type == "cpu":
            self.add_callback(_FreesMemory())
        text_config = self.accelerator.unwrap_model(self.model).config.get_text_config()
        if hasattr(text_config, "output_router_logits"):
            text_config.output_router_logits = False  # the loss has no term for it, and masks of trees are not for it
        self._loss_shifts_labels = False  # our first label is a target in a tree, and ignored everywhere else
        self.counts = RunCounts(groups, self.accelerator)
        self.settings = settings or {}
        self.sessions = 1
        self._started = time.monotonic() if started is None else started
        self._seconds_before = 0.0
        self._logits_are_plain: bool | None = None
        self._packed_by_mask: bool | None = None
        self._tree_workers: dict[str, Any] | None = None

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler[int]:
        """Rows of similar length together, over the whole step of the optimizer on all processes."""
        rows = self.train_dataset if train_dataset is None else train_dataset
        step = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return GroupedByLength(
            rows, self.data_collator, batch_size=step, seed=self.args.seed, workers=self._tree_workers
        )

    def get_train_dataloader(self) -> DataLoader:
        """Batches of the rows; trees are made by workers as they are measured, and put into batches here."""
        given = self.args
        if not (self.data_collator.trees and given.dataloader_num_workers):
            return super().get_train_dataloader()
        self._tree_workers = {
            "num_workers": given.dataloader_num_workers,
            "prefetch_factor": given.dataloader_prefetch_factor,
            "multiprocessing_context": given.dataloader_multiprocessing_context,
        }
        self.args = copy(given)
        self.args.dataloader_num_workers = 0
        self.args.dataloader_prefetch_factor = self.args.dataloader_multiprocessing_context = None
        try:
            return super().get_train_dataloader()
        finally:
            self.args = given

    def train(self, resume_from_checkpoint: str | None = None, **options: Any) -> TrainOutput:
        """Train, from the beginning or from a complete checkpoint."""
        shutil.rmtree(Path(self.args.output_dir, checkpoints.WRITING), ignore_errors=True)
        if resume_from_checkpoint:
            kept = checkpoints.read(Path(resume_from_checkpoint))
            self.counts.load(kept["counts"])
            self.sessions, self._seconds_before = kept["sessions"] + 1, kept["seconds"]
        return super().train(resume_from_checkpoint=resume_from_checkpoint, **options)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Any]:
        """Cross-entropy of the trained tokens, summed by weight and divided by their weight in the optimizer step."""
        plain_model = self.accelerator.unwrap_model(model)
        inputs = self._laid_out(inputs, plain_model)
        seen, run = inputs["attention_mask"].sum(), inputs["input_ids"].numel()
        labels, groups, weights = inputs.pop("labels"), inputs.pop("groups"), inputs.pop("weights", None)
        options = [inputs.pop(name, None) for name in ("option_steps", "option_draws", "option_ordered")]
        if "sources" in inputs:
            trained, sources = labels != IGNORED, inputs.pop("sources")
        else:
            labels, groups = labels[:, 1:], groups[:, 1:]
            trained, sources = labels != IGNORED, torch.arange(labels.shape[1], device=labels.device).expand_as(labels)
        if "parents" in inputs:
            inputs |= tree_inputs(inputs.pop("parents"), plain_model)
        elif "position_ids" in inputs or not takes(plain_model, "attention_mask"):
            inputs.pop("attention_mask")  # transformers separates packed sequences by their positions
        else:
            inputs["attention_mask"] = causal_mask(inputs["input_ids"])
        rows = torch.arange(len(labels), device=labels.device)[:, None]
        places = (sources + rows * inputs["input_ids"].shape[1])[trained]
        scored, position_index = torch.unique(places, return_inverse=True)
        positions = torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
        positions.view(-1)[scored] = True
        if return_outputs or not (head := self._frozen_head(plain_model)):
            with scored_positions(plain_model, positions):
                outputs = model(**inputs, use_cache=False)
            nats = token_nll(outputs.logits.float(), position_index, labels[trained])
        else:
            with states_before(plain_model.get_output_embeddings(), positions) as found:
                outputs = model(**inputs, use_cache=False)
            nats = head.token_nll(found[0], position_index, labels[trained])
        extra = self._option_terms(nats, options, trained)
        nats, weights = _weighed(nats, weights, trained)
        if model.training:
            self.counts.add(nats, groups[trained], seen=seen, run=run, weights=weights)
        if num_items_in_batch is None:
            loss = _mean(nats, weights) if extra is None else (nats.sum() + extra) / weights.sum()
        else:  # the tokens of all processes, over which gradients are averaged
            total = nats.sum() if extra is None else nats.sum() + extra
            loss = total / num_items_in_batch * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def _option_terms(
        self, nats: torch.Tensor, options: list[torch.Tensor | None], trained: torch.Tensor
    ) -> torch.Tensor | None:
        """The terms on the distribution over options, where the collator asks for them."""
        steps, draws, ordered = options
        if steps is None:
            return None
        rank = trained.flatten().cumsum(0) - 1
        steps = torch.where(steps < 0, steps, rank[steps.clamp(min=0)])
        return option_terms(nats, steps, draws, ordered, self.data_collator.terms)

    def _get_num_items_in_batch(
        self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device
    ) -> torch.Tensor | int | None:
        """What the loss of an optimizer step is divided by: its trained tokens on all processes, by their weight."""
        items = super()._get_num_items_in_batch(batch_samples, device)
        if items is None or "weights" not in batch_samples[0]:
            return items
        exact = widest_float(device)
        weight = torch.stack([batch["weights"].to(device, exact).sum() for batch in batch_samples]).sum()
        if self.args.world_size > 1:
            weight = self.accelerator.gather(weight).sum()
        return weight.float() / (self.get_tp_size() * self.get_cp_size() * self.get_sp_size())

    def _laid_out(self, inputs: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
        """A batch as the model keeps its sequences apart.

        Raises:
            UserError: It does not.
        """
        if self._packed_by_mask is None:
            self._packed_by_mask = self._needs_masks(model)
        if "position_ids" in inputs and self._packed_by_mask:
            inputs["parents"] = parents_of_packed(inputs.pop("position_ids"))
        if "position_ids" in inputs and "flash" in model.config._attn_implementation:
            return in_one_line(inputs)
        if "position_ids" in inputs or "parents" in inputs:
            # padding that attends to itself alone: the zeros of a padding token's embedding can have no gradient there
            ids, kept = inputs["input_ids"], inputs["attention_mask"].bool()
            inputs["input_ids"] = torch.where(kept, ids, ids[:, :1])
        return inputs

    @torch.no_grad()
    def _needs_masks(self, model: nn.Module) -> bool:
        """Whether packed sequences have to be separated by masks.

        Raises:
            UserError: The model does not keep apart what the collator lays out together.
        """
        collator = self.data_collator
        longest = max(collator.max_length, PACKED_LENGTH) if collator.trees else collator.max_length
        autocast = torch.bfloat16 if self.args.bf16 else torch.float16 if self.args.fp16 else None
        with _without_dropout(model):
            if collator.trees:
                option = "--objective distribution" if collator.targets else "--branching"
                require(model, Layout.TREE, longest, option=option, autocast=autocast)
                return False
            if not collator.packing:
                require(model, Layout.PADDED, longest, option="training in padded batches", autocast=autocast)
                return False
            if not (reason := positions_keep_apart(model, longest, autocast=autocast)):
                return False
            try:
                require(model, Layout.TREE, longest, option="--packing true", autocast=autocast)
            except UserError as error:
                raise UserError(f"{error} (with masks; with positions alone, {reason})") from error
            logger.info("packed sequences are separated by masks: with positions alone, %s", reason)
            return True

    def _frozen_head(self, model: nn.Module) -> FrozenHead | None:
        """The head from whose states a loss can be computed at once; None where the model changes its logits.

        None, too, with several processes: what averages their gradients has to see the head in the forward pass.
        """
        if self.accelerator.num_processes > 1:
            return None
        head = FrozenHead.of(model.get_output_embeddings())
        if head is not None and self._logits_are_plain is None:
            self._logits_are_plain = logits_are_plain(model)
        return head if self._logits_are_plain else None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs the loss by group, the tokens and the memory with the rest; the last line is about all sessions.

        Raises:
            UserError: The loss is not a finite number.
        """
        if "loss" in logs and self.counts.pending:
            logs |= self.counts.line()
            if not math.isfinite(logs["loss"]):
                raise UserError(
                    f"the loss is {logs['loss']} at step {self.state.global_step}: lower --learning_rate, clip with "
                    "--max_grad_norm, or train in another --dtype"
                )
            logs["memory_gib"] = peak_memory_gib(self.args.device)
        if "train_loss" in logs:  # of this session alone, and 0 where nothing was left to train
            share = logs["train_runtime"] / self.seconds()
            logs |= {"train_loss": self.counts.totals()["train_loss"], "train_runtime": round(self.seconds(), 4)}
            logs["train_samples_per_second"] = round(logs["train_samples_per_second"] * share, 3)
            logs["train_steps_per_second"] = round(logs["train_steps_per_second"] * share, 3)
        super().log(logs, start_time)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Leave the card to whoever has the report; TRL would write a stub."""

    def seconds(self) -> float:
        """How long the run has taken: this session, and what earlier ones had taken up to their checkpoint."""
        return self._seconds_before + time.monotonic() - self._started

    def _save_checkpoint(self, model: nn.Module, trial: None) -> None:
        """Write a checkpoint apart and give it its name when it is whole; training continues when that fails."""
        folder = Path(self.args.output_dir, checkpoints.WRITING)
        target = Path(self.args.output_dir, f"checkpoint-{self.state.global_step}")
        run = {
            "settings": self.settings,
            "counts": self.counts.state(),
            "sessions": self.sessions,
            "seconds": round(self.seconds(), 3),
        }
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                checkpoints.finish(folder / target.name, target, run)
                rotate_checkpoints(output_dir=self.args.output_dir, save_total_limit=self.args.save_total_limit)
        except (OSError, RuntimeError, SafetensorError) as error:  # torch raises a RuntimeError where a disk is full
            reason = str(error).strip().splitlines()[0]
            logger.warning("%s could not be written, training continues without it: %s", target.name, reason)
        if self.args.should_save:
            shutil.rmtree(folder, ignore_errors=True)

    def _get_output_dir(self, trial: None) -> str:
        """Where the next checkpoint is written."""
        return str(Path(self.args.output_dir, checkpoints.WRITING))


def _weighed(
    nats: torch.Tensor, weights: torch.Tensor | None, trained: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The loss of each target times its weight, and the weights of the targets, where a batch has any."""
    if weights is None:
        return nats, None
    of_targets = weights[trained]
    return nats * of_targets, of_targets


def _mean(nats: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    return nats.mean() if weights is None else nats.sum() / weights.sum()


@contextmanager
def _without_dropout(model: nn.Module) -> Iterator[None]:
    """Within, modules are in eval mode, but not those with quantized weights, which bitsandbytes would then repack."""
    before = {module: module.training for module in model.modules()}
    for module, training in before.items():
        module.training = training and getattr(getattr(module, "weight", None), "quant_state", None) is not None
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def parents_of_packed(positions: torch.Tensor) -> torch.Tensor:
    """The index of the token before each one in its sequence, -1 where a sequence begins and for padding.

    Args:
        positions: (lines, length), of each token in its sequence; 0 for padding.
    """
    before = torch.arange(-1, positions.shape[1] - 1, device=positions.device).expand_as(positions)
    return torch.where(positions == 0, ROOT, before)


def in_one_line(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A packed batch as one line without padding, as attention of variable length wants it: shape (1, tokens)."""
    kept = batch["attention_mask"].bool()
    return {name: value[kept][None] for name, value in batch.items()}


class _EpochSeeds(TrainerCallback):
    """Tells the collator which epoch begins."""

    def __init__(self, collator: SpectrumCollator) -> None:
        self.collator = collator

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        self.collator.set_epoch(int(state.epoch or 0))


class _FreesMemory(TrainerCallback):
    """Gives back what steps have freed."""

    def __init__(self) -> None:
        self.freed = FreedMemory()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        self.freed.after_batch()
