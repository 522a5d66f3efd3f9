"""What was run, as it was run: `training_report.json`, beside every adapter and the source of its card."""

from __future__ import annotations

import resource
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch
from transformers import TrainingArguments

from spectrum.formats.render import Format
from spectrum.training.adaptation import AdaptationConfig
from spectrum.training.trainer import SpectrumTrainer

REPORT = "training_report.json"


def hyperparameters(config: TrainingArguments) -> dict[str, Any]:
    """The settings of the optimizer that decide the outcome."""
    fields = (
        "learning_rate", "lr_scheduler_type", "num_train_epochs", "max_steps", "per_device_train_batch_size",
        "gradient_accumulation_steps", "max_length", "seed", "warmup_steps", "weight_decay",
    )  # fmt: skip
    return {name: getattr(config, name) for name in fields}


def training_report(
    trainer: SpectrumTrainer,
    arguments: Any,
    model_config: AdaptationConfig,
    text_format: Format,
) -> dict[str, Any]:
    """What was run, as run: the source of the model card."""
    packages = ("torch", "transformers", "trl", "peft", "bitsandbytes", "datasets")
    return {
        **asdict(arguments),
        "base_model": model_config.model_name_or_path,
        "format": text_format.name,
        "family": text_format.turn.family if text_format.turn else "plain",
        "hyperparameters": hyperparameters(trainer.args),
        "adaptation": model_config.method,
        "lora": {
            name: getattr(model_config, name)
            for name in ("lora_r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "load_in_4bit")
        },
        "dtype": model_config.dtype,
        "steps": trainer.state.global_step,
        **trainer.counts.totals(),
        "log": [entry for entry in trainer.state.log_history if "loss" in entry],
        "alignment_log": [entry for entry in trainer.state.log_history if any("alignment/" in name for name in entry)],
        "peak_rss_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "versions": {name: version(name) for name in packages},
    }
