"""A server on this machine in processes of its own, from its start until it is not needed."""

import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import requests

PATIENCE_S = 1500.0
"""Seconds until it answers, at most: vLLM imports much, three times."""


@contextmanager
def served_apart(command, *, health="/health", environment=None):
    """``(address without a path, process)`` of what a command serves, once it answers; it is given ``--port``."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [*command, "--port", str(port)], stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        try:
            wait_for(f"{url}{health}", process, log)
            yield url, process
        finally:
            process.terminate()
            process.wait(60)


def wait_for(address, process, log):
    """Until the server answers; its log's end is in the error if it never does."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if requests.get(address, timeout=5).ok:
                return
        except requests.RequestException:
            pass  # not yet
        time.sleep(1)
    raise RuntimeError(f"the server does not answer:\n{log.read_text()[-3000:]}")
