"""What `train_sft.py` does: load a model and rows, tune, save, report."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from dataset_builder.errors import UserError, first_line
from spectrum.evaluation.alignment import AlignmentItem, OptionScorer, align_rows
from spectrum.evaluation.run import tasks_of
from spectrum.formats.render import Format
from spectrum.formats.tags import find_format
from spectrum.generation.logprobs import option_logprobs
from spectrum.models import ModelFiles, find_model
from spectrum.suite import draw_rows, task_rows
from spectrum.training import checkpoints
from spectrum.training.adaptation import AdaptationConfig, keep_adapter_precision, load_model, merge_adapter
from spectrum.training.arguments import SpectrumArguments, TuningConfig, for_our_collator
from spectrum.training.continuation import check_turn_tokens, earlier_runs
from spectrum.training.embedded_model import resolve_model
from spectrum.training.memory import explain_out_of_memory
from spectrum.training.objectives import TrainingData, find_objective
from spectrum.training.page import FIRST_ROWS, first_rows_page
from spectrum.training.report import REPORT, run_settings, training_report
from spectrum.training.saving import explain_failed_write, save, save_generation_config
from spectrum.training.tokens import KEEP, NEWLINE, TRAIN, line_breaks, sibling_rows, turn_token_ids, turn_token_source
from spectrum.training.trainer import SpectrumTrainer

logger = logging.getLogger(__name__)

SHOWN_ROWS = 8
"""Rows on the page of first rows."""


def settings_of(given: Mapping[str, Any]) -> tuple[SpectrumArguments, TuningConfig, AdaptationConfig]:
    """The settings of a run, from the options that were given; the others have their defaults.

    Raises:
        UserError: A library refuses one, or two of them together.
    """
    kinds = (SpectrumArguments, TuningConfig, AdaptationConfig)
    try:
        return tuple(
            kind(**{each.name: given[each.name] for each in fields(kind) if each.name in given}) for kind in kinds
        )
    except UserError:
        raise
    except (ValueError, TypeError, KeyError, ImportError, OSError) as error:  # what transformers raises, by its kind
        raise UserError(f"the options do not go together: {first_line(error)}") from error


def configure_logging() -> None:
    """Say on stderr what the run does; of several processes, the main one alone."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    is_main = os.environ.get("RANK", "0") == "0"
    for name in ("spectrum", "dataset_builder"):
        logging.getLogger(name).setLevel(logging.INFO if is_main else logging.ERROR)


def train(arguments: SpectrumArguments, config: TuningConfig, model_config: AdaptationConfig) -> None:
    """Load, tokenize, tune, save."""
    torch.set_flush_denormal(True)  # on a CPU, tiny gradients would otherwise slow matrix products a hundredfold
    started = time.monotonic()
    objective = find_objective(arguments)
    settings = objective.settings(arguments)
    model_name = resolve_model(model_config.model_name_or_path)
    tokenizer = AutoTokenizer.from_pretrained(model_name, revision=model_config.model_revision)
    text_format = find_format(arguments.format, tokenizer)
    tokenizer.chat_template = text_format.chat_template()
    check_template(config, tokenizer)
    if arguments.alignment_steps:
        tasks_of(arguments.suite, ["all"], ["alignment"])
    token_ids = [] if arguments.turn_tokens == KEEP else turn_token_ids(tokenizer, text_format)
    adapter = adapter_to_go_on_from(arguments, model_config, token_ids)
    before = earlier_runs(adapter.folder) if adapter else []
    data = objective.load(arguments, config, tokenizer, text_format)
    sibling = turn_token_source(arguments.turn_tokens)
    planted = sibling_rows(sibling, tokenizer, token_ids) if sibling and token_ids else None
    like = line_breaks(tokenizer, text_format) if arguments.turn_tokens == NEWLINE else None
    set_seed(config.seed)  # the adapter's first weights are random too
    with explain_out_of_memory(config, config.max_length):
        model = load_model(model_name, model_config, token_ids, planted, like, begin_with=adapter and adapter.folder)
        begins_with = adapter.fingerprint() if adapter else None
        decides = run_settings(settings, config, model_config, data.tokenized, begins_with)
        resume = checkpoints.find(Path(config.output_dir), config.resume_from_checkpoint, decides)
        trainer = SpectrumTrainer(
            model=model,
            args=for_our_collator(config),
            data_collator=data.collator,
            groups=data.groups,
            settings=decides,
            train_dataset=data.tokenized,
            processing_class=tokenizer,
        )
        keep_adapter_precision(trainer.model)
        if arguments.alignment_steps:
            trainer.add_callback(AlignmentLook(trainer, arguments, text_format))
        if trainer.args.should_save:
            write_page(config.output_dir, data, tokenizer, text_format)
        trainer.train(resume_from_checkpoint=resume and str(resume))

    with explain_failed_write(config.output_dir):
        save(trainer, tokenizer, text_format)
    report = training_report(trainer, settings, model_config, text_format)  # sums over all processes
    if not trainer.args.should_save:
        return
    if arguments.merge and model_config.use_peft:
        folder = merge_adapter(Path(config.output_dir), model_name, model_config.model_revision, tokenizer)
        save_generation_config(folder, tokenizer, text_format)
    report |= {"rows_per_task": data.rows_per_task, "rows": len(data.tokenized), "draws_too_long": data.too_long}
    report |= {"before": before} if before else {}
    report["seconds"] = round(time.monotonic() - started, 1)
    Path(config.output_dir, REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    logger.info("a loss on %d tokens, saved to %s", report["trained_tokens"], config.output_dir)


def adapter_to_go_on_from(
    arguments: SpectrumArguments, model_config: AdaptationConfig, token_ids: Sequence[int]
) -> ModelFiles | None:
    """The adapter that ``--begin_with`` names.

    Raises:
        UserError: It is none, it is one of another base, or its turn tokens are others.
    """
    if model_config.begin_with is None:
        return None
    files = find_model(model_config.begin_with)
    if files.base is None:
        raise UserError(f"--begin_with {files.name!r} is no adapter: give it as --model_name_or_path")
    base = find_model(model_config.model_name_or_path, revision=model_config.model_revision)
    if base.fingerprint() != files.base.fingerprint():
        raise UserError(f"--begin_with {files.name!r} is an adapter of {files.base.name!r}, not of {base.name!r}")
    if arguments.turn_tokens not in (TRAIN, KEEP):
        raise UserError(f"--begin_with brings its own turn tokens: leave --turn_tokens {arguments.turn_tokens} out")
    check_turn_tokens(files.folder, token_ids)
    return files


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


def write_page(folder: str, data: TrainingData, tokenizer: PreTrainedTokenizerBase, text_format: Format) -> None:
    """Write the first rows of the run, in colour."""
    rows = data.tokenized
    first = rows.select(range(0, len(rows), max(len(rows) // SHOWN_ROWS, 1))).select(range(min(SHOWN_ROWS, len(rows))))
    page = first_rows_page(first, data.collator, tokenizer, text_format.name)
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, FIRST_ROWS).write_text(page, encoding="utf-8")
