"""What `spectrum-suite show` does."""

from __future__ import annotations

from argparse import Namespace

from datasets import Dataset, disable_progress_bars
from rich.console import Console
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from spectrum_suite.embedded_model import resolve_model
from spectrum_suite.errors import UserError
from spectrum_suite.formats.tags import find_format
from spectrum_suite.suite import suite_tasks, task_rows
from spectrum_suite.training.collator import IGNORED, SpectrumCollator
from spectrum_suite.training.shown_tokens import legend, mark_tokens, shown_tokens
from spectrum_suite.training.tokenize import tokenize_rows


def show(options: Namespace) -> None:
    """Print a row with its trained tokens in colour, and what was left out of it."""
    row = _row(options.suite, options.task, options.row)
    tokenizer = _tokenizer(options.tokenizer)
    text_format = find_format(options.format, tokenizer)
    tokenized, too_long = tokenize_rows(row, tokenizer, text_format, max_length=options.max_length)
    collator = SpectrumCollator.for_format(
        text_format,
        tokenizer,
        max_length=options.max_length,
        description_dropout=options.description_dropout,
        seed=options.seed,
    )
    collator.set_epoch(options.epoch)
    sequence = collator.sequence(tokenized[0] | {"row": options.row})
    trained = [label != IGNORED for label in sequence.labels]

    console = Console(soft_wrap=True, highlight=False, markup=False)
    colour = console.is_terminal and not console.no_color
    console.print(legend(colour=colour))
    console.print(mark_tokens(shown_tokens(tokenizer, sequence.ids, trained), colour=colour))
    console.print(f"{tokenized[0]['id']} in format {text_format.name}, epoch {options.epoch}")
    console.print(
        f"{sum(trained)} of {len(trained)} tokens trained, in {sequence.trained_outputs} outputs; "
        f"the row has {row[0]['n_outputs']} outputs, of which {too_long} are too long"
    )


def _row(suite: str, task: str, number: int) -> Dataset:
    suite_tasks(suite, [task])
    disable_progress_bars()
    rows = task_rows(suite, task)
    if "n_outputs" not in rows.column_names:
        raise UserError(f"task {task!r} has no outputs to train on: show a training task")
    if not 0 <= number < len(rows):
        raise UserError(f"task {task!r} has no row {number}: give --row a number from 0 to {len(rows) - 1}")
    return rows.select([number])


def _tokenizer(name: str) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(resolve_model(name))
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"no tokenizer {name!r}: give a folder, a Hub id or embedded:gemma-3-270m") from error
