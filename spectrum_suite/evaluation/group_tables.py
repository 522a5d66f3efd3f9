"""Tables of a task's results by question and by group of people, with bootstrap intervals.

A question is what the model is asked at last, the text of an input, or where there is none of a description. A group is
a value of an attribute of a row, from its column ``groups`` or from a column of that very name.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from datasets import Dataset

from spectrum_suite.errors import UserError, did_you_mean
from spectrum_suite.evaluation.intervals import mean_of
from spectrum_suite.evaluation.report import Section
from spectrum_suite.evaluation.steerability.score_steerability import ScoredSequence
from spectrum_suite.formats.render import Message
from spectrum_suite.groups import groups_of_rows
from spectrum_suite.metrics.in_context_steerability.scoring import score_options

MEASURES = ("js_divergence", "coverage", "mode_match")
"""Of alignment, those that tables show."""

_LONGEST_QUESTION = 200
_RESAMPLES = 2000  # of a cell; there may be thousands

Cell = TypeVar("Cell")


def groups_by(rows: Dataset, attributes: Sequence[str]) -> dict[str, list[str | None]]:
    """Attribute -> the group of each row; None where a row is in none. An attribute that no row has is left out.

    Raises:
        UserError: A cell of the column ``groups`` is not what it should be.
    """
    named = groups_of_rows(rows)
    found: dict[str, list[str | None]] = {}
    for name in attributes:
        of_rows = [groups.get(name) for groups in named]
        if not any(of_rows) and name in rows.column_names:
            of_rows = [None if value is None else str(value) for value in rows[name][:]]
        if any(of_rows):
            found[name] = of_rows
    return found


def check_attributes(attributes: Sequence[str], tasks: Mapping[str, Dataset]) -> None:
    """Refuse an attribute that no row of any task has.

    Args:
        attributes: Those that tables are asked by.
        tasks: Task -> its rows.

    Raises:
        UserError: There is one.
    """
    if not tasks:
        raise UserError(
            f"--by {attributes[0]!r} is for steerability and alignment: measure one of them, or leave it out"
        )
    found = {name for rows in tasks.values() for name in groups_by(rows, attributes)}
    known = sorted({name for rows in tasks.values() for groups in groups_of_rows(rows) for name in groups})
    for name in attributes:
        if name not in found:
            has = f"there are {', '.join(known)}" if known else "no row has a column 'groups'"
            raise UserError(f"--by {name!r}: no row of {', '.join(tasks)} has it{did_you_mean(name, known)}; {has}")


def alignment_tables(items: Sequence[Mapping[str, Any]], rows: Dataset, attributes: Sequence[str]) -> Section:
    """The tables of a distribution task.

    Args:
        items: As a report has them, an item for each row.
        rows: Those of the items.
        attributes: By which groups are distinguished.

    Returns:
        ``questions``: a list of ``question`` (its text; of a long one the beginning) with the entries of a cell; and,
        where rows have any of the attributes, ``by``: attribute -> group -> a cell. A cell has ``n`` (items), each of
        :data:`MEASURES`, and ``uniform`` (the divergence of the uniform guess), as ``mean``, ``ci95`` and ``n``.
    """
    asked = [question_of(messages) for messages in rows["messages"][:]]
    return _tables(asked, items, _alignment_cell) | _by(rows, attributes, items, _alignment_cell)


def steerability_tables(
    sequences: Sequence[ScoredSequence],
    rows: Dataset,
    attributes: Sequence[str],
    cell: Callable[[Sequence[ScoredSequence]], Section],
) -> Section:
    """The tables of a task of draws.

    Args:
        sequences: The scored sequences.
        rows: Their rows, others among them.
        attributes: By which groups are distinguished.
        cell: Summarizes some sequences.

    Returns:
        ``questions``, those that were asked in several sequences: a list of ``question`` with ``n``, ``loss`` and,
        where answers are closed, ``accuracy``, over outputs with an example before them; and ``by`` with what ``cell``
        gives.
    """
    place = {row_id: number for number, row_id in enumerate(rows["id"][:])}
    rows = rows.select([place[sequence.id] for sequence in sequences])
    asked, outputs = [], []
    for sequence, messages in zip(sequences, rows["messages"][:], strict=True):
        of_outputs = list(_inputs(messages))
        for index, k in enumerate(sequence.k):
            if k and of_outputs[k]:
                asked.append(of_outputs[k])
                outputs.append((sequence.losses[index], _is_right(sequence, index)))
    several = {text for text, count in Counter(asked).items() if count > 1}
    kept = [number for number, text in enumerate(asked) if text in several]
    questions = _tables([asked[number] for number in kept], [outputs[number] for number in kept], _output_cell)
    return questions | _by(rows, attributes, sequences, cell)


def question_of(messages: Sequence[Message]) -> str:
    """What a model is asked at last: the last input, or the description where there is none."""
    texts = {message["role"]: message["content"] for message in messages}
    return " ".join((texts.get("input") or texts.get("description") or "").split())


def _inputs(messages: Sequence[Message]) -> Iterator[str | None]:
    """The input of each output, None where it has none."""
    given = None
    for message in messages:
        if message["role"] == "output":
            yield given
            given = None
        elif message["role"] == "input":
            given = " ".join(message["content"].split())


def _is_right(sequence: ScoredSequence, index: int) -> float:
    """Whether the likeliest option of an output is the true one, shared out where several tie; NaN without options."""
    log_probs = sequence.log_probs[index] if sequence.log_probs else ()
    answer = sequence.answers[index] if sequence.answers else None
    return float(score_options([log_probs or None], [answer])[0][0])


def _tables(asked: Sequence[str], cells: Sequence[Cell], summarize: Callable[[Sequence[Cell]], Section]) -> Section:
    found = _grouped(asked, cells, summarize)
    return {
        "questions": [
            {"question": textwrap.shorten(text, _LONGEST_QUESTION, placeholder=" ..."), **cell}
            for text, cell in found.items()
        ]
    }


def _by(
    rows: Dataset, attributes: Sequence[str], cells: Sequence[Cell], summarize: Callable[[Sequence[Cell]], Section]
) -> Section:
    found = {name: _grouped(groups, cells, summarize) for name, groups in groups_by(rows, attributes).items()}
    return {"by": {name: dict(sorted(of.items(), key=_in_order)) for name, of in found.items()}} if found else {}


def _in_order(group: tuple[str, Section]) -> list[tuple[int, int, str]]:
    """A key by which "9" comes before "10"."""
    parts = re.split(r"(\d+)", group[0])
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part.casefold()) for part in parts if part]


def _grouped(
    keys: Sequence[str | None], cells: Sequence[Cell], summarize: Callable[[Sequence[Cell]], Section]
) -> dict[str, Section]:
    """Key -> the summary of its cells, in order of appearance; cells without a key are left out."""
    found: dict[str, list[Cell]] = {}
    for key, cell in zip(keys, cells, strict=True):
        if key is not None:
            found.setdefault(key, []).append(cell)
    return {key: summarize(of_key) for key, of_key in found.items()}


def _alignment_cell(items: Sequence[Mapping[str, Any]]) -> Section:
    columns = {name: [item["scores"].get(name) for item in items] for name in MEASURES}
    columns["uniform"] = [item["uniform"]["js_divergence"] for item in items]
    return {"n": len(items)} | {name: mean_of(values, n_resamples=_RESAMPLES) for name, values in columns.items()}


def _output_cell(outputs: Sequence[tuple[float, float]]) -> Section:
    losses, right = (list(column) for column in zip(*outputs, strict=True))
    found = {"n": len(outputs), "loss": mean_of(losses, n_resamples=_RESAMPLES)}
    return found if np.isnan(right).all() else found | {"accuracy": mean_of(right, n_resamples=_RESAMPLES)}
