"""What the scored outputs of a steerability task say: loss, accuracy and calibration, by the number of examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.group_tables import steerability_tables
from spectrum_suite.evaluation.report import Section
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.evaluation.steerability.closed_answers import Answers, ClosedAnswers, closed_answers
from spectrum_suite.evaluation.steerability.score_steerability import (
    ScoredSequence,
    Written,
    formats_of,
    score_sequences,
)
from spectrum_suite.evaluation.work import ROWS, RowsWork, messages_fingerprint, seconds_of
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import TokenLM
from spectrum_suite.metrics.in_context_steerability.scoring import (
    METRICS,
    Outputs,
    as_outputs,
    at_largest_k,
    bootstrap_intervals,
    by_examples,
    paired_differences,
    reliability,
    score_options,
    summarize,
    with_examples,
)

CAPABILITY_TASKS = frozenset(
    {
        "arc",
        "chemistry_esol",
        "chemistry_oxidative",
        "drop",
        "gpqa",
        "gsm8k_answer_from_question",
        "hellaswag",
        "jeopardy_answer_prediction",
        "mmlu",
        "truthful_qa",
        "winogrande",
    }
)
"""Tasks that ask for what a model knows: reported apart from those that ask it to follow a process."""


@dataclass(frozen=True)
class TaskSteerability:
    """The steerability of a model on one task.

    Attributes:
        task: The task's name.
        capability: Whether the task asks for what a model knows.
        options: The closed answers of its outputs; where questions differ, the lists of them, among which
            :attr:`ScoredSequence.asked` says which it is. None where no output has any.
        max_length: Tokens that every sequence fits in, in each format that it was cut for; None where its tokens are
            not known.
        n_available: Rows in the suite, from which ``sequences`` were drawn.
        n_too_long: Drawn rows of which no scored output fits.
        without_options: Why outputs have no closed answers, and so neither accuracy nor calibration -> how many of the
            drawn ones.
        sequences: The scored sequences, in the order of the suite.
        rows_fingerprint: A hash of the drawn rows.
        seconds: Time spent on scoring.
        not_measured: Metric -> why it is not measured; all that is not there is.
    """

    task: str
    capability: bool
    options: Answers | tuple[Answers, ...] | None
    max_length: int | None
    n_available: int
    n_too_long: int
    sequences: tuple[ScoredSequence, ...]
    rows_fingerprint: str
    seconds: float
    without_options: Mapping[str, int] = field(default_factory=dict)
    not_measured: Mapping[str, str] = field(default_factory=dict)

    def outputs(self) -> Outputs:
        """All scored outputs as arrays."""
        columns: dict[str, list[Any]] = {"sequence": [], "k": [], "loss": [], "tokens": []}
        for sequence in self.sequences:
            columns["sequence"] += [sequence.id] * len(sequence.k)
            columns["k"] += sequence.k
            columns["loss"] += sequence.losses
            columns["tokens"] += sequence.tokens
        if self.options is None:
            return as_outputs(**columns)
        if any(sequence.drawn for sequence in self.sequences):
            right = [share for sequence in self.sequences for share in _right(sequence)]
            return as_outputs(**columns, correct=right, confidence=right)  # calibration is then not measured
        correct, confidence = score_options(
            [row or None for sequence in self.sequences for row in sequence.log_probs],
            [answer for sequence in self.sequences for answer in sequence.answers],
        )
        return as_outputs(**columns, correct=correct, confidence=confidence)

    def summary(self) -> dict[str, float]:
        """``loss``, ``loss_per_token``, ``accuracy``, ``ece``, the ``<metric>_se`` of each, and counts.

        Over the outputs with at least one example before them; standard errors are clustered by sequence.
        """
        return summarize(with_examples(self.outputs()))

    def at_largest_k(self) -> dict[str, float]:
        """The same over the last output of each sequence, and ``mean_k``, the examples before it on average."""
        last = at_largest_k(self.outputs())
        return summarize(last) | {"mean_k": float(last.k.mean()) if len(last) else math.nan}

    def by_k(self) -> dict[str, list[float]]:
        """The same for each number of examples, 0 included, as columns of a table."""
        return by_examples(self.outputs())

    def reliability(self) -> dict[str, list[float]]:
        """The columns of a reliability diagram, over the outputs with at least one example before them."""
        return reliability(with_examples(self.outputs()))

    def intervals(self, *, seed: int = 0) -> dict[str, tuple[float, float]]:
        """Metric of the summary -> its bootstrap 95% interval over sequences."""
        return bootstrap_intervals(with_examples(self.outputs()), seed=seed)

    def cell(self, sequences: Sequence[ScoredSequence]) -> dict[str, Any]:
        """``n`` sequences, and their ``loss``, ``accuracy`` and ``ece``, each as ``mean``, ``ci95`` and ``n``."""
        part = replace(self, sequences=tuple(sequences))
        summary, intervals = part.summary(), part.intervals()
        cells = {
            name: {"mean": summary[name], "ci95": list(intervals[name]), "n": len(sequences)}
            for name in ("loss", "accuracy", "ece")
            if not math.isnan(summary[name])
        }
        return {"n": len(sequences)} | cells

    def as_dict(self) -> dict[str, Any]:
        """The task's part of a report: JSON's types only, though numbers may be NaN."""
        found = asdict(self)
        tables = {
            "summary": self.summary(),
            "ci95": {name: list(interval) for name, interval in self.intervals().items()},
            "at_largest_k": self.at_largest_k(),
            "by_k": self.by_k(),
        }
        unknown = {key for name in self.not_measured for key in (name, f"{name}_se")}
        return {name: value for name, value in found.items() if name != "sequences"} | {
            "n": len(self.sequences),
            "n_outputs": sum(len(sequence.k) for sequence in self.sequences),
            "n_failed": sum(len(sequence.failed) for sequence in self.sequences),
            **{name: _without_numbers(table, unknown) for name, table in tables.items()},
            "reliability": self.reliability() if self.options and not self.not_measured else None,
            "sequences": found["sequences"],
        }

    @classmethod
    def from_dict(cls, section: Mapping[str, Any]) -> TaskSteerability:
        """The result in a report, from what :meth:`as_dict` made; None stands for a number that is not finite."""
        sequences = tuple(ScoredSequence.from_dict(sequence) for sequence in section["sequences"])
        names = ("task", "capability", "max_length", "n_available", "n_too_long", "rows_fingerprint", "seconds")
        found = {name: section[name] for name in names}
        found |= {name: section.get(name, {}) for name in ("without_options", "not_measured")}
        lists = _lists(section["options"])
        return cls(**found, options=lists[0] if lists and len(lists) == 1 else lists, sequences=sequences)

    def answers(self) -> dict[tuple[str, int], Answers | None]:
        """(sequence, k) -> the closed answers of each scored output."""
        lists = _lists(self.options) or ()
        return {
            (sequence.id, k): None if place is None else lists[place]
            for sequence in self.sequences
            for k, place in zip(sequence.k, sequence.asked or (None,) * len(sequence.k), strict=True)
        }


class SteerabilityWork(RowsWork):
    """The sequences of an ``icl`` task.

    Args:
        settings: Of the evaluation.
        task: The task's name.
        model: Gives the model, of which rows are cut to the tokens that it takes.
    """

    kind = "icl"
    questions = ("output_logprobs",)
    has_groups = True

    def __init__(self, settings: EvaluationSettings, task: str, model: Callable[[], TokenLM]) -> None:
        super().__init__(settings, task)
        self.model = model

    @cached_property
    def positions(self) -> int | None:
        """Tokens that the model takes; None for any number."""
        return self.model().positions

    @property
    def max_length(self) -> int:
        """Tokens of a sequence at most: what was asked for, or what the model takes if that is less."""
        return min(self.settings.max_length, self.positions or self.settings.max_length)

    @cached_property
    def options(self) -> ClosedAnswers:
        """The closed answers of the outputs of the drawn rows."""
        return closed_answers(self.drawn, among=self.rows)

    def options_of(self, part: str) -> ClosedAnswers:
        """Those of the rows of a part."""
        return self.options.part(int(part), int(part) + ROWS)

    def parts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        self.check()
        for part in self.names():
            options = self.options_of(part)
            asked = {"lists": options.lists, "asked": options.asked}
            rows = messages_fingerprint(self.some(part))
            yield part, {"rows": rows, "options": asked, "max_length": self.max_length}

    def score(self, part: str, lm: TokenLM) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        sequences = score_sequences(
            lm,
            self.some(part),
            _with_own(formats_of(lm.tokenizer), (lm.tokenizer, lm.text_format)),
            options=self.options_of(part),
            max_length=self.max_length,
            max_positions=self.positions,
        )
        return {"sequences": [None if sequence is None else asdict(sequence) for sequence in sequences]}

    def section(self, results: Mapping[str, Section]) -> Section:
        """See :class:`spectrum_suite.evaluation.work.Work`.

        Raises:
            UserError: No output of the task was short enough to score.
        """
        found = [sequence for result in results.values() for sequence in result["sequences"]]
        sequences = tuple(ScoredSequence.from_dict(sequence) for sequence in found if sequence is not None)
        if not sequences:
            raise UserError(
                f"no output of task {self.task!r} fits into {self.max_length} tokens: "
                + ("raise --max_length" if self.max_length == self.settings.max_length else "the model takes no more")
            )
        lists = self.options.lists
        scored = TaskSteerability(
            task=self.task,
            capability=self.task in CAPABILITY_TASKS,
            options=lists[0] if len(lists) == 1 else lists or None,
            without_options=self.options.without,
            max_length=self.max_length,
            n_available=len(self.rows),
            n_too_long=len(found) - len(sequences),
            sequences=sequences,
            rows_fingerprint=messages_fingerprint(self.drawn),
            seconds=seconds_of(results),
        )
        tables = steerability_tables(scored.sequences, self.drawn, self.settings.by, scored.cell)
        return finite(scored.as_dict() | tables)

    def not_comparable(self, theirs: Section) -> str | None:
        """See :class:`spectrum_suite.evaluation.work.Work`."""
        return drawn_apart(drawn=False, theirs=theirs) or self.nothing_shared(
            sequence["id"] for sequence in theirs["sequences"]
        )


def drawn_apart(*, drawn: bool, theirs: Section) -> str | None:
    """Why numbers from answers cannot be compared with others, if the two sides differ in that."""
    if drawn == bool(theirs.get("not_measured")):
        return None
    return (
        "the accuracy of answers that are drawn is not that of the likeliest option: compare reports of one way, both "
        "over chat or both by log-probabilities"
    )


def _with_own(written: list[Written], own: Written) -> list[Written]:
    """All ways in which a sequence has to fit, the model's own among them."""
    return written if own[1].name in {text_format.name for _, text_format in written} else [*written, own]


