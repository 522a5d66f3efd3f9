"""vLLM's own server on this machine, in processes of its own."""

import os
import sys
from contextlib import contextmanager

from tests.served_apart import served_apart

NAME = "tiny"


@contextmanager
def vllm_server(model, *options, python=sys.executable):
    """Serve the model in a folder as ``NAME``; gives ``(address without a path, process)``."""
    command = [
        python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--served-model-name", NAME,
        "--host", "127.0.0.1", "--enforce-eager", "--block-size", "32", *options,
    ]  # fmt: skip
    with served_apart(command, environment=os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}) as served:
        yield served
