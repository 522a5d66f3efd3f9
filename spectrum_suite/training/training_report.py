"""What was run, as it was run: `training_report.json`, in every adapter's folder and the source of its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from transformers import TrainingArguments

from spectrum_suite.devices import device_name, peak_process_gib
from spectrum_suite.fingerprints import fingerprint_of_bytes
from spectrum_suite.formats.render import Format
from spectrum_suite.training.adaptation import AdaptationConfig
from spectrum_suite.training.options import HARMLESS, REFUSED
from spectrum_suite.training.trainer import SpectrumTrainer

REPORT = "training_report.json"

_FINGERPRINTED = ("description", "contexts", "outputs", "options", "weights")


def hyperparameters(config: TrainingArguments) -> dict[str, Any]:
    """The settings of the optimizer that decide the outcome."""
    fields = (
        "learning_rate", "lr_scheduler_type", "num_train_epochs", "max_steps", "per_device_train_batch_size",
        "gradient_accumulation_steps", "max_length", "seed", "warmup_steps", "weight_decay",
    )  # fmt: skip
    return {name: getattr(config, name) for name in fields}


def run_settings(
    arguments: Mapping[str, Any],
    config: TrainingArguments,
    model_config: AdaptationConfig,
    tokenized: Dataset,
    *,
    base: str,
    begins_with: str | None = None,
) -> dict[str, Any]:
    """What decides the outcome of a run: a checkpoint of other settings is of another run.

    That is every option but those of which :mod:`spectrum_suite.training.options` says that they change no weights.

    Args:
        arguments: Those that count for the objective.
        config: Of the trainer, before it is made to fit our collator.
        model_config: Of the adaptation, before the model is loaded.
        tokenized: The rows.
        base: The fingerprint of the base model, wherever it is.
        begins_with: That of the adapter that the run trains further.
    """
    options = dict(arguments)
    for each in (config, model_config):
        options |= {field.name: getattr(each, field.name) for field in fields(each) if field.init}
    passed_over = HARMLESS | REFUSED.keys() | {"model_name_or_path"}
    return {
        **{name: value for name, value in options.items() if name not in passed_over},
        "base_fingerprint": base,
        "rows_fingerprint": rows_fingerprint(tokenized),
        **({"begins_with": begins_with} if begins_with else {}),
        "processes": config.world_size,
    }


def rows_fingerprint(tokenized: Dataset) -> str:
    """A hash of the ids and of every token of some rows."""
    return fingerprint_of_bytes(_content(tokenized))


def _content(tokenized: Dataset) -> Iterator[bytes]:
    for batch in tokenized.with_format("arrow").iter(batch_size=1000):
        yield "\n".join(batch["id"].to_pylist()).encode()
        for name in (name for name in _FINGERPRINTED if name in batch.column_names):
            column = batch[name].combine_chunks()
            while pa.types.is_list(column.type):
                yield pc.list_value_length(column).to_numpy().tobytes()
                column = column.flatten()
            yield column.to_numpy().tobytes()


def training_report(
    trainer: SpectrumTrainer,
    arguments: Mapping[str, Any],
    model_config: AdaptationConfig,
    text_format: Format,
) -> dict[str, Any]:
    """What was run, as run: the source of the model card."""
    packages = ("torch", "transformers", "trl", "peft", "bitsandbytes", "datasets")
    return {
        **arguments,
        "base_model": model_config.model_name_or_path,
        "format": text_format.name,
        "family": text_format.family,
        "hyperparameters": hyperparameters(trainer.args),
        "adaptation": model_config.method,
        "lora": {
            name: getattr(model_config, name)
            for name in ("lora_r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "load_in_4bit")
        },
        "dtype": model_config.dtype,
        "steps": trainer.state.global_step,
        "sessions": trainer.sessions,
        "seconds": round(trainer.seconds(), 1),
        **trainer.counts.totals(),
        "log": [entry for entry in trainer.state.log_history if "loss" in entry],
        "alignment_log": [entry for entry in trainer.state.log_history if any("alignment/" in name for name in entry)],
        "peak_rss_gib": peak_process_gib(),
        "device": device_name(trainer.args.device),
        "versions": {name: version(name) for name in packages},
    }
