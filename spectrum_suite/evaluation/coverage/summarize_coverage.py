"""The coverage of a model on a task, from its generations, and how it differs from that of another model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.choices import PROMPTINGS, SEED, Prompting
from spectrum_suite.evaluation.coverage.score_coverage import (
    CoverageRow,
    Judge,
    answer,
    generate,
    prompt_messages,
    row_fingerprint,
    valid_items_of,
)
from spectrum_suite.evaluation.coverage.validators import n_valid
from spectrum_suite.evaluation.intervals import paired_difference
from spectrum_suite.evaluation.report import Section
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.evaluation.work import Work
from spectrum_suite.formats.render import Message
from spectrum_suite.generation.sample import Samples
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import TokenLM
from spectrum_suite.metrics.output_coverage.scoring import METRICS, rarefaction, score_task, summarize
from spectrum_suite.suite import task_rows
from spectrum_suite.suite_rows import check_ids, check_rows

_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class TaskCoverage:
    """The generations of a model on one task, prompted in one way, and which of them are valid.

    Attributes:
        task: The task's name.
        prompting: What the prompt held.
        messages: The prompt.
        texts: The answers, as they were checked.
        items: For each answer the item that it names, in one spelling; None where it is not valid.
        set_size: How many valid items there are; None if there are infinitely many, or a judge decides.
        unfinished: Generations that did not end by themselves. They are checked like the others: what the rules ask
            for is far shorter than the limit, so a text that continues is rarely valid.
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
            blank line, and a model may end its line and continue. Pass False for answers of several lines.
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


class CoverageWork(Work):
    """The generations of a coverage task; a part is one way of prompting.

    Texts are kept, and checked when the report is made: by another rule or another judge in a moment.
    """

    questions = ("sample",)

    def __init__(self, settings: EvaluationSettings, task: str, judge: Judge | None = None) -> None:
        super().__init__(settings, task)
        self.judge = judge

    @cached_property
    def row(self) -> CoverageRow:
        """The row of the task.

        Raises:
            UserError: There is not exactly one, or it is not what a coverage task needs.
        """
        rows = task_rows(self.settings.suite, self.task)
        if len(rows) != 1:
            raise UserError(f"coverage task {self.task!r} has {len(rows)} rows: make each of them a task of its own")
        check_ids(rows, self.task)
        check_rows(rows, self.task, "coverage")
        (row,) = rows
        return {**row, "examples": row["examples"] or [], "valid_items": row["valid_items"] or []}

    def parts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        if self.judge is None:
            n_valid(self.row["validator"], self.row["valid_items"])  # an unknown rule is found before all is generated
        depends = {"row": row_fingerprint(self.row), "n": self.settings.generations, "seed": self.settings.seed}
        for prompting in self.settings.promptings:
            yield prompting, depends

    def not_comparable(self, theirs: Section) -> str | None:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        mine = {"row_fingerprint": row_fingerprint(self.row), "n": self.settings.generations}
        mine["validity"] = "judge" if self.judge else self.row["validator"]
        shared = [theirs[prompting] for prompting in self.settings.promptings if prompting in theirs]
        if any(all(section[name] == value for name, value in mine.items()) for section in shared):
            return None
        return (
            f"coverage task {self.task!r} differs in the two reports: evaluate both with one suite, the same "
            "promptings and number of generations, and one judge"
        )

    def score(self, part: str, lm: TokenLM) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        n, seed = self.settings.generations, self.settings.seed
        return asdict(generate(lm, self.task, self.row, part, n=n, seed=seed))

    def section(self, results: Mapping[str, Section]) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`: prompting -> section."""
        return {
            prompting: check_generations(
                Samples(tuple(result["texts"]), result["unfinished"]),
                self.task,
                self.row,
                prompting,
                seed=self.settings.seed,
                first_line=self.settings.first_line,
                judge=self.judge,
                seconds=round(result["seconds"], 2),
            ).as_dict()
            for prompting, result in results.items()
        }


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
    means = [[section["scores"][name]["mean"] for section in side] for side in zip(*pairs, strict=True)]
    return finite(paired_difference(*means))


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
