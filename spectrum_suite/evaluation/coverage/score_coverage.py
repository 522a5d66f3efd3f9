"""Coverage of the valid outputs: what a model generates, many times over, where many answers are right.

Arxiv 2510.06084, section "valid output coverage": a model is prompted with the description of a task, with examples of
its outputs, or with both, and generates 100 times. What counts is the share of valid generations, the share of these
that is unique, and the number of different valid answers, the yield. Definitions are in ``metrics/output_coverage``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.choices import N_GENERATIONS, PROMPTINGS, SEED, Prompting
from spectrum_suite.evaluation.coverage.validators import canonical, n_valid, validate
from spectrum_suite.fingerprints import fingerprint
from spectrum_suite.formats.render import Message
from spectrum_suite.generation.sample import Samples
from spectrum_suite.metrics.output_coverage.scoring import METRICS, rarefaction, score_task, summarize
from spectrum_suite.metrics.spectrum_alignment.scoring import paired_difference_interval
from spectrum_suite.seeding import generator

CoverageRow = Mapping[str, Any]
"""A row of a coverage task: ``id, description, examples, validator, valid_items, max_new_tokens, source``."""

Section = dict[str, Any]
"""What ``report.json`` holds about one task prompted in one way; see :meth:`TaskCoverage.as_dict`."""

Judge = Callable[[str | None, Sequence[str], Sequence[str]], list[bool]]
"""(description, examples, texts) -> whether each text is valid; see :mod:`spectrum_suite.evaluation.judge`."""

_NORMAL_95 = 1.959964


class Sampler(Protocol):
    """A model behind a function: an endpoint, or ``partial(sample, model, tokenizer, text_format=..., ...)``."""

    def __call__(
        self, prompts: Sequence[Sequence[Message]], n: int, *, max_new_tokens: int, seed: int
    ) -> Sequence[Samples]:
        """``n`` texts from each prompt."""


@dataclass(frozen=True)
class TaskCoverage:
    """The generations of a model on one task, prompted in one way, and which of them are valid.

    Attributes:
        task: The task's name.
        prompting: What the prompt held.
        messages: The prompt.
        texts: The answers, as they were checked.
        items: For each answer the item that it names, in one spelling; None where it is not valid.
        set_size: How many valid items there are; None when there is no end to them, or a judge decides.
        unfinished: Generations that did not end by themselves. They are checked like the others: what the rules ask
            for is far shorter than the limit, so that a text that goes on is seldom valid.
        validity: The rule that decided, or ``judge``.
        row_fingerprint: A hash of the row.
        seconds: Time spent on generating.
    """

    task: str
    prompting: Prompting
    messages: tuple[Message, ...]
    texts: tuple[str, ...]
    items: tuple[str | None, ...]
    set_size: int | None
    unfinished: int
    validity: str
    row_fingerprint: str
    seconds: float

    def summary(self) -> dict[str, float]:
        """``valid, unique, yield, reached, unique_texts``, each with ``<metric>_se``; ``n`` and ``unfinished``."""
        return score_task(self.texts, self.items, set_size=self.set_size) | {"unfinished": self.unfinished}

    def yield_curve(self) -> np.ndarray:
        """(n,): the mean number of different valid items among k of the n generations, for k = 1, ..., n."""
        counts = Counter(item for item in self.items if item is not None)
        return rarefaction(list(counts.values()), len(self.items))

    def as_dict(self) -> Section:
        """The same, ready for JSON: ``scores`` is metric -> {mean, se}, and NaN is None."""
        summary = self.summary()
        return {
            "n": summary["n"],
            "unfinished": self.unfinished,
            "set_size": self.set_size,
            "validity": self.validity,
            "seconds": self.seconds,
            "row_fingerprint": self.row_fingerprint,
            "scores": _cells(summary),
            "yield_curve": [round(value, 4) for value in self.yield_curve().tolist()],
            "messages": list(self.messages),
            "texts": list(self.texts),
            "items": list(self.items),
        }


def generate(
    sampler: Sampler, task: str, row: CoverageRow, prompting: Prompting, *, n: int = N_GENERATIONS, seed: int = SEED
) -> Samples:
    """Generate ``n`` times from one prompt.

    The seeds of sampling depend on ``seed``, the task and the prompting alone, so that no task moves another.

    Args:
        sampler: The model.
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
    sampling_seed = int(generator(seed, task, prompting).integers(2**31))
    (samples,) = sampler([messages], n, max_new_tokens=row["max_new_tokens"], seed=sampling_seed)
    return samples


