"""Items that are asked after some answers to them: what a model makes of examples, in place of being tuned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from spectrum_suite.formats.render import Message
from spectrum_suite.seeding import generator


def after_examples(rows: Dataset, n: int, *, seed: int) -> Dataset:
    """The same rows with ``n`` answers before the one that is asked for, each drawn from the row's own distribution.

    Whatever is asked is asked with each of the answers, as in a row of draws. Those of fewer examples are the first
    of more.

    Args:
        rows: Of a distribution task.
        n: Answers.
        seed: Of the draws; a row's depend on it and on the row's id alone.
    """
    if not n:
        return rows
    shown = [dict(row) | {"messages": _messages(row, n, seed)} for row in rows]
    return Dataset.from_list(shown, features=rows.features)


def _messages(row: Mapping[str, Any], n: int, seed: int) -> list[Message]:
    *before, asked = row["messages"]
    question = [asked] if asked["role"] == "input" else []
    described = before if question else row["messages"]
    drawn = generator(seed, "examples", row["id"])
    shares = np.array(row["probabilities"]) / sum(row["probabilities"])
    answers = [drawn.choice(len(shares), p=shares) for _ in range(n)]
    shown = [
        message for answer in answers for message in (*question, {"role": "output", "content": row["options"][answer]})
    ]
    return [*described, *shown, *question]
