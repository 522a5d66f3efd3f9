"""Numbers of reports as a table: CSV, Parquet, or LaTeX to put into a paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.report_numbers import ALL, ReportNumber
from spectrum_suite.json_files import in_one_step

_TYPES = {"value": pa.float64(), "low": pa.float64(), "high": pa.float64(), "n": pa.int64()}
_SCHEMA = pa.schema([(each.name, _TYPES.get(each.name, pa.string())) for each in fields(ReportNumber)])

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "[": "{[}", "]": "{]}",
}  # fmt: skip
"""What a sign is in the text of a table."""


def export(numbers: Sequence[ReportNumber], path: Path) -> None:
    """Write a table of numbers, a row for each, in the kind that the name of the file ends in.

    Raises:
        UserError: The name ends in none that is known.
    """
    check_kind(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with in_one_step(path) as part:
        KINDS[path.suffix](numbers, part)


def check_kind(path: Path) -> None:
    """Refuse a file of a kind that is not written.

    Raises:
        UserError: It is of none.
    """
    if path.suffix not in KINDS:
        raise UserError(f"--to {str(path)!r} ends in none of {', '.join(KINDS)}: give a name that does")
    if path.is_dir():
        raise UserError(f"--to {str(path)!r} is a folder: give the name of a file")


def _table(numbers: Sequence[ReportNumber]) -> pa.Table:
    return pa.Table.from_pylist([asdict(number) for number in numbers], _SCHEMA)


def _write_csv(numbers: Sequence[ReportNumber], path: Path) -> None:
    pa_csv.write_csv(_table(numbers), path)


def _write_parquet(numbers: Sequence[ReportNumber], path: Path) -> None:
    pq.write_table(_table(numbers), path)


def _write_latex(numbers: Sequence[ReportNumber], path: Path) -> None:
    path.write_text(latex(numbers), encoding="utf-8")


def latex(numbers: Sequence[ReportNumber]) -> str:
    """A table of the packages ``longtable`` and ``booktabs``; a column that says the same of all is left out."""
    told = [name for name in ("model", "desideratum", "task", "by", "group") if _tells(numbers, name)]
    header = [*told, "measure", "value", r"95\% interval", "$n$"]
    lines = [
        r"% needs \usepackage{booktabs,longtable}",
        rf"\begin{{longtable}}{{{'l' * (len(told) + 1)}rcr}}",
        r"\toprule",
        " & ".join(header) + r" \\",
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
    ]
    for number in numbers:
        names = [_text(str(getattr(number, name))) for name in (*told, "measure")]
        lines.append(" & ".join([*names, _number(number.value), _interval(number), str(number.n or "")]) + r" \\")
    return "\n".join([*lines, r"\end{longtable}", ""])


def _tells(numbers: Sequence[ReportNumber], name: str) -> bool:
    """Whether a column distinguishes numbers; that of all groups together is given by the column before it."""
    values = {getattr(number, name) for number in numbers}
    return len(values) > 1 or (name in ("by", "group") and not values <= {ALL, ""})


def _text(text: str) -> str:
    return re.sub(r"[\\&%$#_{}~^<>\[\]]", lambda found: _LATEX[found[0]], text)


def _number(value: float | None) -> str:
    return "--" if value is None else f"${value:.3f}$"


def _interval(number: ReportNumber) -> str:
    return "" if number.low is None or number.high is None else f"$[{number.low:.3f}, {number.high:.3f}]$"


KINDS: Mapping[str, Callable[[Sequence[ReportNumber], Path], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".tex": _write_latex,
}
"""How the name of a file ends -> what writes it."""
