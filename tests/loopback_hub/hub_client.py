"""Run a function of a test for an anonymous user: in a fresh process, elsewhere, with a Hub and none of our code."""

import inspect
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.loopback_hub.hub_server import Hub

WITHOUT_OURS = """
import sys
sys.modules.update(spectrum_suite=None, dataset_builder=None)  # cannot be imported, though they may be installed
"""
CALL = """
import json, sys
answer = {name}(*json.loads(sys.argv[1]))
with open(sys.argv[2], "w") as file:
    json.dump(answer, file)
"""


def ask(
    hub: Hub,
    folder: Path,
    function: Callable[..., Any],
    *arguments: Any,
    token: str | None = None,
    uploads: bool = True,
    python: str = sys.executable,
    **variables: str,
) -> Any:
    """What ``function`` returns in a process of its own, which sees nothing but its own source.

    Args:
        hub: The Hub that the process knows.
        folder: Where it runs; its ``HF_HOME`` is a folder in there, so a second call finds what the first one cached.
        function: Its imports are inside; what it takes and returns goes through JSON.
        arguments: What it takes.
        token: As in :meth:`Hub.environment`, like ``uploads``.
        uploads: Whether it sends large files.
        python: Which interpreter runs it.
        variables: More environment.
    """
    code = WITHOUT_OURS + textwrap.dedent(inspect.getsource(function)) + CALL.format(name=function.__name__)
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment = hub.environment(home, token=token, uploads=uploads) | variables
    answer = folder / "answer.json"
    command = [python, "-I", "-W", "ignore", "-c", code, json.dumps(arguments), str(answer)]
    run = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(answer.read_text())
