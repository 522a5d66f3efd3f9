"""What `train_sft.py` does: load a model and rows, tune, save, report."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.integrations import get_reporting_integration_callbacks

from spectrum_suite.errors import UserError, first_line
from spectrum_suite.evaluation.alignment.score_alignment import AlignmentItem, score_items
from spectrum_suite.evaluation.run import tasks_of
from spectrum_suite.formats.render import Format
from spectrum_suite.formats.tags import find_format
from spectrum_suite.held_folder import check_output
from spectrum_suite.hub.cards import write_card
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.loading import check_can_be_whole, read_config
from spectrum_suite.models import ModelFiles, check_model_name, find_model, load_tokenizer
from spectrum_suite.suite import draw_rows, task_rows
from spectrum_suite.training import checkpoints
from spectrum_suite.training.adaptation import (
    MERGED,
    AdaptationConfig,
    keep_adapter_precision,
    load_model,
    merge_adapter,
)
from spectrum_suite.training.arguments import SpectrumArguments, TuningConfig, for_our_collator
from spectrum_suite.training.continuation import check_turn_tokens, earlier_runs
from spectrum_suite.training.first_rows import FIRST_ROWS, first_rows_page
from spectrum_suite.training.memory import explain_out_of_memory, remedy
from spectrum_suite.training.objectives import TrainingData, find_objective
from spectrum_suite.training.optimizer_options import check_optimizer
from spectrum_suite.training.output_folder import begin, finish, held_for_training, is_finished
from spectrum_suite.training.saving import explain_failed_write, save, save_generation_config
from spectrum_suite.training.step_memory import LargestBatch, count_step
from spectrum_suite.training.tokens import (
    KEEP,
    NEWLINE,
    TRAIN,
    donor_rows,
    line_breaks,
    turn_token_ids,
    turn_token_source,
)
from spectrum_suite.training.trainer import SpectrumTrainer
from spectrum_suite.training.training_report import run_settings, training_report

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
        arguments, config, model_config = (
            kind(**{each.name: given[each.name] for each in fields(kind) if each.name in given}) for kind in kinds
        )
        for tracker in get_reporting_integration_callbacks(config.report_to):
            tracker()  # which says what is not installed
    except UserError:
        raise
    except (ValueError, TypeError, KeyError, ImportError, OSError, RuntimeError) as error:  # as transformers has them
        raise UserError(f"the options cannot be used: {first_line(error)}") from error
    check_choices(config, given)
    return arguments, config, model_config


def check_choices(config: TuningConfig, given: Mapping[str, Any]) -> None:
    """Refuse a value that is not among the choices of an option, where they are known only after importing it.

    Raises:
        UserError: There is one.
    """
    for each in fields(config):
        choices = each.metadata.get("choices")
        if choices and each.name in given and given[each.name] is not None and given[each.name] not in choices:
            raise UserError(f"no --{each.name} {given[each.name]!r}: choose {', '.join(map(str, choices))}")


def configure_logging() -> None:
    """Say on stderr what the run does; of several processes, the main one alone."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    is_main = os.environ.get("RANK", "0") == "0"
    for name in ("spectrum_suite", "dataset_builder"):
        logging.getLogger(name).setLevel(logging.INFO if is_main else logging.ERROR)


@dataclass(frozen=True)
class Run:
    """A run whose settings have been checked and whose rows have been read; no weights are loaded yet.

    Attributes:
        arguments: What to train on.
        config: How.
        model_config: On which model, adapted in which way.
        base: The files of that model.
        tokenizer: Its tokenizer, with the chat template of the format.
        text_format: How rows are written.
        token_ids: The turn tokens whose rows train or are transplanted.
        adapter: The adapter to train further, if there is one.
        data: The rows.
        settings: The arguments that count for the objective.
    """

    arguments: SpectrumArguments
    config: TuningConfig
    model_config: AdaptationConfig
    base: ModelFiles
    tokenizer: PreTrainedTokenizerBase
    text_format: Format
    token_ids: Sequence[int]
    adapter: ModelFiles | None
    data: TrainingData
    settings: dict[str, Any]

    @property
    def output(self) -> Path:
        """Where the result goes."""
        return Path(self.config.output_dir)

    def decides(self) -> dict[str, Any]:
        """What decides the outcome; to be asked before the model is loaded, which settles further settings."""
        return run_settings(
            self.settings,
            self.config,
            self.model_config,
            self.data.tokenized,
            base=self.base.fingerprint(),
            begins_with=self.adapter.fingerprint() if self.adapter else None,
        )


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


