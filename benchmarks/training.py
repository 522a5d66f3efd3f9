"""Measures training and TRL's plain `SFTTrainer`: trained tokens a second, peak memory, and preparing the data.

    python -m benchmarks.training --keep outputs/benchmark-training --output benchmarks/results/training.json
    python -m benchmarks.training --models smollm2-135m --rows 12 --rounds 1 --json

Both tune the same rows of the suite with the same LoRA on the same model, in processes of their own, in turns:

    ours        `SpectrumTrainer` with its collator and its batches, draws one after another: like beside like
    branched    the same with `--branching 1`: every draw after the description by itself, which is run once
    trl         `SFTTrainer` on the rows as chat messages (description and inputs by the user, outputs by the
                assistant), with its own template, mask (`assistant_only_loss`), fused loss, truncation and padding
    trl_packed  the same with its packing; without padding where there is flash attention

Which of TRL's two is faster is found on a few rows; that one is run on all of them. `beside_trl` compares each of ours
with it: trained tokens a second by processor time, which is the fair measure on a busy machine, as the ratio of medians
and of each round; the same by the clock; and the peak of the whole process's memory. Where the difference comes from:
`run_per_trained` are the tokens that are run, padding included, and `head_positions_per_trained` the positions that the
LM head scores, for each trained token; `seen_per_run` is the share that is not padding. `peak_above_empty_gib` is the
peak without what the process had before the model was loaded; of ours, `estimated_gib` is what `train` would have said
of it before.

At its size it takes hours on two cores. With `--keep`, a run that is complete is not run again after an interruption,
as long as rows, options, threads and libraries are the same; for a change of our own code, give another folder.

`data` compares tokenizing with one call of the tokenizer for each segment, and says how many tokens a second the
collator makes of rows, trees (`branching`) and packed lines, on one core.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase, TrainerCallback, set_seed
from transformers.utils import is_flash_attn_2_available
from trl import SFTConfig, SFTTrainer

from dataset_builder.build import BuildOptions, build
from spectrum_suite.devices import best_device, device_name, has_dtype, peak_process_gib
from spectrum_suite.embedded_model import resolve_model
from spectrum_suite.errors import exit_on_user_error
from spectrum_suite.fingerprints import fingerprint_of_rows
from spectrum_suite.formats.render import REQUEST, Format, get_format, split_messages, turn_tokens, written_draws
from spectrum_suite.json_files import write_json
from spectrum_suite.training.adaptation import AdaptationConfig, load_model
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.mixture import load_mixture
from spectrum_suite.training.step_memory import LargestBatch, count_step
from spectrum_suite.training.tokenize import tokenize_rows
from spectrum_suite.training.trainer import SpectrumTrainer

REPOSITORY = Path(__file__).parents[1]
TASKS = ("described_shares", "named_sets", "small_settings", "coinflip", "categorical")
OURS, THEIRS = ("ours", "branched"), ("trl", "trl_packed")
WAYS = ("ours", "trl", "trl_packed")
"""Those that `benchmarks.gpu` compares."""

PILOT = 24
"""Rows on which the ways of TRL are compared with each other."""

SEED = 42
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear"}
Run = dict[str, Any]


class Clock(TrainerCallback):
    """The time before the first step and after the last, by the clock and of the processor."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float]] = []

    def on_train_begin(self, *_: object, **__: object) -> None:
        """Take the time."""
        self.marks.append((time.perf_counter(), time.process_time()))

    def on_step_end(self, *_: object, **__: object) -> None:
        """Take the time."""
        self.marks.append((time.perf_counter(), time.process_time()))


