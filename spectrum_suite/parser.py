"""What all command lines share: both spellings of an option, `--config`, one line for a mistake, help to copy from."""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS, Action, Namespace, RawDescriptionHelpFormatter, _SubParsersAction
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, get_args, get_type_hints

from trl.scripts.utils import TrlParser

from spectrum_suite.config_file import OPTION, config_of, option_value, read_config
from spectrum_suite.errors import UserError, did_you_mean

PROGRAM = "spectrum-suite"
"""The console command."""

_SCRIPTS = {
    "train_sft.py": "train", "evaluate_model.py": "evaluate", "push_to_hub.py": "push", "-m demo": "demo",
    "-m dataset_builder": "",
}  # fmt: skip
"""A command as a checkout has it -> its name as a command of the package."""


class OneSpelling(RawDescriptionHelpFormatter):
    """Examples as they are written, and of every option only the first spelling."""

    def _format_action_invocation(self, action: Action) -> str:
        seen, shown = set(), []
        for name in action.option_strings:
            if _plain(name) not in seen:
                shown.append(name)
            seen.add(_plain(name))
        every, action.option_strings = action.option_strings, shown
        try:
            return super()._format_action_invocation(action)
        finally:
            action.option_strings = every


class Parser(TrlParser):
    """The parser of every command: of dataclasses, of options that are added to it, or of both.

    It takes ``--some-option`` and ``--some_option``, its errors are those of a user, and after :meth:`add_config` it
    reads ``--config FILE``: unlike TRL's own, with the checks of the command line.
    """

    renamed: Mapping[str, str] = {}
    """What an option was called -> what it is called now."""

    def __init__(self, dataclass_types: type | Sequence[type] = (), **options: Any) -> None:
        super().__init__(dataclass_types, **{"formatter_class": OneSpelling} | options)

    def add_config(self) -> None:
        """Take ``--config FILE``."""
        text = "a YAML file of options; those of the command line override it"
        self.add_argument(OPTION, metavar="FILE", default=SUPPRESS, help=text)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse, each option spelled as it was declared, on top of what the file after ``--config`` says.

        Raises:
            UserError: That file, or what is in it, is not what the options are.
        """
        words = self._as_declared(sys.argv[1:] if args is None else args)
        if OPTION in self._option_string_actions:
            path, words = config_of(words)
            if path is not None:
                namespace = Namespace() if namespace is None else namespace
                self._configure(path, namespace)
        found, rest = super().parse_known_args(words, namespace)
        if hasattr(found, "config"):  # it was shortened, and its file not read
            self.error(f"{OPTION} has to be written out")
        return found, rest

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """Parse, where nothing may be left over.

        Raises:
            UserError: As :meth:`parse_known_args`, or a word is not an option of this command.
        """
        found, unknown = self.parse_known_args(args, namespace)
        self.refuse(unknown)
        return found

    def refuse(self, unknown: Sequence[str]) -> None:
        """Name the first word that is not an option, if there is one.

        Raises:
            UserError: There is.
        """
        if unknown:
            name = unknown[0].partition("=")[0]
            raise UserError(f"{name!r} is not an option{self.instead_of(_plain(name))}: see {self.prog} --help")

    def add_subparsers(self, **options: Any) -> _SubParsersAction:
        """Make room for commands below this one; each speaks of its own options and help."""
        return super().add_subparsers(**{"parser_class": _Subcommand} | options)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found.

        Raises:
            UserError: Always.
        """
        raise UserError(f"{message}: see {self.prog} --help")

    def instead_of(self, name: str) -> str:
        """What may be meant by a name that is not an option's."""
        if name in self.renamed:
            return f" any more, but --{self.renamed[name]} is"
        return did_you_mean(name, self._configurable())

    def _configurable(self) -> dict[str, Action]:
        """The options and arguments by their names."""
        actions = reversed(self._actions)  # of --x and --no_x, the first
        return {action.dest: action for action in actions if action.dest not in {"help", "config", SUPPRESS}}

    def _configure(self, path: str, namespace: Namespace) -> None:
        entries, variables = read_config(path)
        known = self._configurable()
        hints = {name: hint for each in self.dataclass_types for name, hint in get_type_hints(each).items()}
        for name, value in entries.items():
            if name not in known:
                instead = self.instead_of(str(name))
                raise UserError(f"{entries.at(name)}: {name!r} is not an option{instead}: see {self.prog} --help")
            action, hint = known[name], hints.get(name)
            kinds = get_args(hint) or ((hint,) if hint else ())
            try:
                found = option_value(name, value, action, kinds, self._get_values)
            except UserError as error:
                raise UserError(f"{entries.at(name)}: {error}") from error
            action.required = False
            if action.option_strings:
                setattr(namespace, name, found)
            else:  # argparse writes the default of one that is left out over what is there
                action.default = found
        os.environ.update(variables)

    def _as_declared(self, words: Sequence[str]) -> list[str]:
        long = (name for name in reversed(self._option_string_actions) if name.startswith("--"))
        declared = {_plain(name): name for name in long}
        options, rest = list(words), []
        if "--" in words:
            end = options.index("--")
            options, rest = options[:end], options[end:]
        return [_respelled(word, declared) for word in options] + rest


class _Subcommand(Parser):
    """A parser below another one, which would otherwise report its unknown options as its own."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        found, unknown = super().parse_known_args(args, namespace)
        self.refuse(unknown)
        return found, []


def as_called(text: str, program: str) -> str:
    """A text whose examples call the scripts of a checkout; of the console command, where that was called."""
    if not program.startswith(PROGRAM):
        return text
    for script, name in _SCRIPTS.items():
        text = text.replace(f"python {script}", f"{PROGRAM} {name}".strip())
        text = text.replace(f" {script} --", f" -m spectrum_suite {name} --")  # after `accelerate launch`
    return text


def _plain(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def _respelled(word: str, declared: dict[str, str]) -> str:
    name, equals, value = word.partition("=")
    return declared.get(_plain(name), name) + equals + value if name.startswith("--") else word


def parse_pairs(option: str, given: Sequence[str], example: str) -> dict[str, str]:
    """``["source=Human"]`` as ``{"source": "Human"}``.

    Args:
        option: What it was given as, for the message.
        given: The pairs.
        example: One of them.

    Raises:
        UserError: One of them is not such a pair.
    """
    pairs = [text.partition("=") for text in given]
    for text, (name, _, value) in zip(given, pairs, strict=True):
        if not name or not value:
            raise UserError(f"{option} {text!r}: give a name and what belongs to it, e.g. {option} {example}")
    return {name: value for name, _, value in pairs}
