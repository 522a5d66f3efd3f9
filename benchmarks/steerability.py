"""Measures how fast the outputs inside long sequences are scored, compared with a plain forward pass with all logits.

    python -m benchmarks.steerability --json                  # 200 sequences of 1,024 tokens: an hour or more on a core
    python -m benchmarks.steerability --sequences 6 --json --output quick.json
    python -m benchmarks.steerability --suite spectrum-suite --tasks flight mmlu habermas_question --json

Both ways score the same sequences with the embedded Gemma 3 270M in float32, in the format `spectrum`, in batches of
the same size. They take turns, `--at_once` sequences at a time, each time in a process of its own, whose time and peak
memory count from when the model is loaded and warm:

    ours      `spectrum_suite.generation.output_logprobs`
    plain     a forward pass with the logits of every token and their log-softmax, as a loss with labels has them

and a number that they do not agree on is an error. `vs_plain` is the ratio of sequences per second of the processor (on
a busy machine that is the fair measure), `vs_plain_wall` that by the clock, `memory_vs_plain` the ratio of peak memory.
`vs_plain_of_turns` has the ratio of each turn. How much there is to gain depends on `scored_share`, the share of the
tokens that are in an output.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.measuring import conditions, measured, run_apart
from dataset_builder.build import BuildOptions, build
from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.formats.render import Message, get_format
from spectrum_suite.generation.output_logprobs import output_logprobs, outputs_that_fit, tokenize_sequences
from spectrum_suite.models import find_model, load_for_scoring, load_tokenizer
from spectrum_suite.suite import task_rows

MODEL = "embedded:gemma-3-270m"
SYNTHETIC = ("categorical", "coinflip", "poisson")
TOLERANCE_NATS = 1e-2
"""A log-softmax over 262,144 float32 logits is off by 1e-4, and an output may have many tokens."""

Sequences = list[list[Message]]
LogProbs = list[list[float]]
Run = dict[str, Any]
Way = Callable[[PreTrainedModel, PreTrainedTokenizerBase, Sequences, int], LogProbs]


def score_ours(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sequences: Sequences, batch_size: int
) -> LogProbs:
    """The library's way."""
    text_format = get_format("spectrum", tokenizer)
    found = output_logprobs(model, tokenizer, sequences, text_format=text_format, batch_size=batch_size)
    return [[value for value in scores.log_probs.tolist() if value == value] for scores in found]  # noqa: PLR0124 - no NaN


@torch.inference_mode()
def score_plain(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sequences: Sequences, batch_size: int
) -> LogProbs:
    """Sequences in batches, with the logits of every token."""
    tokenized = tokenize_sequences(tokenizer, sequences, get_format("spectrum", tokenizer))
    found: LogProbs = []
    for start in range(0, len(tokenized), batch_size):
        batch = tokenized[start : start + batch_size]
        length = max(len(sequence.ids) for sequence in batch)
        ids = torch.tensor([list(sequence.ids) + [0] * (length - len(sequence.ids)) for sequence in batch])
        mask = torch.tensor([[1] * len(row.ids) + [0] * (length - len(row.ids)) for row in batch])
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        log_probs = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        del logits
        for row, sequence in zip(log_probs, batch, strict=True):
            places = [sequence.outputs[output] for output in sequence.scored]
            found.append([row[first - 1 : end - 1].sum().item() for first, end in places])
    return found


WAYS: dict[str, Way] = {"ours": score_ours, "plain": score_plain}
MEMORY = ("peak_gib", "above_model_gib")


def run_way(way: str, model_name: str, sequences: Sequences, batch_size: int) -> Run:
    """Score the sequences in this process: log-probabilities, seconds and memory."""
    model, tokenizer = load_for_scoring(model_name, device="cpu", dtype="float32")
    WAYS[way](model, tokenizer, [sequences[0][:3]], 1)
    log_probs, cost = measured(lambda: WAYS[way](model, tokenizer, sequences, batch_size))
    return {"log_probs": log_probs, **cost}


def long_sequences(rows: Sequence[Sequence[Message]], tokenizer: PreTrainedTokenizerBase, length: int) -> Sequences:
    """The rows of ``length`` tokens and more, cut after the last output that fits."""
    text_format = get_format("spectrum", tokenizer)
    counts = outputs_that_fit(rows, [(tokenizer, text_format)], length)
    found = []
    for messages, count in zip(rows, counts, strict=True):
        ends = [place for place, message in enumerate(messages) if message["role"] == "output"]
        if 1 < count < len(ends):
            found.append(list(messages[: ends[count - 1] + 1]))
    return found