def common(output: str, settings: argparse.Namespace) -> Run:
    """The settings of both trainers: mixed precision where the device has it, or where it is asked for."""
    device = torch.device(getattr(settings, "device", None) or best_device())
    on_cpu = device.type == "cpu"
    mixed = "bfloat16" in getattr(settings, "method", "") or (not on_cpu and has_dtype(device, torch.bfloat16))
    return {
        "output_dir": output, "per_device_train_batch_size": settings.batch_size, "max_length": settings.max_length,
        "learning_rate": 1e-4, "num_train_epochs": 1, "save_strategy": "no", "report_to": "none", "logging_steps": 1000,
        "use_cpu": on_cpu, "bf16": mixed, "disable_tqdm": True, "gradient_checkpointing": False, "seed": SEED,
        **({"max_steps": settings.steps, "logging_steps": 1} if getattr(settings, "steps", None) else {}),
    }  # fmt: skip


def ours(
    model_name: str, rows: Dataset, output: str, settings: argparse.Namespace, *, branching: float = 0.0
) -> SFTTrainer:
    """Our trainer."""
    tokenizer = AutoTokenizer.from_pretrained(model_name)
    text_format = get_format("auto", tokenizer)
    tokenized, _ = tokenize_rows(rows, tokenizer, text_format, max_length=settings.max_length)
    config = SFTConfig(
        **common(output, settings), remove_unused_columns=False, dataset_kwargs={"skip_prepare_dataset": True}
    )
    return SpectrumTrainer(
        model=load_model(model_name, adaptation(settings), device=config.device),
        args=config,
        data_collator=SpectrumCollator.for_format(
            text_format, tokenizer, max_length=settings.max_length, branching=branching
        ),
        train_dataset=tokenized,
        processing_class=tokenizer,
    )


def adaptation(settings: argparse.Namespace) -> AdaptationConfig:
    """LoRA, on weights in four bits where the method says so."""
    in_4bit = "4-bit" in getattr(settings, "method", "")
    return AdaptationConfig(load_in_4bit=in_4bit, dtype="float32", lora_dropout=0.0)


def plain_trl(
    model_name: str, rows: Dataset, output: str, settings: argparse.Namespace, *, packing: bool = False
) -> SFTTrainer:
    """TRL as its manual has it."""
    flash = packing and is_flash_attn_2_available()
    attention = {"attn_implementation": "flash_attention_2"} if flash else {}
    tokenizer = AutoTokenizer.from_pretrained(model_name)
    tokenizer.chat_template = training_template(tokenizer)
    chats = Dataset.from_list([{"messages": as_chat(messages)} for messages in rows["messages"]])
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model_name, dtype=torch.float32, **attention),
        args=SFTConfig(**common(output, settings), assistant_only_loss=True, packing=packing, padding_free=flash),
        train_dataset=chats,
        processing_class=tokenizer,
        peft_config=LoraConfig(task_type="CAUSAL_LM", **LORA),
    )


