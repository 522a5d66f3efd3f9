"""What `train` does with a run: load the model, tune, save, report; and merge."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from spectrum_suite.commands.alignment_look import AlignmentLook
from spectrum_suite.commands.training_run import Run, loadable_name, prepare
from spectrum_suite.errors import UserError, first_line
from spectrum_suite.formats.render import Format
from spectrum_suite.hub.cards import write_card
from spectrum_suite.loading import read_config
from spectrum_suite.row_fingerprints import ENTRY as ROW_FINGERPRINTS
from spectrum_suite.row_fingerprints import packed_by_task
from spectrum_suite.training import checkpoints
from spectrum_suite.training.adaptation import (
    MERGED,
    AdaptationConfig,
    keep_adapter_precision,
    load_model,
    merge_adapter,
)
from spectrum_suite.training.arguments import SpectrumArguments, TuningConfig, for_our_collator
from spectrum_suite.training.continuation import earlier_runs
from spectrum_suite.training.first_rows import FIRST_ROWS, first_rows_page
from spectrum_suite.training.memory import explain_out_of_memory, remedy
from spectrum_suite.training.objectives import TrainingData
from spectrum_suite.training.optimizer_options import check_optimizer
from spectrum_suite.training.output_folder import begin, finish, held_for_training, is_finished
from spectrum_suite.training.saving import explain_failed_write, save, save_generation_config
from spectrum_suite.training.step_memory import LargestBatch, count_step
from spectrum_suite.training.tokens import NEWLINE, donor_rows, line_breaks, turn_token_source
from spectrum_suite.training.trainer import SpectrumTrainer
from spectrum_suite.training.training_report import training_report

logger = logging.getLogger(__name__)

SHOWN_ROWS = 8
"""Rows on the page of first rows."""


def configure_logging() -> None:
    """Say on stderr what the run does; of several processes, the main one alone."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    is_main = os.environ.get("RANK", "0") == "0"
    for name in ("spectrum_suite", "dataset_builder"):
        logging.getLogger(name).setLevel(logging.INFO if is_main else logging.ERROR)


def train(arguments: SpectrumArguments, config: TuningConfig, model_config: AdaptationConfig) -> None:
    """Load, tokenize, tune, save; or say that it has been done."""
    started = time.monotonic()
    run = prepare(arguments, config, model_config)
    decides = run.decides()
    with held_for_training(run.output, is_main=config.process_index == 0):
        if config.resume_from_checkpoint != checkpoints.NEVER and is_finished(run.output, decides):
            logger.info(
                "%s has the result of this very run: nothing is trained again (--resume_from_checkpoint never would)",
                run.output,
            )
        else:
            tune(run, decides, started)
        if config.process_index == 0 and arguments.merge and model_config.use_peft:
            merge(run)


def tune(run: Run, decides: dict[str, Any], started: float) -> None:
    """Train from the beginning or from the latest complete checkpoint, and write the tuned model with its report.

    Args:
        run: The run; its output folder is held.
        decides: What a checkpoint of this very run has for settings.
        started: When the command began, as `time.monotonic` has it.
    """
    torch.set_flush_denormal(True)  # on a CPU, tiny gradients would otherwise slow matrix products a hundredfold
    config, data = run.config, run.data
    before = earlier_runs(run.adapter.folder) if run.adapter else []
    resume = checkpoints.find(run.output, config.resume_from_checkpoint, decides)
    if resume:
        logger.info("resumed from %s", resume)
    say_memory(run)
    with explain_out_of_memory(config, config.max_length):
        trainer = SpectrumTrainer(
            model=model_to_train(run),
            args=for_our_collator(config),
            data_collator=data.collator,
            groups=data.groups,
            settings=decides,
            started=started,
            train_dataset=data.tokenized,
            processing_class=run.tokenizer,
        )
        keep_adapter_precision(trainer.model)
        if run.arguments.alignment_steps:
            trainer.add_callback(AlignmentLook(trainer, run.arguments, run.text_format))
        if trainer.args.should_save:
            begin(run.output)
            if config.resume_from_checkpoint == checkpoints.NEVER:
                checkpoints.discard(run.output)
            write_page(config.output_dir, data, run.tokenizer, run.text_format)
        trainer.train(resume_from_checkpoint=resume and str(resume))
    check_finite(trainer.model)
    with explain_failed_write(config.output_dir):
        save(trainer, run.tokenizer, run.text_format)
    report = training_report(trainer, run.settings, run.model_config, run.text_format)  # sums over all processes
    if not trainer.args.should_save:
        return
    asked = run.model_config.asked_revision if run.base.revision else None
    report |= {"base_model_revision": run.base.revision, "base_model_revision_name": asked}
    report |= {"rows_per_task": data.rows_per_task, "rows": len(data.tokenized), "draws_too_long": data.too_long}
    report |= {"targets_too_long": data.targets_too_long} if data.collator.targets else {}
    report |= {ROW_FINGERPRINTS: packed_by_task(data.texts, data.rows_per_task)}
    report |= {"before": before} if before else {}
    finish(run.output, report, decides)
    write_card(run.output, merged=False)
    logger.info("trained on %d tokens, saved to %s", report["trained_tokens"], config.output_dir)


