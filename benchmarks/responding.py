"""Measures greedy responses of very different lengths: `spectrum_suite.generation.respond` beside `generate`.

    python -m benchmarks.responding                      # a quarter of an hour on two cores
    python -m benchmarks.responding --instructions 4 --batch_size 8

The model is the embedded `gemma-3-270m-markers` in float32 on the CPU. Each of 16 instructions is asked without a
marker and with `length_tokens` at 10, 25, 50, 100 and 200, so that short and long responses are in a batch, as in an
evaluation of markers; a response has at most 288 tokens. Prompts of similar length make batches of 48, and each batch
is run in two ways, one of them first in every second batch:

    ours         respond(model, tokenizer, prompts, batch_size=48)
    generate     model.generate(**tokenizer(texts, padding=True), do_sample=False), padded on the left

What a first call finds out is found out before, on two prompts. `ratio` is of seconds, theirs over ours: the median of
the batches with the lowest and the highest; `cpu_ratio` is the same by the seconds of the processor. `same` is the
share of responses that are equal: where two tokens are nearly as likely, rounding in batches of other sizes decides.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.measuring import conditions, measure_and_write, measured, spread
from spectrum_suite.formats.render import Format, Message, get_format
from spectrum_suite.generation.respond import respond
from spectrum_suite.generation.sample import ending_of
from spectrum_suite.markers.marker_list import mark_prompt
from spectrum_suite.models import load_for_scoring

RESULTS = Path(__file__).parent / "results" / "responding.json"
MODEL = "embedded:gemma-3-270m-markers"
INSTRUCTIONS = (
    "How do I keep basil alive on a windowsill in winter?",
    "Write a short note to my neighbours about a broken lift.",
    "What is the difference between a lake and a reservoir?",
    "Give me a plan for a weekend with two small children.",
    "Explain to a child why the moon changes its shape.",
    "Which questions should I ask before I rent a flat?",
    "Describe the smell of a library.",
    "How is bread made without yeast?",
    "Suggest a name for a café beside a railway station, and say why.",
    "What happens in a computer when I press a key?",
    "Write a rule for sharing a garden among six families.",
    "How can I tell whether an egg is still good?",
    "Tell me about the history of the bicycle.",
    "What should a speech at a small wedding have in it?",
    "Compare learning to swim as a child and as an adult.",
    "Why do cities have more storms than the country around them?",
)
LENGTHS = (None, 10, 25, 50, 100, 200)
MAX_NEW_TOKENS = 288


def prompts_of(instructions: Sequence[str], text_format: Format) -> list[list[Message]]:
    """Every instruction in every setting, those of similar length beside each other."""
    asked = [[{"role": "input", "content": text}] for text in instructions]
    prompts = [
        messages if length is None else mark_prompt(messages, {"length_tokens": length})
        for messages in asked
        for length in LENGTHS
    ]
    return sorted(prompts, key=lambda messages: -len(text_format.prompt(messages)))


def plain_generate(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[list[Message]], text_format: Format
) -> list[str]:
    """What a user would write."""
    end = ending_of(model.generation_config, tokenizer, text_format)
    texts = [text_format.prompt(messages) for messages in prompts]
    inputs = tokenizer(texts, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt")
    output = model.generate(
        **inputs, do_sample=False, max_new_tokens=MAX_NEW_TOKENS, eos_token_id=sorted(end.ids),
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return [end.text_before(end.cut(row)[0]) for row in output[:, inputs["input_ids"].shape[1] :].tolist()]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both ways on each batch, in turns."""
    model, tokenizer = load_for_scoring(MODEL, device="cpu", dtype="float32")
    text_format = get_format("chat", tokenizer)
    prompts = prompts_of(INSTRUCTIONS[: options.instructions], text_format)
    how = {"text_format": text_format, "max_new_tokens": MAX_NEW_TOKENS, "batch_size": options.batch_size}
    lengths: list[int] = []

    def ours(batch: Sequence[list[Message]]) -> list[str]:
        found = respond(model, tokenizer, batch, **how)
        lengths.extend(response.tokens for response in found)
        return [response.text for response in found]

    def theirs(batch: Sequence[list[Message]]) -> list[str]:
        with torch.inference_mode():
            return plain_generate(model, tokenizer, batch, text_format)

    ways = {"ours": ours, "generate": theirs}
    for way in ways.values():
        way(prompts[::-1][:2])
    lengths.clear()
    runs, same = [], 0
    for number, start in enumerate(range(0, len(prompts), options.batch_size)):
        batch = prompts[start : start + options.batch_size]
        order = list(ways) if number % 2 else list(reversed(ways))
        found = {way: measured(lambda way=way, batch=batch: ways[way](batch)) for way in order}
        same += sum(a == b for a, b in zip(found["ours"][0], found["generate"][0], strict=True))
        runs.append({way: cost for way, (_, cost) in found.items()})
        print({way: round(cost["seconds"], 1) for way, cost in runs[-1].items()}, flush=True)
    return {
        "ratio": spread([run["generate"]["seconds"] / run["ours"]["seconds"] for run in runs]),
        "cpu_ratio": spread([run["generate"]["cpu_seconds"] / run["ours"]["cpu_seconds"] for run in runs]),
        "seconds": {way: round(sum(run[way]["seconds"] for run in runs), 1) for way in ways},
        "above_model_gib": {way: max(run[way]["above_model_gib"] for run in runs) for way in ways},
        "same": round(same / len(prompts), 3), "responses": len(prompts), "tokens": sum(lengths),
        "batches": len(runs), "batch_size": options.batch_size, "max_new_tokens": MAX_NEW_TOKENS,
        "about": conditions(MODEL),
    }  # fmt: skip


def main() -> None:
    """Measure, print and write."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument(
        "--instructions", type=int, default=len(INSTRUCTIONS), help="how many of them (default: %(default)s)"
    )
    command.add_argument("--batch_size", type=int, default=48, help="prompts at a time (default: 48)")
    measure_and_write(command, measure, RESULTS)


if __name__ == "__main__":
    main()
