"""`spectrum-suite decide`: how good a model's answers to rows of decisions are."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from spectrum_suite.errors import UserError, exit_on_user_error
from spectrum_suite.evaluation.choices import SEED
from spectrum_suite.formats.tags import ALL_FORMATS
from spectrum_suite.held_folder import check_output
from spectrum_suite.parser import Parser

if TYPE_CHECKING:
    from spectrum_suite.decisions.rows import DecisionRow

logger = logging.getLogger(__name__)

_BATCH_SIZE = 64

_ABOUT = """\
Evaluate a model's answers to rows of decisions (a state, typed questions, the true probabilities of their answers):
decisions.json and decisions.md, with tables by question, type and workflow, next to the uniform guess.
"""
_EXAMPLES = """\
examples:
  spectrum-suite decide embedded:gemma-3-270m --data LocalLLaMA/typed-decisions --output outputs/decisions
  spectrum-suite decide outputs/quickstart --data rows.jsonl --orders 4 --output outputs/decisions

with a result file for the model's repository on the Hub, which has to say what the model was trained on:
  spectrum-suite decide outputs/quickstart --data LocalLLaMA/typed-decisions --trained_on nothing \\
      --output outputs/decisions
"""


def main(words: Sequence[str], program: str = "spectrum-suite decide") -> None:
    """Decide what the words of a command line name; a user's mistake ends in one line and exit code 2."""
    with exit_on_user_error():
        options = _parser(program).parse_args(words)
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        check_output(options.output, option="--output")
        for name in ("limit", "orders", "batch_size"):
            if getattr(options, name) is not None and getattr(options, name) < 1:
                raise UserError(f"--{name} is {getattr(options, name)}: give a number of at least 1")
        _run(options)


def _run(options: Namespace) -> None:
    from spectrum_suite.decisions.decide import Reader  # noqa: PLC0415 - with `torch`, which takes seconds
    from spectrum_suite.decisions.report import (  # noqa: PLC0415
        PAGE,
        REPORT,
        answer_rows,
        decisions_report,
        report_page,
    )  # fmt: skip
    from spectrum_suite.decisions.rows import load_decisions, questions_of  # noqa: PLC0415
    from spectrum_suite.formats.tags import find_format  # noqa: PLC0415
    from spectrum_suite.json_files import write_json, write_whole  # noqa: PLC0415
    from spectrum_suite.lm.calibration_file import calibration_of  # noqa: PLC0415
    from spectrum_suite.models import find_model, load_for_scoring, load_tokenizer  # noqa: PLC0415

    rows = load_decisions(
        options.data, split=options.split, config=options.data_config, limit=options.limit, seed=options.seed
    )
    if options.trained_on:
        _check_benchmark(rows)
    files = find_model(options.model, base=options.base, revision=options.revision)
    tokenizer = load_tokenizer(files)
    text_format = None if options.read == "labels" else find_format(options.format, tokenizer)
    calibration = calibration_of(files, text_format, options.calibration)
    reader = Reader.of(
        tokenizer, read=options.read, orders=options.orders, seed=options.seed, text_format=text_format,
        calibration=calibration,
    )  # fmt: skip
    model, _ = load_for_scoring(files, device=options.device, dtype=options.dtype)
    logger.info("%d questions in %d rows", questions_of(rows), len(rows))
    report = decisions_report(rows, answer_rows(model, reader, rows, batch_size=options.batch_size, progress=True))
    asked = {"model": files.name, "fingerprint": files.fingerprint(), "data": options.data, "split": options.split}
    asked |= {"read": options.read, "orders": options.orders, "calibrated": calibration is not None}
    asked |= {"trained_on": options.trained_on} if options.trained_on else {}
    options.output.mkdir(parents=True, exist_ok=True)
    page = report_page(report, files.name)
    write_json(options.output / REPORT, {"asked": asked} | report)
    write_whole(options.output / PAGE, page)
    logger.info("%s", page.partition("\n## ")[0])
    if options.trained_on:
        _write_results(options, report["model"])
    logger.info("the report is in %s", options.output / PAGE)


def _check_benchmark(rows: Sequence[DecisionRow]) -> None:
    """Refuse rows whose numbers must not be called those of the benchmark."""
    from spectrum_suite.decisions.scores import (  # noqa: PLC0415 - as above
        decisions_of,
        differs_from_card,
        summarize,
        uniform_predictions,
    )

    differs = differs_from_card(summarize(decisions_of(rows, uniform_predictions(rows))))
    if differs:
        raise UserError(f"--trained_on is for the benchmark's test rows, whose uniform guess differs ({differs[0]})")


def _write_results(options: Namespace, summary: dict[str, float]) -> None:
    from spectrum_suite.decisions.eval_results import eval_results, write_eval_results  # noqa: PLC0415 - as above

    day = datetime.now(tz=UTC).date()
    entries = eval_results(
        summary, trained_on=options.trained_on, day=day, revision=options.data_revision, source_url=options.source_url
    )
    logger.info("results for the Hub are in %s", write_eval_results(options.output, entries))


def _parser(program: str) -> Parser:
    command = Parser(prog=program, description=_ABOUT, epilog=_EXAMPLES)
    command.add_config()
    add = command.add_argument
    add("model", help="a folder, a Hub id, or embedded:gemma-3-270m; a checkpoint or an adapter")
    add("--data", required=True, help="rows of decisions: a .json, .jsonl or .parquet file, a folder, or a Hub id")
    add("--output", type=Path, required=True, metavar="DIR", help="folder of the report")
    add("--split", default="test", help="which rows (default: test)")
    add("--data_config", metavar="NAME", help="configuration of --data (default: its own; all of typed-decisions)")
    add(
        "--read", choices=("options", "labels"), default="options", help="what is scored: whole names, or vLLM's labels"
    )
    add("--format", default="auto", choices=("auto", *ALL_FORMATS), help="how the model is asked (default: auto)")
    add("--orders", type=int, default=1, help="orders of the options to average over (default: 1)")
    add("--calibration", type=Path, metavar="PATH", help="calibration.json or its folder, of this model")
    add("--limit", type=int, help="maximum number of rows, drawn at random")
    add("--seed", type=int, default=SEED, help=f"seed for drawing rows and orders (default: {SEED})")
    add("--batch_size", type=int, default=_BATCH_SIZE, help=f"prompts per forward pass (default: {_BATCH_SIZE})")
    add(
        "--trained_on",
        choices=("nothing", "train"),
        help="write .eval_results/typed-decisions.yaml too; what of that benchmark the model was trained on",
    )
    add("--data_revision", metavar="COMMIT", help="commit of the dataset, for that file")
    add("--source_url", metavar="URL", help="where the run can be looked at, for that file")
    add("--device", help="cpu, cuda, cuda:1, mps, xpu (default: the accelerator if there is one)")
    add("--dtype", help="float32, bfloat16 or float16 (default: bfloat16 on an accelerator, float32 elsewhere)")
    add("--base", help="base model of an adapter (default: the one that it names)")
    add("--revision", help="branch, tag or commit of a model on the Hub")
    return command
