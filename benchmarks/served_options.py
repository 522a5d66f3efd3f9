"""Measures how many options a second are scored over a completions server, by us and by lm-evaluation-harness.

    python -m venv lm-eval && lm-eval/bin/pip install 'lm_eval[hf,api]==0.4.13'
    python -m benchmarks.served_options --server_python build/vllm/bin/python --lm_eval_python lm-eval/bin/python

    python -m venv llama && llama/bin/pip install 'llama-cpp-python[server]==0.3.36'
    python -m benchmarks.served_options --server llama_cpp --server_python llama/bin/python \
        --lm_eval_python lm-eval/bin/python --tasks dist_coinflip dist_hypergeometric --items 1 --rounds 3 \
        --output benchmarks/results/served-options-llama-cpp.json

The server is vLLM's, or llama-cpp-python's (which makes a list of all 262,144 tokens for each one of an echo, hence few
items), on this machine and on one thread, in front of the embedded Gemma 3 270M: vLLM has it in float32, llama.cpp in
the 4 bits of its GGUF file. Ours is what `evaluate --endpoint` asks it with; theirs is the harness's backend for such
servers: `local-completions` with as many requests under way and token ids in them, or `gguf`. Both get the same texts:
items of tasks in plain text. The ways take turns, with new items in each round, since what one has asked is in the
server's prefix cache; the server's cache is emptied between them, and theirs comes first in every second round. A
number that the two do not agree on is an error.

`ratio` is options per second, ours over theirs: the median of the rounds, with the lowest and the highest. `cpu_ratio`
is the same by the seconds of the processor that the server takes, on a busy machine the steadier number.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import requests

from benchmarks.measuring import Worker, conditions, cpu_seconds_of, measure_and_write, spread
from benchmarks.option_scoring import Item, suite_items
from dataset_builder.build import BuildOptions, build
from spectrum_suite.embedded_model import EMBEDDED_MODELS
from spectrum_suite.lm.client import CONCURRENCY, Endpoint
from spectrum_suite.lm.served import ServedLM
from spectrum_suite.models import find_model, load_tokenizer

RESULTS = Path(__file__).parent / "results" / "served-options.json"
MODEL = "embedded:gemma-3-270m"
TASKS = ("dist_urn", "dist_categorical", "dist_hypergeometric")
TOLERANCE_NATS = {"vllm": 0.02, "llama_cpp": 0.5}
"""Sums of an option's tokens over 262,144 logits, in batches of other sizes: in float32, and rounded to 8 bits.

llama-cpp-python differs from itself: an echo of the same text gave a token -5.98 from an empty cache, and -6.08 after
its prompt had been asked about; lists after that prompt -6.08 and -5.91.
"""

Run = dict[str, Any]
Way = Callable[[Sequence[Item]], Run]


@dataclass(frozen=True)
class Served:
    """A server, as both ways ask it.

    Attributes:
        process: That runs it.
        forget: Empties its prefix cache.
        lm: Ours.
        settings: Of the harness's backend, with its name as ``backend``.
    """

    process: psutil.Process
    forget: Callable[[], None]
    lm: ServedLM
    settings: dict[str, Any]


@contextmanager
def vllm(options: argparse.Namespace) -> Iterator[Served]:
    """vLLM's server."""
    from tests.vllm_server import NAME, vllm_server  # noqa: PLC0415 - a checkout has it

    files = find_model(MODEL)
    os.environ |= {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "HF_HUB_OFFLINE": "1"}
    os.environ |= {"VLLM_SERVER_DEV_MODE": "1"}  # its cache can be emptied
    served = ["--dtype", "float32", "--max-model-len", "2048", "--kv-cache-memory-bytes", str(2**30)]
    with vllm_server(str(files.folder), *served, python=str(options.server_python.absolute())) as (url, process):
        lm = ServedLM.of(Endpoint(f"{url}/v1", NAME, concurrency=options.concurrency), load_tokenizer(files))
        settings = {"backend": "local-completions", "model": NAME, "base_url": f"{url}/v1/completions",
                    "tokenizer": str(files.folder), "add_bos_token": True, "tokenizer_backend": "huggingface",
                    "num_concurrent": options.concurrency, "batch_size": options.batch_size}  # fmt: skip

        def forget() -> None:
            requests.post(f"{url}/reset_prefix_cache", timeout=60).raise_for_status()

        yield Served(psutil.Process(process.pid), forget, lm, settings)


@contextmanager
def llama_cpp(options: argparse.Namespace) -> Iterator[Served]:
    """llama-cpp-python's server."""
    from tests.served_apart import served_apart  # noqa: PLC0415 - a checkout has it

    with tempfile.TemporaryDirectory() as folder:
        gguf = EMBEDDED_MODELS[MODEL.removeprefix("embedded:")].gguf_path(Path(folder))
        command = [str(options.server_python.absolute()), "-m", "llama_cpp.server", "--model", str(gguf),
                   "--host", "127.0.0.1", "--logits_all", "True", "--n_ctx", "1024", "--n_threads", "1",
                   "--n_threads_batch", "1"]  # fmt: skip
        with served_apart(command, health="/v1/models") as (url, process):
            endpoint = Endpoint(f"{url}/v1", str(gguf), as_text=True, concurrency=options.concurrency)
            lm = ServedLM.of(endpoint, load_tokenizer(find_model(MODEL)))

            def forget() -> None:  # it keeps the text before, and no other
                requests.post(f"{url}/v1/completions", json={"prompt": "-", "max_tokens": 1}, timeout=60)

            yield Served(psutil.Process(process.pid), forget, lm, {"backend": "gguf", "base_url": url})


