"""The console command: every command of the project under one name, and none imported before it is called."""

from __future__ import annotations

import sys
from argparse import SUPPRESS
from collections.abc import Sequence
from importlib import import_module

from spectrum_suite.errors import UserError, did_you_mean, exit_on_user_error
from spectrum_suite.parser import PROGRAM, Parser

BUILDER = "dataset_builder.commands"

COMMANDS = {
    "list": (BUILDER, "show all tasks with their sources and licences"),
    "preview": (BUILDER, "show rows of one task"),
    "new-task": (BUILDER, "write a first task file for a table of your own"),
    "build": (BUILDER, "build tasks into a suite that load_dataset reads"),
    "annotate": ("spectrum_suite.commands.annotate", "annotate instruction data with training-time markers"),
    "show": ("spectrum_suite.commands.show", "show which tokens of a row are trained"),
    "train": ("spectrum_suite.commands.train", "tune a model on a suite, or on instruction data"),
    "evaluate": ("spectrum_suite.commands.evaluate", "evaluate a model, or several side by side"),
    "decide": ("spectrum_suite.commands.decide", "evaluate a model's answers to rows of decisions"),
    "calibrate": ("spectrum_suite.commands.calibrate", "fit a temperature and a position bias to a trained model"),
    "export": ("spectrum_suite.commands.export", "write the numbers of reports as CSV, Parquet or LaTeX"),
    "serve": ("spectrum_suite.commands.serve", "answer typed questions over HTTP, as System One and OpenAI have it"),
    "push": ("spectrum_suite.commands.push", "publish a dataset, a metric, a model or the playground on a Hub"),
    "demo": ("spectrum_suite.commands.demo", "open the playground: two models side by side in a browser"),
}
"""Command -> the module whose ``main(words, program)`` runs it, and what it is for."""

_ABOUT = """\
Distributional language modelling: build a suite of distributions, tune a model on it, measure it, publish it.

commands:
{commands}

'%(prog)s COMMAND --help' has examples of each. A first run, in a checkout or anywhere else:

  %(prog)s build --tasks synthetic --output spectrum-suite
  %(prog)s evaluate --model embedded:gemma-3-270m --suite spectrum-suite --limit 10 --output outputs/base
"""


def main(words: Sequence[str] | None = None) -> None:
    """Run one command; a user's mistake ends in one line and exit code 2."""
    words = sys.argv[1:] if words is None else words
    with exit_on_user_error():
        options = _parser().parse_args(words[:1])
        if options.version:
            from importlib.metadata import version  # noqa: PLC0415 - it is seldom asked for

            sys.stdout.write(f"{PROGRAM} {version(PROGRAM)}\n")
        elif options.command is None:
            _parser().print_help()
        elif options.command not in COMMANDS:
            close, known = did_you_mean(options.command, COMMANDS), ", ".join(COMMANDS)
            raise UserError(f"no command {options.command!r}{close}: there are {known}")
        elif (module := COMMANDS[options.command][0]) == BUILDER:
            import_module(module).main(words, PROGRAM)
        else:
            import_module(module).main(words[1:], f"{PROGRAM} {options.command}")


def _parser() -> Parser:
    width = max(map(len, COMMANDS)) + 2
    lines = "\n".join(f"  {name:{width}}{purpose}" for name, (_, purpose) in COMMANDS.items())
    parser = Parser(prog=PROGRAM, usage="%(prog)s COMMAND [OPTION ...]", description=_ABOUT.format(commands=lines))
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    parser.add_argument("command", nargs="?", help=SUPPRESS)
    return parser