def as_chat(messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Messages with our roles as turns of a user and an assistant; the description is the beginning of the first."""
    description, draws, _ = split_messages(messages)
    chat = []
    for number, draw in enumerate(draws):
        asked = REQUEST if draw.input is None else draw.input
        asked = f"{description}\n\n{asked}" if description and number == 0 else asked
        chat += [{"role": "user", "content": asked}, {"role": "assistant", "content": draw.output}]
    return chat


def training_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """A chat template of the family in which TRL finds what the assistant says."""
    turn = turn_tokens(tokenizer)
    roles = f"{{{{- {json.dumps(turn.start)} + (message['role'] if message['role'] == 'user' else "
    roles += f"{json.dumps(turn.assistant)}) + {json.dumps(turn.header_end)} -}}}}"
    end = f"{{{{- {json.dumps(turn.end)} -}}}}"
    bos = "{{- bos_token -}}" if tokenizer.bos_token_id in tokenizer("").input_ids else ""
    return (
        f"{bos}{{%- for message in messages -%}}{roles}{{%- if message['role'] == 'assistant' -%}}{{%- generation -%}}"
        f"{{{{- message['content'] -}}}}{end}{{%- endgeneration -%}}{{%- else -%}}{{{{- message['content'] -}}}}{end}"
        f"{{%- endif -%}}{{{{- {json.dumps(turn.after)} -}}}}{{%- endfor -%}}"
    )


MAKE = {
    "ours": ours,
    "branched": partial(ours, branching=1.0),
    "trl": plain_trl,
    "trl_packed": partial(plain_trl, packing=True),
}


def rows_of(suite: str, count: int) -> Dataset:
    """So many rows of the tasks, the same for every way."""
    each = -(-count // len(TASKS))
    rows = load_mixture(suite, [f"{task}={each}" for task in TASKS], seed=SEED).rows
    return rows.select(range(min(count, len(rows))))


def measure(way: str, model: str, suite: str, settings: argparse.Namespace) -> Run:
    """One run, in this process."""
    disable_progress_bars()
    torch.set_flush_denormal(True)
    set_seed(SEED)
    name = resolve_model(model if ":" in model or Path(model).is_dir() else f"embedded:{model}")
    rows = rows_of(suite, settings.rows)
    empty = peak_gib()
    with tempfile.TemporaryDirectory() as output:
        trainer = MAKE[way](name, rows, output, settings)
        clock, work = Clock(), count_work(trainer)
        trainer.add_callback(clock)
        trainer.train()
    (wall, cpu), (wall_end, cpu_end) = clock.marks[0], clock.marks[-1]
    trained, seen, run, heads = (sum(column) for column in zip(*work, strict=True))
    return {
        "parameters": trainer.model.num_parameters(), "steps": len(work),
        "trained_tokens": trained, "seen_tokens": seen, "run_tokens": run,
        "head_positions": heads, "cpu_seconds": cpu_end - cpu, "wall_seconds": wall_end - wall,
        "trained_tokens_per_cpu_second": trained / (cpu_end - cpu),
        "trained_tokens_per_wall_second": trained / (wall_end - wall),
        "peak_gib": peak_gib(), "peak_above_empty_gib": peak_gib() - empty,
        **({"estimated_gib": estimated_gib(trainer, settings)} if way in OURS else {}),
    }  # fmt: skip


def estimated_gib(trainer: SpectrumTrainer, settings: argparse.Namespace) -> float:
    """What was to be expected, without what the process has anyway."""
    batch = LargestBatch.of(trainer.train_dataset, trainer.data_collator, trainer.args)
    estimate = count_step(trainer.model.config, adaptation(settings), trainer.args, batch)
    return estimate.total - estimate.process


def peak_gib() -> float:
    """The most memory that this process had."""
    return peak_process_gib()


def count_work(trainer: SFTTrainer) -> list[tuple[int, int, int, int]]:
    """A list that grows by (trained, seen, run, scored) tokens with every batch."""
    work: list[tuple[int, int, int, int]] = []
    plain = trainer.compute_loss

    def counted(model: Any, inputs: dict[str, torch.Tensor], *arguments: Any, **named: Any) -> Any:
        run, trained = inputs["input_ids"].numel(), int((inputs["labels"] != IGNORED).sum())
        scored = trained if isinstance(trainer, SpectrumTrainer) or trainer.args.device.type != "cpu" else run
        mask = inputs.get("attention_mask")  # None where sequences follow each other without padding
        work.append((trained, run if mask is None else int(mask.sum()), run, scored))
        return plain(model, inputs, *arguments, **named)

    trainer.compute_loss = counted
    return work


def compare(model: str, suite: str, settings: argparse.Namespace) -> Run:
    """Ours and TRL's faster way in turns, each in processes of its own; medians."""
    pilot = {way: run_of(way, model, suite, settings, rows=min(PILOT, settings.rows), name="pilot") for way in THEIRS}
    theirs = max(pilot, key=lambda way: pilot[way]["trained_tokens_per_cpu_second"])
    runs: dict[str, list[Run]] = {way: [] for way in (*OURS, theirs)}
    for number in range(settings.rounds):
        for way, done in runs.items():
            done.append(run_of(way, model, suite, settings, rows=settings.rows, name=str(number)))
    of = {way: median(done) for way, done in runs.items()}
    return {
        "beside_trl": {way: beside(runs[way], runs[theirs]) for way in OURS},
        "trl_is": theirs,
        "pilot_trained_tokens_per_cpu_second": {
            way: round(run["trained_tokens_per_cpu_second"], 3) for way, run in pilot.items()
        },
        "run_per_trained": per_trained("run_tokens", of),
        "seen_per_run": {way: round(run["seen_tokens"] / run["run_tokens"], 3) for way, run in of.items()},
        "head_positions_per_trained": per_trained("head_positions", of),
        "rounds": settings.rounds, "rows": settings.rows, "batch_size": settings.batch_size,
        "max_length": settings.max_length, **of,
    }  # fmt: skip


def run_of(way: str, model: str, suite: str, settings: argparse.Namespace, *, rows: int, name: str) -> Run:
    """One run in a process of its own, or what it gave before an interruption."""
    command = [sys.executable, "-m", "benchmarks.training", "--way", way, "--models", model, "--suite", suite]
    command += ["--rows", str(rows), "--max_length", str(settings.max_length)]
    command += ["--batch_size", str(settings.batch_size)]
    asked = {
        "options": command[command.index("--rows") :], "rows": fingerprint_of_rows(rows_of(suite, rows)["messages"]),
        "threads": torch.get_num_threads(), "versions": versions(), "device": device_name(best_device()),
    }  # fmt: skip
    path = settings.keep and settings.keep / f"{Path(model).name}-{way}-{name}.json"
    if path and path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["asked"] == asked:
            return kept["run"]
    found = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)  # noqa: S603
    run = json.loads(found.stdout.splitlines()[-1])
    print(f"{model} {way} {name}: {run['trained_tokens_per_cpu_second']:.2f} trained tokens a second", file=sys.stderr)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"asked": asked, "run": run})
    return run


