"""Which options of the training command are honoured, which are refused, and which do not change the weights.

Every option is one of three: it is refused by name (:data:`REFUSED`), it is known to change no weights
(:data:`HARMLESS`), or it decides the outcome, and a checkpoint of another value is of another run.
"""

from __future__ import annotations

import math
import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spectrum_suite.errors import UserError


@dataclass(frozen=True)
class Range:
    """Numbers that an option takes.

    Attributes:
        low: The least.
        high: The greatest.
        without_low: Whether the least itself is too little.
        without_high: Whether the greatest itself is too much.
        besides: A number outside that means something else.
    """

    low: float = -math.inf
    high: float = math.inf
    without_low: bool = False
    without_high: bool = False
    besides: float | None = None

    def has(self, number: float) -> bool:
        """Whether the number is among them."""
        above = number > self.low if self.without_low else number >= self.low
        below = number < self.high if self.without_high else number <= self.high
        return (above and below) or number == self.besides

    def __str__(self) -> str:
        if self.low == -math.inf:
            return f"a number of at most {self.high:g}"
        if self.high == math.inf:
            return "a number above 0" if self.without_low else f"a number of at least {self.low:g}"
        low = f"above {self.low:g}" if self.without_low else f"from {self.low:g}"
        return f"a number {low} to {'below ' if self.without_high else ''}{self.high:.12g}"


_POSITIVE, _AT_LEAST_0, _AT_LEAST_1 = Range(0, without_low=True), Range(0), Range(1)
_SHARE, _DECAY = Range(0, 1), Range(0, 1, without_high=True)

RANGES: Mapping[str, Range] = {
    "learning_rate": _AT_LEAST_0,
    "num_train_epochs": _POSITIVE,
    "max_steps": Range(1, besides=-1),
    "per_device_train_batch_size": _AT_LEAST_1,
    "gradient_accumulation_steps": _AT_LEAST_1,
    "max_length": _AT_LEAST_1,
    "warmup_steps": _AT_LEAST_0,
    "weight_decay": _AT_LEAST_0,
    "adam_beta1": _DECAY,
    "adam_beta2": _DECAY,
    "adam_epsilon": _AT_LEAST_0,
    "max_grad_norm": _AT_LEAST_0,
    "neftune_noise_alpha": _AT_LEAST_0,
    "seed": Range(0, 2**32 - 1),
    "logging_steps": _POSITIVE,
    "save_steps": _POSITIVE,
    "save_total_limit": _AT_LEAST_1,
    "dataloader_num_workers": _AT_LEAST_0,
    "dataloader_prefetch_factor": _AT_LEAST_1,
    "torch_empty_cache_steps": _AT_LEAST_1,
    "ddp_timeout": _AT_LEAST_1,
    "lora_r": _AT_LEAST_1,
    "lora_alpha": _AT_LEAST_1,
    "lora_dropout": _DECAY,
    "description_dropout": _SHARE,
    "branching": _SHARE,
    "target_draws": _POSITIVE,
    "target_smoothing": _AT_LEAST_0,
    "target_brier": _AT_LEAST_0,
    "target_rps": _AT_LEAST_0,
    "markers_dropout": _SHARE,
    "markers_sample_dropout": _SHARE,
    "data_limit": _AT_LEAST_1,
    "alignment_steps": _AT_LEAST_0,
    "alignment_items": _AT_LEAST_1,
}
"""Option -> the numbers that mean something."""

_NO_EVALUATION = "nothing is evaluated while training: use --alignment_steps, or evaluate_model.py afterwards"
_PUBLISH = "nothing is published while training: use push_to_hub.py afterwards"
_OUTPUTS_ONLY = "the loss is the likelihood of outputs and nothing else; --train_on says of which"
_PACKING = "--packing true shares lines without truncating or mixing, in one way"
_OWN_ROWS = "rows come tokenized from --suite or --data, and their texts from --format"
_OWN_ORDER = "the order of rows comes from --seed, rows of similar length together"
_RESUMED = "a run is resumed to the very same weights, which this would not allow"
_COMPILED = "the loss is computed from states inside the model, which a compiled one does not show"
_DEBUG = "the command does not show what it finds"
_LAUNCHER = "accelerate launch with --config_file says how processes share the work"

