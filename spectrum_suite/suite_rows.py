"""Whether the rows of a task are what a measurement needs: what is not is named, with its row, on one line.

A suite that the builder made always is; a user's own need not be. Nothing is mended here: percentages, counts and names
that come twice would give numbers that look right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import split_messages
from spectrum_suite.metrics.spectrum_alignment.scoring import TARGET_TOLERANCE

Row = Mapping[str, Any]

_FEWEST_OPTIONS = 2


def check_ids(rows: Dataset, task: str) -> None:
    """Refuse rows without a name of their own.

    Raises:
        UserError: There is no column ``id``, or a row's is missing, not text, or another row's too.
    """
    if "id" not in rows.column_names:
        raise UserError(f"task {task!r} has no column 'id': give each row a text that no other row has")
    seen = set()
    for number, row_id in enumerate(rows["id"]):
        if not isinstance(row_id, str) or not row_id:
            raise UserError(f"task {task!r}, row {number}: its id is {row_id!r}, which is not a text: name each row")
        if row_id in seen:
            raise UserError(f"task {task!r}, row {number}: the id {row_id!r} appears twice: give each row its own")
        seen.add(row_id)


def check_rows(rows: Dataset, task: str, kind: str, *, columns: Iterable[str] = ()) -> None:
    """Refuse rows that are not what their kind of task needs.

    Args:
        rows: Of a task.
        task: Its name.
        kind: ``icl``, ``distribution`` or ``coverage``.
        columns: Other columns that are needed.

    Raises:
        UserError: A column is missing, or a row is wrong: it is named by its id.
    """
    needed, check = _KINDS[kind]
    for column in (*needed, *columns):
        if column not in rows.column_names:
            raise UserError(f"task {task!r} has no column {column!r}, which a {kind} task needs: add it")
    optional = [column for column in ("options",) if kind == "icl" and column in rows.column_names]
    for row in rows.select_columns(["id", *needed, *optional]):
        try:
            check(row)
        except (TypeError, ValueError) as error:
            raise UserError(f"task {task!r}, row {row['id']!r}: {error}") from error


def check_row(row: Row, kind: str) -> None:
    """Refuse one row that is not what its kind of task needs.

    Raises:
        TypeError: A column holds something of another type.
        ValueError: It holds what cannot be.
    """
    _KINDS[kind][1](row)


def _check_icl(row: Row) -> None:
    outputs = _check_messages(row["messages"])
    if not outputs:
        raise ValueError("it has no output: end it with a message of role 'output'")
    lists = row.get("options")
    if lists is None:
        return
    if not isinstance(lists, list) or not all(isinstance(options, list) for options in lists):
        raise TypeError("its options are not lists of texts: give one list for all outputs, or one for each")
    for options in {tuple(map(repr, options)): options for options in lists}.values():
        _check_options(options, fewest=0)


def _check_distribution(row: Row) -> None:
    _check_messages(row["messages"])
    if row["messages"][-1]["role"] == "output":
        raise ValueError("its last message is an output: it ends where the answer is due")
    _check_options(row["options"])
    _check_probabilities(row["probabilities"], len(row["options"]))


def _check_coverage(row: Row) -> None:
    if row["description"] is not None:
        _check_text(row["description"], "description")
    for name in ("examples", "valid_items"):
        if row[name] is not None and not isinstance(row[name], list):
            raise TypeError(f"its {name} are {row[name]!r}, not a list of texts")
        for text in row[name] or ():
            _check_text(text, name)
    if not row["description"] and not row["examples"]:
        raise ValueError("it has neither a description nor examples: nothing tells what to generate")
    if not isinstance(row["validator"], str):
        raise TypeError(f"its validator is {row['validator']!r}, which names no rule")
    tokens = row["max_new_tokens"]
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1:
        raise ValueError(f"its max_new_tokens is {tokens!r}: give a whole number of at least 1")


def _check_messages(messages: object) -> int:
    """Refuse what are not messages in their order; returns how many outputs there are."""
    if not isinstance(messages, list) or not messages:
        raise ValueError(f"its messages are {messages!r}: give a list of messages with 'role' and 'content'")
    for position, message in enumerate(messages):
        if not isinstance(message, Mapping) or not {"role", "content"} <= set(message):
            raise TypeError(f"message {position} is {message!r}: give it a 'role' and a 'content'")
        _check_text(message["content"], f"message {position}", blanks=True)
    split_messages(messages)
    return sum(message["role"] == "output" for message in messages)


def _check_options(options: object, *, fewest: int = _FEWEST_OPTIONS) -> None:
    if not isinstance(options, list) or len(options) < fewest:
        raise ValueError(f"its options are {options!r}: give a list of at least {fewest} texts")
    for option in options:
        _check_text(option, "option")
    if len(set(options)) < len(options):
        twice = next(option for place, option in enumerate(options) if option in options[:place])
        raise ValueError(f"the option {twice!r} appears twice: list each once and add up its probabilities")


def _check_probabilities(shares: object, n_options: int) -> None:
    if not isinstance(shares, list) or len(shares) != n_options:
        found = f"{len(shares)} probabilities" if isinstance(shares, list) else f"the probabilities {shares!r}"
        raise ValueError(f"it has {found} for {n_options} options: give one for each")
    for share in shares:
        if isinstance(share, bool) or not isinstance(share, Real) or not math.isfinite(share) or share < 0:
            raise ValueError(f"its probability {share!r} is not a number from 0 to 1")
    if abs(math.fsum(shares) - 1) > TARGET_TOLERANCE:
        raise ValueError(
            f"its probabilities sum to {math.fsum(shares):g}, not to 1: divide counts or percentages by their total"
        )


def _check_text(text: object, what: str, *, blanks: bool = False) -> None:
    """Refuse what is not text, is empty, or has white space around it where that may not be."""
    if not isinstance(text, str):
        raise TypeError(f"its {what} holds {text!r}, which is not a text")
    if not text.strip():
        raise ValueError(f"its {what} is empty")
    if not blanks and text != text.strip():
        raise ValueError(f"its {what} {text!r} has white space around it: remove it")


_KINDS: Mapping[str, tuple[Sequence[str], Callable[[Row], None]]] = {
    "icl": (("messages",), _check_icl),
    "distribution": (("messages", "options", "probabilities"), _check_distribution),
    "coverage": (("description", "examples", "validator", "valid_items", "max_new_tokens"), _check_coverage),
}
