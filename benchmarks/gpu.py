"""Checks and measures the library on a machine with one accelerator and no network, in eight minutes.

    make gpu-check                                           # everything, into outputs/gpu/
    python -m benchmarks.gpu --minutes 8 --parts losses scores --output outputs/gpu
    python -m benchmarks.gpu --page outputs/gpu/gpu.json     # writes docs/gpu.md from a result

Each part is optional, has a share of the time, and is done in processes of its own; what is done when one fails or runs
out of time is kept, with the reason. The parts are

    losses    the losses of the first steps of training, in bfloat16 and in 4 bits, compared with those of the CPU
    scores    log-probabilities of options and of outputs, and samples, in float32, compared with those of the CPU
    training  trained tokens a second and peak memory beside TRL (its fused loss, with and without its packing) on the
              same rows, at batch sizes that double until nothing is gained, and the share of the device's bfloat16 peak
    options   options a second beside lm-evaluation-harness, and 100 samples beside `generate`
    run       Spectrum Tuning for the time that is left, and how far its answers are from the truth before and after

`gpu.json` has the device's name, each part's result, its seconds, and whether what it compares is within its tolerance:
0.05 nats for the loss of a step in bfloat16 and in 4 bits, 1e-3 nats for a log-probability in float32. Samples are
equal but for numbers on the border of two tokens: 95 of 100.
`python -m benchmarks.gpu_carry` lists what has to be carried to a machine without a network.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks import option_scoring, training
from benchmarks.gpu_work import Found
from benchmarks.measuring import REPOSITORY
from dataset_builder.build import BuildOptions, build
from spectrum_suite.devices import best_device, device_name
from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.json_files import write_whole

TASKS = (*training.TASKS, "dist_urn")
SHARES = {"losses": 0.2, "scores": 0.12, "training": 0.28, "options": 0.12, "run": 0.28}
STEPS = 20
LOSS_TOLERANCE, SCORE_TOLERANCE, EQUAL_SAMPLES = 0.05, 1e-3, 0.95
LARGEST_BATCH = 1024
GAIN = 1.05
"""By how much a batch of twice the size must be faster, for a larger one to be tried."""


class Clock:
    """The time that a part has, and a way to have work done in a process of its own within it."""

    def __init__(self, seconds: float, settings: Namespace) -> None:
        self.ends = time.monotonic() + seconds
        self.settings = settings

    @property
    def left(self) -> float:
        """Seconds."""
        return self.ends - time.monotonic()

    def work(self, name: str, **given: Any) -> Found:
        """What the work gives; ``{"failed": reason}`` where it fails or there is no time left for it."""
        given = {"device": self.settings.device, "suite": self.settings.suite} | given
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder, "result.json")
            command = [sys.executable, "-m", "benchmarks.gpu_work", name, json.dumps(given), str(result)]
            failed = run_command(command, self.left)
            return {"failed": failed} if failed else json.loads(result.read_text(encoding="utf-8"))


def run_command(command: Sequence[str], seconds: float) -> str | None:
    """Run a command for at most so long; the reason where it fails, in one line, else None."""
    if seconds <= 0:
        return "no time was left"
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=REPOSITORY, stdout=said, stderr=subprocess.STDOUT, start_new_session=os.name == "posix"
        )
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            return f"it was stopped after {seconds:.0f} s"
        if not code:
            return None
        said.seek(0)
        lines = [line for line in said.read().splitlines() if line.strip()]
        return f"exit code {code}: {lines[-1][:300] if lines else 'it said nothing'}"


def _end(process: subprocess.Popen) -> None:
    """End a process, and those that it started where the system can."""
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def part_losses(clock: Clock, keep: Callable[[Found], None]) -> Found:
    """The device's losses compared with the CPU's."""
    found: Found = {"steps": clock.settings.steps, "tolerance_nats": LOSS_TOLERANCE}
    for model in clock.settings.models[:1]:
        for method in ("bfloat16 LoRA", "4-bit LoRA"):
            given = {"model": model, "method": method, "steps": clock.settings.steps}
            there, here = (
                clock.work("step_losses", **given, device=device) for device in (clock.settings.device, "cpu")
            )
            found[f"{model}, {method}"] = compared(there, here, "losses", LOSS_TOLERANCE)
            keep(found)
    return found


def part_scores(clock: Clock, keep: Callable[[Found], None]) -> Found:
    """The device's scores and samples compared with the CPU's."""
    found: Found = {"tolerance_nats": SCORE_TOLERANCE}
    for model in clock.settings.models[:1]:
        there, here = (
            clock.work("scores", model=model, items=clock.settings.items, device=device)
            for device in (clock.settings.device, "cpu")
        )
        found[model] = {name: compared(there, here, name, SCORE_TOLERANCE) for name in ("options", "outputs")}
        if "failed" not in there | here:
            pairs = list(zip(there["samples"], here["samples"], strict=True))
            equal = sum(mine == other for mine, other in pairs) / len(pairs)
            found[model]["samples"] = {"equal": equal, "n": len(pairs), "within": equal >= EQUAL_SAMPLES}
        keep(found)
    return found


def compared(there: Found, here: Found, name: str, tolerance: float) -> Found:
    """The largest difference of two results, and whether it is within the tolerance; NaN never is."""
    if failed := there.get("failed") or here.get("failed"):
        return {"failed": failed, "within": False}
    mine, other = (torch.tensor(flat(each[name]), dtype=torch.float64) for each in (there, here))
    if mine.shape != other.shape:
        return {"failed": f"{len(mine)} numbers for {len(other)}", "within": False}
    largest = (mine - other).abs().max().item()
    finite = bool(mine.isfinite().all())
    return {
        "n": len(mine),
        "largest_difference_nats": largest if finite else None,
        "within": finite and largest <= tolerance,
    }


def flat(nested: Any) -> list[float]:
    """All numbers of nested lists."""
    return [number for part in nested for number in flat(part)] if isinstance(nested, list) else [nested]


def part_training(clock: Clock, keep: Callable[[Found], None]) -> Found:
    """Trained tokens a second compared with TRL, until larger batches gain nothing."""
    found: Found = {"peak": clock.work("matmul_peak", size=clock.settings.matrix, rounds=5)}
    for model in clock.settings.models:
        found[model] = {way: {} for way in training.WAYS}
        batch_size, still = 8, dict.fromkeys(training.WAYS, 0.0)
        while still and batch_size <= LARGEST_BATCH:
            for way in list(still):
                rows = min(max(4 * batch_size, clock.settings.rows), clock.settings.most_rows)
                run = clock.work(
                    "throughput", model=model, way=way, batch_size=batch_size, rows=rows, method="bfloat16 LoRA"
                )
                found[model][way][batch_size] = run
                keep(found)
                speed = run.get("trained_tokens_per_wall_second", 0.0)
                if speed < GAIN * still[way] or rows < 4 * batch_size:
                    del still[way]
                else:
                    still[way] = speed
            batch_size *= 2
        found[model] |= summary(found[model], found["peak"])
        keep(found)
    return found


def summary(of_model: Found, peak: Found) -> Found:
    """The best of each way, their ratio, and our share of the peak, with 6 operations a weight and token."""
    best = {
        way: max(runs.values(), key=lambda run: run.get("trained_tokens_per_wall_second", 0.0))
        for way, runs in of_model.items()
        if runs
    }
    speeds = {way: run.get("trained_tokens_per_wall_second") for way, run in best.items()}
    others = [speed for way, speed in speeds.items() if way != "ours" and speed]
    found: Found = {"best": speeds, "ratio": None, "share_of_peak": None}
    if speeds.get("ours") and others:
        found["ratio"] = speeds["ours"] / max(others)
    if speeds.get("ours") and "operations_per_second" in peak:
        run = best["ours"]
        operations = 6 * run["parameters"] * run["run_tokens"] / run["wall_seconds"]
        found["share_of_peak"] = operations / peak["operations_per_second"]
    return found


def part_options(clock: Clock, keep: Callable[[Found], None]) -> Found:
    """Options and samples a second compared with what people use."""
    found: Found = {}
    model = clock.settings.models[0]
    ways = [way for way in option_scoring.WAYS if way != "lm_eval" or find_spec("lm_eval")]
    for way in ways:
        found[f"options, {way}"] = clock.work("option_speed", model=model, way=way, items=clock.settings.items)
        keep(found)
    for way in ("ours", "num_return"):
        found[f"samples, {way}"] = clock.work("sampling_speed", model=model, way=way, n=clock.settings.samples)
        keep(found)
    if "lm_eval" not in ways:
        found["lm_eval"] = "not installed"
    return found


def part_run(clock: Clock, keep: Callable[[Found], None]) -> Found:
    """Spectrum Tuning for most of the time that is left, measured before and after."""
    settings, model = clock.settings, clock.settings.models[0]
    found: Found = {"before": evaluated(clock, model, "before")}
    keep(found)
    adapter = settings.output / "run"
    command = [
        sys.executable, "train_sft.py", "--model_name_or_path", model, "--suite", settings.suite,
        "--tasks", *training.TASKS, "--branching", "1.0", "--turn_tokens", "newline", "--max_length", "256",
        "--per_device_train_batch_size", "32", "--num_train_epochs", "1000", "--learning_rate", "5e-4",
        "--lora_dropout", "0", "--load_in_4bit", "false", "--dtype", "bfloat16", "--report_to", "none",
        "--save_strategy", "no", "--output_dir", str(adapter), "--resume_from_checkpoint", "never",
        "--logging_first_step", "true",  # a short run has no other line with a loss
        "--max_steps", str(settings.steps_of_run or max(int(clock.left * 0.6 * settings.steps_per_second), 10)),
        *(["--use_cpu", "true", "--bf16", "false"] if settings.device == "cpu" else []),
    ]  # fmt: skip
    started = time.monotonic()
    failed = run_command(command, clock.left * 0.85)
    found["training"] = {"failed": failed} if failed else told_by_training(adapter)
    found["training"]["seconds"] = round(time.monotonic() - started, 1)
    keep(found)
    if not failed:
        found["after"] = evaluated(clock, str(adapter), "after")
        keep(found)
    return found


def told_by_training(adapter: Path) -> Found:
    """What the report of a training run says."""
    report = json.loads((adapter / "training_report.json").read_text(encoding="utf-8"))
    losses = [line["loss"] for line in report["log"]]
    return {"steps": report["steps"], "trained_tokens": report["trained_tokens"], "losses": [losses[0], losses[-1]]}


def evaluated(clock: Clock, model: str, name: str) -> Found:
    """Divergence and coverage on urns that no training has seen."""
    output = clock.settings.output / name
    command = [
        sys.executable, "evaluate_model.py", "--model", model, "--suite", clock.settings.suite, "--desiderata",
        "alignment", "--limit", str(clock.settings.items), "--device", clock.settings.device, "--output", str(output),
    ]  # fmt: skip
    failed = run_command(command, clock.left)
    if failed:
        return {"failed": failed}
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    names = ("js_divergence", "coverage")
    return {
        task: {who: {name: section[who][name] for name in names} for who in ("model", "uniform")}
        for task, section in report["alignment"].items()
    }


PARTS = {
    "losses": part_losses,
    "scores": part_scores,
    "training": part_training,
    "options": part_options,
    "run": part_run,
}


def check(settings: Namespace) -> Found:
    """Do the parts that are asked for, one after the other; the time that one leaves is the next ones'."""
    started = time.monotonic()
    found: Found = {"device": device_name(torch.device(settings.device)), "conditions": conditions(), "parts": {}}
    path = settings.output / "gpu.json"
    settings.output.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(settings.parts):
        left = settings.minutes * 60 - (time.monotonic() - started)
        share = SHARES[name] / sum(SHARES[each] for each in settings.parts[place:])
        begun = time.monotonic()

        def keep(result: Found, name: str = name, begun: float = begun) -> None:
            found["parts"][name] = result | {"seconds": round(time.monotonic() - begun, 1)}
            write_whole(path, json.dumps(found, indent=1, default=str) + "\n")

        print(f"{name}: at most {left * share:.0f} s", file=sys.stderr, flush=True)
        try:
            keep(PARTS[name](Clock(left * share, settings), keep))
        except Exception as error:  # one part must not take the others with it, and its reason is kept
            keep(found["parts"].get(name, {}) | {"failed": f"{type(error).__name__}: {error}"})
    return found


