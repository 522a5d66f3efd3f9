"""Measures how many options a second are scored, by us, a plain forward pass per option and lm-evaluation-harness.

    python -m benchmarks.option_scoring --json                                # a few items, some minutes on one core
    python -m benchmarks.option_scoring --suite spectrum-suite --nytimes 100 --json --output quick.json

Each way scores the same options after the same prompts with the embedded Gemma 3 270M in float32, in a process of its
own, whose time and peak memory count from when the model is loaded and warm. The ways take turns on each task,
`--rounds` times; ratios are medians of the rounds. The ways are

    ours      `spectrum_suite.option_logprobs`
    plain     one forward pass per option in batches of 16, as few tokens as that allows, logits of every token
    lm_eval   `HFLM.loglikelihood` of lm-evaluation-harness, batch size 16, with its own reuse of logits

and a number that two of them do not agree on is an error. lm-evaluation-harness is not a requirement here; it
may live in an environment of its own, one that sees torch and transformers as well:

    python -m venv lm-eval && lm-eval/bin/pip install lm-eval==0.4.13
    python -m benchmarks.option_scoring --lm_eval_python lm-eval/bin/python --json

The result is one object per task: `vs_plain` and `vs_lm_eval` (options per second of the processor, ours over theirs;
on a busy machine that is the fair measure), the same `_wall` by the clock, and per way the options per second, the
memory in GiB (in all, and above the loaded model), the tokens that were run (padding too) and the positions that the
LM head saw. `fewest` is what any exact method must run for these options: every distinct proper prefix once;
`fewest_per_prompt` allows nothing to be shared between prompts, and `tokens_vs_fewest` is how many times the former we
run. `max_difference_nats` is to our log-probabilities.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.measuring import REPOSITORY, Worker, conditions, measured, serve
from dataset_builder.build import BuildOptions, build
from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.formats.render import get_format
from spectrum_suite.generation.logprobs import TokenIds, option_logprobs, option_token_ids, prompt_token_ids
from spectrum_suite.models import find_model, load_for_scoring, load_tokenizer
from spectrum_suite.suite import draw_rows, task_rows

MODEL = "embedded:gemma-3-270m"
FIXTURES = REPOSITORY / "dataset_builder" / "fixtures"
BATCH_SIZE = 16
SEED = 42
TOLERANCE_NATS = 1e-3
"""A log-softmax over 262,144 float32 logits is off by 1e-4, and an option has several tokens."""

INSTALL = "lm-evaluation-harness is not installed here, vs_lm_eval is null: pip install lm-eval==0.4.13, or see --help"
LogProbs = list[list[float]]
Run = dict[str, Any]
TokenPair = tuple[TokenIds, TokenIds]


@dataclass(frozen=True)
class Item:
    """A prompt without BOS, and the options as they continue it."""

    prompt: str
    options: list[str]


Tasks = dict[str, list[Item]]
Way = Callable[[PreTrainedModel, PreTrainedTokenizerBase, Sequence[Item]], LogProbs]


@dataclass
class Work:
    """What a model was made to run: tokens, and positions of the LM head."""

    tokens: int = 0
    lm_head_positions: int = 0


def score_ours(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item]) -> LogProbs:
    """The library's way."""
    found = option_logprobs(model, tokenizer, [item.prompt for item in items], [item.options for item in items])
    return [row.tolist() for row in found]


@torch.inference_mode()
def score_plain(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item]) -> LogProbs:
    """One row per option, longest first so that little is padded; the last token of an option need not be run."""
    pairs = token_pairs(tokenizer, items)
    found: dict[int, float] = {}
    longest_first = sorted(range(len(pairs)), key=lambda index: -sum(map(len, pairs[index])))
    for start in range(0, len(pairs), BATCH_SIZE):
        batch = longest_first[start : start + BATCH_SIZE]
        rows = [[*pairs[index][0], *pairs[index][1]][:-1] for index in batch]
        length = max(map(len, rows))
        tokens = torch.tensor([row + [0] * (length - len(row)) for row in rows], device=model.device)
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows], device=model.device)
        logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
        for line, index in enumerate(batch):
            prompt, option = pairs[index]
            scored = logits[line, len(prompt) - 1 : len(rows[line])].log_softmax(-1)
            found[index] = scored[range(len(option)), option].sum().item()
    values = iter(found[index] for index in range(len(pairs)))
    return [[next(values) for _ in item.options] for item in items]


def score_lm_eval(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item]) -> LogProbs:
    """lm-evaluation-harness's way."""
    harness = import_module("lm_eval.models.huggingface").HFLM(
        pretrained=model, tokenizer=tokenizer, batch_size=BATCH_SIZE
    )
    instance = import_module("lm_eval.api.instance").Instance
    pairs = [(item.prompt, option) for item in items for option in item.options]
    requests = [instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]
    values = iter(harness.loglikelihood(requests, disable_tqdm=True))
    return [[next(values)[0] for _ in item.options] for item in items]


