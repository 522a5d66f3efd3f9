"""The output folder of a command: one run writes into it at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from spectrum_suite.errors import UserError
from spectrum_suite.lock import locked


def check_output(output: Path, *, option: str = "--output_dir") -> None:
    """Refuse, before anything is loaded, a folder that could not be written.

    Args:
        output: The folder.
        option: What names it on the command line.

    Raises:
        UserError: It, or a part of its path, is a file or read-only.
    """
    found = next(path for path in (output.absolute(), *output.absolute().parents) if path.exists())
    if not found.is_dir():
        raise UserError(f"{option} {str(output)!r}: {str(found)!r} is a file: give a folder")
    if not os.access(found, os.W_OK | os.X_OK):
        raise UserError(f"{option} {str(output)!r}: {str(found)!r} cannot be written: give another folder")


@contextmanager
def held(output: Path, *, lock_name: str, doing: str, option: str, is_main: bool = True) -> Iterator[None]:
    """Hold the folder of a run, which is made if it is not there; one that stays empty is removed.

    Args:
        output: The folder.
        lock_name: The file that says so: runs of one kind exclude one another.
        doing: What such a run does with the folder, for the message.
        option: What names the folder on its command line.
        is_main: Whether this process is the one of several that writes.

    Raises:
        UserError: Another run holds it, or it cannot be written.
    """
    if not is_main:
        yield
        return
    made = [path for path in (output, *output.parents) if not path.exists()]
    busy = f"another run is {doing} {str(output)!r}: wait for it, or give another {option}"
    try:
        with ExitStack() as stack:
            try:
                output.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(output / lock_name, busy=busy))
            except OSError as error:
                raise UserError(
                    f"{option} {str(output)!r} cannot be written ({error.strerror}): give another folder"
                ) from error
            yield
    finally:
        for path in filter(Path.exists, made):
            if any(path.iterdir()):
                break
            path.rmdir()
