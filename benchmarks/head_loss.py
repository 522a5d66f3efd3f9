"""Measures the loss of a training step from the states before the LM head, compared with the loss from its logits.

    python -m benchmarks.head_loss --json
    python -m benchmarks.head_loss --positions 128 --rounds 1

Both give the nats of the same targets, and the gradients of the states and of three rows of the head that are trained,
with the head of Gemma 3 270M (262,144 rows of 640), as 32-bit and as 16-bit numbers on a CPU:

    logits   the head, then cross-entropy with one matrix of the vocabulary in memory (`spectrum_suite.training.losses`)
    states   a piece of the vocabulary at a time (`spectrum_suite.training.losses`)

The ways take turns, and medians count; `ratio` is the seconds of `logits` over those of `states`. `above_model_gib` is
the memory that the work took at its peak, which needs Linux.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.nn.functional import linear

from benchmarks.measuring import Cost, measured
from spectrum_suite.json_files import write_json
from spectrum_suite.training.losses import FrozenHead, token_nll

RESULTS = Path(__file__).parent / "results" / "head-loss.json"
VOCABULARY, WIDTH = 262_144, 640
TRAINED_ROWS = torch.tensor([105, 106, 107])
Gradients = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def ways(positions: int, dtype: torch.dtype) -> dict[str, Callable[[], Gradients]]:
    """Name -> what computes the nats of two targets for every position, and both gradients of their mean."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(VOCABULARY, WIDTH, generator=generator).mul_(0.05).to(dtype)
    given = torch.randn(positions, WIDTH, generator=generator).to(dtype)
    trained = torch.randn(len(TRAINED_ROWS), WIDTH, generator=generator).mul_(0.05)
    lines = torch.arange(positions).repeat_interleave(2)
    targets = torch.randint(VOCABULARY, (len(lines),), generator=generator)

    def of_logits(states: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        logits = linear(states, weight).index_copy(-1, TRAINED_ROWS, linear(states, rows.to(dtype)))
        return token_nll(logits.float(), lines, targets)

    def of_states(states: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return FrozenHead(weight, TRAINED_ROWS, rows).token_nll(states, lines, targets)

    def step(nats_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Gradients:
        states, rows = given.clone().requires_grad_(), trained.clone().requires_grad_()
        nats = nats_of(states, rows)
        return nats.detach(), *torch.autograd.grad(nats.mean(), (states, rows))

    return {"logits": lambda: step(of_logits), "states": lambda: step(of_states)}


def compare(positions: int, dtype: torch.dtype, rounds: int) -> dict[str, Any]:
    """Seconds and memory of both ways, and how far apart their nats are."""
    work = ways(positions, dtype)
    costs: dict[str, list[Cost]] = {name: [] for name in work}
    found: dict[str, Gradients] = {}
    for _ in range(rounds + 1):
        for name, way in work.items():
            found[name], cost = measured(way)
            costs[name].append(cost)
    medians = {
        name: {key: round(median(cost[key] for cost in kept[1:]), 4) for key in kept[0]} for name, kept in costs.items()
    }
    return {
        "ratio": round(medians["logits"]["seconds"] / medians["states"]["seconds"], 2),
        "largest_difference_nats": float((found["logits"][0] - found["states"][0]).abs().max()),
        **medians,
    }


def main(positions: int, rounds: int) -> dict[str, Any]:
    """Both number formats."""
    return {
        "positions": positions,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "torch": torch.__version__,
        "float32": compare(positions, torch.float32, rounds),
        "bfloat16": compare(positions, torch.bfloat16, rounds),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--positions", type=int, default=400, help="positions that are trained in a step (default: 400)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="after one to warm up (default: 5)")
    parser.add_argument("--json", action="store_true", help=f"write the result to {RESULTS.name}")
    arguments = parser.parse_args()
    result = main(arguments.positions, arguments.rounds)
    if arguments.json:
        write_json(RESULTS, result)
    for name in ("float32", "bfloat16"):
        print(f"{name}: {result[name]['ratio']} times as fast from states")
