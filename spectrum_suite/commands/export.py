"""`spectrum-suite export`: the numbers of reports as a table for a paper, a spreadsheet or a notebook."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spectrum_suite.errors import UserError, did_you_mean, exit_on_user_error
from spectrum_suite.parser import Parser

if TYPE_CHECKING:
    from spectrum_suite.evaluation.report_numbers import ReportNumber

logger = logging.getLogger(__name__)

_ABOUT = """\
Write the numbers of reports as a table: CSV, Parquet or LaTeX, a row for each number with its task, measure, value, 95%
interval and n. Numbers by group and by question are among them, where the evaluation has them.
"""
_EXAMPLES = """\
examples:
  spectrum-suite export outputs/evaluation/tuned --to numbers.csv
  spectrum-suite export outputs/evaluation/base outputs/evaluation/tuned --measures js_divergence --to table.tex
  spectrum-suite export outputs/evaluation/own --by age country --measures js_divergence uniform --to groups.tex
  spectrum-suite export outputs/evaluation/own --by question --to questions.parquet
"""


def main(words: Sequence[str], program: str = "spectrum-suite export") -> None:
    """Export what the words of a command line name; a user's mistake ends in one line and exit code 2."""
    with exit_on_user_error():
        options = _parser(program).parse_args(words)
        logging.basicConfig(level=logging.INFO, format="%(message)s")

        from spectrum_suite.evaluation.export import check_kind, export  # noqa: PLC0415 - help comes at once
        from spectrum_suite.evaluation.report import damaged, read_report  # noqa: PLC0415
        from spectrum_suite.evaluation.report_numbers import report_numbers  # noqa: PLC0415

        check_kind(options.to)
        numbers: list[ReportNumber] = []
        for path in options.reports:
            report = read_report(path)
            with damaged(path):
                numbers += report_numbers(report)
        chosen = _chosen(numbers, options)
        export(chosen, options.to)
        logger.info("%d numbers are in %s", len(chosen), options.to)


def _chosen(numbers: Sequence[ReportNumber], options: Namespace) -> list[ReportNumber]:
    """Those that were asked for.

    Raises:
        UserError: There is none of a task, measure or attribute that was named.
    """
    found = list(numbers)
    for option, field in (("tasks", "task"), ("by", "by"), ("measures", "measure")):
        asked = getattr(options, option)
        if not asked:
            continue
        known = list(dict.fromkeys(getattr(number, field) for number in found))
        for name in asked:
            if name not in known:
                hint = did_you_mean(name, known)
                raise UserError(f"--{option} {name!r}: no number of that{hint}: there are {', '.join(known) or 'none'}")
        found = [number for number in found if getattr(number, field) in asked]
    return found


def _parser(program: str) -> Parser:
    command = Parser(prog=program, description=_ABOUT, epilog=_EXAMPLES)
    add = command.add_argument
    add("reports", nargs="+", type=Path, help="report.json of an evaluation, or the folder that holds it")
    add("--to", type=Path, required=True, metavar="FILE", help="table to write: .csv, .parquet or .tex")
    add("--tasks", nargs="+", default=[], help="tasks (default: all)")
    add("--measures", nargs="+", default=[], help="measures, as in js_divergence coverage (default: all)")
    add("--by", nargs="+", default=[], help="all, question, or attributes such as age (default: every one)")
    return command
