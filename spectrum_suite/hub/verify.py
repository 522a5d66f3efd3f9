"""How a push is verified: what was published is loaded in a fresh process, from a clean cache and without our code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from spectrum_suite.errors import UserError
from spectrum_suite.hub.publish import Published
from spectrum_suite.hub.push_plan import Publication
from spectrum_suite.hub.secret_scan import own_tokens, redacted

_SCRIPTS = Path(__file__).with_name("clean_cache")
_WITHOUT_OURS = """
import runpy, sys
sys.modules.update(spectrum_suite=None, dataset_builder=None)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script where our packages cannot be imported, which may be installed along with what the script needs."""

_KEPT = {"HF_ENDPOINT", "HF_HUB_DISABLE_XET", "HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"}


def verify(publication: Publication, published: Published, token: str) -> list[str]:
    """Load what was published, at its commit: without a token, where everybody may.

    Returns:
        What worked, a line each.

    Raises:
        UserError: It does not load. It is published all the same.
    """
    as_user = published.restricted or bool(publication.depends_on)
    command = [
        sys.executable,
        "-I",
        *(
            () if publication.kind == "space" else ("-c", _WITHOUT_OURS)
        ),  # a Space carries them, and is asked whence they came
        str(_SCRIPTS / f"verify_{publication.kind}.py"),
        publication.repository.id,
        published.commit,
        *publication.expected,
    ]
    with tempfile.TemporaryDirectory(prefix="spectrum-verify-") as home:
        lines, errors = _run(command, Path(home), _environment(home, token if as_user else None))
    if errors is not None:
        said = redacted((errors or ["it was killed"])[-1], own_tokens(token))
        raise UserError(
            f"{publication.repository} is published, commit {published.commit[:8]}, but does not load: {said}"
        )
    return lines


def _run(command: list[str], home: Path, environment: dict[str, str]) -> tuple[list[str], list[str] | None]:
    """The output of a command, line by line with a bar; and its errors, if it failed."""
    with (home / "errors").open("w+", encoding="utf-8", errors="replace") as errors:
        with _started(command, cwd=home, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            output = tqdm(process.stdout, desc="verifying", unit="check", leave=False, disable=None)
            lines = [line.rstrip() for line in output]
            if not process.wait():
                return lines, None
        errors.seek(0)
        said = [line for line in errors.read().splitlines() if re.match(r"(Fatal Python error|[\w.]+): ", line)]
        return lines, said


@contextmanager
def _started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the block, nor do those that it starts, however the block ends."""
    process = subprocess.Popen(command, start_new_session=True, **options)  # noqa: S603
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def _environment(home: str, token: str | None) -> dict[str, str]:
    """That of this process without its caches, its token and its offline mode."""
    kept = {
        name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith(("HF_", "HUGGING"))
    }
    kept |= {"HF_HOME": home, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return kept | ({"HF_TOKEN": token} if token else {})
