"""`spectrum-suite serve`: a model that answers typed questions over HTTP."""

from __future__ import annotations

import logging
import os
import socket
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.evaluation.choices import SEED
from spectrum_suite.formats.tags import ALL_FORMATS
from spectrum_suite.parser import Parser

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from spectrum_suite.serving.worker import Worker

logger = logging.getLogger(__name__)

KEY = "SPECTRUM_SERVE_KEY"
"""The environment variable of the key that clients have to give."""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MAX_LENGTH = 4096
_CONNECTIONS = 1024

_ABOUT = """\
Serve a model that decides: POST /v1/systemone takes a state and typed questions about it (choice, noul, score) and
gives the probability of every allowed answer; POST /v1/decisions is the same as OpenAI writes it. Only this machine
is served unless --host says otherwise; where SPECTRUM_SERVE_KEY is set, clients have to give it as their key.
"""
_EXAMPLES = """\
examples:
  spectrum-suite serve embedded:gemma-3-270m --format colon
  spectrum-suite serve outputs/quickstart --orders 2 --port 8001
  spectrum-suite serve Qwen/Qwen3-0.6B --read labels --confidence over_vocabulary
"""


def main(words: Sequence[str], program: str = "spectrum-suite serve") -> None:
    """Serve what the words of a command line name; a user's mistake ends in one line and exit code 2."""
    with exit_on_user_error():
        options = _parser(program).parse_args(words)
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        for name in ("orders", "max_length"):
            if getattr(options, name) < 1:
                raise UserError(f"--{name} is {getattr(options, name)}: give a number of at least 1")
        key = os.environ.get(KEY) or None
        with listening_on(options.host, options.port) as listening:
            _serve(options, key, listening)


def _serve(options: Namespace, key: str | None, listening: socket.socket) -> None:
    import uvicorn  # noqa: PLC0415 - it is an extra

    worker, app = load_service(options, key)
    host, port, *_ = listening.getsockname()
    logger.info("serving %s on http://%s:%d", options.model, f"[{host}]" if ":" in host else host, port)
    if options.host not in _LOOPBACK and key is None:
        logger.warning("anyone who reaches this machine can ask: set %s to a key", KEY)
    settings = {"log_level": "warning", "access_log": False, "server_header": False, "ws": "none"}
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", limit_concurrency=_CONNECTIONS, **settings))
    try:
        server.run(sockets=[listening])
    finally:
        worker.close()


def load_service(options: Namespace, key: str | None) -> tuple[Worker, Starlette]:
    """What answers, and its web application; the model has answered a question by then.

    Raises:
        UserError: The model cannot be loaded, or cannot answer.
    """
    from spectrum_suite.decisions.decide import Reader  # noqa: PLC0415 - with `torch`, which takes seconds
    from spectrum_suite.formats.tags import find_format  # noqa: PLC0415
    from spectrum_suite.lm.calibration_file import calibration_of  # noqa: PLC0415
    from spectrum_suite.models import find_model, load_for_scoring, load_tokenizer  # noqa: PLC0415
    from spectrum_suite.serving.app import application  # noqa: PLC0415
    from spectrum_suite.serving.worker import Worker  # noqa: PLC0415
    from spectrum_suite.systemone import Option, Question  # noqa: PLC0415

    files = find_model(options.model, base=options.base, revision=options.revision)
    tokenizer = load_tokenizer(files)
    text_format = None if options.read == "labels" else find_format(options.format, tokenizer)
    reader = Reader.of(
        tokenizer, read=options.read, confidence=options.confidence, orders=options.orders, seed=options.seed,
        text_format=text_format, calibration=calibration_of(files, text_format, options.calibration),
    )  # fmt: skip
    model, _ = load_for_scoring(files, device=options.device, dtype=options.dtype)
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None) or options.max_length
    worker = Worker(model, reader, longest=min(options.max_length, positions))
    first = Question("ready", "choice", "Is this a question?", (Option("yes"), Option("no")))
    try:
        (found,) = worker.submit("This is a text.", [first]).result()
        if isinstance(found, UserError):
            raise found
    except UserError:
        worker.close()
        raise
    return worker, application(worker, options.served_name or options.model, key)


def listening_on(host: str, port: int) -> socket.socket:
    """A socket on which a service listens, taken before the model is loaded.

    What is sent is sent at once: the end of an answer would otherwise wait 40 ms for the client to confirm its
    beginning. asyncio sees to that only for sockets that are named TCP when they are made.

    Raises:
        UserError: It is taken, or there is no such address here.
    """
    try:
        found = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
        )
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if getattr(error, "errno", None) else error
        raise UserError(f"--host {host} --port {port} cannot be opened ({reason}): give another port") from error
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections have it from here
    return found


def _parser(program: str) -> Parser:
    command = Parser(prog=program, description=_ABOUT, epilog=_EXAMPLES)
    command.add_config()
    add = command.add_argument
    add("model", help="a folder, a Hub id, or embedded:gemma-3-270m; a checkpoint or an adapter")
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)")
    add("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    add("--served_name", metavar="NAME", help="the model's name for clients (default: as given here)")
    add(
        "--read", choices=("options", "labels"), default="options", help="what is scored: whole names, or vLLM's labels"
    )
    add(
        "--confidence",
        choices=("above_uniform", "over_vocabulary"),
        default="above_uniform",
        help="how far an answer is from a guess, or as vLLM has it (default: above_uniform)",
    )
    add("--format", default="auto", choices=("auto", *ALL_FORMATS), help="how the model is asked (default: auto)")
    add("--orders", type=int, default=1, help="orders of the options to average over (default: 1)")
    add("--seed", type=int, default=SEED, help=f"seed for drawing orders (default: {SEED})")
    add("--calibration", type=Path, metavar="PATH", help="calibration.json or its folder, of this model")
    add("--max_length", type=int, default=_MAX_LENGTH, help=f"maximum tokens of a question (default: {_MAX_LENGTH})")
    add("--device", help="cpu, cuda, cuda:1, mps, xpu (default: the accelerator if there is one)")
    add("--dtype", help="float32, bfloat16 or float16 (default: bfloat16 on an accelerator, float32 elsewhere)")
    add("--base", help="base model of an adapter (default: the one that it names)")
    add("--revision", help="branch, tag or commit of a model on the Hub")
    return command
