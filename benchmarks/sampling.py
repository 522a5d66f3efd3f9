"""Measures 100 samples from one prompt: `spectrum_suite.generation.sample` against `transformers`' own `generate`.

    python -m benchmarks.sampling --json                        # a quarter of an hour on two cores
    python -m benchmarks.sampling --n 10 --calls 3 --output quick.json

The model is the embedded Gemma 3 270M in float32 on the CPU. The prompts are an urn and a request for a state, in plain
text; a sample has 16 tokens, or fewer where it comes to an end-of-sequence token. Each way to the same distribution is
run in a process of its own, on few samples first, which are not counted:

    ours             sample(model, tokenizer, [prompt], 100)
    ours_to_end      the same, ended by the blank line of the plain text format too, as evaluations use it
    separate         100 calls (or `--calls`) of generate(do_sample=True, temperature=1, top_k=0, top_p=1)
    num_return       one call of generate(num_return_sequences=100)

Seconds are the processor's (`cpu_seconds`, steadier on a busy machine) and those of the wall. `peak_gib` is the
largest memory of the process once the model is loaded, `working_mib` how much of it sampling took. Ratios are `ours`
against another: samples per second over theirs, and memory over theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spectrum_suite.formats.render import Message, get_format
from spectrum_suite.generation.sample import sample
from spectrum_suite.models import load_for_scoring

RESULTS = Path(__file__).parent / "results" / "sampling.json"
MODEL = "embedded:gemma-3-270m"
WAYS = ("ours", "ours_to_end", "separate", "num_return")
PROMPTS: dict[str, list[Message]] = {
    "urn": [
        {"role": "description", "content": "An urn holds 4 purple balls and 3 yellow balls."},
        {"role": "input", "content": "Draw one ball at random. What color is it? Answer in lower case."},
    ],
    "states": [{"role": "description", "content": "Name a state of the United States."}],
}
AS_IT_IS = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
CLEAR_REFS, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")  # Linux's account of this process


def sampler(
    way: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, messages: list[Message], tokens: int
) -> Callable[[int], Any]:
    """A function that draws so many samples of at most ``tokens`` tokens."""
    colon = get_format("colon", tokenizer)
    text = colon.prompt(messages).removeprefix(colon.bos)
    if way.startswith("ours"):
        end = colon if way == "ours_to_end" else None
        options = {"text_format": end, "max_new_tokens": tokens, "seed": 0}
        return lambda n: sample(model, tokenizer, [text], n, batch_size=n, **options)
    options = {**tokenizer(text, return_tensors="pt").to(model.device), **AS_IT_IS, "max_new_tokens": tokens}
    if way == "separate":
        return lambda n: [model.generate(**options) for _ in range(n)]
    return lambda n: model.generate(**options, num_return_sequences=n)


def measure(way: str, prompt: str, n: int, tokens: int) -> dict[str, float]:
    """Time and memory of one way, in this process."""
    model, tokenizer = load_for_scoring(MODEL, device="cpu", dtype="float32")
    draw = sampler(way, model, tokenizer, PROMPTS[prompt], tokens)
    torch.manual_seed(0)
    draw(2)
    loaded = memory("VmRSS")
    CLEAR_REFS.write_text("5")  # the peak of loading is forgotten
    wall, cpu = time.perf_counter(), time.process_time()
    draw(n)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = memory("VmHWM")
    return {
        "samples": n,
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "samples_per_cpu_second": round(n / cpu, 3),
        "samples_per_second": round(n / wall, 3),
        "peak_gib": round(peak / 2**20, 3),
        "working_mib": round((peak - loaded) / 2**10, 1),
    }


def memory(name: str) -> int:
    """Memory of this process in KiB: ``VmRSS`` now, ``VmHWM`` at most."""
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(name))


def ratios(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Ours over each other way."""
    ours = found["ours"]
    names = ("samples_per_cpu_second", "samples_per_second", "peak_gib")
    return {f"vs_{way}": {name: round(ours[name] / found[way][name], 2) for name in names} for way in WAYS[2:]}


def run_apart(way: str, prompt: str, n: int, tokens: int) -> dict[str, float]:
    """:func:`measure` in a process of its own.

    Raises:
        subprocess.CalledProcessError: It fails.
    """
    command = [sys.executable, "-m", "benchmarks.sampling", "--only", way, prompt]
    command += ["--n", str(n), "--tokens", str(tokens)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S603
    print(f"{prompt}, {way}: {found}", file=sys.stderr)
    return found


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = command.add_argument
    add("--n", type=int, default=100, help="samples (default: 100)")
    add("--calls", type=int, help="calls of generate in 'separate', which cost the same each (default: as --n)")
    add("--tokens", type=int, default=16, help="tokens of a sample at most (default: 16)")
    add("--json", action="store_true", help="print the results, not only write them")
    add("--output", type=Path, default=RESULTS, help="where the results are written")
    add("--only", nargs=2, metavar=("WAY", "PROMPT"), help="measure this alone, in this process, and print it")
    return command


def main() -> None:
    """Measure each way on each prompt, write the results."""
    arguments = parser().parse_args()
    if arguments.only:
        print(json.dumps(measure(*arguments.only, arguments.n, arguments.tokens)))
        return
    sizes = dict.fromkeys(WAYS, arguments.n) | {"separate": arguments.calls or arguments.n}
    results: dict[str, Any] = {
        "model": MODEL,
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "tokens": arguments.tokens,
    }
    for prompt in PROMPTS:
        found = {way: run_apart(way, prompt, sizes[way], arguments.tokens) for way in WAYS}
        results[prompt] = ratios(found) | {"ways": found}
    text = json.dumps(results, indent=1) + "\n"
    arguments.output.write_text(text)
    if arguments.json:
        print(text)


if __name__ == "__main__":
    main()
