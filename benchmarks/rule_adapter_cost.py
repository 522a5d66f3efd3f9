"""Measures a token of greedy generation with the three rules: with a key-value cache and without, against none.

    python -m benchmarks.rule_adapter_cost --json
    python -m benchmarks.rule_adapter_cost --tokens 16 64 --repeats 2 --output quick.json

The model is the embedded Gemma 3 270M in float32 on the CPU, on one prompt, and nothing ends a response early:

    plain        generate
    adapter      generate with a RuleBasedAdapter
    cacheless    the whole text in one pass for every token, and the adapter: the way of the paper's code

The ways take turns, so that a busy machine is as busy for each of them; a short response has up to four times as many
turns as the longest. Medians count: of the seconds, and of the ratios of a token's time to that of `plain` in the same
turn. The passes of `cacheless` are timed at a few lengths (`--passes`), evenly spaced over the response. Seconds are of
the processor (`cpu_seconds`) and of the wall; `words_found_seconds` is what the adapter takes once, to find its words
in the vocabulary.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel, PreTrainedTokenizerBase

from spectrum_suite.generation.rule_adapter import RuleBasedAdapter
from spectrum_suite.models import load_for_scoring

RESULTS = Path(__file__).parent / "results" / "rule-adapter.json"
MODEL = "embedded:gemma-3-270m"
PROMPT = "<|user|>\nName three things that one can do with an old brick, and say why.\n<|assistant|>\n"
WAYS = ("plain", "adapter", "cacheless")


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the wall and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def generating(model: PreTrainedModel, ids: torch.Tensor, tokens: int, adapter: RuleBasedAdapter | None) -> None:
    """Generate exactly so many tokens."""
    config = GenerationConfig(do_sample=False, max_new_tokens=tokens, pad_token_id=0)
    processors = LogitsProcessorList([] if adapter is None else [adapter])
    found = model.generate(
        ids, attention_mask=torch.ones_like(ids), generation_config=config, logits_processor=processors
    )
    if found.shape[1] != ids.shape[1] + tokens:
        raise RuntimeError(f"{found.shape[1] - ids.shape[1]} tokens were generated, not {tokens}")


@torch.inference_mode()
def whole_passes(model: PreTrainedModel, texts: list[torch.Tensor], adapter: RuleBasedAdapter) -> None:
    """The next token of each text, without a cache."""
    for text in texts:
        logits = model(text, use_cache=False, logits_to_keep=1).logits[:, -1]
        adapter(text, logits).argmax(-1)


def measure(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: list[int], *, repeats: int, passes: int
) -> dict[str, Any]:
    """Seconds per token of each way at each number of tokens, and their ratios."""
    model.generation_config.eos_token_id = None  # nothing ends a response
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    started = time.process_time()
    adapter = RuleBasedAdapter(tokenizer)
    found: dict[str, Any] = {"words_found_seconds": round(time.process_time() - started, 2)}
    counting = RuleBasedAdapter(tokenizer, prompt_length=ids.shape[1])
    generating(model, ids, 2, adapter)
    for count in tokens:
        lengths = torch.linspace(0, count - 1, min(passes, count)).round().int().tolist()
        texts = [torch.cat([ids, ids.new_full((1, length), 7)], 1) for length in lengths]
        works = {
            "plain": (count, lambda n=count: generating(model, ids, n, None)),
            "adapter": (count, lambda n=count: generating(model, ids, n, adapter)),
            "cacheless": (len(texts), lambda found=texts: whole_passes(model, found, counting)),
        }
        seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(repeats * min(max(tokens) // count, 4)):
            for way, (steps, work) in works.items():
                seconds[way].append(tuple(value / steps for value in timed(work)))
        found[str(count)] = compare(seconds)
    return found


def compare(seconds: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """The median turn of each way, and the median of its ratios to ``plain`` in the same turn."""
    found = {}
    for way, turns in seconds.items():
        wall, cpu = (median(column) for column in zip(*turns, strict=True))
        pairs = zip(turns, seconds["plain"], strict=True)
        ratios = [[mine / plain for mine, plain in zip(*pair, strict=True)] for pair in pairs]
        ratio, cpu_ratio = (median(column) for column in zip(*ratios, strict=True))
        found[way] = {
            "seconds_per_token": round(wall, 5),
            "cpu_seconds_per_token": round(cpu, 5),
            "ratio": round(ratio, 3),
            "cpu_ratio": round(cpu_ratio, 3),
            "turns": len(turns),
        }
    return found


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = command.add_argument
    add("--model", default=MODEL, help=f"a folder, a Hub id or an embedded model (default: {MODEL})")
    add("--tokens", type=int, nargs="+", default=[16, 64, 256], help="tokens of a response (default: 16 64 256)")
    add("--repeats", type=int, default=3, help="turns of each way on the longest response (default: 3)")
    add("--passes", type=int, default=8, help="lengths at which cacheless is timed (default: 8)")
    add("--json", action="store_true", help="print the results, not only write them")
    add("--output", type=Path, default=RESULTS, help="where the results are written")
    return command


def main() -> None:
    """Measure, write the results."""
    arguments = parser().parse_args()
    model, tokenizer = load_for_scoring(arguments.model, device="cpu", dtype="float32")
    results: dict[str, Any] = {
        "model": arguments.model,
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "repeats": arguments.repeats,
    }
    results |= measure(model, tokenizer, arguments.tokens, repeats=arguments.repeats, passes=arguments.passes)
    text = json.dumps(results, indent=1) + "\n"
    arguments.output.write_text(text)
    if arguments.json:
        print(text)


if __name__ == "__main__":
    main()