def prepare(arguments: SpectrumArguments, config: TuningConfig, model_config: AdaptationConfig) -> Run:
    """Check the settings of a run and read its rows.

    Raises:
        UserError: Something is not there, or does not fit the rest.
    """
    objective = find_objective(arguments)
    check_output(Path(config.output_dir))
    base = find_base(model_config)
    if arguments.merge and model_config.use_peft:
        check_can_be_whole(base.folder, base.name)
    tokenizer = load_tokenizer(base)
    text_format = find_format(arguments.format, tokenizer)
    tokenizer.chat_template = text_format.chat_template()
    check_template(config, tokenizer)
    if arguments.alignment_steps:
        tasks_of(arguments.suite, ["all"], ["alignment"])
    token_ids = [] if arguments.turn_tokens == KEEP else turn_token_ids(tokenizer, text_format)
    adapter = adapter_to_train_further(arguments, model_config, base, token_ids)
    data = objective.load(arguments, config, tokenizer, text_format)
    settings = objective.settings(arguments)
    return Run(arguments, config, model_config, base, tokenizer, text_format, token_ids, adapter, data, settings)


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
        logger.info("how much memory training takes cannot be told beforehand: %s", first_line(error))
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
        raise UserError(f"model {run.base.name!r} cannot be trained so: {first_line(error)}") from error
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


def find_base(model_config: AdaptationConfig) -> ModelFiles:
    """The files of the model to train; its revision in the settings becomes a commit, and its folder an absolute path.

    Raises:
        UserError: There is no such model, it is an adapter, or a folder is given a revision.
    """
    name, revision = model_config.model_name_or_path, model_config.model_revision
    check_model_name(name)
    is_local = name.startswith("embedded:") or Path(name).expanduser().is_dir()
    if is_local and revision != "main":
        raise UserError(f"--model_revision {revision} is for a model on a Hub, which {name!r} is not: leave it out")
    base = find_model(name, revision=None if is_local else revision)
    if base.base is not None:
        raise UserError(
            f"{name!r} is an adapter of {base.base.name!r}: give that, and the adapter as --adapter_name_or_path"
        )
    model_config.model_revision = base.revision or "main"
    if is_local and not name.startswith("embedded:"):
        model_config.model_name_or_path = loadable_name(base)
    return base


def loadable_name(base: ModelFiles) -> str:
    """A name that `from_pretrained` takes wherever it is called: the id on a Hub, else the whole path."""
    return base.name if base.revision else str(base.folder.resolve())


def adapter_to_train_further(
    arguments: SpectrumArguments, model_config: AdaptationConfig, base: ModelFiles, token_ids: Sequence[int]
) -> ModelFiles | None:
    """The adapter that ``--adapter_name_or_path`` names.

    Raises:
        UserError: It is not an adapter, it is one of another base, or its turn tokens are others.
    """
    if model_config.adapter_name_or_path is None:
        return None
    files = find_model(model_config.adapter_name_or_path)
    if files.base is None:
        raise UserError(f"--adapter_name_or_path {files.name!r} is not an adapter: give it as --model_name_or_path")
    if base.fingerprint() != files.base.fingerprint():
        raise UserError(
            f"--adapter_name_or_path {files.name!r} is an adapter of {_named(files.base)}, not of {_named(base)}"
        )
    if arguments.turn_tokens not in (TRAIN, KEEP):
        raise UserError(f"the adapter has its own turn tokens: leave --turn_tokens {arguments.turn_tokens} out")
    check_turn_tokens(files.folder, token_ids)
    return files


def _named(files: ModelFiles) -> str:
    """A model with its commit, where it has one."""
    return f"{files.name!r}" + (f" at {files.revision[:8]}" if files.revision else "")


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
        lm = LocalLM.of(model, self.trainer.processing_class, self.text_format)
        found = {
            f"alignment/{task}/{name}": fmean(item.scores[name] for item in items)
            for task, items in self._items(lm)
            for name in ("js_divergence", "coverage")
        }
        model.train()
        should_log = control.should_log  # a line of our own would take the place of the step's
        self.trainer.log(found)
        control.should_log = should_log

    def _items(self, lm: LocalLM) -> Iterator[tuple[str, tuple[AlignmentItem, ...]]]:
        """The task's name and its scored items, for every task; the same items each time."""
        for task, rows in self.rows.items():
            yield task, score_items(lm, rows)


def write_page(folder: str, data: TrainingData, tokenizer: PreTrainedTokenizerBase, text_format: Format) -> None:
    """Write the first rows of the run, in colour."""
    rows = data.tokenized
    first = rows.select(range(0, len(rows), max(len(rows) // SHOWN_ROWS, 1))).select(range(min(SHOWN_ROWS, len(rows))))
    page = first_rows_page(first, data.collator, tokenizer, text_format.name)
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, FIRST_ROWS).write_text(page, encoding="utf-8")