REFUSED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "label_smoothing_factor": ((0.0,), _OUTPUTS_ONLY),
    "loss_type": (("nll",), _OUTPUTS_ONLY),
    "completion_only_loss": ((None, True), _OUTPUTS_ONLY),
    "assistant_only_loss": ((False,), _OUTPUTS_ONLY),
    "router_aux_loss_coef": ((None, 0.0), _OUTPUTS_ONLY),
    "average_tokens_across_devices": ((True,), "the loss is the mean over the tokens of all processes"),
    "use_liger_kernel": ((False,), "the loss is computed without the logits that its kernels make"),
    "liger_kernel_config": ((None,), "the loss is computed without the logits that its kernels make"),
    "use_cache": ((False,), "training has no use for a cache of keys and values"),
    "model_init_kwargs": ((None,), "the model is loaded with --dtype, --attn_implementation and --model_revision"),
    "trust_remote_code": ((False,), "code from a Hub is never run"),
    "dataset_text_field": (("text",), _OWN_ROWS),
    "dataset_kwargs": ((None,), _OWN_ROWS),
    "dataset_num_proc": ((None,), _OWN_ROWS),
    "eos_token": ((None,), "the end of a turn is that of --format"),
    "pad_token": ((None,), "padding is masked, whatever the token"),
    "pad_to_multiple_of": ((None, "auto"), "batches are padded to their longest row"),
    "truncation_mode": (("keep_start",), "whole draws are left out where a row is too long, and counted"),
    "shuffle_dataset": ((False,), _OWN_ORDER),
    "remove_unused_columns": ((True,), _OWN_ROWS),
    "label_names": ((None,), _OWN_ROWS),
    "length_column_name": (("length",), _OWN_ORDER),
    "train_sampling_strategy": (("random",), _OWN_ORDER),
    "data_seed": ((None,), "--seed decides everything that is random"),
    "packing_strategy": (("bfd",), _PACKING),
    "padding_free": ((False,), _PACKING),
    "eval_packing": ((None,), _NO_EVALUATION),
    "eval_strategy": (("no",), _NO_EVALUATION),
    "eval_steps": ((None,), _NO_EVALUATION),
    "eval_delay": ((0,), _NO_EVALUATION),
    "per_device_eval_batch_size": ((8,), _NO_EVALUATION),
    "prediction_loss_only": ((False,), _NO_EVALUATION),
    "eval_on_start": ((False,), _NO_EVALUATION),
    "eval_do_concat_batches": ((True,), _NO_EVALUATION),
    "eval_use_gather_object": ((False,), _NO_EVALUATION),
    "eval_accumulation_steps": ((None,), _NO_EVALUATION),
    "include_for_metrics": (([],), _NO_EVALUATION),
    "batch_eval_metrics": ((False,), _NO_EVALUATION),
    "bf16_full_eval": ((False,), _NO_EVALUATION),
    "fp16_full_eval": ((False,), _NO_EVALUATION),
    "load_best_model_at_end": ((False,), _NO_EVALUATION),
    "metric_for_best_model": ((None,), _NO_EVALUATION),
    "greater_is_better": ((None,), _NO_EVALUATION),
    "do_eval": ((False,), _NO_EVALUATION),
    "do_predict": ((False,), _NO_EVALUATION),
    "do_train": ((False,), "the command always trains"),
    "push_to_hub": ((False,), _PUBLISH),
    "hub_token": ((None,), _PUBLISH),
    "hub_private_repo": ((None,), _PUBLISH),
    "hub_model_id": ((None,), _PUBLISH),
    "hub_strategy": (("every_save",), _PUBLISH),
    "hub_always_push": ((False,), _PUBLISH),
    "hub_revision": ((None,), _PUBLISH),
    "save_only_model": ((False,), _RESUMED),
    "ignore_data_skip": ((False,), _RESUMED),
    "torch_compile": ((False,), _COMPILED),
    "torch_compile_backend": ((None,), _COMPILED),
    "torch_compile_mode": ((None,), _COMPILED),
    "restore_callback_states_from_checkpoint": ((False,), "no callback here keeps anything in a checkpoint"),
    "auto_find_batch_size": ((False,), _RESUMED),
    "dataloader_in_order": ((True,), _RESUMED),
    "enable_jit_checkpoint": ((False,), "checkpoints are written every --save_steps"),
    "dataloader_persistent_workers": ((False,), "workers start again with each epoch, whose order they have to know"),
    "accelerator_config": ((None,), _LAUNCHER),
    "parallelism_config": ((None,), _LAUNCHER),
    "local_rank": ((-1,), _LAUNCHER),
    "logging_nan_inf_filter": ((True,), "the log has the loss as it is, and training stops where it is not finite"),
    "debug": (("",), _DEBUG),
    "skip_memory_metrics": ((True,), _DEBUG),
    "lora_modules_to_save": ((None,), "an adapter has low-rank layers and rows of turn tokens; use --use_peft false"),
    "lora_task_type": (("CAUSAL_LM",), "a causal language model is tuned"),
}  # fmt: skip
"""Option -> the values that mean what is done anyway, and why no other can be honoured."""

SEVERAL_PROCESSES = frozenset(
    {
        "ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_static_graph", "ddp_backend",
        "ddp_timeout", "fsdp", "fsdp_config", "log_on_each_node", "log_level_replica", "save_on_each_node",
    }
)  # fmt: skip
"""Options that say how several processes work together, and nothing to one."""

TRACKERS: Mapping[str, frozenset[str]] = {
    "run_name": frozenset({"wandb", "mlflow", "comet_ml", "swanlab", "trackio", "all"}),
    "project": frozenset({"wandb", "trackio", "all"}),
    "trackio_space_id": frozenset({"trackio", "all"}),
    "trackio_bucket_id": frozenset({"trackio", "all"}),
    "trackio_static_space_id": frozenset({"trackio", "all"}),
}
"""Options of trackers -> the values of ``--report_to`` that read them."""

