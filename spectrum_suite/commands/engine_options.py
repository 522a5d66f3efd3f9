"""What a command line says of the engine that runs a model on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import yaml

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.choices import ENGINES
from spectrum_suite.parser import parse_pairs

if TYPE_CHECKING:
    from spectrum_suite.commands.evaluate import EvaluationArguments

_OF_LOCAL = ("device", "load_in_4bit", "rules")


def check_engine(arguments: EvaluationArguments) -> None:
    """Refuse what does not go with an engine.

    Raises:
        UserError: Something does not.
    """
    if arguments.engine not in ENGINES:
        raise UserError(f"no engine {arguments.engine!r}: there are {', '.join(ENGINES)}")
    if arguments.engine == "local":
        if arguments.engine_options:
            raise UserError("--engine_options is for --engine vllm: give that too")
        return
    if arguments.endpoint:
        raise UserError(f"--engine {arguments.engine} runs the model here: leave it out with --endpoint")
    for name in _OF_LOCAL:
        if getattr(arguments, name):
            raise UserError(f"--{name} is for --engine local: leave it out with --engine {arguments.engine}")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            f"--engine {arguments.engine} starts its own processes: leave 'accelerate launch' out, "
            "and give --engine_options tensor_parallel_size=N"
        )
    engine_options(arguments)


def engine_options(arguments: EvaluationArguments) -> dict[str, Any]:
    """The arguments of the engine, as YAML reads their values.

    Raises:
        UserError: One is of another form.
    """
    pairs = parse_pairs("--engine_options", arguments.engine_options, "tensor_parallel_size=2")
    try:
        return {name: yaml.safe_load(value) for name, value in pairs.items()}
    except yaml.YAMLError as error:
        raise UserError(f"--engine_options: a value is no YAML ({error.problem}): quote it") from error