def sequences_of(arguments: argparse.Namespace, tokenizer: PreTrainedTokenizerBase) -> Sequences:
    """As many long sequences as are wanted, of each task in turn.

    Raises:
        UserError: There are not so many.
    """
    with tempfile.TemporaryDirectory() as folder:
        suite = arguments.suite
        if suite is None:
            suite = str(Path(folder) / "suite")
            build(list(arguments.tasks), BuildOptions(Path(suite), max_rows=2 * arguments.sequences))
        rows = [task_rows(suite, task)["messages"][:] for task in arguments.tasks]
    some = [long_sequences(messages[: 4 * arguments.sequences], tokenizer, arguments.length) for messages in rows]
    found = [sequence for turn in zip_longest(*some) for sequence in turn if sequence][: arguments.sequences]
    if len(found) < arguments.sequences:
        raise UserError(f"only {len(found)} sequences have {arguments.length} tokens: lower --sequences or --length")
    return found


def measure(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Both ways in turn; yields the results so far after each turn.

    Raises:
        RuntimeError: Their log-probabilities differ by more than ``TOLERANCE_NATS``.
    """
    tokenizer = load_tokenizer(find_model(arguments.model))
    sequences = sequences_of(arguments, tokenizer)
    options = ["--model", arguments.model, "--batch_size", str(arguments.batch_size)]
    turns: list[dict[str, Run]] = []
    for start in range(0, len(sequences), arguments.at_once):
        some = sequences[start : start + arguments.at_once]
        turns.append({way: run_apart("benchmarks.steerability", options, way, some) for way in WAYS})
        settings = {name: getattr(arguments, name) for name in ("tasks", "length", "batch_size", "at_once")}
        found = summary(turns, sequences[: start + len(some)], tokenizer)
        yield found | {"conditions": conditions(arguments.model) | settings}


def summary(turns: Sequence[dict[str, Run]], sequences: Sequences, tokenizer: PreTrainedTokenizerBase) -> Run:
    """Ours compared with the plain way, over all turns.

    Raises:
        RuntimeError: Their log-probabilities differ by more than ``TOLERANCE_NATS``.
    """
    scores = [[value for turn in turns for row in turn[way]["log_probs"] for value in row] for way in WAYS]
    pairs = list(zip(*scores, strict=True))
    difference = max(abs(a - b) for a, b in pairs)
    if difference > TOLERANCE_NATS:
        raise RuntimeError(f"the two ways differ by {difference} nats")
    tokenized = tokenize_sequences(tokenizer, sequences, get_format("spectrum", tokenizer))
    tokens = sum(len(sequence.ids) for sequence in tokenized)
    scored = sum(end - first for sequence in tokenized for first, end in sequence.outputs[sequence.scored.start :])
    peaks = {name: {way: max(turn[way][name] for turn in turns) for way in WAYS} for name in MEMORY}
    return {
        "sequences": len(sequences),
        "outputs": len(pairs),
        "tokens": tokens,
        "scored_share": round(scored / tokens, 3),
        "vs_plain": round(_ratio(turns), 2),
        "vs_plain_wall": round(_ratio(turns, "seconds"), 2),
        "vs_plain_of_turns": [round(_ratio([turn]), 2) for turn in turns],
        "memory_vs_plain": round(peaks["peak_gib"]["ours"] / peaks["peak_gib"]["plain"], 2),
        "tokens_per_cpu_second": {way: round(tokens / _total(turns, way, "cpu_seconds"), 1) for way in WAYS},
        **peaks,
        "max_difference_nats": difference,
    }


def _ratio(turns: Sequence[dict[str, Run]], seconds: str = "cpu_seconds") -> float:
    return _total(turns, "plain", seconds) / _total(turns, "ours", seconds)


def _total(turns: Sequence[dict[str, Run]], way: str, seconds: str) -> float:
    return sum(turn[way][seconds] for turn in turns)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = command.add_argument
    add("--model", default=MODEL, help=f"what to score with (default: {MODEL})")
    add("--suite", help="a built suite (default: synthetic tasks are built)")
    add("--tasks", nargs="+", default=SYNTHETIC, help=f"icl tasks (default: {' '.join(SYNTHETIC)})")
    add("--sequences", type=int, default=200, help="how many (default: 200)")
    add("--length", type=int, default=1024, help="tokens of each (default: 1024)")
    add("--batch_size", type=int, default=2, help="sequences per forward pass (default: 2)")
    add("--at_once", type=int, default=10, help="sequences in a turn (default: 10)")
    add("--json", action="store_true", help="print the results as JSON instead of a line")
    add("--output", type=Path, help="a file for the JSON as well")
    add("--way", nargs=3, metavar=("WAY", "SEQUENCES", "RESULT"), help="score a file in this process, no more")
    return command


def main() -> None:
    """Measure and print, or do the work of one process."""
    arguments = parser().parse_args()
    if arguments.way:
        way, given, result = arguments.way
        run = run_way(way, arguments.model, json.loads(Path(given).read_text()), arguments.batch_size)
        Path(result).write_text(json.dumps(run))
        return
    for results in measure(arguments):
        text = json.dumps(results, indent=1)
        if arguments.output:
            arguments.output.write_text(text + "\n")
        sys.stderr.write("after {sequences} sequences: {vs_plain}\n".format(**results))
    line = "{vs_plain} times the throughput of a plain pass at {memory_vs_plain} of its memory".format(**results)
    print(text if arguments.json else line)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    with exit_on_user_error():
        main()
