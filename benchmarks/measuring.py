"""What the benchmarks share: time and memory of some work, work in a process of its own, and the conditions.

Seconds are the processor's (`cpu_seconds`, all threads, steadier on a busy machine) and those of the clock.
Peaks of memory need Linux, whose account of a process can be reset.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import psutil
import torch

from spectrum_suite.json_files import write_json

REPOSITORY = Path(__file__).parents[1]

Cost = dict[str, float]
"""``seconds, cpu_seconds, peak_gib`` of the process, and ``above_model_gib``, how much of it the work took."""

Result = TypeVar("Result")


def memory_gib(name: str) -> float:
    """``VmRSS`` (resident now) or ``VmHWM`` (its peak) of this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(rf"^{name}:\s+(\d+) kB", status, flags=re.MULTILINE)[1]) / 2**20


def measured(work: Callable[[], Result]) -> tuple[Result, Cost]:
    """What ``work`` gives, and what it costs."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # what is resident now is the peak so far
    before = memory_gib("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = memory_gib("VmHWM")
    return result, {
        "seconds": wall,
        "cpu_seconds": cpu,
        "peak_gib": round(peak, 3),
        "above_model_gib": round(peak - before, 3),
    }


def cpu_seconds_of(process: psutil.Process) -> float:
    """What a process and all that it has started have used of the processor so far."""
    return sum(sum(each.cpu_times()[:2]) for each in (process, *process.children(recursive=True)))


def spread(ratios: Sequence[float]) -> dict[str, float]:
    """The median of some ratios, the lowest and the highest."""
    found = {"median": median(ratios), "lowest": min(ratios), "highest": max(ratios)}
    return {name: round(value, 2) for name, value in found.items()}


def run_apart(module: str, options: Sequence[str], way: str, given: Any, *, python: str = sys.executable) -> Any:
    """What ``python -m MODULE OPTIONS --way WAY GIVEN RESULT`` writes into its last file, given the JSON in the other.

    Raises:
        RuntimeError: It fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "given.json", Path(folder) / "result.json"
        source.write_text(json.dumps(given))
        command = [python, "-m", module, *options, "--way", way, str(source), str(result)]
        code = subprocess.run(command, check=False, cwd=REPOSITORY).returncode  # noqa: S603
        if code:
            raise RuntimeError(f"{module}: {way!r} ended with code {code}")
        return json.loads(result.read_text())


class Worker:
    """A process that stays, ``python -m MODULE OPTIONS --work FILE``, and does one piece of work at a time.

    Several of them that take turns are disturbed alike by whatever else a machine has to do.

    Args:
        module: Calls :func:`serve`.
        options: Of its command line.
        given: What all its work needs; it finds this as JSON in FILE.
        python: Its interpreter.
    """

    def __init__(self, module: str, options: Sequence[str], given: Any, *, python: str = sys.executable) -> None:
        self._folder = tempfile.TemporaryDirectory()
        source = Path(self._folder.name) / "given.json"
        source.write_text(json.dumps(given))
        command = [python, "-m", module, *options, "--work", str(source)]
        self._process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
        )

    def __call__(self, task: str) -> Any:
        """The result of a piece of work, by its name.

        Raises:
            RuntimeError: The process has ended.
        """
        self._process.stdin.write(task + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._process.args)} ended with code {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._folder.cleanup()


def serve(work: Callable[[str], Any]) -> None:
    """Be a :class:`Worker`: do the work that each line of the input names, and answer with a line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is not an answer
    for line in sys.stdin:
        answers.write(json.dumps(work(line.strip())) + "\n")
        answers.flush()


def conditions(model: str) -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    return {
        "model": model,
        "dtype": "float32",
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "load_at_the_end": [round(load, 2) for load in os.getloadavg()],
        "libraries": {name: version(name) for name in ("torch", "transformers")},
    }


def measure_and_write(
    command: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], dict[str, Any]], results: Path
) -> None:
    """Parse the command line, measure, print, and write a JSON file: ``results``, or that of ``--output``."""
    command.add_argument("--output", type=Path, default=results, help=f"a JSON file (default: {results.name})")
    options = command.parse_args()
    found = measure(options)
    write_json(options.output, found)
    print(json.dumps(found, indent=1))
