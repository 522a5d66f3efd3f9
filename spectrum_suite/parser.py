"""What all command lines share: both spellings of an option, one line for a mistake, and help that can be copied."""

from __future__ import annotations

from argparse import Action, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any, NoReturn

from spectrum_suite.errors import UserError

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


class EitherSpelling:
    """A parser takes ``--some-option`` and ``--some_option``, and its errors are those of a user; goes in front."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse, each option spelled as it was declared."""
        return super().parse_known_args(None if args is None else self._as_declared(args), namespace)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found.

        Raises:
            UserError: Always.
        """
        raise UserError(f"{message}: see {self.prog} --help")

    def _as_declared(self, words: Sequence[str]) -> list[str]:
        long = (name for name in reversed(self._option_string_actions) if name.startswith("--"))
        declared = {_plain(name): name for name in long}
        options, rest = list(words), []
        if "--" in words:
            end = options.index("--")
            options, rest = options[:end], options[end:]
        return [_respelled(word, declared) for word in options] + rest


class Parser(EitherSpelling, ArgumentParser):
    """The parser of a command whose options are not a dataclass, and of its subcommands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": OneSpelling} | options)


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
