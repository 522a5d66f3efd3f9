"""`spectrum-suite list|preview|build` and `python -m dataset_builder list|preview|build`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from dataset_builder.registry import known_tasks, naming, own_files, select_tasks
from dataset_builder.task_spec import TaskSpec
from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.parser import Parser, as_called
from spectrum_suite.shipped import shipped

if TYPE_CHECKING:
    from dataset_builder.build import BuildOptions
    from dataset_builder.suite_folder import Record

_EXAMPLES = """\
examples:
  python -m dataset_builder list
  python -m dataset_builder preview coinflip
  python -m dataset_builder build --tasks synthetic --output spectrum-suite
  python -m dataset_builder build --tasks polis_vote gsm8k_question --sources_dir raw --output spectrum-suite
  python -m dataset_builder build --tasks all --sources_dir raw --allow_missing --rows 5 --output quick-look
  python -m dataset_builder build --tasks synthetic --as decisions --output spectrum-decisions

then, in Python, in the folder that has the suite:
  load_dataset("spectrum-suite", "coinflip")
"""
_WIDE = 200
_COUNTED = 1_000  # rows that a preview reads to tell the size of a task
_COUNTS = ("rows", "processes", "draws", "dropped rows", "seconds")
_BUILD = """\
Build tasks into a folder that load_dataset reads. Building into an existing suite adds to it. An interrupted build
resumes when the same command is run again; tasks that have not changed are not rebuilt. A task that cannot be built is
left out and named at the end: the exit code is then 1, or 2 where nothing could be built.
"""


def main(words: Sequence[str] | None = None, program: str = "python -m dataset_builder") -> None:
    """Run one command; a user's mistake ends in one line and exit code 2."""
    parser = _parser(program)
    with exit_on_user_error():
        options = parser.parse_args(words)
        if options.command is None:
            parser.print_help()
        else:
            options.command(options)


def _parser(program: str) -> Parser:
    examples = as_called(_EXAMPLES, program)
    parser = Parser(
        prog=program,
        description="Turn raw upstream data into the Spectrum Suite: Parquet files and a card.",
        epilog=examples,
    )
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands")
    listing = commands.add_parser("list", help="show all tasks", description="Show all tasks.")
    listing.add_argument("tasks", nargs="*", metavar="TASK", help="only these: names, words, task files (default: all)")
    listing.add_argument("--json", action="store_true", help="as JSON, one object per task")
    _add_sources(listing)
    listing.set_defaults(command=_list)
    preview = commands.add_parser("preview", help="show rows of one task", description="Show the first rows of a task.")
    preview.add_argument("task", help="name of the task, or a task file (.yaml)")
    preview.add_argument("--rows", type=_positive, default=2, help="how many rows to show (default: 2)")
    preview.add_argument("--json", action="store_true", help="whole rows as JSON, one per line")
    _add_data_options(preview)
    preview.set_defaults(command=_preview)
    _add_new_task(commands, program)
    _add_build(
        commands.add_parser(
            "build",
            help="build tasks into a suite",
            description=_BUILD,
            epilog=examples,
        )
    )
    return parser