def check_generations(
    samples: Samples,
    task: str,
    row: CoverageRow,
    prompting: Prompting,
    *,
    seed: int = SEED,
    first_line: bool = True,
    judge: Judge | None = None,
    seconds: float = 0.0,
) -> TaskCoverage:
    """Which of the generations of :func:`generate` are valid. White space around an answer does not count.

    Args:
        samples: What was generated.
        task: The task's name.
        row: Its row.
        prompting: What the prompt held.
        seed: As in :func:`generate`.
        first_line: Check the first line of a text only, as the paper does: plain text formats end an output with a
            blank line, and a model may end its line and go on. Say False for answers of several lines.
        judge: Decides which texts are valid in place of the row's rule; each text is then an item of its own.
        seconds: Time that was spent on generating.

    Raises:
        UserError: The rule is unknown or does not fit the row, or the judge cannot be asked.
    """
    texts = tuple(answer(text, first_line=first_line) for text in samples.texts)
    return TaskCoverage(
        task=task,
        prompting=prompting,
        messages=tuple(prompt_messages(task, row, prompting, seed=seed)),
        texts=texts,
        items=valid_items_of(texts, row, judge),
        set_size=None if judge else n_valid(row["validator"], row["valid_items"]),
        unfinished=samples.unfinished,
        validity="judge" if judge else row["validator"],
        row_fingerprint=row_fingerprint(row),
        seconds=seconds,
    )


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


def mean_section(sections: Iterable[Section]) -> Section:
    """The mean of each metric over tasks: ``n`` tasks, ``unfinished`` in all, and ``scores``, metric -> {mean, se}.

    The standard error is that of drawing generations anew on the same tasks; see ``metrics/output_coverage``.

    Args:
        sections: The tasks' parts of a report.
    """
    sections = list(sections)
    summary = summarize([_scores(section) for section in sections])
    return {
        "n": summary["n"],
        "unfinished": sum(section["unfinished"] for section in sections),
        "scores": _cells(summary),
    }


def compare_coverage(
    mine: Mapping[str, Mapping[str, Section]], other: Mapping[str, Mapping[str, Section]]
) -> dict[str, dict[str, Any]]:
    """How the coverage in one report differs from that in another, on the tasks and promptings that both hold.

    The interval of a task takes the two models' generations as independent draws: the difference and 1.96 times the
    root of the sum of both squared errors. That of the mean is a paired bootstrap over tasks.

    Args:
        mine: Task -> prompting -> section.
        other: The same of the other model.

    Returns:
        Prompting -> {``tasks``: task -> metric -> {difference, ci95}, ``mean``: metric -> {difference, ci95, n}}.

    Raises:
        UserError: They share no task, or a shared one has other rows or another number of generations.
    """
    compared: dict[str, dict[str, Any]] = {}
    for prompting in PROMPTINGS:
        shared = [task for task in mine if prompting in mine[task] and prompting in other.get(task, {})]
        pairs = {task: (mine[task][prompting], other[task][prompting]) for task in shared}
        if pairs:
            tasks = {task: _task_differences(task, *pair) for task, pair in pairs.items()}
            means = {name: _mean_difference(list(pairs.values()), name) for name in METRICS}
            compared[prompting] = {"tasks": tasks, "mean": means}
    if not compared:
        raise UserError("the two reports share no coverage task: evaluate both on the same tasks and promptings")
    return compared


def row_fingerprint(row: CoverageRow) -> str:
    """A hash of what the score of a task depends on."""
    held = {name: row[name] for name in ("description", "examples", "validator", "valid_items", "max_new_tokens")}
    return fingerprint(held)


def _task_differences(task: str, mine: Section, other: Section) -> dict[str, dict[str, Any]]:
    for name, what in (("row_fingerprint", "suite"), ("n", "number of generations"), ("validity", "judge")):
        if mine[name] != other[name]:
            raise UserError(f"coverage task {task!r} differs in the two reports: evaluate both with one {what}")
    return {name: _difference(mine["scores"][name], other["scores"][name]) for name in METRICS}


def _difference(mine: Mapping[str, float | None], other: Mapping[str, float | None]) -> dict[str, Any]:
    if None in (mine["mean"], other["mean"]):
        return {"difference": None, "ci95": [None, None]}
    difference = mine["mean"] - other["mean"]
    if None in (mine["se"], other["se"]):
        return {"difference": difference, "ci95": [None, None]}
    reach = _NORMAL_95 * math.hypot(mine["se"], other["se"])
    return {"difference": difference, "ci95": [difference - reach, difference + reach]}


def _mean_difference(pairs: Sequence[tuple[Section, Section]], name: str) -> dict[str, Any]:
    means = np.array([[section["scores"][name]["mean"] for section in pair] for pair in pairs], dtype=float)
    mine, other = means.T  # None became NaN
    differences = (mine - other)[~np.isnan(mine - other)]
    low, high = paired_difference_interval(mine, other)
    mean = float(differences.mean()) if len(differences) else math.nan
    return {"difference": _known(mean), "ci95": [_known(low), _known(high)], "n": len(differences)}


def _cells(summary: Mapping[str, float]) -> dict[str, dict[str, float | None]]:
    return {name: {"mean": _known(summary[name]), "se": _known(summary[f"{name}_se"])} for name in METRICS}


def _scores(section: Section) -> dict[str, float]:
    """Cells as :func:`score_task` gave them."""
    scores: dict[str, float] = {"n": section["n"]}
    for name, cell in section["scores"].items():
        scores[name], scores[f"{name}_se"] = (math.nan if cell[key] is None else cell[key] for key in ("mean", "se"))
    return scores


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