def say_memory(run: Run) -> None:
    """Log how much memory the run takes, and what to change where there is less; nothing where weights are shared out.

    The model's shapes are run without its weights. Where they cannot be, the log says why and the run begins.
    """
    config, base = run.config, run.base
    if config.fsdp or config.deepspeed:
        return
    try:
        batch = LargestBatch.of(run.data.tokenized, run.data.collator, config)
        estimate = count_step(read_config(base.folder, base.name), run.model_config, config, batch)
    except Exception as error:  # a model may do with its tensors what cannot be done without their content
        logger.info("how much memory training takes cannot be estimated: %s", first_line(error))
        return
    doing = f"training on {batch.lines} x {batch.length} tokens at a time"
    estimate.say(config.device, doing, remedy(config, config.max_length, run.model_config))


def check_finite(model: torch.nn.Module) -> None:
    """Refuse to save a model that gives no numbers.

    Raises:
        UserError: A trained weight is infinite or not a number.
    """
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not torch.isfinite(parameter).all():
            raise UserError(
                f"the trained weights {name!r} are not finite: lower --learning_rate, clip with --max_grad_norm, or "
                "train in another --dtype"
            )


def model_to_train(run: Run) -> PreTrainedModel | PeftModel:
    """The model of a run, adapted; an adapter knows from where its base can be loaded, and in which revision."""
    donor = turn_token_source(run.arguments.turn_tokens)
    transplanted = donor_rows(donor, run.tokenizer, run.token_ids) if donor and run.token_ids else None
    newline = run.arguments.turn_tokens == NEWLINE
    like = line_breaks(run.tokenizer, run.text_format) if newline else None
    set_seed(run.config.seed)  # the adapter's first weights are random too
    try:
        model = load_model(
            loadable_name(run.base),
            run.model_config,
            run.token_ids,
            transplanted,
            like,
            adapter=run.adapter and run.adapter.folder,
            device=run.config.device,
        )
    except UserError:
        raise
    except (ValueError, ImportError, OSError) as error:  # what the libraries cannot load or adapt
        raise UserError(f"model {run.base.name!r} cannot be trained in this way: {first_line(error)}") from error
    check_optimizer(run.config, model)
    if isinstance(model, PeftModel):
        adapter = model.peft_config["default"]
        adapter.base_model_name_or_path, adapter.revision = loadable_name(run.base), run.base.revision
    return model


def merge(run: Run) -> None:
    """Write base and adapter as one model, unless it is there from an earlier call."""
    if (run.output / MERGED / "README.md").is_file():  # the last file that is written
        return
    with explain_failed_write(run.output):
        name, revision = loadable_name(run.base), run.model_config.model_revision
        folder = merge_adapter(run.output, name, revision, run.tokenizer)
        save_generation_config(folder, run.tokenizer, run.text_format)
        write_card(run.output, merged=True)
    logger.info("merged into one model in %s", folder)


def write_page(folder: str, data: TrainingData, tokenizer: PreTrainedTokenizerBase, text_format: Format) -> None:
    """Write the first rows of the run, in colour."""
    rows = data.tokenized
    first = rows.select(range(0, len(rows), max(len(rows) // SHOWN_ROWS, 1))).select(range(min(SHOWN_ROWS, len(rows))))
    page = first_rows_page(first, data.collator, tokenizer, text_format.name)
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, FIRST_ROWS).write_text(page, encoding="utf-8")
