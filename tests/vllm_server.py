"""vLLM's own server on this machine, in processes of its own."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import requests

NAME = "tiny"
PATIENCE_S = 1500.0
"""Seconds until it answers, at most: it imports much, three times."""


@contextmanager
def vllm_server(model, *options, python=sys.executable):
    """Serve the model in a folder as ``NAME``; gives the address, without a path."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--served-model-name", NAME,
        "--host", "127.0.0.1", "--port", str(port), "--enforce-eager", "--block-size", "32", *options,
    ]  # fmt: skip
    environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            wait_for(url, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(60)


def wait_for(url, process, log):
    """Until the server answers; its log's end is in the error if it never does."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if requests.get(f"{url}/health", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(1)
    raise RuntimeError(f"vLLM's server does not answer:\n{log.read_text()[-3000:]}")
