"""Measures how many decisions a second `spectrum-suite serve` gives, beside vLLM's own server and one by one.

    python -m benchmarks.served_decisions --vllm_python build/vllm/bin/python      # as `make test-vllm` makes it
    python -m benchmarks.served_decisions --vllm_python build/vllm/bin/python --layers 12 --heads 16

Both servers serve the same Qwen3 of random weights in float32 on one thread, and are asked the same requests to
`/v1/systemone`: three questions (a choice, a yes or no, a score) about a ticket of its own each, so that no server
finds a prompt in its prefix cache. The ways take turns, `--rounds` times, with new requests in each round:

    ours            our server, `--clients` requests under way
    vllm            vLLM's, the same
    ours_single     our server, one request at a time
    vllm_single     vLLM's, the same

A probability that the two do not agree on to 0.01 is an error. `vs_vllm` and `vs_single` are ratios of decisions a
second, ours over theirs and many over one at a time, of each round: the median with the lowest and the highest.
`cpu_ms` are milliseconds of the processor for a decision, in all processes of a server, and `vs_vllm_cpu` is how many
times as much of it theirs takes; on a busy machine that is the steadier number.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks.measuring import REPOSITORY, conditions, cpu_seconds_of, measure_and_write, spread

RESULTS = Path(__file__).parent / "results" / "served-decisions.json"
TOLERANCE = 0.01
QUESTIONS = {
    "team": {
        "type": "choice",
        "instructions": "Which team should handle this ticket?",
        "criteria": {"billing": "payments and refunds", "shipping": None, "security of accounts": "access"},
    },
    "urgent": {"type": "noul", "instructions": "Is a reply due within the hour?", "criteria": {"true": "money moves"}},
    "tone": {"type": "score", "instructions": "How upset is the customer?", "criteria": ["calm", "annoyed", "furious"]},
}
TEXT = "the card was charged twice for one order and nobody has replied for a week please help me now"

Body = dict[str, Any]
Run = dict[str, Any]


@dataclass(frozen=True)
class Server:
    """A server that is asked.

    Attributes:
        url: Its address, without a path.
        process: Its main process.
    """

    url: str
    process: psutil.Process

    def ask(self, bodies: Sequence[Body], clients: int) -> Run:
        """Send requests with so many of them under way, over a connection for each."""
        connections: SimpleQueue[http.client.HTTPConnection] = SimpleQueue()
        for _ in range(clients):
            connections.put(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=300))

        def send(body: Body) -> list[float]:
            connection = connections.get()
            connection.request("POST", "/v1/systemone", json.dumps(body).encode(), {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = json.loads(response.read())
            connections.put(connection)
            if response.status != 200:
                raise RuntimeError(f"{self.url} answered {response.status}: {content}")
            return list(numbers_of(content["answers"]))

        used, began = cpu_seconds_of(self.process), time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            answers = list(pool.map(send, bodies))
        seconds, used = time.perf_counter() - began, cpu_seconds_of(self.process) - used
        decisions = sum(len(body["questions"]) for body in bodies)
        return {"per_second": decisions / seconds, "cpu_ms": 1000 * used / decisions, "answers": answers}


def numbers_of(answers: dict[str, Any]) -> Iterator[float]:
    """The probabilities of some answers, in order."""
    for name in QUESTIONS:
        answer = answers[name]
        yield from [answer["noul"]] if answer["type"] == "noul" else answer["probabilities"].values()


def requests_about(tickets: Iterator[int], many: int, name: str, draw: random.Random) -> list[Body]:
    """Requests about tickets that are all different from their first words on."""
    return [
        {
            "model": name,
            "state": {"number": next(tickets), "ticket": " ".join(draw.choices(TEXT.split(), k=draw.randint(20, 60)))},
            "questions": QUESTIONS,
        }
        for _ in range(many)
    ]


@contextmanager
def both(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Server]]]:
    """The name of the model for clients, and our server and vLLM's in front of it."""
    from tests.served_apart import served_apart  # noqa: PLC0415 - a checkout has them
    from tests.small_tokenizers import DECIDER, MAKERS  # noqa: PLC0415
    from tests.tiny_models import save_qwen3_decider  # noqa: PLC0415
    from tests.vllm_server import NAME, vllm_server  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        save_qwen3_decider(model, MAKERS[DECIDER](), layers=options.layers, heads=options.heads)
        os.environ |= {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "HF_HUB_OFFLINE": "1"}
        command = [
            sys.executable, "-m", "spectrum_suite", "serve", str(model), "--read", "labels", "--confidence",
            "over_vocabulary", "--served_name", NAME, "--dtype", "float32", "--device", "cpu",
        ]  # fmt: skip
        memory = ("--dtype", "float32", "--kv-cache-memory-bytes", str(2**28))
        python = str(options.vllm_python.absolute())
        with (
            served_apart(command, environment=os.environ | {"PYTHONPATH": str(REPOSITORY)}) as ours,
            vllm_server(model, *memory, python=python) as theirs,
        ):
            served = {"ours": ours, "vllm": theirs}
            yield NAME, {way: Server(url, psutil.Process(process.pid)) for way, (url, process) in served.items()}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All ways in turn, round by round; a round before the first is not counted."""
    runs: list[dict[str, Run]] = []
    apart = 0.0
    tickets, draw = count(1), random.Random(options.seed)
    with both(options) as (name, servers):
        print("both servers answer: measuring", file=sys.stderr, flush=True)
        for _ in range(options.rounds + 1):
            many = requests_about(tickets, options.requests, name, draw)
            few = requests_about(tickets, max(1, options.requests // 4), name, draw)
            run = {way: server.ask(many, options.clients) for way, server in servers.items()}
            run |= {f"{way}_single": server.ask(few, 1) for way, server in servers.items()}
            for suffix in ("", "_single"):
                pairs = zip(*(run[way + suffix].pop("answers") for way in servers), strict=True)
                apart = max([apart, *(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))])
            runs.append(run)
    if apart > TOLERANCE:
        raise RuntimeError(f"the servers' probabilities differ by {apart:.3g}")
    runs = runs[1:]
    return {
        "about": conditions(f"Qwen3 of random weights, {options.layers} layers, {32 * options.heads} wide"),
        "clients": options.clients,
        "requests": options.requests,
        "rounds": options.rounds,
        "decisions_per_request": len(QUESTIONS),
        "max_difference": apart,
        "per_second": {way: round(median(run[way]["per_second"] for run in runs), 1) for way in runs[0]},
        "cpu_ms": {way: round(median(run[way]["cpu_ms"] for run in runs), 2) for way in runs[0]},
        "vs_vllm": spread([run["ours"]["per_second"] / run["vllm"]["per_second"] for run in runs]),
        "vs_vllm_single": spread([run["ours_single"]["per_second"] / run["vllm_single"]["per_second"] for run in runs]),
        "vs_vllm_cpu": spread([run["vllm"]["cpu_ms"] / run["ours"]["cpu_ms"] for run in runs]),
        "vs_single": spread([run["ours"]["per_second"] / run["ours_single"]["per_second"] for run in runs]),
    }


def main() -> None:
    """Measure, print and write."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--vllm_python", type=Path, required=True, help="the interpreter that has vLLM")
    command.add_argument("--clients", type=int, default=16, help="requests under way (default: 16)")
    command.add_argument("--requests", type=int, default=128, help="of a way in a round (default: 128)")
    command.add_argument("--rounds", type=int, default=5, help="rounds that are counted (default: 5)")
    command.add_argument("--layers", type=int, default=2, help="of the model (default: 2)")
    command.add_argument("--heads", type=int, default=2, help="of the model, 32 wide each (default: 2)")
    command.add_argument("--seed", type=int, default=42, help="of the requests (default: 42)")
    measure_and_write(command, measure, RESULTS)


if __name__ == "__main__":
    main()
