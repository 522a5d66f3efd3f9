"""A run of `train` as it is known before weights are loaded: its settings checked, its model found, its rows read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.integrations import get_reporting_integration_callbacks

from spectrum_suite.dataset_suite import asked_dataset, dataset_suite
from spectrum_suite.decisions.prompts import READS
from spectrum_suite.errors import UserError, first_line
from spectrum_suite.evaluation.measured_tasks import tasks_of
from spectrum_suite.formats.model_chat import MODEL_CHAT, model_chat_format
from spectrum_suite.formats.render import Format
from spectrum_suite.formats.tags import find_format
from spectrum_suite.held_folder import check_output
from spectrum_suite.loading import check_can_be_whole
from spectrum_suite.models import ModelFiles, check_model_name, find_model, load_tokenizer
from spectrum_suite.training.adaptation import AdaptationConfig
from spectrum_suite.training.arguments import SpectrumArguments, TuningConfig
from spectrum_suite.training.continuation import check_turn_tokens
from spectrum_suite.training.objectives import TrainingData, find_objective
from spectrum_suite.training.tokens import KEEP, TRAIN, turn_token_ids
from spectrum_suite.training.training_report import run_settings


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


def prepare(arguments: SpectrumArguments, config: TuningConfig, model_config: AdaptationConfig) -> Run:
    """Check the settings of a run and read its rows.

    Raises:
        UserError: Something is not there, or does not fit the rest.
    """
    objective = find_objective(arguments)
    check_output(Path(config.output_dir))
    arguments, told = on_dataset(arguments)
    base = find_base(model_config)
    if arguments.merge and model_config.use_peft:
        check_can_be_whole(base.folder, base.name)
    tokenizer = load_tokenizer(base)
    text_format = _format_of(arguments, tokenizer)
    tokenizer.chat_template = text_format.chat_template()
    check_template(config, tokenizer)
    if arguments.alignment_steps:
        tasks_of(arguments.suite, ["all"], ["alignment"])
    token_ids = [] if arguments.turn_tokens == KEEP else turn_token_ids(tokenizer, text_format)
    adapter = adapter_to_train_further(arguments, model_config, base, token_ids)
    data = objective.load(arguments, config, tokenizer, text_format)
    settings = objective.settings(arguments) | told
    return Run(arguments, config, model_config, base, tokenizer, text_format, token_ids, adapter, data, settings)


def _format_of(arguments: SpectrumArguments, tokenizer: PreTrainedTokenizerBase) -> Format:
    """How rows are written; decisions that are read by their labels in the model's own template and nothing besides.

    Raises:
        UserError: There is no such format or read, or they do not go together.
    """
    if arguments.read not in READS:
        raise UserError(f"no --read {arguments.read!r}: choose from {', '.join(READS)}")
    if arguments.read == "options":
        return find_format(arguments.format, tokenizer)
    if not arguments.data:
        raise UserError("--read labels is for rows of decisions: give them with --data, or leave it out")
    if arguments.format != MODEL_CHAT:
        raise UserError(f"--read labels asks in the model's own chat template: give --format {MODEL_CHAT}")
    return model_chat_format(tokenizer, system="")


def on_dataset(arguments: SpectrumArguments) -> tuple[SpectrumArguments, dict[str, Any]]:
    """The arguments with the suite that is made of ``--dataset``, and what a report says in their place.

    What a recipe says of a suite does not count then.

    Raises:
        UserError: There is no such dataset, or its columns or rows are not what they should be.
    """
    if arguments.dataset is None:
        return arguments, {}
    made = dataset_suite(asked_dataset(arguments))
    told = {"suite": made.source["name"], "dataset": made.source}
    return replace(arguments, suite=str(made.folder), tasks=[made.task], alignment_steps=0), told


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
