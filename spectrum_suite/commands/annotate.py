"""`spectrum-suite annotate`: the markers of datasets."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from spectrum_suite.errors import exit_on_user_error
from spectrum_suite.parser import Parser, as_called

_ABOUT = """\
Annotate instruction data, or tasks of the suite, with markers, and write the rows with a column `markers` as Parquet,
for training with `--objective markers`. Lengths, language, format and programming language are detected; what is known
about a dataset is given with --fixed and --columns, or in a plan for several datasets; quality comes from a column or a
reward model; domain, task and format, where unknown, from a model that tags them. A report counts the examples with
each marker. An interrupted command resumes.
"""
_EXAMPLES = """\
examples:
  spectrum-suite annotate dolly.jsonl --fixed source=Human --output outputs/dolly
  spectrum-suite annotate scored.jsonl --columns quality=score task=kind --output outputs/scored
  spectrum-suite annotate --plan recipes/data/markers.yaml --sources_dir raw --output outputs/mix
  spectrum-suite annotate --suite spectrum-suite --tasks polis_vote=50 --output outputs/votes
  spectrum-suite annotate dolly.jsonl --tagger google/gemma-3-4b-pt --output outputs/dolly

then:
  python train_sft.py --objective markers --data outputs/dolly --model_name_or_path embedded:gemma-3-270m
"""


def main(words: Sequence[str], program: str = "spectrum-suite annotate") -> None:
    """Annotate what the words of a command line name; a user's mistake ends in one line and exit code 2."""
    with exit_on_user_error():
        options = _parser(program).parse_args(words)
        logging.basicConfig(level=logging.INFO, format="%(message)s")

        from spectrum_suite.commands.annotation import annotate  # noqa: PLC0415 - with `torch`, which takes seconds

        annotate(options)


def _parser(program: str) -> Parser:
    command = Parser(prog=program, description=as_called(_ABOUT, program), epilog=as_called(_EXAMPLES, program))
    add = command.add_argument
    command.add_config()
    add("data", nargs="*", help="files (.json, .jsonl, .csv, .parquet), folders, or datasets on the Hub")
    add("--output", required=True, type=Path, help="folder of train.parquet, test.parquet and the report")
    add("--fixed", nargs="+", default=[], metavar="CATEGORY=VALUE", help="markers that every row of the data has")
    add("--columns", nargs="+", default=[], metavar="CATEGORY=COLUMN", help="markers to take from columns of the data")
    add("--layout", default="auto", help="layout of the data (default: inferred from its columns)")
    add("--split", default="train", help="split of data in a folder or on the Hub (default: train)")
    add("--limit", type=int, help="conversations to draw at random from each dataset")
    add("--plan", type=Path, metavar="YAML", help="a plan: several datasets, with what is known about each")
    add(
        "--sources_dir",
        metavar="DIR",
        help="folder that paths in the plan are relative to (default: $SPECTRUM_SOURCES)",
    )
    add("--suite", help="a built suite's folder, or a dataset on the Hub")
    add("--tasks", nargs="+", default=["all"], help="training tasks, each 'name' or 'name=rows' (default: all)")
    add("--tokenizer", default="embedded:gemma-3-270m", help="tokenizer of the model to tune, which counts tokens")
    add("--taxonomy", type=Path, metavar="YAML", help="a file of custom categories")
    add("--reward_model", metavar="MODEL", help="a sequence classifier that scores completions")
    add("--tagger", metavar="MODEL", help="a model that tags domain, task and format where they are unknown")
    add("--tagger_endpoint", metavar="URL", help="a completions server that serves it")
    add("--max_tokens", type=int, help="leave out rows with a message of more tokens")
    add(
        "--held_out",
        type=int,
        default=0,
        metavar="PROMPTS",
        help="prompts to hold out, with all their rows (default: 0)",
    )
    add("--seed", type=int, default=42, help="seed for drawing rows (default: 42)")
    add("--num_proc", type=int, help="number of processes")
    return command