HARMLESS = SEVERAL_PROCESSES | frozenset(TRACKERS) | frozenset(
    {
        # where, and how much is said and kept
        "output_dir", "logging_strategy", "logging_steps", "logging_first_step", "include_num_input_tokens_seen",
        "log_level", "disable_tqdm", "report_to", "save_strategy", "save_steps", "save_total_limit", "merge",
        "alignment_steps", "alignment_items", "resume_from_checkpoint", "chat_template_path",
        # the same rows and weights from another place: their contents are compared
        "suite", "dataset", "split", "columns", "dataset_config", "dataset_revision", "adapter_name_or_path",
        "model_revision",
        # how batches are fetched, and what is kept or computed again to make them fit
        "dataloader_num_workers", "dataloader_pin_memory", "dataloader_prefetch_factor",
        "dataloader_multiprocessing_context", "gradient_checkpointing", "gradient_checkpointing_kwargs",
        "activation_checkpointing", "activation_checkpointing_kwargs", "activation_offloading",
        "torch_empty_cache_steps", "use_cpu", "full_determinism", "deepspeed", "bnb_4bit_quant_storage",
    }
)  # fmt: skip
"""Options that change no weights; all others that are not refused are compared before a run is resumed."""


def check_options(given: Mapping[str, Any], defaults: Mapping[str, Any], flags: Container[str] = ()) -> None:
    """Refuse values that would do nothing or mean nothing.

    Args:
        given: Option -> the value that it was given.
        defaults: Option -> its default.
        flags: Those that were given on the command line itself, and not by a recipe for all its variants.

    Raises:
        UserError: There is one; it is named.
    """
    for name, value in given.items():
        kept, why = REFUSED.get(name, ((value,), ""))
        if value not in kept:
            raise UserError(f"--{name} {_shown(value)} is not honoured: {why}")
        if name in RANGES and value is not None and not RANGES[name].has(value):
            raise UserError(f"--{name} is {value}: give {RANGES[name]}")
    if not given.get("model_name_or_path", defaults.get("model_name_or_path")):
        raise UserError("no model given: use --model_name_or_path with a folder, a Hub id or embedded:gemma-3-270m")
    if "max_length" in given and given["max_length"] is None:
        raise UserError("max_length is empty: give the number of tokens that a row has at most")
    _check_together(given, defaults, flags)


def _check_together(given: Mapping[str, Any], defaults: Mapping[str, Any], flags: Container[str]) -> None:
    """Refuse options that have no effect with the others."""
    changed = {name for name, value in given.items() if value != defaults.get(name)}
    now = {**defaults, **given}
    if now["save_strategy"] == "best":
        raise UserError(f"--save_strategy best is not honoured: {_NO_EVALUATION}")
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        for name in sorted(SEVERAL_PROCESSES & changed):
            raise UserError(f"--{name} is for several processes: start with accelerate launch, or leave it out")
    for name in ("suite", "tasks", "alignment_steps"):
        if now["dataset"] is not None and name in changed and (name in flags or "dataset" not in flags):
            raise UserError(f"--dataset is trained on in place of a suite: leave --{name} out")
    told = set(now["report_to"] if isinstance(now["report_to"], list) else [now["report_to"]])
    for name in changed & TRACKERS.keys():
        if not TRACKERS[name] & told:
            named = ", ".join(sorted(TRACKERS[name] - {"all"}))
            raise UserError(f"--{name} is read by {named} alone: name it with --report_to, or leave --{name} out")
    for name, other, is_on in _needs(now, flags):
        if name in changed and not is_on:
            raise UserError(f"--{name} is for --{other}: give both, or leave it out")


def _needs(now: Mapping[str, Any], flags: Container[str]) -> Iterator[tuple[str, str, bool]]:
    """Options that need another, that other, and whether it is on."""
    for name in ("split", "columns", "dataset_config", "dataset_revision"):
        yield name, "dataset", now["dataset"] is not None
    yield "alignment_items", "alignment_steps", now["alignment_steps"] > 0
    for name in ("dataloader_prefetch_factor", "dataloader_multiprocessing_context"):
        yield name, "dataloader_num_workers", now["dataloader_num_workers"] > 0
    checkpointing = ("gradient_checkpointing", "activation_checkpointing")  # transformers has the second since 5.23
    for kind in checkpointing:
        yield f"{kind}_kwargs", kind, any(now.get(each) for each in checkpointing)
    in_4_bits = now["use_peft"] and not now["load_in_8bit"] if now["load_in_4bit"] is None else now["load_in_4bit"]
    for name in ("bnb_4bit_quant_type", "bnb_4bit_quant_storage", "use_bnb_nested_quant"):
        if name in flags:  # a recipe may say it for those who train in 4 bits
            yield name, "load_in_4bit", in_4_bits


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
