"""The playground: how a base model and a tuned one answer a prompt, side by side.

    python -m demo --tuned outputs/quickstart/adapter

The page is then at the address that is shown. Where no option is given, the models are those that the environment
variables SPECTRUM_BASE and SPECTRUM_TUNED name (on a Space, its variables), or the embedded Gemma 3 270M alone.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter

from spectrum_suite.errors import exit_on_user_error

EMBEDDED = "embedded:gemma-3-270m"


def main(arguments: Namespace) -> None:
    """Load the models and serve the page."""
    from demo.app import page  # noqa: PLC0415 - with `torch` and `gradio`, which take seconds
    from demo.playground import load_models  # noqa: PLC0415

    models = load_models(arguments.base or (None if arguments.tuned else EMBEDDED), arguments.tuned)
    page(models).launch()


def parser() -> ArgumentParser:
    """The command line."""
    command = ArgumentParser(prog="python -m demo", description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    add = command.add_argument
    add("--base", default=os.environ.get("SPECTRUM_BASE"), help="path or id (default: what --tuned is made from)")
    add("--tuned", default=os.environ.get("SPECTRUM_TUNED"), help="path or id of a tuned model or adapter")
    return command


if __name__ == "__main__":
    with exit_on_user_error():
        main(parser().parse_args())
