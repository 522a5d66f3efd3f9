"""The pieces of work of `benchmarks.gpu`, each done in a process of its own.

python -m benchmarks.gpu_work matmul_peak '{"device": "cuda", "size": 8192, "rounds": 5}' result.json
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from benchmarks import option_scoring, training
from spectrum_suite.devices import has_dtype, peak_memory_gib
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.logprobs import option_logprobs
from spectrum_suite.generation.output_logprobs import output_logprobs
from spectrum_suite.generation.sample import sample
from spectrum_suite.json_files import write_whole
from spectrum_suite.models import load_for_scoring
from spectrum_suite.suite import draw_rows, task_rows

OUTPUTS = 8
"""Messages of a sequence whose outputs are scored, at most."""

Given = Mapping[str, Any]
Found = dict[str, Any]


def step_losses(given: Given) -> Found:
    """The loss of each of the first steps."""
    settings = Namespace(rows=4 * given["steps"], batch_size=4, max_length=256, **given)
    set_seed(training.SEED)  # of the adapter's first weights
    rows = training.rows_of(given["suite"], settings.rows)
    with tempfile.TemporaryDirectory() as output:
        trainer = training.ours(given["model"], rows, output, settings)
        trainer.train()
    return {"losses": [line["loss"] for line in trainer.state.log_history if "loss" in line]}


def scores(given: Given) -> Found:
    """Log-probabilities of options and outputs, and samples."""
    model, tokenizer = load_for_scoring(given["model"], device=given["device"], dtype="float32")
    items = draw_rows(task_rows(given["suite"], "dist_urn"), "dist_urn", limit=given["items"], seed=0)
    prompts, options = items["messages"][:], items["options"][:]
    sequences = [row[:OUTPUTS] for row in task_rows(given["suite"], training.TASKS[0])["messages"][: given["items"]]]
    drawn = sample(model, tokenizer, prompts[:4], 25, max_new_tokens=8, seed=0)
    return {
        "options": [row.tolist() for row in option_logprobs(model, tokenizer, prompts, options)],
        "outputs": [found.log_probs.tolist() for found in output_logprobs(model, tokenizer, sequences)],
        "samples": [text for each in drawn for text in each.texts],
    }


def throughput(given: Given) -> Found:
    """Trained tokens a second of one way of training, with one batch size."""
    settings = Namespace(max_length=256, **given)
    measured = training.measure(given["way"], given["model"], given["suite"], settings)
    measured["peak_gib"] = peak_memory_gib(torch.device(given["device"]))
    return measured


def matmul_peak(given: Given) -> Found:
    """What a large product of matrices in bfloat16 reaches, in operations a second: the peak that is to be had."""
    device, size = torch.device(given["device"]), given["size"]
    dtype = torch.bfloat16 if has_dtype(device, torch.bfloat16) else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = 0.0
    for _ in range(given["rounds"]):
        started = time.perf_counter()
        for _ in range(4):
            product = a @ b
        product[0, 0].item()
        best = max(best, 4 * 2 * size**3 / (time.perf_counter() - started))
    return {"operations_per_second": best, "dtype": str(dtype).removeprefix("torch."), "size": size}


def option_speed(given: Given) -> Found:
    """Options a second by the clock, of one way of scoring."""
    model, tokenizer = load_for_scoring(given["model"], device=given["device"])
    text_format = get_format("colon", tokenizer)
    rows = draw_rows(task_rows(given["suite"], "dist_urn"), "dist_urn", limit=given["items"], seed=0)
    items = [
        option_scoring.Item(
            text_format.prompt(messages).removeprefix(text_format.bos), [f" {text}" for text in options]
        )
        for messages, options in zip(rows["messages"], rows["options"], strict=True)
    ]
    option_scoring.WAYS[given["way"]](model, tokenizer, items[:2])
    started = time.perf_counter()
    option_scoring.WAYS[given["way"]](model, tokenizer, items)
    seconds = time.perf_counter() - started
    n_options = sum(len(item.options) for item in items)
    return {"options": n_options, "seconds": seconds, "options_per_second": n_options / seconds}


def sampling_speed(given: Given) -> Found:
    """Samples a second of one prompt, drawn at once by us or by one call of `generate`."""
    from benchmarks.sampling import PROMPTS, sampler  # noqa: PLC0415  it reads Linux's account of a process

    model, tokenizer = load_for_scoring(given["model"], device=given["device"])
    draw = sampler(given["way"], model, tokenizer, PROMPTS["urn"], 16)
    draw(2)
    started = time.perf_counter()
    draw(given["n"])
    seconds = time.perf_counter() - started
    return {"samples": given["n"], "seconds": seconds, "samples_per_second": given["n"] / seconds}


WORK: dict[str, Callable[[Given], Found]] = {
    work.__name__: work for work in (step_losses, scores, throughput, matmul_peak, option_speed, sampling_speed)
}
"""What a piece of work is called -> what does it."""


def main(words: Sequence[str]) -> None:
    """Do one piece of work, and write what it gives."""
    name, given, result = words
    write_whole(Path(result), json.dumps(WORK[name](json.loads(given))))


if __name__ == "__main__":
    main(sys.argv[1:])
