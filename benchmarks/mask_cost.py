"""What the attention mask of trees costs: seconds and memory of building it, beside a training step that uses it.

    python -m benchmarks.mask_cost --output benchmarks/results/mask-cost.json
    python -m benchmarks.mask_cost --models smollm2-135m --lengths 512 2048 --rounds 1

A row of so many tokens is a tree as training with `--branching 1` makes one: a description of a quarter of the row, and
after it branches of 16 tokens. Measured are, in turns, of which medians count:

    mask     `tree_inputs`: parents become the mask (or masks, where layers have a window) and the positions
    step     a forward and a backward pass of a LoRA adapter on the embedded model, which is given that mask
    causal   the same step on a row that is one sequence, which no mask is spelled out for

`share_of_step` is the seconds of the mask over those of mask and step together. `mask_bytes` are of the masks
themselves, and `peak_bytes` of all that lives at once while they are built. Where a step takes more than
a minute, the round that warms up is the only one.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM, PreTrainedModel

from spectrum_suite.embedded_model import EMBEDDED_MODELS, resolve_model
from spectrum_suite.json_files import write_json
from spectrum_suite.live_memory import LiveMemory, tensor_bytes
from spectrum_suite.lm_head import scored_positions
from spectrum_suite.tree_attention import ROOT, takes, tree_inputs

LENGTHS = (512, 2048, 8192)
BRANCH, SHARED = 16, 0.25
SCORED = 64
"""Tokens that a loss is computed for: a head of 262,144 rows would otherwise take most of the step."""

LONG_STEP = 60
"""Seconds of a step that is not repeated."""

TOKEN = 5


def parents_of(length: int) -> torch.Tensor:
    """The parents of a row's tokens, (1, length)."""
    begin = int(length * SHARED)
    parents = list(range(ROOT, begin - 1))
    parents += [begin - 1 if (at - begin) % BRANCH == 0 else at - 1 for at in range(begin, length)]
    return torch.tensor([parents])


def step_of(model: PreTrainedModel, length: int) -> Callable[[dict[str, Any]], None]:
    """A forward and a backward pass on a row of so many tokens."""
    tokens = torch.full((1, length), TOKEN)
    scored = torch.zeros(1, length, dtype=torch.bool)
    scored[0, :: length // SCORED] = True

    def step(inputs: dict[str, Any]) -> None:
        with scored_positions(model, scored):
            logits = model(input_ids=tokens, use_cache=False, **inputs).logits.float()
        torch.nn.functional.cross_entropy(logits, torch.full((len(logits),), TOKEN)).backward()
        model.zero_grad()

    return step


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What some work gives, and its seconds."""
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def measure(model: PreTrainedModel, length: int, rounds: int) -> dict[str, Any]:
    """Seconds and bytes at a length."""
    parents, step = parents_of(length), step_of(model, length)
    plain = {"attention_mask": torch.ones(1, length, dtype=torch.long)} if takes(model, "attention_mask") else {}
    seconds: dict[str, list[float]] = {"mask": [], "step": [], "causal": []}
    for _ in range(rounds + 1):
        if max(seconds["step"], default=0) > LONG_STEP:
            break
        inputs, taken = timed(lambda: tree_inputs(parents, model))
        seconds["mask"].append(taken)
        seconds["step"].append(timed(lambda given=inputs: step(given))[1])
        seconds["causal"].append(timed(lambda: step(plain))[1])
    with LiveMemory() as live:
        inputs = tree_inputs(parents, model)
    medians = {name: median(found[1:] or found) for name, found in seconds.items()}
    return {
        "rounds": len(seconds["step"]) - 1 or 1,
        "seconds": {name: round(value, 5) for name, value in medians.items()},
        "share_of_step": round(medians["mask"] / (medians["mask"] + medians["step"]), 4),
        "tree_over_causal": round((medians["mask"] + medians["step"]) / medians["causal"], 3),
        "mask_bytes": tensor_bytes(tree_leaves(inputs["attention_mask"])),
        "peak_bytes": live.peak,
    }


def main(models: Sequence[str], lengths: Sequence[int], rounds: int) -> dict[str, Any]:
    """All models at all lengths, one after another."""
    found: dict[str, Any] = {}
    for name in models:
        model = AutoModelForCausalLM.from_pretrained(resolve_model(f"embedded:{name}"), dtype=torch.float32)
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=16, target_modules="all-linear")).train()
        found[name] = {}
        for length in lengths:
            found[name][str(length)] = measure(model, length, rounds)
            print(name, length, found[name][str(length)], flush=True)
    return {
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "torch": torch.__version__,
        "models": found,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(EMBEDDED_MODELS), default=list(EMBEDDED_MODELS))
    parser.add_argument(
        "--lengths", nargs="+", type=int, default=LENGTHS, help="tokens of a row (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="after one to warm up (default: 3)")
    parser.add_argument("--output", type=Path, help="a JSON file for the result")
    arguments = parser.parse_args()
    result = main(arguments.models, arguments.lengths, arguments.rounds)
    if arguments.output:
        write_json(arguments.output, result)
