"""``--config FILE``: the options of a command from a YAML file, each checked as on the command line."""

from __future__ import annotations

import json
import typing
from argparse import Action, ArgumentError, ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spectrum_suite.errors import UserError
from spectrum_suite.shipped import shipped
from spectrum_suite.yaml_entries import Entries, read_entries

OPTION = "--config"


def config_of(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The path after ``--config``, and the other words.

    Raises:
        UserError: There is no path after it, or there are two.
    """
    end = words.index("--") if "--" in words else len(words)
    own = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    own.add_argument(OPTION, action="append")
    try:
        found, rest = own.parse_known_args(words[:end])
    except ArgumentError as error:
        raise UserError(f"{OPTION} needs the path of a YAML file of options") from error
    if found.config and len(found.config) > 1:
        raise UserError(f"{OPTION} is given twice: one file is read, and options on the command line override it")
    return (found.config[0] if found.config else None), [*rest, *words[end:]]


def read_config(path: str) -> tuple[Entries, dict[str, str]]:
    """The options in a YAML file, and the environment variables that its ``env`` sets.

    Raises:
        UserError: There is no such file, or it is not a YAML mapping.
    """
    entries = read_entries(shipped(path), OPTION, "give a YAML file of options, with lines such as 'seed: 1'")
    place = entries.at("env")
    variables = entries.pop("env", None) or {}
    if not isinstance(variables, dict):
        raise UserError(f"{place}: 'env' is {variables!r}: give names of environment variables with values")
    return entries, {str(name): str(value) for name, value in variables.items()}


def option_value(
    name: str, value: Any, action: Action, kinds: Sequence[Any], convert: Callable[[Action, list[str]], Any]
) -> Any:
    """What a YAML value is as the value of an option.

    Args:
        name: Of the option.
        value: As YAML has it.
        action: The option.
        kinds: The types that its values may have; without any, those of the action.
        convert: What the parser makes of the words after the option.

    Raises:
        UserError: The option takes no such value.
    """
    many = action.nargs in {"*", "+"}
    if value is None and (type(None) in kinds or (not kinds and action.default is None)):
        return None
    if action.nargs == 0:  # a flag
        if not isinstance(value, bool):
            raise UserError(f"{name} is {_shown(value)}: give true or false")
        return value
    if many and isinstance(value, list):
        words = [_word(name, each, is_text=True) for each in value]
    elif isinstance(value, Mapping) and any(kind is dict or typing.get_origin(kind) is dict for kind in kinds):
        words = [json.dumps(value)]
    else:
        words = [_word(name, value, is_text=action.type in {None, str})]
    try:
        return convert(action, words) if words else []
    except ArgumentError as error:
        raise UserError(str(error)) from error


def _word(name: str, value: Any, *, is_text: bool) -> str:
    """One value as a word of a command line.

    Raises:
        UserError: It is empty, or holds several values.
    """
    if value is None:
        raise UserError(f"{name} is empty: give a value, or leave the line out")
    if isinstance(value, list | dict):
        raise UserError(f"{name} takes one value, and not {_shown(value)}")
    if value is False and is_text:
        return "no"  # which YAML reads as false
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)
