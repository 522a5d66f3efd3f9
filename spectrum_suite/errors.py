"""What a user can do wrong, and how a command says so: one line, exit code 2, no traceback."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

EXTRAS = {
    "bitsandbytes": "train", "sentencex": "train", "lingua": "train", "markdown_it": "train",
    "polars": "build", "ftfy": "build", "pyreadstat": "build", "fastexcel": "build", "gradio": "demo",
    "starlette": "serve", "uvicorn": "serve", "vllm": "vllm",
}  # fmt: skip
"""What the package is installed without -> the extra that brings it."""


class UserError(ValueError):
    """A mistake in the input. The message names the thing, the cause and the remedy, on one line."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``", did you mean 'x'?"`` for the closest known name, or an empty string when none is close."""
    import difflib  # noqa: PLC0415 - this module is imported first of all, and an interruption before it shows a traceback

    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def first_line(error: BaseException) -> str:
    """The first line of what a library says, or the name of its error where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Turn a :class:`UserError`, a full disk, a missing extra or an interruption into a line on stderr and a code.

    Exit codes: 2 for a user's mistake, a disk without space and a missing extra, 130 for an interruption.
    """
    try:
        yield
    except UserError as error:
        _exit(f"error: {error}", 2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _exit(
            f"error: no space left on the disk while writing {error.filename or 'a file'}: free some and run again", 2
        )
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        _exit(f"error: {error.name} is not installed: pip install 'spectrum-suite[{EXTRAS[error.name]}]'", 2)
    except KeyboardInterrupt:
        _exit("interrupted: run the same command again to continue", 130)


def _exit(line: str, code: int) -> None:
    sys.stderr.write(" ".join(line.split()) + "\n")
    sys.exit(code)
