"""Rows of decisions: a state, questions about it and their true answers, as ``LocalLLaMA/typed-decisions`` has them.

    id            row_0001
    workflow      customer_service
    split         test
    state         {"thread": ["Lamp broken"]}
    questions     {"needs_human": {"type": "noul", "instructions": "A person must reply.", "criteria": null}}
    gold          {"needs_human": {"type": "noul", "label": "true", "noul": 0.7,
                                   "probabilities": {"false": 0.3, "true": 0.7}}}
    n_responses   10, where gold is the shares of so many answers; missing or null where it is something else

``state``, ``questions`` and ``gold`` are JSON, as text in Parquet files and on a Hub, or as it is in JSON lines. Other
columns are left alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from spectrum_suite.decisions.prompts import Read, label_text, labels_of, option_messages
from spectrum_suite.errors import UserError
from spectrum_suite.formats.render import Message
from spectrum_suite.instruction_data import read_data
from spectrum_suite.json_rows import json_objects
from spectrum_suite.seeding import stable_sample
from spectrum_suite.systemone import Question, likeliest, read_questions, state_text

TYPED_DECISIONS = "LocalLLaMA/typed-decisions"
"""The benchmark on the Hub."""

EVERY_WORKFLOW = "all"
"""Its configuration that has the rows of all workflows."""

_JSON = (".json", ".jsonl")
_TOLERANCE = 0.01  # by which the probabilities of gold may miss 1, as rounded ones do


@dataclass(frozen=True)
class Gold:
    """The true answer to a question.

    Attributes:
        label: The place of the right option.
        probabilities: Of the options, in the order of the question; they sum to 1.
    """

    label: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class DecisionRow:
    """A state with its questions and their true answers.

    Attributes:
        id: Its name.
        workflow: What it belongs to.
        state: What the questions are about, as a model reads it.
        questions: The questions.
        gold: Of each question the true answer.
        n_responses: How many answers the probabilities are shares of; None where they are not.
    """

    id: str
    workflow: str
    state: str
    questions: tuple[Question, ...]
    gold: tuple[Gold, ...]
    n_responses: int | None = None


def load_decisions(
    data: str, *, split: str = "test", config: str | None = None, limit: int | None = None, seed: int = 42
) -> list[DecisionRow]:
    """The rows of decisions of a file, a folder or a dataset on a Hub.

    Args:
        data: A .json, .jsonl or .parquet file, a folder that `datasets` reads, or the id of a dataset.
        split: Which rows: those of a split, or of a file those that name it in a column ``split``, and those that name
            none.
        config: Configuration of a folder or dataset; by default the one that ``datasets`` takes, and ``all`` of
            ``LocalLLaMA/typed-decisions``.
        limit: Rows at most, drawn at random with ``seed``; None for all.
        seed: See ``limit``.

    Raises:
        UserError: There is no such data or split, or a row is not one of decisions.
    """
    config = config or (EVERY_WORKFLOW if data == TYPED_DECISIONS else None)
    found = [_row(f"data {data!r}, row {number}", row) for number, row in enumerate(_raw(data, split, config), 1)]
    if not found:
        raise UserError(f"data {data!r} has no rows of split {split!r}: name another split")
    if len({row.id for row in found}) < len(found):
        ids = [row.id for row in found]
        twice = next(name for place, name in enumerate(ids) if name in ids[:place])
        raise UserError(f"data {data!r} has the id {twice!r} twice: give each row its own")
    if limit is None or limit >= len(found):
        return found
    kept = stable_sample((row.id for row in found), limit, f"{seed} decisions")
    return [row for row in found if row.id in kept]


def target_rows(rows: Iterable[DecisionRow], read: Read = "options") -> Dataset:
    """Every question as a row of a distribution task: its prompt as :func:`spectrum_suite.decide` has it, and gold.

    Args:
        rows: The rows.
        read: What is to be answered, as in :func:`spectrum_suite.decide`. For ``labels`` the rows have to be written in
            the model's chat template, without a system prompt.

    Returns:
        Columns ``id``, ``messages``, ``options``, ``probabilities``, ``n_responses`` and ``ordered``.

    Raises:
        UserError: There are more options than labels.
    """
    return Dataset.from_list(
        [
            {
                "id": f"{row.id}/{question.id}",
                **_prompt(row.state, question, read),
                "probabilities": list(gold.probabilities),
                "n_responses": row.n_responses,
                "ordered": question.type == "score",
            }
            for row in rows
            for question, gold in zip(row.questions, row.gold, strict=True)
        ]
    )


def _prompt(state: str, question: Question, read: Read) -> dict[str, Any]:
    """The messages and the options of a question whose options are listed in their own order."""
    order = tuple(range(len(question.options)))
    if read == "options":
        return {"messages": option_messages(state, question, order), "options": list(question.names)}
    said = [Message(role="input", content=label_text(state, question, order))]
    return {"messages": said, "options": list(labels_of(question, order))}


def _raw(data: str, split: str, config: str | None) -> Iterator[Mapping[str, Any]]:
    path = Path(data).expanduser()
    if path.is_file() and path.suffix in _JSON:
        rows: Iterable[Mapping[str, Any]] = json_objects(data, path)  # objects differ from row to row, as no column may
    else:
        rows = read_data(data, "train" if path.is_file() else split, config)
    return (row for row in rows if not path.is_file() or row.get("split") in (None, split))


def _row(where: str, row: Mapping[str, Any]) -> DecisionRow:
    if missing := [name for name in ("id", "state", "questions", "gold") if row.get(name) is None]:
        raise UserError(f"{where} has no {missing[0]!r}: rows of decisions have id, state, questions and gold")
    where = f"{where} ({str(row['id'])[:60]})"
    try:
        questions = read_questions(_decoded(where, row, "questions"))
        state = state_text(_decoded(where, row, "state", text=True))
        gold = _golds(questions, _decoded(where, row, "gold"))
    except UserError as error:
        raise UserError(f"{where}: {str(error).removeprefix(f'{where}: ')}") from error
    count = row.get("n_responses")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise UserError(f"{where} has n_responses {count!r}: give the number of answers, or null")
    return DecisionRow(str(row["id"]), str(row.get("workflow") or ""), state, questions, gold, count)


def _decoded(where: str, row: Mapping[str, Any], column: str, *, text: bool = False) -> Any:
    """What a column holds; JSON in a text is read, and a state that is text but no JSON stays as it is."""
    value = row[column]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            if text:
                return value
            raise UserError(f"{where}: {column} is not JSON ({error}); write it with json.dumps") from error
    if not text and not isinstance(value, Mapping):
        raise UserError(f"{where}: {column} is not an object: {{id of a question: ...}}")
    return value


def _golds(questions: Sequence[Question], answers: Mapping[str, Any]) -> tuple[Gold, ...]:
    if {*answers} != {question.id for question in questions}:
        raise UserError(f"gold answers {', '.join(answers)[:60] or 'nothing'}: give one answer to each question")
    return tuple(_gold(question, answers[question.id]) for question in questions)


def _gold(question: Question, answer: Any) -> Gold:
    where = f"gold of question {question.id[:60]!r}"
    shares = answer.get("probabilities") if isinstance(answer, Mapping) else None
    if shares is None and question.type == "noul" and isinstance(answer, Mapping) and _is_share(answer.get("noul")):
        shares = {"true": answer["noul"], "false": 1 - answer["noul"]}
    if not isinstance(shares, Mapping) or {*shares} != {*question.keys}:
        raise UserError(f"{where} has no probabilities of {', '.join(question.keys)}: give one of each")
    found = [shares[key] for key in question.keys]
    if not all(map(_is_share, found)):
        raise UserError(f"{where} has a probability that is not a number from 0 to 1: {found}")
    total = math.fsum(found)
    if abs(total - 1) > _TOLERANCE:
        raise UserError(f"{where} has probabilities that sum to {total:g}, not to 1")
    label = answer.get("label")
    place = likeliest(found) if label is None else _place(where, question, label)
    return Gold(place, tuple(share / total for share in found))


def _place(where: str, question: Question, label: Any) -> int:
    """The option that a label names, by its key or else its name; a key may be written without quotes."""
    text = str(label).lower() if isinstance(label, bool) else str(label)
    for names in (question.keys, question.names):
        if text in names:
            return names.index(text)
    raise UserError(f"{where} has the label {text[:60]!r}, which is none of {', '.join(question.keys)}")


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def questions_of(rows: Sequence[DecisionRow]) -> int:
    """How many questions there are in all."""
    return sum(len(row.questions) for row in rows)
