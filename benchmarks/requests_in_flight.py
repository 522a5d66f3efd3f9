"""Measures how many more answers a second come of a chat service with many requests under way than one by one.

    python -m benchmarks.requests_in_flight --json
    python -m benchmarks.requests_in_flight --latency_s 0.05 --concurrency 8 --answers 200

The service is one on this machine, in a process of its own, that answers each request after 200 ms however many there
are (`tests/chat_server.py`). Each way asks for one answer a request, into an empty file of answers, so that what is
measured has all that a real run has: keys, the file, retries, the order of requests. `ratio` is answers per second with
`--concurrency` requests under way over those of one at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import REPOSITORY
from spectrum_suite.lm.answer_store import AnswerStore
from spectrum_suite.lm.client import Endpoint
from spectrum_suite.lm.service import Draws, Service

RESULTS = Path(__file__).parent / "results" / "requests_in_flight.json"
PATH = "chat/completions"
COLORS = {"red": 0.5, "green": 0.3, "blue": 0.2}


def serve(latency_s: float) -> None:
    """Be the service, until the input ends; the first line of the output is the address."""
    from tests.chat_server import chatting  # noqa: PLC0415 - only where it runs

    with chatting(lambda _: COLORS, latency_s=latency_s) as server:
        print(server.url, flush=True)
        sys.stdin.read()


def answers_per_second(url: str, answers: int, concurrency: int, folder: Path) -> tuple[float, float]:
    """How many answers come a second, and the processor's seconds for each."""
    store = AnswerStore(folder / f"{concurrency}-{answers}-{time.monotonic_ns()}")
    service = Service(Endpoint(url, "m", concurrency=concurrency), store)
    question = {"messages": [{"role": "user", "content": "Name a color."}], "max_tokens": 8}
    began, used = time.perf_counter(), time.process_time()
    (found,) = service.draw(PATH, [Draws(question, range(answers))], read, seeded=True, doing="Asking")
    seconds, used = time.perf_counter() - began, time.process_time() - used
    if len(found) != answers:
        raise RuntimeError(f"{len(found)} answers and not {answers}")
    return answers / seconds, used / answers


def read(response: dict[str, Any]) -> list[dict[str, Any]]:
    """The texts of a response."""
    return [{"text": choice["message"]["content"]} for choice in response["choices"]]


def measure(latency_s: float, answers: int, concurrency: int) -> dict[str, Any]:
    """Both ways, each once before that is not counted."""
    command = [sys.executable, "-m", "benchmarks.requests_in_flight", "--serve", "--latency_s", str(latency_s)]
    process = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    try:
        url = process.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            answers_per_second(url, 2 * concurrency, concurrency, Path(folder))
            single, single_cpu = answers_per_second(url, max(10, answers // concurrency), 1, Path(folder))
            many, many_cpu = answers_per_second(url, answers, concurrency, Path(folder))
    finally:
        process.communicate()
    return {
        "latency_s": latency_s,
        "concurrency": concurrency,
        "answers": answers,
        "answers_per_second": {"one_by_one": round(single, 2), "in_flight": round(many, 2)},
        "cpu_ms_per_answer": {"one_by_one": round(single_cpu * 1000, 2), "in_flight": round(many_cpu * 1000, 2)},
        "ratio": round(many / single, 2),
        "cpus": os.cpu_count(),
        "load_at_the_end": [round(load, 2) for load in os.getloadavg()],
    }


def main() -> None:
    """Measure and print, or serve."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--latency_s", type=float, default=0.2, help="seconds to an answer (default: 0.2)")
    command.add_argument("--answers", type=int, default=960, help="answers in flight; fewer one by one (default: 960)")
    command.add_argument("--concurrency", type=int, default=32, help="requests under way (default: 32)")
    command.add_argument("--json", action="store_true", help="print JSON instead of a line")
    command.add_argument("--output", type=Path, help=f"a file for the JSON as well, such as {RESULTS.name}")
    command.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = command.parse_args()
    if options.serve:
        serve(options.latency_s)
        return
    found = measure(options.latency_s, options.answers, options.concurrency)
    text = json.dumps(found, indent=1)
    if options.output:
        options.output.write_text(text + "\n")
    print(text if options.json else f"{found['ratio']} times the answers per second of one request at a time")


if __name__ == "__main__":
    main()
