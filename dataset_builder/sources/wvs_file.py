"""World Values Survey, wave 7: its file, and what the file says of its questions (the task: ``wvs.py``).

Upstream: https://www.worldvaluessurvey.org (SPSS file, after registration). Licence: the survey's terms, by which the
data may not be passed on. A raw row (made up), with the labels that the file has for its columns and codes:

    B_COUNTRY=20 (Andorra)   N_TOWN=20001 (Ordino)   S_INTLANGUAGE=780 (Catalan)   Q1 (Important: Friends)=2 (Rather)

The whole file has a row for each respondent; nothing rests on ids.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyreadstat

from dataset_builder.sources.surveys import LETTERS, lettered
from dataset_builder.task_spec import Dropped, Source, SourceFile
from spectrum_suite.errors import UserError

PATH = "WVS_Cross-National_Wave_7_inverted_sav_v6_0.sav"

WVS = Source(
    name="wvs",
    title="World Values Survey, wave 7",
    homepage="https://www.worldvaluessurvey.org/WVSDocumentationWV7.jsp",
    license="World Values Survey terms of use: the data may not be passed on",
    redistributable="no",
    commercial="no",
    citation="Haerpfer et al. 2022, World Values Survey: Round Seven - Country-Pooled Datafile, version 6.0",
    folder="wvs",
    revision="version 6.0",
    files=(SourceFile(PATH),),
)

_LEFT_OUT = {"Q261", "Q262", "Q270", "Q274"}  # years and counts
_MIN_OPTIONS, _MAX_OPTIONS = 2, 17


class Question(NamedTuple):
    """A question with its lettered options, and the letter of each code."""

    text: str
    letters: dict[float, str]


def read_sav(path: Path, **options: Any) -> tuple[pl.DataFrame, Any]:
    """Read the file, or parts of it, as a table of codes and what the file says of its columns.

    Raises:
        UserError: It is no whole SPSS file.
    """
    try:
        return pyreadstat.read_sav(path, output_format="polars", **options)
    except pyreadstat.ReadstatError as error:
        why = f"does not read as an SPSS file: {error}"
        raise UserError(f"raw file {str(path)!r} {why}; fetch it again from its upstream") from error


def read_question(name: str, header: Any) -> Question | Dropped:
    """The question of a column; its options are the codes that are no kind of missing answer, the highest first."""
    labels = {} if header.readstat_variable_types[name] == "string" else header.variable_value_labels.get(name, {})
    options = {code: labels[code].strip() for code in sorted(labels, reverse=True) if code >= 0}
    text = (header.column_names_to_labels[name] or "").strip()
    if name in _LEFT_OUT:
        return Dropped("question for a year or a count")
    if not text or len(options) < _MIN_OPTIONS or not all(options.values()):
        return Dropped("question without text or options")
    if len(options) > _MAX_OPTIONS:
        return Dropped(f"question with more than {_MAX_OPTIONS} options")
    return Question(lettered(text, list(options.values())), dict(zip(options, LETTERS, strict=False)))