SERVERS = {"vllm": vllm, "llama_cpp": llama_cpp}


def items_of_rounds(options: argparse.Namespace) -> list[list[Item]]:
    """The items of each round, those of a round before the first among them; all are different."""
    tokenizer = load_tokenizer(find_model(MODEL))
    rounds = options.rounds + 1
    with tempfile.TemporaryDirectory() as folder:
        build(list(options.tasks), BuildOptions(Path(folder) / "suite", max_rows=rounds * options.items))
        of_task = [suite_items(f"{folder}/suite", task, rounds * options.items, tokenizer) for task in options.tasks]
    return [list(chain(*(items[number::rounds] for items in of_task))) for number in range(rounds)]


def run(way: Way, items: Sequence[Item], served: Served) -> Run:
    """One way on the items of a round, from an empty prefix cache."""
    served.forget()
    used = cpu_seconds_of(served.process)
    found = way(items)
    return found | {"cpu_seconds": cpu_seconds_of(served.process) - used}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both ways in turn, round by round; a round before the first is not counted.

    Raises:
        RuntimeError: They do not agree.
    """
    rounds = items_of_rounds(options)
    runs: list[dict[str, Run]] = []
    with SERVERS[options.server](options) as served:
        python = str(options.lm_eval_python.absolute())
        harness = Worker("benchmarks.lm_eval_completions", [], served.settings, python=python)
        ways: dict[str, Way] = {
            "ours": lambda items: scored(served.lm, items),
            "lm_eval": lambda items: harness(json.dumps([asdict(item) for item in items])),
        }
        print("the server answers: measuring", file=sys.stderr, flush=True)
        for number, items in enumerate(rounds):
            order = list(ways) if number % 2 else list(reversed(ways))
            runs.append({way: run(ways[way], items, served) for way in order})
        harness.close()
    return result(runs, rounds, options) | {"backend_of_theirs": served.settings["backend"], "about": conditions(MODEL)}


def result(runs: Sequence[dict[str, Run]], rounds: Sequence[Sequence[Item]], options: argparse.Namespace) -> Run:
    """What is written of the runs of each round, the one before the first among them.

    Raises:
        RuntimeError: The two ways do not agree.
    """
    names = [(item.prompt, option) for items in rounds for item in items for option in item.options]
    of_way = [[each for run in runs for log_probs in run[way]["log_probs"] for each in log_probs] for way in runs[0]]
    differences = [abs(a - b) for a, b in zip(*of_way, strict=True)]
    for apart, (prompt, option) in zip(differences, names, strict=True):
        if not apart <= TOLERANCE_NATS[options.server]:
            raise RuntimeError(f"the two ways differ by {apart:.3g} nats on {option!r} after {prompt[-60:]!r}")
    counts = [sum(len(item.options) for item in items) for items in rounds]
    return summary(runs[1:], counts[1:]) | {
        "server": options.server, "max_difference_nats": max(differences),
        "concurrency": options.concurrency, "batch_size_of_theirs": options.batch_size,
        "items_of_a_round": len(rounds[0]), "options": counts[1:], "tasks": options.tasks,
    }  # fmt: skip


def summary(runs: Sequence[dict[str, Run]], counts: Sequence[int]) -> Run:
    """Options per second of each way, and how many times as many ours are."""
    both = list(zip(runs, counts, strict=True))
    found: dict[str, Any] = {
        "per_second": {
            way: float(f"{median(n / run[way]['seconds'] for run, n in both):.3g}") for way in ("ours", "lm_eval")
        }
    }
    for name, seconds in (("ratio", "seconds"), ("cpu_ratio", "cpu_seconds")):
        found[name] = spread([run["lm_eval"][seconds] / run["ours"][seconds] for run in runs])
    return found


def scored(lm: ServedLM, items: Sequence[Item]) -> Run:
    """Ours."""
    began = time.perf_counter()
    found = lm.option_logprobs([item.prompt for item in items], [item.options for item in items])
    return {"seconds": time.perf_counter() - began, "log_probs": [each.log_probs.tolist() for each in found]}


def main() -> None:
    """Measure, print and write."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--server", choices=SERVERS, default="vllm", help="what serves the model (default: vllm)")
    command.add_argument("--server_python", type=Path, required=True, help="the interpreter that has the server")
    command.add_argument("--lm_eval_python", type=Path, required=True, help="the interpreter that has lm-eval")
    command.add_argument("--tasks", nargs="+", default=list(TASKS), help=f"(default: {' '.join(TASKS)})")
    command.add_argument("--items", type=int, default=10, help="of each task in a round (default: 10)")
    command.add_argument("--rounds", type=int, default=5, help="rounds that are counted (default: 5)")
    command.add_argument(
        "--concurrency", type=int, default=CONCURRENCY, help=f"requests under way (default: {CONCURRENCY})"
    )
    command.add_argument("--batch_size", type=int, default=1, help="prompts of each of their requests (default: 1)")
    measure_and_write(command, measure, RESULTS)


if __name__ == "__main__":
    main()