def _add_new_task(commands: Any, program: str) -> None:
    parser = commands.add_parser(
        "new-task",
        help="write a first task file for a table of your own",
        description="Look at a table and write a first task file (YAML): what it guesses, it says in comments.",
    )
    parser.add_argument("table", type=Path, help="CSV, TSV, JSON, Parquet, Excel or SPSS file")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the task file (default: the table's name, .yaml)")
    parser.set_defaults(command=partial(_new_task, program=program))


def _add_build(parser: Parser) -> None:
    parser.add_config()
    parser.add_argument(
        "--tasks",
        nargs="+",
        required=True,
        metavar="NAME",
        help="names of tasks, task files (.yaml), or: all, synthetic (those that need no raw files), paper, ours",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the suite")
    parser.add_argument(
        "--num_proc",
        type=_positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="tasks built in parallel (default: one per CPU)",
    )
    parser.add_argument(
        "--rows", type=_positive, metavar="N", help="only the first rows of each task, for a quick look"
    )
    parser.add_argument(
        "--as",
        dest="shape",
        choices=("suite", "decisions", "lm-eval"),
        default="suite",
        help="decisions: tasks with closed answers as rows of typed decisions; lm-eval: distribution tasks for "
        "lm-evaluation-harness (default: suite)",
    )
    parser.add_argument(
        "--licences",
        choices=("all", "commercial"),
        default="all",
        help="commercial: only tasks of sources whose terms are known to allow commercial use (default: all)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="stop where rows of your own table are wrong, instead of leaving them out"
    )
    _add_data_options(parser)
    parser.set_defaults(command=_build)


def _add_data_options(parser: Parser) -> None:
    parser.add_argument(
        "--sources_dir",
        type=Path,
        metavar="DIR",
        help="folder of raw files, one subfolder per source (default: $SPECTRUM_SOURCES)",
    )
    parser.add_argument(
        "--allow_missing", action="store_true", help="continue without tasks whose raw files are missing"
    )
    parser.add_argument("--seed", type=int, default=42, help="seed of every random choice (default: 42)")
    _add_sources(parser)


def _add_sources(parser: Parser) -> None:
    parser.add_argument(
        "--sources", nargs="+", type=Path, default=[], metavar="FILE", help="Python files with sources of your own"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _sources_dir(options: argparse.Namespace) -> Path | None:
    sources = os.environ.get("SPECTRUM_SOURCES")
    return options.sources_dir or (Path(sources) if sources else None)


def _list(options: argparse.Namespace) -> None:
    with naming(options.tasks, options.sources) as names:
        rows = [_facts(spec) for spec in (select_tasks(names) if options.tasks else known_tasks())]
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        return
    shown = ("name", "kind", "split", "source", "group", "license", "origin")
    table = Table(*(Column(name, overflow="fold") for name in shown), title=f"{len(rows)} tasks", title_justify="left")
    for row in rows:
        table.add_row(*(row[column] for column in shown))
    _console().print(table)


def _console() -> Console:
    """Tables keep their whole width where the output is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)


def _facts(spec: TaskSpec) -> dict[str, str]:
    return {
        "name": spec.name,
        "kind": spec.kind,
        "split": spec.split,
        "source": spec.source.name,
        "group": spec.group,
        "license": spec.source.license,
        "redistributable": spec.source.redistributable,
        "origin": spec.origin,
        "version": spec.version,
        "summary": spec.summary,
    }


def _new_task(options: argparse.Namespace, program: str) -> None:
    from dataset_builder.task_files.new_task import new_task  # noqa: PLC0415 - what reads tables

    output = options.output or options.table.with_suffix(".yaml")
    if output.exists():
        raise UserError(f"{str(output)!r} exists: give another --output, or remove it")
    text = new_task(Path(shipped(options.table)), output.parent)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    _console().print(f"{output}: correct what was guessed, then look at its rows with '{program} preview {output}'; "
                     f"train and evaluate read it by '--suite {output}'",
                     soft_wrap=True, highlight=False, markup=False)  # fmt: skip


def _preview(options: argparse.Namespace) -> None:
    from dataset_builder.preview import row_lines, show_task  # noqa: PLC0415 - with `datasets`, which takes seconds
    from dataset_builder.suite_builder import SpectrumSuite  # noqa: PLC0415

    settings = {"seed": options.seed, "allow_missing": options.allow_missing}
    if sources_dir := _sources_dir(options):
        settings["data_dir"] = str(sources_dir)
    found = {}
    with naming([options.task], options.sources) as names:
        for spec in select_tasks(names, words=False):
            builder = SpectrumSuite(config_name=spec.name, **settings)
            rows = iter(builder.as_streaming_dataset(split=spec.split))
            shown = list(islice(rows, options.rows))
            if options.json:
                for row in shown:
                    sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
                continue
            more = sum(1 for _ in islice(rows, _COUNTED))
            size = f"more than {_COUNTED:,} rows" if more == _COUNTED else f"{len(shown) + more:,} rows"
            show_task(Console(), spec, shown, size)
            found[spec.name] = vars(builder.counts)
    for line in row_lines(found):
        Console().print(line, soft_wrap=True, highlight=False)


def _build(options: argparse.Namespace) -> None:
    with naming(options.tasks, options.sources) as names:
        _build_named(names, options)


def _build_named(names: Sequence[str], options: argparse.Namespace) -> None:
    from dataset_builder.build import BuildOptions, build  # noqa: PLC0415 - with `datasets`, which takes seconds
    from dataset_builder.preview import missing_lines, row_lines  # noqa: PLC0415

    how = BuildOptions(
        output=options.output,
        sources_dir=_sources_dir(options),
        allow_missing=options.allow_missing,
        num_proc=options.num_proc,
        seed=options.seed,
        max_rows=options.rows,
        own=(*options.sources, *own_files(options.tasks).values()),
        strict=options.strict,
        licences=options.licences,
    )
    if options.shape != "suite":
        _export(options.shape, names, how)
        return
    report = build(names, how)
    table = Table(Column("task", overflow="fold"), "status", *(Column(name, justify="right") for name in _COUNTS))
    for name, record in report["tasks"].items():
        numbers = [record["rows"], record["processes"], record["draws"], sum(record["dropped"].values())]
        table.add_row(name, record["status"], *(f"{number:,}" for number in numbers), f"{record['seconds']:.1f}")
    console = _console()
    console.print(table)
    if left_out := [spec.name for spec in select_tasks(names) if spec.name not in report["tasks"]]:
        line = f"left out, since their sources are not known to allow commercial use: {', '.join(left_out)}"
        console.print(line, soft_wrap=True, highlight=False)
    for line in missing_lines(report["tasks"]):
        console.print(line, soft_wrap=True, highlight=False)
    for line in row_lines(report["tasks"]):
        console.print(line, soft_wrap=True, highlight=False)
    console.print(f"suite in {options.output}", soft_wrap=True, highlight=False)
    if failed := {name: record for name, record in report["tasks"].items() if record["status"] == "failed"}:
        _show_failed(console, failed)
        if any(spec.name in failed for spec in select_tasks(names)):
            sys.exit(1)


def _export(shape: str, names: Sequence[str], options: BuildOptions) -> None:
    from dataset_builder.decision_set import DECISIONS  # noqa: PLC0415 - as above
    from dataset_builder.export import export  # noqa: PLC0415
    from dataset_builder.lm_eval_set import LM_EVAL  # noqa: PLC0415

    how = {"decisions": DECISIONS, "lm-eval": LM_EVAL}[shape]
    written, left_out = export(how, names, options)
    table = Table(Column("task", overflow="fold"), Column("rows", justify="right"))
    for name, rows in written.items():
        table.add_row(name, f"{rows:,}")
    console = _console()
    console.print(table)
    for name, why in left_out.items():
        console.print(f"left out: {name} ({why})", soft_wrap=True, highlight=False)
    console.print(f"{how.name} in {options.output}", soft_wrap=True, highlight=False)


def _show_failed(console: Console, failed: Mapping[str, Record]) -> None:
    table = Table(
        "task",
        Column("why", overflow="fold"),
        title=f"{len(failed)} {'task' if len(failed) == 1 else 'tasks'} failed",
        title_justify="left",
    )
    for name, record in failed.items():
        table.add_row(name, escape(record["error"]))
    console.print(table, highlight=False)
