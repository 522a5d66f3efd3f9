"""Coverage of the valid outputs: what a model generates, many times over, where many answers are right.

Arxiv 2510.06084, section "valid output coverage": a model is prompted with the description of a task, with examples of
its outputs, or with both, and generates 100 times. What counts is the share of valid generations, the share of these
that is unique, and the number of different valid answers, the yield. Definitions are in ``metrics/output_coverage``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.choices import N_GENERATIONS, PROMPTINGS, SEED, Prompting
from spectrum_suite.evaluation.coverage.validators import canonical, validate
from spectrum_suite.fingerprints import fingerprint
from spectrum_suite.formats.render import Message
from spectrum_suite.generation.sample import Samples
from spectrum_suite.lm.base import LM
from spectrum_suite.seeding import generator

CoverageRow = Mapping[str, Any]
"""A row of a coverage task: ``id, description, examples, validator, valid_items, max_new_tokens, source``."""

Judge = Callable[[str | None, Sequence[str], Sequence[str]], list[bool]]
"""(description, examples, texts) -> whether each text is valid; see :mod:`spectrum_suite.evaluation.judge`."""


def generate(
    lm: LM, task: str, row: CoverageRow, prompting: Prompting, *, n: int = N_GENERATIONS, seed: int = SEED
) -> Samples:
    """Generate ``n`` times from one prompt.

    The seeds of sampling depend on ``seed``, the task and the prompting alone, so that no task moves another.

    Args:
        lm: The model.
        task: The task's name.
        row: Its row.
        prompting: What the prompt holds.
        n: Generations.
        seed: Of the order of examples and of the sampling.

    Raises:
        UserError: The prompting or a number is unknown or does not fit the row.
    """
    if n < 1:
        raise UserError(f"{n} generations of task {task!r}: give a number of at least 1")
    messages = prompt_messages(task, row, prompting, seed=seed)
    drawn_with = sampling_seed(task, prompting, seed)
    (samples,) = lm.sample([messages], n, max_new_tokens=row["max_new_tokens"], seed=drawn_with)
    return samples


def sampling_seed(task: str, prompting: str, seed: int) -> int:
    """The seed of the sampling of a task that is prompted in one way."""
    return int(generator(seed, task, prompting).integers(2**31))


def prompt_messages(task: str, row: CoverageRow, prompting: Prompting, *, seed: int = SEED) -> list[Message]:
    """The prompt of a task: its description, its examples in an order drawn with ``seed``, or both.

    Raises:
        UserError: There is no such prompting, or the row lacks what it asks for.
    """
    if prompting not in PROMPTINGS:
        raise UserError(f"no prompting {prompting!r}: choose from {', '.join(PROMPTINGS)}")
    messages: list[Message] = []
    if prompting != "examples":
        if not row["description"]:
            raise UserError(f"task {task!r} has no description: prompt it with examples")
        messages.append({"role": "description", "content": row["description"]})
    if prompting != "description":
        if not row["examples"]:
            raise UserError(f"task {task!r} has no examples: prompt it with its description")
        order = generator(seed, task, "examples").permutation(len(row["examples"]))
        messages += [{"role": "output", "content": row["examples"][index]} for index in order]
    return messages


def answer(text: str, *, first_line: bool = True) -> str:
    """The part of a generated text that is checked: its first line, or all of it, without white space around."""
    text = text.strip()
    return text.splitlines()[0].rstrip() if first_line and text else text


def valid_items_of(texts: Sequence[str], row: CoverageRow, judge: Judge | None = None) -> tuple[str | None, ...]:
    """For each text the item that it names, None where it is not valid by the row's rule or by the judge."""
    if judge is not None:
        verdicts = judge(row["description"], row["examples"], texts)
        return tuple(text if verdict else None for text, verdict in zip(texts, verdicts, strict=True))
    rule = row["validator"], row["valid_items"]
    return tuple(canonical(rule[0], text, rule[1]) if validate(rule[0], text, rule[1]) else None for text in texts)


def row_fingerprint(row: CoverageRow) -> str:
    """A hash of what the score of a task depends on."""
    held = {name: row[name] for name in ("description", "examples", "validator", "valid_items", "max_new_tokens")}
    return fingerprint(held)
