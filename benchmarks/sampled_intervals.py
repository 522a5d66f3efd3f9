"""Measures whether what 1,000 answers of a model say about its divergence is right, where the exact value is known.

    python -m dataset_builder build --tasks dist_coinflip dist_binomial dist_categorical dist_hypergeometric \\
        --output SUITE
    python -m benchmarks.sampled_intervals --suite SUITE

The model is the Spectrum-tuned Gemma 3 270M in float32 on the CPU, in the format ``spectrum``. Of each task the same
number of items is drawn, among those whose options have at most ``--tokens`` tokens and hold at least ``--coverage`` of
the model's mass; each is scored by the log-probabilities of its options, which is exact, and estimated from ``--n``
answers. Counted are the items whose interval holds the exact value. ``bias`` is the mean of an estimate minus the exact
value, with its standard error over items.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from spectrum_suite.evaluation.alignment.sampled import by_samples
from spectrum_suite.evaluation.alignment.score_alignment import score_items
from spectrum_suite.evaluation.alignment.summarize_alignment import AlignmentItem
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.generation.logprobs import option_token_ids
from spectrum_suite.lm.local import LocalLM
from spectrum_suite.models import find_model
from spectrum_suite.suite import draw_rows, task_rows

RESULTS = Path(__file__).parent / "results" / "sampled-intervals.json"
MODEL, FORMAT = "embedded:gemma-3-270m-spectrum", "spectrum"
TASKS = ("dist_coinflip", "dist_binomial", "dist_categorical", "dist_hypergeometric")
METRICS = ("js_divergence", "total_variation", "brier")
SEED = 42
CANDIDATES = 100


def some_rows(lm: LocalLM, suite: str, task: str, *, count: int, tokens: int, coverage: float) -> Dataset:
    """Items of a task whose options are short, and of which the model thinks."""

    def is_short(row: dict[str, Any]) -> bool:
        return max(map(len, option_token_ids(lm.tokenizer, row["options"], lm.text_format))) <= tokens

    drawn = draw_rows(task_rows(suite, task).filter(is_short), task, limit=CANDIDATES, seed=SEED)
    covered = [place for place, item in enumerate(score_items(lm, drawn)) if item.scores["coverage"] >= coverage]
    return drawn.select(covered[:count])


def as_dict(exact: AlignmentItem, found: AlignmentItem) -> dict[str, Any]:
    """An item's exact values, and what its answers show."""
    told = {name: found.drawn[name] for name in ("n", "counts", "others", "plug_in", "corrected", "ci95", "p_value")}
    return {"id": exact.id, "exact": {name: exact.scores[name] for name in (*METRICS, "coverage")}} | told


def summary(items: list[dict[str, Any]], metric: str) -> dict[str, Any]:
    """The items whose interval holds the exact value, and the biases, in the metric's unit."""
    exact = np.array([item["exact"][metric] for item in items])
    low, high = np.array([item["ci95"][metric] for item in items]).T
    found = {"held": int(((low <= exact) & (exact <= high)).sum()), "of": len(items), "mean_width": (high - low).mean()}
    for kind in ("plug_in", "corrected"):
        off = np.array([item[kind][metric] for item in items]) - exact
        found |= {f"{kind}_bias": off.mean(), f"{kind}_bias_se": off.std(ddof=1) / len(off) ** 0.5}
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--items", type=int, default=60, help="of each task")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=4)
    parser.add_argument("--coverage", type=float, default=0.5)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    lm = LocalLM(find_model(MODEL), FORMAT, torch.device("cpu"), torch.float32)
    settings = EvaluationSettings(MODEL, arguments.output, n=arguments.n, seed=SEED)
    items: list[dict[str, Any]] = []
    begun = time.process_time()
    for task in arguments.tasks:
        rows = some_rows(
            lm, arguments.suite, task, count=arguments.items, tokens=arguments.tokens, coverage=arguments.coverage
        )
        if not len(rows):
            print(f"{task}: no item's options hold {arguments.coverage} of the model's mass", flush=True)
            continue
        for exact, found in zip(score_items(lm, rows), by_samples(lm, rows, settings=settings), strict=True):
            items.append(as_dict(exact, found))
        held = summary(items, "js_divergence")
        print(f"{task}: {held['held']} of {held['of']} intervals hold the exact value so far", flush=True)
    result = {
        "model": MODEL,
        "n": arguments.n,
        "tasks": arguments.tasks,
        "cpu_seconds": round(time.process_time() - begun),
        "summary": {metric: summary(items, metric) for metric in METRICS},
        "items": items,
    }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["summary"], indent=1))


if __name__ == "__main__":
    main()