def versions() -> dict[str, str]:
    """Of the libraries that decide."""
    return {name: version(name) for name in ("torch", "transformers", "trl", "peft")}


def beside(mine: Sequence[Run], theirs: Sequence[Run]) -> Run:
    """One of our ways beside TRL's: the ratios of the medians, and of each round."""
    first, second, speed = median(mine), median(theirs), "trained_tokens_per_cpu_second"
    return {
        "trained_tokens_per_second_ratio": ratio(first, second, speed),
        "of_rounds": [ratio(one, other, speed) for one, other in zip(mine, theirs, strict=True)],
        "trained_tokens_per_second_ratio_wall": ratio(first, second, "trained_tokens_per_wall_second"),
        "peak_memory_ratio": ratio(first, second, "peak_gib"),
    }


def per_trained(name: str, runs: Mapping[str, Run]) -> dict[str, float]:
    """A number of each way for every trained token."""
    return {way: round(run[name] / run["trained_tokens"], 2) for way, run in runs.items()}


def median(runs: Sequence[Run]) -> Run:
    """The median of every number."""
    return {name: round(statistics.median(run[name] for run in runs), 4) for name in runs[0]}


def ratio(first: Run, second: Run, name: str) -> float:
    """Of two runs, by one number."""
    return round(first[name] / second[name], 3)


def texts_of(messages: Sequence[dict[str, str]], text_format: Format) -> Iterator[str]:
    """All that is tokenized by itself in a row."""
    description, draws = written_draws(messages, text_format)
    yield from (text for text in (text_format.bos, description) if text)
    for draw in draws:
        yield from (text for text in (draw.context, draw.output, text_format.separator) if text)


