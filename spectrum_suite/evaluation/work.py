"""The work of an evaluation in parts that do not depend on one another, so that they can be shared out and kept.

The parts of a task are the same whatever the number of processes, and so are its numbers: so many items or sequences,
or the generations from one prompt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any, Protocol

from datasets import Dataset

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.alignment.score_alignment import AlignmentItem, align_rows, rows_fingerprint
from spectrum_suite.evaluation.alignment.summarize_alignment import TaskAlignment
from spectrum_suite.evaluation.coverage.score_coverage import CoverageRow, Judge, generate, row_fingerprint
from spectrum_suite.evaluation.coverage.summarize_coverage import check_generations
from spectrum_suite.evaluation.coverage.validators import n_valid
from spectrum_suite.evaluation.instruction.ranking import Conversation
from spectrum_suite.evaluation.preference import Preference
from spectrum_suite.evaluation.report import Section
from spectrum_suite.evaluation.settings import EvaluationSettings
from spectrum_suite.evaluation.steerability.closed_answers import ClosedAnswers, closed_answers
from spectrum_suite.evaluation.steerability.score_steerability import (
    ScoredSequence,
    Written,
    formats_of,
    sequences_fingerprint,
    steer_rows,
)
from spectrum_suite.evaluation.steerability.summarize_steerability import CAPABILITY_TASKS, TaskSteerability
from spectrum_suite.generation.sample import Samples
from spectrum_suite.json_files import finite
from spectrum_suite.lm.base import TokenLM
from spectrum_suite.suite import draw_rows, task_rows
from spectrum_suite.suite_rows import check_ids, check_rows

ROWS = 64
"""Items or sequences in a part."""


class Work(Protocol):
    """What is to be done on one task."""

    def parts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The name of each part, and what its result depends on beside the model."""

    def measure(self, part: str, lm: TokenLM) -> Section:
        """The result of one part, JSON's types only."""

    def section(self, results: Mapping[str, Section]) -> Section:
        """The task's part of the report, from the results of all parts."""

    def not_comparable(self, theirs: Section) -> str | None:
        """Why this task cannot be compared with its part of another report; None if it can, as far as rows tell."""


class _RowsWork:
    """Work on the drawn rows of a task, some rows at a time."""

    def __init__(self, settings: EvaluationSettings, task: str) -> None:
        self.settings = settings
        self.task = task

    kind = ""
    """Of the tasks that it is about."""

    @cached_property
    def rows(self) -> Dataset:
        """All rows of the task.

        Raises:
            UserError: They cannot be read, or a row has no name of its own.
        """
        rows = task_rows(self.settings.suite, self.task)
        check_ids(rows, self.task)
        return rows

    def check(self) -> None:
        """Refuse rows that cannot be measured, before anything is loaded.

        Raises:
            UserError: A row is not what its kind of task needs.
        """
        labels = ("output_label",) if self.kind == "distribution" and self.settings.task_labels else ()
        told = self.kind != "icl" or "options" in self.rows.column_names
        check_rows(self.drawn if told else self.rows, self.task, self.kind, columns=labels)

    @cached_property
    def drawn(self) -> Dataset:
        """Those that are measured."""
        return draw_rows(self.rows, self.task, limit=self.settings.limit_of(self.task), seed=self.settings.seed)

    def some(self, part: str) -> Dataset:
        """The rows of a part, which is named after the first of them."""
        return self.drawn.select(range(int(part), min(int(part) + ROWS, len(self.drawn))))

    def names(self) -> Iterator[str]:
        """The names of the parts."""
        yield from map(str, range(0, len(self.drawn), ROWS))

    def _nothing_shared(self, ids: Iterable[str]) -> str | None:
        """That another report has none of the drawn rows, if so."""
        if set(self.drawn["id"][:]) & set(ids):
            return None
        return f"the two reports share no row of task {self.task!r}: evaluate both on one suite with the same seed"


class DataWork(_RowsWork):
    """Work on the conversations of a data set, in reports of its own and in comparisons.

    Args:
        settings: Of the evaluation.
        task: The name of the data set among those of the settings.
        preference: Says which of two responses is better; None where nobody does.
    """

    what = "rows"
    """What a message calls its rows."""

    def __init__(self, settings: EvaluationSettings, task: str, preference: Preference | None = None) -> None:
        super().__init__(settings, task)
        self.preference = preference

    @cached_property
    def conversations(self) -> list[Conversation]:
        """The messages of those that are measured."""
        return self.drawn["messages"][:]

    def compare(self, mine: Section, theirs: Section) -> dict[str, Any]:
        """The data set's part of a report set against that of another one."""
        raise NotImplementedError

    def not_comparable(self, theirs: Section) -> str | None:
        """See :class:`Work`."""
        if sequences_fingerprint(self.drawn) == theirs["rows_fingerprint"]:
            return None
        return (
            f"the two reports have other {self.what} of {self.task!r}: evaluate both with the same data, limit and seed"
        )