def conditions() -> Found:
    """What the numbers depend on besides the device."""
    names = ("torch", "transformers", "trl", "peft", "bitsandbytes")
    return {"machine": platform.machine(), "cpus": os.cpu_count(), "libraries": {name: version(name) for name in names}}


def failures(found: Found) -> list[str]:
    """What failed or was not within its tolerance, a line each."""

    def walk(part: Any, path: str) -> list[str]:
        if not isinstance(part, dict):
            return []
        own = [f"{path}: {part['failed']}"] if "failed" in part else []
        if not own and part.get("within") is False:
            own = [f"{path}: not within the tolerance, {part}"]
        return [*own, *(line for name, inner in part.items() for line in walk(inner, f"{path}/{name}"))]

    return walk(found["parts"], "")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = command.add_argument
    add("--minutes", type=float, default=8.0, help="time for all parts (default: 8)")
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to do (default: everything)")
    add(
        "--models", nargs="+", default=["embedded:gemma-3-270m", "embedded:smollm2-135m"], help="models, the main first"
    )
    add("--suite", help="a built suite with the tasks that are trained on (default: one is built)")
    add("--device", help="cuda, xpu, mps or cpu (default: the accelerator, if there is one)")
    add("--output", type=Path, default=Path("outputs/gpu"), help="where results go (default: outputs/gpu)")
    add("--steps", type=int, default=STEPS, help=f"steps whose losses are compared (default: {STEPS})")
    add("--items", type=int, default=100, help="items and sequences that are scored (default: 100)")
    add("--samples", type=int, default=100, help="samples that are drawn (default: 100)")
    add("--rows", type=int, default=200, help="rows of a measurement of training, at least (default: 200)")
    add("--most_rows", type=int, default=4096, help="the same, at most (default: 4096)")
    add("--matrix", type=int, default=8192, help="width of the matrices that tell the peak (default: 8192)")
    add("--steps_per_second", type=float, default=4.0, help="run: what to expect of the device (default: 4)")
    add("--steps_of_run", type=int, help="run: exactly so many steps")
    add("--page", type=Path, metavar="JSON", help="write docs/gpu.md from this result, and do nothing else")
    return command


def main(settings: Namespace) -> None:
    """Do all parts, each in other processes."""
    if settings.page:
        from benchmarks.gpu_page import write_page  # noqa: PLC0415

        write_page(settings.page)
        return
    settings.device = settings.device or str(best_device())
    if settings.minutes <= 0:
        raise UserError(f"--minutes {settings.minutes:g} leaves no time: give a positive number")
    if settings.suite is None:
        settings.suite = str(settings.output / "suite")
        build(list(TASKS), BuildOptions(Path(settings.suite), max_rows=1000))
    found = check(settings)
    wrong = failures(found)
    print(f"{found['device']}: {settings.output / 'gpu.json'}")
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    with exit_on_user_error():
        main(parser().parse_args())
