"""Tasks as rows of decisions: the shape of ``LocalLLaMA/typed-decisions``, with gold from people or mathematics.

A row of a ``distribution`` task is one choice, whose gold is its distribution: that of a process where gold is from
mathematics, and the shares of ``n_responses`` answers where it is from people, null where a source does not say how
many. A process of draws with closed answers (a person, say) is one choice too: the state has its description and its
first draws, the question is the input of its last one, and gold is what came out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from spectrum_suite.systemone import confidence, likeliest

QUESTION = "answer"
"""The id of the one question of a row."""

SHOWN_DRAWS = 8
"""Most draws of a process that a state has, the last ones before the question."""

_NEXT = "Give the next output of this process."
"""The question where a draw has no input."""

_FIELDS = ("id", "workflow", "split", "state", "questions", "gold", "factors")
SCHEMA = pa.schema(
    [*((name, pa.string()) for name in _FIELDS), ("n_questions", pa.int64()), ("n_responses", pa.int64())]
)
"""Columns; ``state``, ``questions``, ``gold`` and ``factors`` are JSON."""


def decision_rows(
    rows: Iterable[Mapping[str, Any]], task: str, kind: str, split: str, *, of_people: bool = True
) -> Iterator[dict[str, Any]]:
    """The rows of a task as rows of decisions; nothing where a row has no closed answers.

    Args:
        rows: As the suite has them.
        task: The task, which becomes the workflow.
        kind: ``distribution`` or ``icl``.
        split: ``train`` or ``test``.
        of_people: Whether draws are what people answered, and not random ones.
    """
    seen: set[str] = set()
    for row in rows:
        if kind == "distribution":
            asked, count = _asked(row["messages"]), row["n_responses"]
            decided = _decision(*asked, row["options"], row["probabilities"])
        elif row["options"] and row["options"][-1] and row["process"] not in seen:
            seen.add(row["process"])  # other rows of a process show it again
            *before, output = row["messages"]
            options = row["options"][-1]
            shares = [float(option == output["content"]) for option in options]
            decided, count = _decision(*_asked(before), options, shares), 1
        else:
            continue
        gold_from = "people" if of_people else "mathematics" if count is None else "a draw"
        told = decided | {"factors": {"source": row["source"], "gold_from": gold_from}}
        texts = {name: json.dumps(value, ensure_ascii=False) for name, value in told.items()}
        yield {"id": row["id"], "workflow": task, "split": split, "n_questions": 1, "n_responses": count} | texts


def _asked(messages: list[Mapping[str, str]]) -> tuple[Any, str]:
    """The state and the question of a prompt: its last input, or else its description where there are no draws."""
    description = messages[0]["content"] if messages and messages[0]["role"] == "description" else None
    rest = messages[description is not None :]
    question = rest[-1]["content"] if rest and rest[-1]["role"] == "input" else None
    draws = _draws(rest[:-1] if question is not None else rest)[-SHOWN_DRAWS:]
    if draws:
        return ({"description": description} if description else {}) | {"draws": draws}, question or _NEXT
    if question is None:
        return "", description or _NEXT
    return description or "", question


def _draws(messages: list[Mapping[str, str]]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    given: dict[str, str] = {}
    for message in messages:
        given = given | {message["role"]: message["content"]}
        if message["role"] == "output":
            found.append(given)
            given = {}
    return found


def _decision(state: Any, question: str, options: list[str], shares: list[float]) -> dict[str, Any]:
    answer = {
        "type": "choice",
        "label": options[likeliest(shares)],
        "confidence": confidence("choice", shares),
        "probabilities": dict(zip(options, shares, strict=True)),
    }
    return {
        "state": state,
        "questions": {QUESTION: {"type": "choice", "instructions": question, "criteria": dict.fromkeys(options)}},
        "gold": {QUESTION: answer},
    }
