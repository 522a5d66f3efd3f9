"""`spectrum-suite show`: a row as a model is trained on it."""

from __future__ import annotations

from collections.abc import Sequence

from spectrum_suite.errors import exit_on_user_error
from spectrum_suite.formats.tags import ALL_FORMATS
from spectrum_suite.parser import Parser

_ABOUT = """\
Show a row of a built suite as a model is trained on it: the order of draws, the description (or its absence), the turn
tokens, and the tokens that have a loss. Trained tokens have a green background, or brackets in a pipe or a file.
"""
_EXAMPLES = """\
examples:
  spectrum-suite show coinflip
  spectrum-suite show polis_vote --row 3 --epoch 1                 # the same row, one epoch later
  spectrum-suite show coinflip --format colon                      # as plain text
  spectrum-suite show coinflip --tokenizer path/to/model           # with another model's tokens
  spectrum-suite show coinflip --description_dropout 1             # without its description
  spectrum-suite show coinflip --max_length 60 | less              # trained spans in brackets

what to look for:
  every output is trained, its end-of-turn token included; headers, inputs and descriptions are not
  without a description, the first output is context: nothing before it says what it should be
"""


def main(words: Sequence[str], program: str = "spectrum-suite show") -> None:
    """Show the row that the words of a command line name; a user's mistake ends in one line and exit code 2."""
    with exit_on_user_error():
        options = _parser(program).parse_args(words)

        from spectrum_suite.commands.shown_row import show  # noqa: PLC0415 - with `torch`, which takes seconds

        show(options)


def _parser(program: str) -> Parser:
    command = Parser(prog=program, description=_ABOUT, epilog=_EXAMPLES)
    add = command.add_argument
    add("task", help="a task of the suite, e.g. coinflip")
    add("--suite", default="spectrum-suite", help="folder of a built suite, or a dataset on the Hub")
    add("--row", type=int, default=0, metavar="N", help="which row, from 0 (default: 0)")
    add(
        "--tokenizer",
        default="embedded:gemma-3-270m",
        help="folder or Hub id of a tokenizer (default: embedded:gemma-3-270m)",
    )
    add("--format", default="auto", help=f"auto (the default), {', '.join(ALL_FORMATS)}")
    add("--max_length", type=int, default=1024, metavar="N", help="maximum tokens of a row (default: 1024)")
    add("--description_dropout", type=float, default=0.2, metavar="P", help="as in training (default: 0.2)")
    add("--seed", type=int, default=42, help="as in training (default: 42)")
    add("--epoch", type=int, default=0, help="which epoch, from 0; each has a new order and dropout (default: 0)")
    return command
