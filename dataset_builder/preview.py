"""Shows rows in a readable form, and says which raw files are missing and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from dataset_builder.recorded_tasks import recorded_task
from dataset_builder.suite_folder import Record
from dataset_builder.task_spec import TaskSpec

_STYLES = {"description": "italic", "input": "cyan", "output": "bold green"}
_SHOWN_MESSAGES, _SHOWN_ITEMS, _SHOWN_CHARACTERS = 12, 12, 400
_BAR_CELLS = 30
PERSONAL = "MIND before anything is published"
"""What is said of rows that look like data on people."""


def show_task(console: Console, spec: TaskSpec, rows: list[dict[str, Any]], size: str) -> None:
    """Print what a task is, where it is from, and some of its rows.

    Args:
        console: Where to print.
        spec: The task.
        rows: Rows with the columns of the task's kind.
        size: The size of the task, in words.
    """
    source = spec.source
    facts = {
        "task": f"{spec.kind}, {'held out' if spec.split == 'test' else 'for training'}, {spec.group}, {size}",
        "process": spec.process,
        "source": source.title
        + f" <{source.homepage}>" * bool(source.homepage)
        + (f" at {source.revision}" if source.revision else ""),
        "licence": f"{source.license} (redistributable: {source.redistributable})",
    }
    console.print(f"[bold]{spec.name}[/bold]: {escape(spec.summary)}", highlight=False)
    for name, value in facts.items():
        console.print(f"  [dim]{name}[/dim]  {escape(value)}", highlight=False)
    for row in rows:
        console.print(Panel("\n".join(_LINES[spec.kind](row)), title=escape(row["id"]), title_align="left"))


def missing_lines(records: Mapping[str, Record]) -> Iterator[str]:
    """One line per source whose raw files are missing: the tasks affected, the reason, and where to get the files."""
    lacking: dict[str, list[str]] = {}
    for name, record in records.items():
        if record["missing"]:
            lacking.setdefault(recorded_task(name, record).source.name, []).append(name)
    for source_name, tasks in sorted(lacking.items()):
        source, missing = recorded_task(tasks[0], records[tasks[0]]).source, records[tasks[0]]["missing"]
        path, why = next(iter(missing.items()))
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        status = " (built from the rest)" if records[tasks[0]]["status"] == "partial" else ""
        yield escape(
            f"missing from {source_name}{status}: {path}{more} for {', '.join(tasks)}: {why}. "
            f"Get it from {source.homepage} (licence: {source.license})"
        )


def row_lines(records: Mapping[str, Record]) -> Iterator[str]:
    """A line for each reason for which rows were left out, converted or are doubtful, with the first place.

    Args:
        records: Task -> its record, of which ``dropped``, ``cleaned``, ``personal`` and ``first`` count.
    """
    tasks: dict[str, list[str]] = {}
    for task, record in records.items():
        for what, key in (("left out", "dropped"), ("converted", "cleaned"), (PERSONAL, "personal")):
            for reason, rows in record.get(key, {}).items():
                if reason in record.get("first", {}):
                    line = f"{what}: {rows:,} x {reason} (first: {record['first'][reason]})"
                    tasks.setdefault(line, []).append(task)
    yield from (escape(f"{', '.join(names)}: {line}") for line, names in tasks.items())


def _messages(row: dict[str, Any]) -> Iterator[str]:
    messages = row["messages"]
    for message in messages[:_SHOWN_MESSAGES]:
        role = message["role"]
        yield f"[dim]{role:>11}[/dim]  [{_STYLES[role]}]{escape(_shortened(message['content']))}[/{_STYLES[role]}]"
    if len(messages) > _SHOWN_MESSAGES:
        yield f"[dim]{'':>11}  ... and {len(messages) - _SHOWN_MESSAGES} more messages[/dim]"


def _shares(row: dict[str, Any]) -> Iterator[str]:
    yield from _messages(row)
    pairs = sorted(zip(row["options"], row["probabilities"], strict=True), key=lambda pair: -pair[1])
    width = min(max(len(option) for option in row["options"]), 40)
    for option, probability in pairs[:_SHOWN_ITEMS]:
        bar = "\u2588" * round(probability * _BAR_CELLS)
        yield f"  [bold green]{escape(option):>{width}}[/bold green]  {probability:6.1%} {bar}"
    if len(pairs) > _SHOWN_ITEMS:
        yield f"  [dim]... and {len(pairs) - _SHOWN_ITEMS} more options[/dim]"
    if row["n_responses"] is not None:
        yield f"  [dim]from {row['n_responses']:,} answers[/dim]"


def _generation_task(row: dict[str, Any]) -> Iterator[str]:
    yield f"[dim]description[/dim]  [italic]{escape(row['description'])}[/italic]"
    yield f"[dim]   examples[/dim]  [bold green]{escape(' | '.join(row['examples']))}[/bold green]"
    valid = f", {len(row['valid_items']):,} valid answers" if row["valid_items"] else ""
    yield f"[dim]      valid[/dim]  by the rule {row['validator']}{valid}, at most {row['max_new_tokens']} tokens"


_LINES = {"icl": _messages, "distribution": _shares, "coverage": _generation_task}


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} ..."