def compare_steerability(task: str, mine: Section, theirs: Section) -> dict[str, dict[str, Any]]:
    """:func:`paired_steerability` of the parts of two reports on ``task``."""
    return paired_steerability(*(TaskSteerability.from_dict(section) for section in (mine, theirs)))


def paired_steerability(
    mine: TaskSteerability, theirs: TaskSteerability, *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Metric -> ``mine`` minus ``theirs`` over the outputs that both scored and that have an example before them.

    The numbers of examples may differ between the two: an output depends on what stands before it alone.

    Returns:
        Metric -> ``difference``, ``ci95`` (paired bootstrap over sequences) and ``n``, the outputs that both have a
        loss for. Accuracy and calibration error are NaN if the two had other options for any of them.

    Raises:
        UserError: They share no output, or a sequence is not the same in both.
    """
    contents = {sequence.id: sequence.content for sequence in theirs.sequences}
    for sequence in mine.sequences:
        if contents.get(sequence.id, sequence.content) != sequence.content:
            raise UserError(
                f"sequence {sequence.id!r} of task {mine.task!r} is not the same in both: evaluate both on one suite"
            )
    of_mine, of_theirs = mine.answers(), theirs.answers()
    if any(of_mine[key] != of_theirs[key] for key in of_mine.keys() & of_theirs.keys()):
        mine, theirs = (replace(side, options=None) for side in (mine, theirs))
    a, b = (with_examples(side.outputs()) for side in (mine, theirs))
    shared = _scored(a) & _scored(b)
    if not shared:
        raise UserError(f"the two share no output of task {mine.task!r}: score both with the same seed and limit")
    return {
        metric: {"difference": difference, "ci95": interval, "n": len(shared)}
        for metric, (difference, interval) in paired_differences(a, b, seed=seed).items()
    }


def _lists(options: Sequence[str] | Sequence[Sequence[str]] | None) -> tuple[Answers, ...] | None:
    """Lists of answers; one for all outputs may stand by itself."""
    if options is None:
        return None
    return (tuple(options),) if isinstance(options[0], str) else tuple(map(tuple, options))


def _without_numbers(table: Mapping[str, Any], unknown: set[str]) -> dict[str, Any]:
    """A table with NaN in place of what is not measured."""
    return {
        name: ([math.nan] * len(value) if isinstance(value, list) else math.nan) if name in unknown else value
        for name, value in table.items()
    }


def _right(sequence: ScoredSequence) -> list[float]:
    """The share of right ones among the answers that were drawn for each output; NaN where none were."""
    return [
        math.nan if answer is None else math.exp(shares[answer])
        for answer, shares in zip(sequence.answers, sequence.log_probs, strict=True)
    ]


def _scored(outputs: Outputs) -> set[tuple[str, int]]:
    """The outputs that have a loss; where none has, as of answers that are drawn, an accuracy."""
    known = ~np.isnan(outputs.correct if np.isnan(outputs.loss).all() else outputs.loss)
    return set(zip(outputs.sequence[known].tolist(), outputs.k[known].tolist(), strict=True))


def summary_by_group(sections: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """The mean over tasks of each metric, for ``steerability`` tasks and for ``capability`` tasks apart.

    Args:
        sections: The tasks' parts of a report; see :meth:`TaskSteerability.as_dict`.

    Returns:
        Group -> ``<metric>``, ``<metric>_se`` (of independent tasks) and ``<metric>_tasks``, the tasks that have it. A
        group without tasks is not there.
    """
    summaries: dict[str, list[dict[str, float]]] = {}
    for section in sections:
        summary = {name: math.nan if value is None else value for name, value in section["summary"].items()}
        summaries.setdefault("capability" if section["capability"] else "steerability", []).append(summary)
    return {group: _mean_over_tasks(summaries[group]) for group in sorted(summaries, reverse=True)}


def _mean_over_tasks(summaries: Sequence[Mapping[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for metric in METRICS:
        having = [summary for summary in summaries if not math.isnan(summary[metric])]
        errors = np.array([summary[f"{metric}_se"] for summary in having])
        found |= {
            metric: float(np.mean([summary[metric] for summary in having])) if having else math.nan,
            f"{metric}_se": float(np.sqrt(np.square(errors).sum()) / len(having)) if having else math.nan,
            f"{metric}_tasks": len(having),
        }
    return found
