"""The command line of the formats: ``python -m spectrum_suite.training show TASK`` shows what a model is trained on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from spectrum_suite.errors import exit_on_user_error
from spectrum_suite.formats.tags import ALL_FORMATS

_ABOUT = """\
Show a row of a built suite as a model is trained on it: the order of draws, the description (or its absence), the turn
tokens, and on which tokens the loss falls. Trained tokens have a green background; in a pipe or a file, brackets.
"""
_EXAMPLES = """\
examples:
  python -m spectrum_suite.training show coinflip
  python -m spectrum_suite.training show polis_vote --row 3 --epoch 1                 # the same row, one epoch later
  python -m spectrum_suite.training show coinflip --format colon                      # as plain text
  python -m spectrum_suite.training show coinflip --tokenizer path/to/model           # with another model's tokens
  python -m spectrum_suite.training show coinflip --description_dropout 1             # without its description
  python -m spectrum_suite.training show coinflip --max_length 60 | less              # trained spans in brackets

what to look for:
  every output is trained up to and with its end-of-turn token; headers, inputs and descriptions are not
  without a description, the first output is context: nothing says yet what it should be
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; a user's mistake ends in one line and exit code 2."""
    options = _parser().parse_args(arguments)
    with exit_on_user_error():
        from spectrum_suite.commands.show import show  # noqa: PLC0415 - with `torch`, which takes seconds

        show(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m spectrum_suite.training", description="How rows are written as text."
    )
    commands = parser.add_subparsers(title="commands", required=True)
    show = commands.add_parser(
        "show",
        help="show what is trained in a row",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    show.add_argument("task", help="a task of the suite, e.g. coinflip")
    show.add_argument("--suite", default="spectrum-suite", help="folder of a built suite, or a dataset on the Hub")
    show.add_argument("--row", type=int, default=0, metavar="N", help="which row, from 0 (default: 0)")
    show.add_argument(
        "--tokenizer",
        default="embedded:gemma-3-270m",
        help="folder or Hub id of a tokenizer (default: embedded:gemma-3-270m)",
    )
    show.add_argument("--format", default="auto", help=f"auto (the default), {', '.join(ALL_FORMATS)}")
    show.add_argument("--max_length", type=int, default=1024, metavar="N", help="tokens at most (default: 1024)")
    show.add_argument(
        "--description_dropout", type=float, default=0.2, metavar="P", help="as in training (default: 0.2)"
    )
    show.add_argument("--seed", type=int, default=42, help="as in training (default: 42)")
    show.add_argument("--epoch", type=int, default=0, help="from 0; order and dropout are new in each (default: 0)")
    return parser


if __name__ == "__main__":
    main()