def prepare(suite: str, tasks: Sequence[str], rows_per_task: int) -> Run:
    """How fast rows become token ids and batches, by processor time."""
    tokenizer = AutoTokenizer.from_pretrained(resolve_model("embedded:gemma-3-270m"))
    text_format = get_format("auto", tokenizer)
    rows = load_mixture(suite, [f"{task}={rows_per_task}" for task in tasks], seed=SEED).rows
    segments = [text for messages in rows["messages"] for text in texts_of(messages, text_format)]
    few = segments[:: max(len(segments) // 4000, 1)]
    seconds = timed(lambda: [tokenizer(text, add_special_tokens=False).input_ids for text in few])
    one_by_one = seconds / len(few) * len(segments)
    holder: list[Dataset] = []
    ours_seconds = timed(lambda: holder.append(tokenize_rows(rows, tokenizer, text_format, max_length=1024)[0]))
    return {
        "segments": len(segments),
        "tokenizing_ratio": round(one_by_one / ours_seconds, 1),
        "segments_per_second": round(len(segments) / ours_seconds),
        "collator_tokens_per_second": {
            name: collator_speed(holder[0], tokenizer, text_format, **options)
            for name, options in {"rows": {}, "packed": {"packing": True}, "trees": {"branching": 1.0}}.items()
        },
    }


def collator_speed(rows: Dataset, tokenizer: PreTrainedTokenizerBase, text_format: Format, **options: Any) -> Run:
    """Tokens a second without padding, and those with a loss, with reading the rows."""
    collator = SpectrumCollator.for_format(text_format, tokenizer, max_length=1024, **options)
    batches = [list(range(start, min(start + 16, len(rows)))) for start in range(0, len(rows), 16)]

    def collate() -> tuple[int, int]:
        made = [collator(rows.__getitems__(batch)) for batch in batches]
        seen = sum(int(batch["attention_mask"].sum()) for batch in made)
        return seen, sum(int((batch["labels"] != IGNORED).sum()) for batch in made)

    seen, trained = collate()  # the first time, rows come from the disk
    seconds = min(timed(collate) for _ in range(3))
    return {"seen": round(seen / seconds), "trained": round(trained / seconds)}


def timed(work: Any) -> float:
    """Seconds of the processor."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main(settings: argparse.Namespace) -> None:
    """One way in this process, or all of them in others."""
    if settings.way:
        print(json.dumps(measure(settings.way, settings.models[0], settings.suite, settings)))
        return
    with tempfile.TemporaryDirectory() as folder:
        suite = settings.suite
        if suite is None:
            suite = str(Path(folder, "suite"))
            build(list(TASKS), BuildOptions(Path(suite), max_rows=400))
        found = {
            "models": {model: compare(model, suite, settings) for model in settings.models},
            "data": prepare(suite, settings.prepare_tasks or TASKS, settings.prepare_rows),
            "threads": torch.get_num_threads(),
            "machine": platform.machine(),
            "device": device_name(best_device()),
            "versions": versions(),
        }
    text = json.dumps(found, indent=2)
    if settings.output:
        write_json(settings.output, found)
    if settings.json:
        print(text)
    else:
        for model, result in found["models"].items():
            for way, ratios in result["beside_trl"].items():
                speed, memory = ratios["trained_tokens_per_second_ratio"], ratios["peak_memory_ratio"]
                print(f"{model}, {way}: {speed} x trained tokens a second, {memory} x memory")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--output", type=Path, help="write the result to this file")
    parser.add_argument("--keep", type=Path, help="a folder for the runs that are complete, to resume")
    parser.add_argument("--models", nargs="+", default=["gemma-3-270m", "smollm2-135m"], help="embedded models")
    parser.add_argument("--suite", help="a built suite; by default a small one is built")
    parser.add_argument("--rows", type=int, default=200, help="rows to train on")
    parser.add_argument("--batch_size", type=int, default=4, help="rows in a batch")
    parser.add_argument("--max_length", type=int, default=256, help="tokens in a sequence, at most")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way")
    parser.add_argument("--prepare_tasks", nargs="+", help="tasks to tokenize and collate")
    parser.add_argument("--prepare_rows", type=int, default=200, help="rows of each of them")
    parser.add_argument("--way", choices=MAKE, help=argparse.SUPPRESS)
    with exit_on_user_error():
        main(parser.parse_args())