class AlignmentWork(_RowsWork):
    """The items of a distribution task."""

    kind = "distribution"

    def parts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See :class:`Work`."""
        self.check()
        for part in self.names():
            yield part, {"rows": rows_fingerprint(self.some(part)), "task_labels": self.settings.task_labels}

    def measure(self, part: str, lm: TokenLM) -> Section:
        """See :class:`Work`."""
        started = time.monotonic()
        items = align_rows(lm, self.some(part), task_labels=self.settings.task_labels)
        return {"items": finite([asdict(item) for item in items]), "seconds": time.monotonic() - started}

    def section(self, results: Mapping[str, Section]) -> Section:
        """See :class:`Work`."""
        items = tuple(AlignmentItem.from_dict(item) for result in results.values() for item in result["items"])
        seconds = round(sum(result["seconds"] for result in results.values()), 2)
        found = TaskAlignment(self.task, len(self.rows), items, rows_fingerprint(self.drawn), seconds)
        if all(item.refused for item in items):
            raise UserError(f"no item of task {self.task!r} can be scored: {items[0].refused}")
        return finite(found.as_dict())

    def not_comparable(self, theirs: Section) -> str | None:
        """See :class:`Work`."""
        return self._nothing_shared(item["id"] for item in theirs["items"])


class SteerabilityWork(_RowsWork):
    """The sequences of an ``icl`` task.

    Args:
        settings: Of the evaluation.
        task: The task's name.
        model: Gives the model, of which rows are cut to the tokens that it takes.
    """

    kind = "icl"

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
        """See :class:`Work`."""
        self.check()
        for part in self.names():
            options = self.options_of(part)
            asked = {"lists": options.lists, "asked": options.asked}
            rows = sequences_fingerprint(self.some(part))
            yield part, {"rows": rows, "options": asked, "max_length": self.max_length}

    def measure(self, part: str, lm: TokenLM) -> Section:
        """See :class:`Work`."""
        started = time.monotonic()
        sequences = steer_rows(
            lm.output_logprobs,
            self.some(part),
            _with_own(formats_of(lm.tokenizer), (lm.tokenizer, lm.text_format)),
            options=self.options_of(part),
            max_length=self.max_length,
            max_positions=self.positions,
        )
        found = [None if sequence is None else asdict(sequence) for sequence in sequences]
        return {"sequences": finite(found), "seconds": time.monotonic() - started}

    def section(self, results: Mapping[str, Section]) -> Section:
        """See :class:`Work`.

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
        section = TaskSteerability(
            task=self.task,
            capability=self.task in CAPABILITY_TASKS,
            options=lists[0] if len(lists) == 1 else lists or None,
            without_options=self.options.without,
            max_length=self.max_length,
            n_available=len(self.rows),
            n_too_long=len(found) - len(sequences),
            sequences=sequences,
            rows_fingerprint=sequences_fingerprint(self.drawn),
            seconds=round(sum(result["seconds"] for result in results.values()), 2),
        ).as_dict()
        return finite(section)

    def not_comparable(self, theirs: Section) -> str | None:
        """See :class:`Work`."""
        return self._nothing_shared(sequence["id"] for sequence in theirs["sequences"])


def _with_own(written: list[Written], own: Written) -> list[Written]:
    """All ways in which a sequence has to fit, the model's own among them."""
    return written if own[1].name in {text_format.name for _, text_format in written} else [*written, own]


class CoverageWork:
    """The generations of a coverage task; a part is one way of prompting.

    Texts are kept, and checked when the report is made: by another rule or another judge in a moment.
    """

    def __init__(self, settings: EvaluationSettings, task: str, judge: Judge | None = None) -> None:
        self.settings = settings
        self.task = task
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
        """See :class:`Work`."""
        if self.judge is None:
            n_valid(self.row["validator"], self.row["valid_items"])  # an unknown rule is found before all is generated
        depends = {"row": row_fingerprint(self.row), "n": self.settings.generations, "seed": self.settings.seed}
        for prompting in self.settings.promptings:
            yield prompting, depends

    def not_comparable(self, theirs: Section) -> str | None:
        """See :class:`Work`."""
        mine = {"row_fingerprint": row_fingerprint(self.row), "n": self.settings.generations}
        mine["validity"] = "judge" if self.judge else self.row["validator"]
        shared = [theirs[prompting] for prompting in self.settings.promptings if prompting in theirs]
        if any(all(section[name] == value for name, value in mine.items()) for section in shared):
            return None
        return (
            f"coverage task {self.task!r} differs in the two reports: evaluate both with one suite, the same "
            "promptings and number of generations, and one judge"
        )

    def measure(self, part: str, lm: TokenLM) -> Section:
        """See :class:`Work`."""
        started = time.monotonic()
        settings = self.settings
        samples = generate(lm.sample, self.task, self.row, part, n=settings.generations, seed=settings.seed)
        return finite(asdict(samples)) | {"seconds": time.monotonic() - started}

    def section(self, results: Mapping[str, Section]) -> Section:
        """See :class:`Work`: prompting -> section."""
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
