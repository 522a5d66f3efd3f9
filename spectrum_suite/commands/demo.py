"""`spectrum-suite demo` and `python -m demo`: the playground."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from spectrum_suite.errors import exit_on_user_error
from spectrum_suite.parser import Parser, as_called

EMBEDDED = "embedded:gemma-3-270m"

ABOUT = """\
The playground: how a base model and a tuned one answer a prompt, side by side.

    python -m demo --tuned outputs/quickstart/adapter
    python -m demo --tuned embedded:gemma-3-270m-spectrum --open

The address of the page is printed. Without options, the models are those named by the environment variables
SPECTRUM_BASE and SPECTRUM_TUNED (on a Space, its variables), or the embedded Gemma 3 270M alone.
"""


def main(words: Sequence[str], program: str = "python -m demo") -> None:
    """Load the models and serve the page; a user's mistake ends in one line and exit code 2."""
    with exit_on_user_error():
        options = _parser(program).parse_args(words)

        from spectrum_suite.playground.answers import load_models  # noqa: PLC0415 - with `torch`, which takes seconds
        from spectrum_suite.playground.page import page  # noqa: PLC0415 - with `gradio`

        formats = {"base_format": options.base_format, "tuned_format": options.tuned_format}
        tuned = options.tuned or os.environ.get("SPECTRUM_TUNED")
        base = options.base or os.environ.get("SPECTRUM_BASE") or (None if tuned else EMBEDDED)
        models = load_models(base, tuned, calibration=options.calibration, **formats)
        page(models).launch(inbrowser=options.open)


def _parser(program: str) -> Parser:
    command = Parser(prog=program, description=as_called(ABOUT, program))
    add = command.add_argument
    command.add_config()
    add("--base", help="path or id of the base (default: $SPECTRUM_BASE, or that of --tuned)")
    add("--tuned", help="path or id of a tuned model or adapter (default: $SPECTRUM_TUNED)")
    add(
        "--base_format",
        default="colon",
        help="format of prompts to the base model (default: colon); model_chat: its own chat template",
    )
    add("--tuned_format", default="auto", help="format of prompts to the tuned model (default: auto)")
    add("--open", action="store_true", help="open the page in a browser")
    add("--calibration", type=Path, metavar="PATH", help="calibration.json or its folder, of --tuned (or --base alone)")
    return command