WAYS: dict[str, Way] = {
    "ours": score_ours,
    "plain": score_plain,
    "lm_eval": score_lm_eval,
}


def token_pairs(tokenizer: PreTrainedTokenizerBase, items: Sequence[Item]) -> list[TokenPair]:
    """The tokens of the prompt and of the option, for every option of every item."""
    prompts = prompt_token_ids(tokenizer, [item.prompt for item in items])
    return [
        (prompt, option)
        for prompt, item in zip(prompts, items, strict=True)
        for option in option_token_ids(tokenizer, item.options)
    ]


def fewest(pairs: Iterable[TokenPair]) -> Work:
    """The least that any exact method must run: each distinct proper prefix once, the head once where one is scored.

    The state after a prefix, and so the distribution of its next token, takes running every token of the prefix; what
    a prefix is followed by changes nothing about it. The last token of an option is looked up and never run.
    """
    run, scored = set(), set()
    for prompt, option in pairs:
        whole = prompt + option
        run |= {whole[:end] for end in range(1, len(whole))}
        scored |= {whole[:end] for end in range(len(prompt), len(whole))}
    return Work(len(run), len(scored))


@contextmanager
def counted(model: PreTrainedModel) -> Iterator[Work]:
    """Within, what the model runs is counted, padding too."""
    work = Work()

    def tokens(_: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        work.tokens += arguments[0].numel()

    def head(_: torch.nn.Module, __: tuple[torch.Tensor, ...], logits: torch.Tensor) -> None:
        work.lm_head_positions += logits.numel() // logits.shape[-1]

    hooks = [
        model.get_input_embeddings().register_forward_pre_hook(tokens),
        model.get_output_embeddings().register_forward_hook(head),
    ]
    try:
        yield work
    finally:
        for hook in hooks:
            hook.remove()


def runner(way: str, model_name: str, tasks: Tasks) -> Callable[[str], Run]:
    """Scores a task in this process, by its name: log-probabilities, seconds, memory and work."""
    model, tokenizer = load_for_scoring(model_name, device="cpu", dtype="float32")
    first = next(iter(tasks.values()))[0]
    WAYS[way](model, tokenizer, [Item(first.prompt, first.options[:2])])

    def run(task: str) -> Run:
        with counted(model) as work:
            log_probs, cost = measured(partial(WAYS[way], model, tokenizer, tasks[task]))
        return {"log_probs": log_probs, **cost, **asdict(work)}

    return run


def added_up(rounds: Sequence[Run]) -> Run:
    """Several runs of one way on one task as one: seconds are added up, memory is the largest, the rest is equal."""
    together = {name: sum(run[name] for run in rounds) for name in ("seconds", "cpu_seconds")}
    return rounds[0] | together | {name: max(run[name] for run in rounds) for name in ("peak_gib", "above_model_gib")}


def compare(
    rounds: Sequence[dict[str, Run]], items: Sequence[Item], tokenizer: PreTrainedTokenizerBase
) -> dict[str, Any]:
    """Ours compared with the others on one task; a round has the run of each way.

    Raises:
        RuntimeError: The log-probabilities of two ways differ by more than ``TOLERANCE_NATS``.
    """
    runs = {way: added_up([found[way] for found in rounds]) for way in rounds[0]}
    n_options = len(rounds) * sum(len(item.options) for item in items)
    ours = runs["ours"]
    result: dict[str, Any] = {"items": len(items), "options": n_options // len(rounds), "rounds": len(rounds)}
    for other in ("plain", "lm_eval"):
        for name, seconds in (("", "cpu_seconds"), ("_wall", "seconds")):
            ratios = [found[other][seconds] / found["ours"][seconds] for found in rounds if other in found]
            result[f"vs_{other}{name}"] = round(median(ratios), 2) if ratios else None
            result[f"vs_{other}{name}_of_rounds"] = [round(ratio, 2) for ratio in ratios]
    result["options_per_cpu_second"] = {way: round(n_options / run["cpu_seconds"], 2) for way, run in runs.items()}
    result["options_per_second"] = {way: round(n_options / run["seconds"], 2) for way, run in runs.items()}
    for measure in ("peak_gib", "above_model_gib", "tokens", "lm_head_positions"):
        result[measure] = {way: run[measure] for way, run in runs.items()}
    least = fewest(token_pairs(tokenizer, items))
    result["tokens"] |= {
        "fewest": least.tokens,
        "fewest_per_prompt": sum(fewest(token_pairs(tokenizer, [item])).tokens for item in items),
    }
    result["tokens_vs_fewest"] = round(ours["tokens"] / least.tokens, 3)
    result["lm_head_positions"]["fewest"] = least.lm_head_positions
    result["max_difference_nats"] = {way: _max_difference(ours, run) for way, run in runs.items() if run is not ours}
    if max(result["max_difference_nats"].values()) > TOLERANCE_NATS:
        raise RuntimeError(f"the ways do not agree: {result['max_difference_nats']}")
    return result


def _max_difference(run: Run, other: Run) -> float:
    pairs = zip(chain(*run["log_probs"]), chain(*other["log_probs"]), strict=True)
    return max(abs(a - b) for a, b in pairs)


def suite_items(suite: str, task: str, limit: int, tokenizer: PreTrainedTokenizerBase) -> list[Item]:
    """Items of a distribution task in plain text."""
    rows = draw_rows(task_rows(suite, task), task, limit=limit, seed=SEED)
    colon = get_format("colon", tokenizer)
    return [
        Item(
            colon.prompt(row["messages"]).removeprefix(colon.bos),
            [colon.output_prefix + option for option in row["options"]],
        )
        for row in rows
    ]


def single_token_items(items: Sequence[Item], tokenizer: PreTrainedTokenizerBase) -> list[Item]:
    """The same prompts with four options of one token each."""
    options = [" A", " B", " C", " D"]
    if any(len(ids) != 1 for ids in option_token_ids(tokenizer, options)):
        raise UserError("the tokenizer of --model has no tokens for ' A' to ' D': use another model")
    return [Item(item.prompt, options) for item in items]


def small_suite(folder: Path, arguments: argparse.Namespace) -> str:
    """A suite of as many rows as are wanted; book readers are the few of the fixtures."""
    limit = max(arguments.urns, arguments.nytimes)
    tasks = ["dist_states", "dist_urn", "dist_nytimes"]
    build(tasks, BuildOptions(folder / "suite", sources_dir=FIXTURES, max_rows=limit))
    return str(folder / "suite")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All tasks, each way."""
    tokenizer = load_tokenizer(find_model(arguments.model))
    with tempfile.TemporaryDirectory() as folder:
        suite = arguments.suite or small_suite(Path(folder), arguments)
        limits = {"dist_states": 1, "dist_urn": arguments.urns, "dist_nytimes": arguments.nytimes}
        tasks = {task: suite_items(suite, task, limit, tokenizer) for task, limit in limits.items()}
    tasks["single_token"] = single_token_items(tasks["dist_urn"], tokenizer)
    ways = {"ours": sys.executable, "plain": sys.executable, "lm_eval": arguments.lm_eval_python}
    if not _has_lm_eval(arguments.lm_eval_python):
        sys.stderr.write(INSTALL + "\n")
        del ways["lm_eval"]
    given = {task: [asdict(item) for item in items] for task, items in tasks.items()}
    workers = {
        way: Worker("benchmarks.option_scoring", ["--model", arguments.model, "--way", way], given, python=python)
        for way, python in ways.items()
    }
    results = {
        task: compare(
            [{way: worker(task) for way, worker in workers.items()} for _ in range(arguments.rounds)], items, tokenizer
        )
        for task, items in tasks.items()
    }
    for worker in workers.values():
        worker.close()
    return results | {"conditions": conditions(arguments.model) | {"batch_size_of_others": BATCH_SIZE}}


def _has_lm_eval(python: str) -> bool:
    command = [python, "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('lm_eval') is None)"]
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603


def table(results: dict[str, Any]) -> str:
    """The ratios, for people."""
    lines = [f"{'options per second, ours over':<30}{'plain':>10}{'lm_eval':>10}{'tokens':>10}{'fewest':>10}"]
    for task, result in results.items():
        if task != "conditions":
            ratios = [result["vs_plain"], result["vs_lm_eval"], result["tokens"]["ours"], result["tokens"]["fewest"]]
            lines.append(f"{task:<30}" + "".join(f"{'-' if ratio is None else ratio:>10}" for ratio in ratios))
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = command.add_argument
    add("--model", default=MODEL, help=f"what to score with (default: {MODEL})")
    add("--suite", help="a built suite (default: synthetic tasks are built, book readers come from the fixtures)")
    add("--urns", type=int, default=10, help="items of dist_urn (default: 10)")
    add("--nytimes", type=int, default=10, help="items of dist_nytimes (default: 10)")
    add("--rounds", type=int, default=5, help="turns of each way on each task (default: 5)")
    add("--lm_eval_python", default=sys.executable, help="the interpreter that has lm-eval (default: this one)")
    add("--json", action="store_true", help="print the results as JSON instead of a table")
    add("--output", type=Path, help="a file for the JSON as well")
    add("--way", choices=WAYS, help=argparse.SUPPRESS)
    add("--work", type=Path, help=argparse.SUPPRESS)
    return command


def main() -> None:
    """Measure and print, or do the work of one process."""
    arguments = parser().parse_args()
    if arguments.work:
        given = json.loads(arguments.work.read_text())
        tasks = {task: [Item(**item) for item in items] for task, items in given.items()}
        serve(runner(arguments.way, arguments.model, tasks))
        return
    results = measure(arguments)
    text = json.dumps(results, indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    print(text if arguments.json else table(results))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    with exit_on_user_error():
        main()
